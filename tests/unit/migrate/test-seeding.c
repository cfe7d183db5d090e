/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whose data may help whom: only what the journal has of the same VM and the same peer. */
#include "journal/journal.h"
#include "migrate/seeding.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VM    "ebab134f-7609-4580-b43d-5ae59ea22778"
#define OTHER "ebab134f-7609-4580-b43d-5ae59ea22779"

typedef struct {
    char *dir;
    settings conf;
    journal *book;
} fixture;

static void set_up(fixture *f, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *made = g_dir_make_tmp("ferry-seeding-XXXXXX", &error), *path = NULL;

    g_assert_no_error(error);
    f->dir = realpath(made, NULL);
    f->conf.state_dir = f->dir;
    path = settings_journal(&f->conf);
    f->book = journal_open(path, FALSE, &error);
    g_assert_no_error(error);
}

static void remove_tree(const char *path)
{
    g_autoptr(GDir) list = g_dir_open(path, 0, NULL);
    const char *name;

    while (list && (name = g_dir_read_name(list))) {
        g_autofree char *child = g_build_filename(path, name, NULL);
        if (g_remove(child))
            remove_tree(child);
    }
    (void)g_rmdir(path);
}

static void tear_down(fixture *f, gconstpointer unused)
{
    journal_close(f->book);
    remove_tree(f->dir);
    free(f->dir);
}

static char *id_of(guint number)
{
    return g_strdup_printf("5d0f1c2e-0000-4000-8000-%012u", number);
}

/* A landing of VM `uuid` from `peer` whose only disk is DIR/NAME, as its entry has it. */
static void land(fixture *f, guint number, const char *uuid, const char *peer, const char *name,
                 const char *format)
{
    g_autofree char *id = id_of(number);
    g_autofree char *details =
        g_strdup_printf("{\"plan\": {\"disks\": [{\"target\": \"vda\", \"old_path\": \"/x\", "
                        "\"old_format\": \"raw\", \"new_path\": \"%s/%s\", \"new_format\": \"%s\", "
                        "\"capacity\": 1}], \"nics\": [], "
                        "\"mark\": \"0123456789abcdef0123456789abcdef\"}}",
                        f->dir, name, format);
    journal_entry entry = {.id = id,
                           .role = (char *)"target",
                           .vm = (char *)"web01",
                           .vm_uuid = (char *)uuid,
                           .peer = (char *)peer,
                           .phase = (char *)"queued",
                           .details = details,
                           .status = (char *)"{}"};
    g_autoptr(GError) error = NULL;

    g_assert_true(journal_begin(f->book, &entry, &error));
    g_assert_true(journal_end(f->book, id, "failed", "{}", &error));
    g_assert_no_error(error);
}

/* What it left behind, with one block of data. */
static char *leave(fixture *f, guint number, const char *uuid, const char *name)
{
    g_autofree char *id = id_of(number);
    char *path = g_strconcat(f->dir, "/", name, PLAN_LANDED, NULL);
    g_autofree char *bytes = g_strnfill(OP_BLOCK, (char)('a' + number));
    journal_kept row = {.path = path,
                        .original = (char *)"/x",
                        .kind = (char *)"landed",
                        .id = id,
                        .vm_uuid = (char *)uuid,
                        .until = 1000};

    g_assert_true(g_file_set_contents(path, bytes, OP_BLOCK, NULL));
    g_assert_true(journal_keep(f->book, &row, NULL));
    return path;
}

static gint64 until_of(fixture *f, const char *path)
{
    g_autoptr(GPtrArray) rows = journal_kept_list(f->book, 0, NULL);

    for (guint i = 0; i < rows->len; i++) {
        const journal_kept *row = rows->pdata[i];
        if (!strcmp(row->path, path))
            return row->until;
    }
    return -1;
}

