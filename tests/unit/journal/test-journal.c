/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The journal: what is written is there after a crash, and illegal decisions are not written at all. */
#include "journal/journal.h"

#include <glib/gstdio.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
    char *dir, *path;
    journal *book;
} fixture;

static void set_up(fixture *f, gconstpointer data)
{
    f->dir = g_dir_make_tmp("journal-XXXXXX", NULL);
    f->path = g_build_filename(f->dir, "journal.db", NULL);
    f->book = journal_open(f->path, FALSE, NULL);
    g_assert_nonnull(f->book);
}

static void tear_down(fixture *f, gconstpointer data)
{
    GDir *dir;
    const char *name;

    journal_close(f->book);
    dir = g_dir_open(f->dir, 0, NULL);
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(f->dir, name, NULL);
        g_unlink(path);
    }
    g_dir_close(dir);
    g_rmdir(f->dir);
    g_free(f->dir);
    g_free(f->path);
}

static journal_entry entry(const char *id, const char *role)
{
    return (journal_entry){.id = (char *)id,
                           .role = (char *)role,
                           .vm = (char *)"web01",
                           .vm_uuid = (char *)"u",
                           .peer = (char *)"zulu",
                           .phase = (char *)"queued",
                           .details = (char *)"{}",
                           .status = (char *)"{}"};
}

static void begin(fixture *f, const char *id, const char *role)
{
    journal_entry e = entry(id, role);
    g_autoptr(GError) error = NULL;

    g_assert_true(journal_begin(f->book, &e, &error));
    g_assert_no_error(error);
}

static void test_life(fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(journal_entry) found = NULL, again = NULL;
    g_autoptr(GPtrArray) open = NULL, all = NULL;

    begin(f, "a", "source");
    begin(f, "b", "source");
    g_assert_true(journal_set_phase(f->book, "a", "landing", "{\"x\":1}", &error));
    g_assert_true(journal_set_details(f->book, "a", "{\"plan\":1}", &error));
    found = journal_find(f->book, "a", &error);
    g_assert_cmpstr(found->phase, ==, "landing");
    g_assert_cmpstr(found->status, ==, "{\"x\":1}");
    g_assert_cmpstr(found->details, ==, "{\"plan\":1}");
    g_assert_cmpint(found->ended, ==, 0);
    g_assert_true(journal_end(f->book, "a", "completed", "{}", &error));
    open = journal_list(f->book, TRUE, 10, &error);
    g_assert_cmpuint(open->len, ==, 1);
    g_assert_cmpstr(((journal_entry *)open->pdata[0])->id, ==, "b");
    all = journal_list(f->book, FALSE, 10, &error);
    g_assert_cmpuint(all->len, ==, 2);
    g_assert_true(journal_reopen(f->book, "a", "cleaning", "{\"order\":1}", &error));
    again = journal_find(f->book, "a", &error);
    g_assert_cmpint(again->ended, ==, 0);
    g_assert_cmpstr(again->phase, ==, "cleaning");
    g_assert_cmpstr(again->details, ==, "{\"order\":1}");
    g_assert_false(journal_reopen(f->book, "none", "cleaning", "{}", NULL));
    g_assert_null(journal_find(f->book, "none", &error));
    g_assert_no_error(error);
}

