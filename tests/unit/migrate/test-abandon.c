/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a failed landing leaves has its row in the journal before it has its new name. What becomes of the disks is a script
 * here. (The linker puts these functions in the place of src/virt's.) */
#include "migrate/target-inside.h"

#include <glib/gstdio.h>
#include <string.h>

#define ID    "5d0f0000-0000-4000-8000-000000000001"
#define UUID  "5d0f0000-0000-4000-8000-000000000002"
#define OTHER "5d0f0000-0000-4000-8000-000000000003"
#define XML                                                                                         \
    "<domain type='kvm'><name>web01</name><uuid>" UUID "</uuid><memory unit='KiB'>65536</memory>"  \
    "<vcpu>1</vcpu><os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os></domain>"
#define LANDING "{\"id\":\"" ID "\",\"host_uuid\":\"" UUID "\",\"live_xml\":\"" XML "\",\"disks\":[]}"

static char *dir, *disk, *put_aside;
static journal *book;
static const char *script; /* rename, remove, fail */

GStrv __wrap_plan_abandon(const plan *self, virt_host *host, gboolean keep,
                          const char *const *earlier, GError **error);

GStrv __wrap_plan_abandon(const plan *self, virt_host *host, gboolean keep,
                          const char *const *earlier, GError **error)
{
    const char *kept[] = {put_aside, NULL}, *none[] = {NULL};
    g_autoptr(journal_kept) row = journal_kept_find(book, put_aside, NULL);

    g_assert_true(keep);
    g_assert_nonnull(row); /* whatever happens from here on */
    g_assert_cmpstr(row->id, ==, ID);
    g_assert_cmpstr(row->original, ==, disk);
    if (!strcmp(script, "fail")) {
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_FAILED, "the disk is broken");
        return NULL;
    }
    g_assert_cmpint(!strcmp(script, "rename") ? g_rename(disk, put_aside) : g_unlink(disk), ==, 0);
    return g_strdupv((GStrv)(!strcmp(script, "rename") ? kept : none));
}

static void nobody(void *user)
{
}

/* The id of the row at the end; NULL: there is none. */
static char *abandoned(const char *what, gboolean earlier)
{
    settings conf = {.channels = 1, .keep_landed = 24, .state_dir = dir};
    g_autofree char *path = settings_journal(&conf);
    job work = {.conf = &conf, .id = ID, .changed = nobody};
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) object = json_parse(LANDING, -1, &error);
    g_autoptr(JsonObject) planned = NULL;
    g_autofree char *text = NULL;
    g_autoptr(journal_kept) row = NULL;
    journal_kept old = {.kind = (char *)"landed", .id = (char *)OTHER, .vm_uuid = (char *)OTHER, .until = 1};
    target *self;

    script = what;
    disk = g_build_filename(dir, "a.raw", NULL);
    put_aside = g_strconcat(disk, PLAN_LANDED, NULL);
    old.path = put_aside;
    old.original = disk;
    text = g_strdup_printf("{\"disks\": [{\"target\": \"vda\", \"old_path\": \"/x\", \"old_format\": \"raw\", "
                           "\"new_path\": \"%s\", \"new_format\": \"raw\", \"capacity\": 1}], \"nics\": [], "
                           "\"mark\": \"0123456789abcdef0123456789abcdef\"}", disk);
    planned = json_parse(text, -1, &error);
    g_assert_no_error(error);
    book = journal_open(path, FALSE, &error);
    g_assert_no_error(error);
    g_assert_true(g_file_set_contents(disk, "x", 1, NULL));
    if (earlier) {
        g_assert_true(g_file_set_contents(put_aside, "y", 1, NULL));
        g_assert_true(journal_keep(book, &old, &error));
    }
    self = target_new(&work, "alpha", landing_request_from_json(object, &error));
    self->made = plan_from_json(planned, &error);
    g_assert_no_error(error);
    self->prepared = TRUE;
    abandon_landing(self);
    row = journal_kept_find(book, put_aside, &error);
    g_assert_no_error(error);
    target_free(self);
    journal_close(book);
    g_unlink(disk);
    g_unlink(put_aside);
    g_unlink(path);
    g_free(disk);
    g_free(put_aside);
    return row ? g_strdup(row->id) : NULL;
}

static void assert_row(const char *what, gboolean earlier, const char *expected)
{
    g_autofree char *id = NULL;

    dir = g_dir_make_tmp("abandon-XXXXXX", NULL);
    id = abandoned(what, earlier);
    g_assert_cmpstr(id, ==, expected);
    g_assert_cmpint(g_rmdir(dir), ==, 0);
    g_free(dir);
}

static void renamed(void)
{
    assert_row("rename", FALSE, ID);
    assert_row("rename", TRUE, ID);
}

static void removed(void)
{
    assert_row("remove", FALSE, NULL);
    assert_row("remove", TRUE, OTHER);
}

static void broken(void)
{
    assert_row("fail", FALSE, NULL);
    assert_row("fail", TRUE, OTHER);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/abandon/put aside, known before it is", renamed);
    g_test_add_func("/abandon/removed: what was known before holds", removed);
    g_test_add_func("/abandon/neither: what was known before holds", broken);
    return g_test_run();
}