static void test_of_the_same_vm_and_peer(fixture *f, gconstpointer unused)
{
    g_autofree char *mine = NULL, *others = NULL, *stranger = NULL, *unknown = NULL, *moved = NULL;
    g_autofree char *gone = NULL;
    g_auto(GStrv) found = NULL;

    land(f, 1, VM, "alpha", "a", "raw");
    mine = leave(f, 1, VM, "a");
    land(f, 2, OTHER, "alpha", "b", "raw"); /* another VM */
    others = leave(f, 2, OTHER, "b");
    land(f, 3, VM, "mallory", "c", "raw"); /* the UUID, from another host */
    stranger = leave(f, 3, VM, "c");
    unknown = leave(f, 4, VM, "d"); /* nobody knows of which landing */
    land(f, 5, VM, "alpha", "e", "raw");
    moved = leave(f, 5, VM, "not-e"); /* not where its plan had a disk */
    land(f, 6, VM, "alpha", "g", "raw");
    gone = leave(f, 6, VM, "g");
    g_assert_cmpint(unlink(gone), ==, 0);
    found = seeding_landed(&f->conf, "Alpha", VM);
    g_assert_cmpuint(g_strv_length(found), ==, 1);
    g_assert_cmpstr(found[0], ==, mine);
}

static void test_kept_longer_or_no_more(fixture *f, gconstpointer unused)
{
    g_autofree char *mine = NULL, *stranger = NULL;
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;

    land(f, 1, VM, "alpha", "a", "qcow2");
    mine = leave(f, 1, VM, "a");
    land(f, 2, VM, "mallory", "b", "raw");
    stranger = leave(f, 2, VM, "b");
    seeding_keep_landed(&f->conf, "alpha", VM, 2);
    g_assert_cmpint(until_of(f, mine), >=, now + 7200);
    g_assert_cmpint(until_of(f, stranger), ==, 1000);
    seeding_keep_landed(&f->conf, "alpha", VM, 0);
    g_assert_cmpint(until_of(f, mine), <=, now + 60);
}

static guint count_hints(seeds *store)
{
    uint64_t hints[8];
    gboolean last = FALSE;
    guint count = 0;

    while (!last)
        count += seeds_wait_hints(store, count, hints, G_N_ELEMENTS(hints), &last);
    return count;
}

/* The store of a landing holds what its VM left, and nothing of others. */
static void test_the_store(fixture *f, gconstpointer unused)
{
    g_autofree char *a = NULL, *b = NULL, *c = NULL;
    g_autoptr(seeds) store = NULL, none = NULL;
    plan made = {.disks = g_ptr_array_new()};

    land(f, 1, VM, "alpha", "a", "raw");
    a = leave(f, 1, VM, "a");
    land(f, 2, OTHER, "alpha", "b", "raw");
    b = leave(f, 2, OTHER, "b");
    land(f, 3, VM, "alpha", "c", "qcow2"); /* what it was is not what it says it is now */
    c = leave(f, 3, VM, "c");
    store = seeding_start(&f->conf, NULL, "alpha", VM, &made);
    g_assert_cmpuint(count_hints(store), ==, 1);
    none = seeding_start(&f->conf, NULL, "mallory", VM, &made);
    g_assert_cmpuint(count_hints(none), ==, 0);
    g_ptr_array_unref(made.disks);
}

static void test_index(fixture *f, gconstpointer unused)
{
    g_autofree char *a = NULL, *seeds_dir = g_build_filename(f->dir, "seeds", NULL);
    g_autoptr(GDir) list = NULL;
    gint stop = 0;

    land(f, 1, VM, "alpha", "a", "raw");
    a = leave(f, 1, VM, "a");
    seeding_index(&f->conf, NULL, &stop);
    list = g_dir_open(seeds_dir, 0, NULL);
    g_assert_nonnull(g_dir_read_name(list));
    g_assert_null(g_dir_read_name(list));
    g_assert_cmpint(unlink(a), ==, 0);
    seeding_index(&f->conf, NULL, &stop);
    g_dir_rewind(list);
    g_assert_null(g_dir_read_name(list));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, function) g_test_add("/seeding/" name, fixture, NULL, set_up, function, tear_down)
    ADD("of-the-same-vm-and-peer", test_of_the_same_vm_and_peer);
    ADD("kept-longer-or-no-more", test_kept_longer_or_no_more);
    ADD("the-store", test_the_store);
    ADD("index", test_index);
    return g_test_run();
}
