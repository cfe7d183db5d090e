/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the journal explains gets an end, what it does not is shown, and nothing is removed. */
#include "migrate/orphans.h"

#include <glib/gstdio.h>
#include <string.h>

#define VM    "ebab134f-7609-4580-b43d-5ae59ea22778"
#define LEFT  "5d0f1c2e-0000-4000-8000-000000000001"
#define TRIED "5d0f1c2f-0000-4000-8000-000000000002"

typedef struct {
    char *dir;
    settings conf;
    journal *book;
    findings *found;
} fixture;

static void set_up(fixture *f, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL;

    f->dir = g_dir_make_tmp("ferry-orphans-XXXXXX", &error);
    g_assert_no_error(error);
    f->conf.state_dir = f->dir;
    f->conf.way_back = 48;
    path = settings_journal(&f->conf);
    f->book = journal_open(path, FALSE, &error);
    g_assert_no_error(error);
    f->found = findings_new();
}

static void tear_down(fixture *f, gconstpointer unused)
{
    g_autoptr(GDir) list = g_dir_open(f->dir, 0, NULL);
    const char *name;

    journal_close(f->book);
    findings_free(f->found);
    while ((name = g_dir_read_name(list))) {
        g_autofree char *child = g_build_filename(f->dir, name, NULL);
        g_assert_cmpint(g_remove(child), ==, 0);
    }
    g_assert_cmpint(g_rmdir(f->dir), ==, 0);
    g_free(f->dir);
}

static char *file(fixture *f, const char *name)
{
    char *path = g_build_filename(f->dir, name, NULL);

    g_assert_true(g_file_set_contents(path, "x", 1, NULL));
    return path;
}

static void begin(fixture *f, const char *id, const char *role, const char *details)
{
    journal_entry entry = {.id = (char *)id,
                           .role = (char *)role,
                           .vm = (char *)"web01",
                           .vm_uuid = (char *)VM,
                           .peer = (char *)"zulu",
                           .phase = (char *)"queued",
                           .details = (char *)details,
                           .status = (char *)"{}"};

    g_assert_true(journal_begin(f->book, &entry, NULL));
}

/* A landing that failed, whose disk was NAME. */
static void tried(fixture *f, const char *name)
{
    g_autofree char *details =
        g_strdup_printf("{\"plan\": {\"disks\": [{\"target\": \"vda\", \"old_path\": \"/x\", "
                        "\"old_format\": \"raw\", \"new_path\": \"%s/%s\", \"new_format\": \"raw\", "
                        "\"capacity\": 1}], \"nics\": [], "
                        "\"mark\": \"0123456789abcdef0123456789abcdef\"}}",
                        f->dir, name);

    begin(f, TRIED, "target", details);
}

/* A VM that has left, with the disk NAME. */
static void left(fixture *f, const char *name)
{
    g_autofree char *xml = g_strdup_printf(
        "<domain type='kvm'><name>web01</name><uuid>" VM "</uuid><memory>1024</memory><os><type "
        "arch='x86_64' machine='pc'>hvm</type></os><devices><disk type='file' device='disk'><driver "
        "name='qemu' type='raw'/><source file='%s/%s'/><target dev='vda' bus='virtio'/></disk></devices>"
        "</domain>", f->dir, name);
    g_autofree char *details = g_strdup_printf(
        "{\"landing\": {\"id\": \"" LEFT "\", \"host_uuid\": \"" VM "\", \"live_xml\": \"%s\", \"disks\": "
        "[{\"target\": \"vda\", \"capacity\": 512, \"allocation\": 512}]}}", xml);

    begin(f, LEFT, "source", details);
}

static void look(fixture *f)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(orphans_files(&f->conf, f->book, f->found, &error));
    g_assert_no_error(error);
}

/* "FERRY-1202 /…; FERRY-1203 /…", without the directory. */
static void assert_found(fixture *f, const char *expected)
{
    g_autoptr(JsonArray) list = findings_to_json(f->found);
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree char *dir = g_strconcat(f->dir, "/", NULL);

    for (guint i = 0; i < json_array_get_length(list); i++) {
        JsonObject *one = json_array_get_object_element(list, i);
        g_string_append_printf(text, "%s%s %s", i ? "; " : "",
                               json_object_get_string_member(one, "code"),
                               json_object_get_string_member(one, "subject"));
    }
    g_string_replace(text, dir, "", 0);
    g_assert_cmpstr(text->str, ==, expected);
}

static double hours_of(fixture *f, const char *path)
{
    g_autoptr(journal_kept) row = journal_kept_find(f->book, path, NULL);

    return row ? (double)(row->until - g_get_real_time() / G_USEC_PER_SEC) / 3600 : -1;
}