static void test_twice(fixture *f, gconstpointer data)
{
    journal_entry e = entry("a", "source");
    g_autoptr(GError) error = NULL;

    begin(f, "a", "source");
    g_assert_false(journal_begin(f->book, &e, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS);
    g_clear_error(&error);
    g_assert_false(journal_set_phase(f->book, "none", "landing", "{}", &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
}

/* Two peers may call their VMs by the same UUID; here there is one of it at a time. */
static void test_one_landing(fixture *f, gconstpointer data)
{
    journal_entry e = entry("b", "target");
    g_autoptr(GError) error = NULL;

    begin(f, "a", "target");
    e.peer = (char *)"yankee";
    g_assert_false(journal_begin(f->book, &e, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_BUSY);
    g_assert_nonnull(strstr(error->message, "web01"));
    g_clear_error(&error);
    g_assert_null(journal_find(f->book, "b", &error));
    g_assert_no_error(error);
    begin(f, "c", "source"); /* no landing */
    e.vm_uuid = (char *)"u2";
    g_assert_true(journal_begin(f->book, &e, &error));
    g_assert_true(journal_end(f->book, "a", "failed", "{}", &error));
    begin(f, "d", "target");
}

static void refuse(fixture *f, const char *id, journal_decision decision, const char *token)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(journal_decide(f->book, id, decision, token, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
}

static void decide(fixture *f, const char *id, journal_decision decision, const char *token)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(journal_entry) now = NULL;

    g_assert_true(journal_decide(f->book, id, decision, token, &error));
    g_assert_no_error(error);
    now = journal_find(f->book, id, &error);
    g_assert_cmpint(now->decision, ==, decision);
    g_assert_cmpstr(now->token, ==, token);
}

static void test_decisions(fixture *f, gconstpointer data)
{
    begin(f, "s", "source");
    refuse(f, "s", DECISION_TAKEN_BACK, "t");
    refuse(f, "s", DECISION_ACCEPTED, "t");
    decide(f, "s", DECISION_GIVEN_UP, "t");
    decide(f, "s", DECISION_GIVEN_UP, "t");
    refuse(f, "s", DECISION_GIVEN_UP, "other");
    refuse(f, "s", DECISION_TAKEN_BACK, "other");
    decide(f, "s", DECISION_TAKEN_BACK, "t");
    refuse(f, "s", DECISION_GIVEN_UP, "t");

    begin(f, "t", "target");
    refuse(f, "t", DECISION_GIVEN_UP, "t");
    decide(f, "t", DECISION_ACCEPTED, "t");
    decide(f, "t", DECISION_REFUSED, "t");
    refuse(f, "t", DECISION_ACCEPTED, "t");

    g_assert_true(journal_end(f->book, "t", "failed", "{}", NULL));
    begin(f, "n", "target");
    decide(f, "n", DECISION_REFUSED, NULL);
    refuse(f, "n", DECISION_ACCEPTED, "t");
}

/* What was told to be written is there although the writer never closed anything. */
static void test_killed(fixture *f, gconstpointer data)
{
    g_autoptr(journal_entry) found = NULL;
    g_autoptr(GError) error = NULL;
    pid_t child = fork();
    int status;

    if (child == 0) {
        journal *own = journal_open(f->path, FALSE, NULL);
        journal_entry e = entry("k", "source");
        if (own && journal_begin(own, &e, NULL) &&
            journal_decide(own, "k", DECISION_GIVEN_UP, "t", NULL))
            kill(getpid(), SIGKILL);
        _exit(1);
    }
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_true(WIFSIGNALED(status));
    found = journal_find(f->book, "k", &error);
    g_assert_no_error(error);
    g_assert_cmpint(found->decision, ==, DECISION_GIVEN_UP);
}

static void test_kept(fixture *f, gconstpointer data)
{
    journal_kept row = {.path = (char *)"/a",
                        .original = (char *)"/b",
                        .kind = (char *)"way-back",
                        .id = (char *)"i",
                        .vm_uuid = (char *)"u",
                        .until = 100};
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) early = NULL, late = NULL, none = NULL;
    g_autoptr(journal_kept) one = NULL;

    g_assert_null(journal_kept_find(f->book, "/a", &error));
    g_assert_no_error(error);
    g_assert_true(journal_keep(f->book, &row, &error));
    one = journal_kept_find(f->book, "/a", &error);
    g_assert_cmpint(one->until, ==, 100);
    row.until = 200;
    g_assert_true(journal_keep(f->book, &row, &error));
    early = journal_kept_list(f->book, 150, &error);
    g_assert_cmpuint(early->len, ==, 0);
    late = journal_kept_list(f->book, 200, &error);
    g_assert_cmpuint(late->len, ==, 1);
    g_assert_cmpstr(((journal_kept *)late->pdata[0])->original, ==, "/b");
    g_assert_true(journal_forget(f->book, "/a", &error));
    none = journal_kept_list(f->book, 0, &error);
    g_assert_cmpuint(none->len, ==, 0);
}

/* Whose the VM is, is what the latest move says that got that far; the others change nothing. */
static void test_handover(fixture *f, gconstpointer data)
{
    g_autoptr(journal_entry) none = NULL, first = NULL, second = NULL;
    g_autoptr(GError) error = NULL;

    begin(f, "a", "target");
    none = journal_last_handover(f->book, "web01", &error);
    g_assert_no_error(error);
    g_assert_null(none);
    decide(f, "a", DECISION_ACCEPTED, "t");
    g_usleep(1); /* "began" is in µs */
    begin(f, "b", "source");
    g_assert_true(journal_set_vm(f->book, "b", "web01", "u2", &error));
    first = journal_last_handover(f->book, "U", &error);
    g_assert_cmpstr(first->id, ==, "a");
    decide(f, "b", DECISION_GIVEN_UP, "t");
    second = journal_last_handover(f->book, "web01", &error);
    g_assert_cmpstr(second->id, ==, "b");
    journal_entry_free(second);
    second = journal_last_handover(f->book, "U2", &error);
    g_assert_cmpstr(second->id, ==, "b");
    g_assert_null(journal_last_handover(f->book, "web02", &error));
}

static gboolean never(const char *path, void *user, GError **error)
{
    g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_FAILED, "it sticks");
    return FALSE;
}

/* What cannot be deleted is not forgotten. */
static void test_drop(fixture *f, gconstpointer data)
{
    journal_kept row = {.path = (char *)"/a",
                        .original = (char *)"/b",
                        .kind = (char *)"way-back",
                        .id = (char *)"i",
                        .vm_uuid = (char *)"u",
                        .until = 100};
    g_autoptr(GPtrArray) still = NULL;
    g_autoptr(GError) error = NULL;
    gboolean in_use;

    g_assert_true(journal_keep(f->book, &row, &error));
    g_assert_false(journal_drop(f->book, &row, never, NULL, &in_use, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_FAILED);
    g_clear_error(&error);
    begin(f, "a", "target"); /* of VM "u": not asked at all */
    g_assert_true(journal_drop(f->book, &row, never, NULL, &in_use, &error));
    g_assert_true(in_use);
    still = journal_kept_list(f->book, 0, &error);
    g_assert_cmpuint(still->len, ==, 1);
}

static void test_resolved(fixture *f, gconstpointer data)
{
    g_autofree char *real = g_build_filename(f->dir, "real", NULL), *here = realpath(f->dir, NULL);
    g_autofree char *link = g_build_filename(f->dir, "link", NULL);
    g_autofree char *path = g_build_filename(link, "a.ferry-landed", NULL);
    g_autofree char *expected = g_build_filename(here, "real", "a.ferry-landed", NULL);
    journal_kept row = {.path = path,
                        .original = path,
                        .kind = (char *)"landed",
                        .id = (char *)"i",
                        .vm_uuid = (char *)"u",
                        .until = 100};
    g_autoptr(GPtrArray) kept = NULL, none = NULL;

    g_assert_cmpint(g_mkdir(real, 0700), ==, 0);
    g_assert_cmpint(symlink("real", link), ==, 0);
    g_assert_true(journal_keep(f->book, &row, NULL));
    kept = journal_kept_list(f->book, 0, NULL);
    g_assert_cmpstr(((journal_kept *)kept->pdata[0])->path, ==, expected);
    g_assert_cmpstr(((journal_kept *)kept->pdata[0])->original, ==, path);
    /* By either name; and by the one it has, when the link is gone. */
    g_assert_true(journal_forget(f->book, path, NULL));
    g_assert_true(journal_keep(f->book, &row, NULL));
    g_assert_cmpint(g_unlink(link), ==, 0);
    g_assert_true(journal_forget(f->book, expected, NULL));
    none = journal_kept_list(f->book, 0, NULL);
    g_assert_cmpuint(none->len, ==, 0);
    g_assert_cmpint(g_rmdir(real), ==, 0);
}

static void test_newer(fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    sqlite3 *db;

    g_assert_cmpint(sqlite3_open(f->path, &db), ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL), ==, SQLITE_OK);
    sqlite3_close(db);
    g_assert_null(journal_open(f->path, FALSE, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED);
}

static int number_of(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *query;
    int value;

    g_assert_cmpint(sqlite3_prepare_v2(db, sql, -1, &query, NULL), ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_step(query), ==, SQLITE_ROW);
    value = sqlite3_column_int(query, 0);
    sqlite3_finalize(query);
    return value;
}

/* As the first version left it. */
static void test_older(fixture *f, gconstpointer data)
{
    static const char indices[] = "SELECT count(*) FROM sqlite_master WHERE name = 'steps_of'";
    g_autoptr(GError) error = NULL;
    g_autoptr(journal) again = NULL, read_only = NULL;
    g_autoptr(journal_entry) found = NULL;
    sqlite3 *db;
    int version;

    begin(f, "a", "source");
    g_clear_pointer(&f->book, journal_close);
    g_assert_cmpint(sqlite3_open(f->path, &db), ==, SQLITE_OK);
    version = number_of(db, "PRAGMA user_version");
    g_assert_cmpint(sqlite3_exec(db, "DROP INDEX steps_of; DROP TABLE cutover_members; DROP TABLE cutovers; PRAGMA user_version = 1", NULL, NULL, NULL), ==,
                    SQLITE_OK);
    /* Who only reads can read it as it is. */
    read_only = journal_open(f->path, TRUE, &error);
    g_assert_no_error(error);
    g_assert_cmpint(number_of(db, "PRAGMA user_version"), ==, 1);
    again = journal_open(f->path, FALSE, &error);
    g_assert_no_error(error);
    g_assert_cmpint(number_of(db, "PRAGMA user_version"), ==, version);
    g_assert_cmpint(number_of(db, indices), ==, 1);
    sqlite3_close(db);
    found = journal_find(again, "a", NULL);
    g_assert_cmpstr(found->vm, ==, "web01");
}

static void begin_of(fixture *f, const char *id, const char *vm)
{
    journal_entry e = entry(id, "source");

    e.vm = (char *)vm;
    g_assert_true(journal_begin(f->book, &e, NULL));
}

static guint matches(journal *book, const char *what, gint64 since)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) found = journal_history(book, what, since, 100, &error);

    g_assert_no_error(error);
    return found->len;
}

static void test_history(fixture *f, gconstpointer data)
{
    g_autoptr(GPtrArray) steps = NULL;
    gint64 before = g_get_real_time();

    begin_of(f, "abcd0001", "web01");
    begin_of(f, "abcd0002", "web01");
    begin_of(f, "abce0003", "db%");
    g_assert_cmpuint(matches(f->book, NULL, 0), ==, 3);
    g_assert_cmpuint(matches(f->book, NULL, before), ==, 3);
    g_assert_cmpuint(matches(f->book, NULL, g_get_real_time() + G_USEC_PER_SEC), ==, 0);
    g_assert_cmpuint(matches(f->book, "web01", 0), ==, 2);
    g_assert_cmpuint(matches(f->book, "ABCD", 0), ==, 2);
    g_assert_cmpuint(matches(f->book, "abc", 0), ==, 0); /* too little */
    g_assert_cmpuint(matches(f->book, "abce0003", 0), ==, 1);
    g_assert_cmpuint(matches(f->book, "%", 0), ==, 0); /* no patterns */
    g_assert_true(journal_set_phase(f->book, "abcd0001", "landing", "{}", NULL));
    g_assert_true(journal_decide(f->book, "abcd0001", DECISION_GIVEN_UP, "t", NULL));
    steps = journal_steps(f->book, "abcd0001", NULL);
    g_assert_cmpuint(steps->len, ==, 3);
    g_assert_cmpstr(((journal_step *)steps->pdata[1])->step, ==, "landing");
    g_assert_cmpstr(((journal_step *)steps->pdata[2])->step, ==, "given-up");
    g_assert_cmpint(((journal_step *)steps->pdata[0])->at, >=, before);
}

static void test_probe(fixture *f, gconstpointer data)
{
    g_autofree char *new = g_build_filename(f->dir, "new.db", NULL), *nowhere = NULL;
    g_autoptr(GError) error = NULL;
    sqlite3 *db;

    g_assert_true(journal_probe(f->path, &error));
    g_assert_true(journal_probe(new, &error));
    /* Somebody else is just writing: so it can be written. */
    g_assert_cmpint(sqlite3_open(f->path, &db), ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), ==, SQLITE_OK);
    g_assert_true(journal_probe(f->path, &error));
    sqlite3_close(db);
    g_assert_no_error(error);
    nowhere = g_build_filename(f->dir, "absent", "journal.db", NULL);
    g_assert_false(journal_probe(nowhere, &error));
    g_assert_nonnull(error);
}

