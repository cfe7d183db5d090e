/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Expiry: what is deleted, and above all what is not. */
#include "support.h"

#include "daemon/expiry.h"

#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    char *dir;
    journal *book;
} fixture;

static void set_up(fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL, *given = scratch_new();

    f->dir = realpath(given, NULL); /* TMPDIR may be reached through a link */
    path = g_build_filename(f->dir, "journal.db", NULL);
    f->book = journal_open(path, FALSE, &error);
    g_assert_no_error(error);
}

static void tear_down(fixture *f, gconstpointer data)
{
    journal_close(f->book);
    scratch_remove(g_strdup(f->dir));
    free(f->dir);
}

static char *path_of(fixture *f, const char *name)
{
    return g_build_filename(f->dir, name, NULL);
}

static void keep(fixture *f, const char *path, gint64 until)
{
    journal_kept kept = {.path = (char *)path,
                         .original = (char *)"/x",
                         .kind = (char *)"way-back",
                         .id = (char *)"5d0f1c2e-0000-4000-8000-00000000000a",
                         .vm_uuid = (char *)"5d0f1c2e-0000-4000-8000-00000000000b",
                         .until = until};
    g_autoptr(GError) error = NULL;

    g_assert_true(journal_keep(f->book, &kept, &error));
    g_assert_no_error(error);
}

static char *make(fixture *f, const char *name)
{
    char *path = path_of(f, name);

    g_assert_true(g_file_set_contents(path, "data", -1, NULL));
    return path;
}

static guint kept_count(fixture *f)
{
    g_autoptr(GPtrArray) all = journal_kept_list(f->book, 0, NULL);

    return all->len;
}

static guint sweep(fixture *f, expiry *e, gint64 now)
{
    g_autoptr(GError) error = NULL;
    guint count = expiry_run(e, f->book, now, &error);

    g_assert_no_error(error);
    return count;
}

static void what_has_expired_goes(fixture *f, gconstpointer data)
{
    g_autoptr(expiry) e = expiry_new();
    g_autofree char *old = make(f, "a.qcow2.ferry-5d0f1c2e"), *fresh = make(f, "b.ferry-landed");
    g_autofree char *gone = path_of(f, "c.ferry-landed");

    keep(f, old, 100);
    keep(f, fresh, 300);
    keep(f, gone, 100);
    g_assert_cmpint(sweep(f, e, 50), ==, 0);
    g_assert_true(g_file_test(old, G_FILE_TEST_EXISTS));
    g_assert_cmpint(sweep(f, e, 200), ==, 1);
    g_assert_false(g_file_test(old, G_FILE_TEST_EXISTS));
    g_assert_true(g_file_test(fresh, G_FILE_TEST_EXISTS));
    g_assert_cmpint(kept_count(f), ==, 1);
}

static void links_and_strangers_stay(fixture *f, gconstpointer data)
{
    g_autoptr(expiry) e = expiry_new();
    g_autofree char *victim = make(f, "victim"), *link = path_of(f, "l.ferry-landed");
    g_autofree char *real = path_of(f, "real"), *way = path_of(f, "way");
    g_autofree char *inside = make(f, "real.tmp"), *hidden = path_of(f, "real/d.ferry-landed");
    g_autofree char *through = path_of(f, "way/d.ferry-landed"),
                    *dir = path_of(f, "e.ferry-landed");
    g_autofree char *dots = g_strdup_printf("%s/real/../real/d.ferry-landed", f->dir);
    gint64 bytes;

    g_assert_cmpint(symlink(victim, link), ==, 0);
    g_assert_cmpint(mkdir(real, 0700), ==, 0);
    g_assert_cmpint(mkdir(way, 0700), ==, 0);
    g_assert_cmpint(rename(inside, hidden), ==, 0);
    g_assert_cmpint(mkdir(dir, 0700), ==, 0);
    keep(f, victim, 1);  /* not one of our names */
    keep(f, link, 1);    /* a link in the file's place */
    keep(f, through, 1); /* a link that came on the way later */
    g_assert_cmpint(rmdir(way), ==, 0);
    g_assert_cmpint(symlink(real, way), ==, 0);
    keep(f, dir, 1);
    keep(f, "relative.ferry-landed", 1);
    g_assert_false(expiry_delete(dots, &bytes, NULL));
    g_assert_cmpint(sweep(f, e, 100), ==, 0);
    g_assert_true(g_file_test(victim, G_FILE_TEST_EXISTS));
    g_assert_true(g_file_test(link, G_FILE_TEST_IS_SYMLINK));
    g_assert_true(g_file_test(hidden, G_FILE_TEST_EXISTS));
    g_assert_true(g_file_test(dir, G_FILE_TEST_IS_DIR));
    g_assert_cmpint(kept_count(f), ==, 5);
    g_assert_cmpint(sweep(f, e, 100), ==, 0);
}