static void test_adopted(fixture *f, gconstpointer unused)
{
    g_autofree char *landed = file(f, "a.raw.ferry-landed"), *kept = file(f, "b.raw.ferry-5d0f1c2e");
    g_autoptr(journal_kept) row = NULL;

    tried(f, "a.raw");
    left(f, "b.raw");
    g_assert_true(journal_decide(f->book, LEFT, DECISION_GIVEN_UP, "t", NULL));
    look(f); /* they have not ended: their workers will see to it */
    g_assert_cmpfloat(hours_of(f, landed), ==, -1);
    g_assert_cmpfloat(hours_of(f, kept), ==, -1);
    g_assert_true(journal_end(f->book, TRIED, "failed", "{}", NULL));
    g_assert_true(journal_end(f->book, LEFT, "completed", "{}", NULL));
    g_clear_pointer(&f->found, findings_free);
    f->found = findings_new();
    look(f);
    assert_found(f, "");
    g_assert_cmpfloat_with_epsilon(hours_of(f, landed), 24, 0.1);
    g_assert_cmpfloat_with_epsilon(hours_of(f, kept), 48, 0.1);
    row = journal_kept_find(f->book, kept, NULL);
    g_assert_cmpstr(row->kind, ==, "way-back");
    g_assert_cmpstr(row->id, ==, LEFT);
    g_assert_true(g_str_has_suffix(row->original, "/b.raw"));
}

static void test_shown(fixture *f, gconstpointer unused)
{
    g_autofree char *stranger = file(f, "c.raw.ferry-00000000"), *landed = file(f, "d.raw.ferry-landed");
    g_autofree char *mine = file(f, "mine.ferry-notes"), *disk = file(f, "a.raw");
    journal_kept row = {.original = (char *)"/x", .kind = (char *)"way-back", .id = (char *)LEFT,
                        .vm_uuid = (char *)VM, .until = 1};
    g_autofree char *gone = g_build_filename(f->dir, "gone.ferry-5d0f1c2e", NULL);

    tried(f, "a.raw");
    g_assert_true(journal_end(f->book, TRIED, "failed", "{}", NULL));
    row.path = gone;
    g_assert_true(journal_keep(f->book, &row, NULL));
    look(f);
    /* In the order of the directory: either. */
    if (findings_to_json(f->found))
        g_assert_true(g_file_test(stranger, G_FILE_TEST_EXISTS) && g_file_test(landed, G_FILE_TEST_EXISTS) &&
                      g_file_test(mine, G_FILE_TEST_EXISTS) && g_file_test(disk, G_FILE_TEST_EXISTS));
    g_assert_cmpfloat(hours_of(f, stranger), ==, -1);
    g_assert_cmpfloat(hours_of(f, gone), !=, -1);
    {
        g_autoptr(JsonArray) list = findings_to_json(f->found);
        g_assert_cmpuint(json_array_get_length(list), ==, 3);
        g_assert_cmpstr(json_object_get_string_member(json_array_get_object_element(list, 0), "code"), ==,
                        "FERRY-1203");
    }
}

static void look_at_vm(fixture *f, virt_state state, gboolean persistent, const char *expected)
{
    g_autoptr(GError) error = NULL;

    g_clear_pointer(&f->found, findings_free);
    f->found = findings_new();
    g_assert_true(orphans_vm(f->book, "web01", VM, state, persistent, f->found, &error));
    g_assert_no_error(error);
    assert_found(f, expected);
}

static void test_vms(fixture *f, gconstpointer unused)
{
    look_at_vm(f, VIRT_PAUSED, FALSE, "FERRY-1204 web01");
    look_at_vm(f, VIRT_PAUSED, TRUE, ""); /* somebody has paused it */
    look_at_vm(f, VIRT_RUNNING, FALSE, "");
    begin(f, TRIED, "target", "{}"); /* its move is under way */
    look_at_vm(f, VIRT_PAUSED, FALSE, "");
    g_assert_true(journal_end(f->book, TRIED, "failed", "{}", NULL));
    look_at_vm(f, VIRT_PAUSED, FALSE, "FERRY-1204 web01");
    begin(f, LEFT, "source", "{}");
    g_assert_true(journal_decide(f->book, LEFT, DECISION_GIVEN_UP, "t", NULL));
    look_at_vm(f, VIRT_SHUT_OFF, TRUE, "");
    g_assert_true(journal_end(f->book, LEFT, "completed", "{}", NULL));
    look_at_vm(f, VIRT_SHUT_OFF, TRUE, "FERRY-1205 web01");
    look_at_vm(f, VIRT_PAUSED, FALSE, "FERRY-1205 web01");
    look_at_vm(f, VIRT_RUNNING, TRUE, ""); /* it may have come back by other means */
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, function) g_test_add("/orphans/" name, fixture, NULL, set_up, function, tear_down)
    ADD("what the journal explains gets an end", test_adopted);
    ADD("what it does not is shown and stays", test_shown);
    ADD("stopped copies are shown", test_vms);
    return g_test_run();
}