static void test_garbage(fixture *f, gconstpointer data)
{
    g_autofree char *path = g_build_filename(f->dir, "garbage.db", NULL);
    g_autoptr(GError) error = NULL;

    g_assert_true(g_file_set_contents(path, "this is not a database, not at all", -1, NULL));
    g_assert_null(journal_open(path, FALSE, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
    g_assert_nonnull(strstr(error->message, path));
}

static void test_mode(fixture *f, gconstpointer data)
{
    struct stat info;

    g_assert_cmpint(stat(f->path, &info), ==, 0);
    g_assert_cmpint(info.st_mode & 0777, ==, 0600);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, function) g_test_add("/journal/" name, fixture, NULL, set_up, function, tear_down)
    ADD("a migration's life", test_life);
    ADD("an id is there once, and must be there", test_twice);
    ADD("a VM lands once at a time", test_one_landing);
    ADD("only legal decisions are written", test_decisions);
    ADD("what was written survives SIGKILL", test_killed);
    ADD("kept files expire", test_kept);
    ADD("the latest handover counts", test_handover);
    ADD("kept files are dropped for good, or stay", test_drop);
    ADD("kept files are known by their real directories", test_resolved);
    ADD("a newer schema is refused", test_newer);
    ADD("an older schema is brought up to date", test_older);
    ADD("the history is found by VM, id and time", test_history);
    ADD("whether it can be written is tried", test_probe);
    ADD("garbage is refused by name", test_garbage);
    ADD("nobody else may read it", test_mode);
    return g_test_run();
}