/* Where people put their images behind a link, what is kept there goes as well. */
static void a_directory_behind_a_link_is_no_stranger(fixture *f, gconstpointer data)
{
    g_autoptr(expiry) e = expiry_new();
    g_autofree char *real = path_of(f, "real"), *link = path_of(f, "images");
    g_autofree char *inside = path_of(f, "real/a.ferry-landed");
    g_autofree char *through = path_of(f, "images/a.ferry-landed"), *made = make(f, "a");

    g_assert_cmpint(mkdir(real, 0700), ==, 0);
    g_assert_cmpint(symlink(real, link), ==, 0);
    g_assert_cmpint(rename(made, inside), ==, 0);
    keep(f, through, 1);
    g_assert_cmpint(sweep(f, e, 100), ==, 1);
    g_assert_false(g_file_test(inside, G_FILE_TEST_EXISTS));
    g_assert_cmpint(kept_count(f), ==, 0);
}

/* A VM on its way back reads what is kept of it: that stays until it has landed, whatever its time. */
static void what_a_landing_may_read_stays(fixture *f, gconstpointer data)
{
    g_autoptr(expiry) e = expiry_new();
    g_autofree char *path = make(f, "a.qcow2.ferry-5d0f1c2e");
    journal_entry landing = {.id = (char *)"5d0f1c2e-0000-4000-8000-00000000000c",
                             .role = (char *)"target",
                             .vm = (char *)"web01",
                             .vm_uuid = (char *)"5d0f1c2e-0000-4000-8000-00000000000b",
                             .peer = (char *)"zulu",
                             .phase = (char *)"queued"};
    g_autoptr(GPtrArray) rows = NULL;
    g_autoptr(GError) error = NULL;
    gint64 bytes;

    keep(f, path, 1);
    g_assert_true(journal_begin(f->book, &landing, &error));
    g_assert_cmpint(sweep(f, e, 100), ==, 0);
    rows = journal_kept_list(f->book, 0, NULL);
    g_assert_false(expiry_drop(f->book, rows->pdata[0], &bytes, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_BUSY);
    g_clear_error(&error);
    g_assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
    g_assert_true(journal_end(f->book, landing.id, "failed", "{}", &error));
    g_assert_true(expiry_drop(f->book, rows->pdata[0], &bytes, &error));
    g_assert_cmpint(bytes, >=, 0);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    g_assert_cmpint(kept_count(f), ==, 0);
    /* Again, by somebody who still has the row. */
    g_assert_true(expiry_drop(f->book, rows->pdata[0], &bytes, &error));
    g_assert_cmpint(bytes, ==, -1);
}

/* The blocks of a big disk take long to be freed, and others wait for the journal: only after it was
 * written does the kernel let go of the file. */
static void blocks_are_freed_outside_the_journal(fixture *f, gconstpointer data)
{
    g_autofree char *path = make(f, "a.qcow2.ferry-5d0f1c2e");
    g_autoptr(GPtrArray) rows = NULL;
    g_autoptr(GError) error = NULL;
    char events[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
    gboolean written = FALSE, freed = FALSE, written_later = FALSE;
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), file;
    gint64 bytes;
    ssize_t got;

    keep(f, path, 1);
    rows = journal_kept_list(f->book, 0, NULL);
    file = inotify_add_watch(watch, path, IN_DELETE_SELF);
    g_assert_cmpint(file, >=, 0);
    g_assert_cmpint(inotify_add_watch(watch, f->dir, IN_MODIFY), >=, 0);
    g_assert_true(expiry_drop(f->book, rows->pdata[0], &bytes, &error));
    g_assert_no_error(error);
    got = read(watch, events, sizeof events);
    g_assert_cmpint(got, >, 0);
    for (char *at = events; at < events + got;) {
        const struct inotify_event *event = (const struct inotify_event *)at;
        if (event->wd == file)
            freed = freed || (event->mask & IN_DELETE_SELF);
        else if (event->len && g_str_has_prefix(event->name, "journal.db")) {
            written = TRUE;
            written_later = written_later || freed;
        }
        at += sizeof *event + event->len;
    }
    g_assert_true(written);
    g_assert_true(freed);
    g_assert_false(written_later);
    (void)close(watch);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/expiry/expired", fixture, NULL, set_up, what_has_expired_goes, tear_down);
    g_test_add("/expiry/links", fixture, NULL, set_up, links_and_strangers_stay, tear_down);
    g_test_add("/expiry/behind a link", fixture, NULL, set_up,
               a_directory_behind_a_link_is_no_stranger, tear_down);
    g_test_add("/expiry/landing", fixture, NULL, set_up, what_a_landing_may_read_stays, tear_down);
    g_test_add("/expiry/unlocked", fixture, NULL, set_up, blocks_are_freed_outside_the_journal,
               tear_down);
    return g_test_run();
}
