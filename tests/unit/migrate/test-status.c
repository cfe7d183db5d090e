/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The status: one setter of the phase, one winner between cancelling and committing, and nothing shown that
 * the journal does not have. */
#include "migrate/insist.h"

#include <glib/gstdio.h>
#include <sqlite3.h>
#include <string.h>

#define ID "5d0f0000-0000-4000-8000-000000000001"

typedef struct {
    char *dir, *path;
    journal *book;
    status *shown;
    guint changes;
} fixture;

static void count(void *user)
{
    ((fixture *)user)->changes++;
}

static void set_up(fixture *f, gconstpointer data)
{
    journal_entry e = {.id = (char *)ID,
                       .role = (char *)"source",
                       .vm = (char *)"web01",
                       .vm_uuid = (char *)"",
                       .peer = (char *)"zulu",
                       .phase = (char *)"queued"};
    status_setup setup = {.id = ID, .role = "source", .vm = "web01", .peer = "zulu",
                          .channels_wanted = 4, .changed = count, .user = f};

    f->dir = g_dir_make_tmp("status-XXXXXX", NULL);
    f->path = g_build_filename(f->dir, "journal.db", NULL);
    setup.journal = f->book = journal_open(f->path, FALSE, NULL);
    g_assert_true(journal_begin(f->book, &e, NULL));
    f->shown = status_new(&setup);
}

static void tear_down(fixture *f, gconstpointer data)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};

    status_free(f->shown);
    journal_close(f->book);
    for (guint i = 0; i < G_N_ELEMENTS(suffixes); i++) {
        g_autofree char *path = g_strconcat(f->path, suffixes[i], NULL);
        g_unlink(path);
    }
    g_rmdir(f->dir);
    g_free(f->dir);
    g_free(f->path);
}

static char *waiting(fixture *f)
{
    g_autoptr(JsonObject) shown = status_to_json(f->shown);

    return g_strdup(json_object_get_string_member_with_default(shown, "waiting", NULL));
}

static void assert_journaled(fixture *f, const char *name, journal_decision decision)
{
    g_autoptr(journal_entry) e = journal_find(f->book, ID, NULL);

    g_assert_cmpstr(e->phase, ==, name);
    g_assert_cmpint(e->decision, ==, decision);
}

static void test_steps(fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(status_enter(f->shown, PHASE_COMPARING, &error));
    assert_journaled(f, "comparing", DECISION_NONE);
    g_assert_false(status_enter(f->shown, PHASE_COMMITTING, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
    assert_journaled(f, "comparing", DECISION_NONE);
    g_clear_error(&error);
    g_assert_true(status_advance(f->shown, PHASE_SWITCHING, &error));
    assert_journaled(f, "switching", DECISION_NONE);
    g_assert_true(status_advance(f->shown, PHASE_MIRRORING, &error));
    g_assert_cmpint(status_phase(f->shown), ==, PHASE_SWITCHING);
    g_assert_cmpuint(f->changes, >, 0);
}

static void test_cancel_wins(fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(status_advance(f->shown, PHASE_SWITCHING, &error));
    g_assert_true(status_cancel(f->shown, "by the operator"));
    g_assert_false(status_commit(f->shown, DECISION_GIVEN_UP, "t", &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    assert_journaled(f, "switching", DECISION_NONE);
    g_clear_error(&error);
    g_assert_true(status_end(f->shown, FALSE, &error));
    assert_journaled(f, "cancelled", DECISION_NONE);
}

static void test_commit_wins(fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(status_advance(f->shown, PHASE_SWITCHING, &error));
    g_assert_true(status_commit(f->shown, DECISION_GIVEN_UP, "t", &error));
    assert_journaled(f, "committing", DECISION_GIVEN_UP);
    g_assert_false(status_cancel(f->shown, "too late"));
    g_assert_false(status_is_cancelled(f->shown));
    g_assert_true(status_advance(f->shown, PHASE_CLEANING, &error));
    g_assert_true(status_end(f->shown, TRUE, &error));
    assert_journaled(f, "completed", DECISION_GIVEN_UP);
}

/* A journal that cannot be written means: not decided. */
static void test_journal_gone(fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(journal) other = NULL;

    g_assert_true(status_advance(f->shown, PHASE_SWITCHING, &error));
    other = journal_open(f->path, FALSE, &error);
    g_assert_true(journal_decide(other, ID, DECISION_GIVEN_UP, "another token", &error));
    g_assert_false(status_commit(f->shown, DECISION_GIVEN_UP, "t", &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
    g_assert_cmpint(status_decision(f->shown), ==, DECISION_NONE);
}

static gpointer end_for_sure(gpointer data)
{
    fixture *f = data;

    insist_end(f->shown, TRUE);
    return NULL;
}

static void alter(fixture *f, const char *sql)
{
    sqlite3 *db;

    g_assert_cmpint(sqlite3_open(f->path, &db), ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_busy_timeout(db, 10000), ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_exec(db, sql, NULL, NULL, NULL), ==, SQLITE_OK);
    sqlite3_close(db);
}

/* Past the commit nothing is left out: what cannot be written now is written when it can be. */
static void test_insisted(fixture *f, gconstpointer data)
{
    GThread *ends;
    gboolean said = FALSE;

    g_assert_true(status_advance(f->shown, PHASE_SWITCHING, NULL));
    g_assert_true(status_commit(f->shown, DECISION_GIVEN_UP, "t", NULL));
    insist_advance(f->shown, PHASE_CLEANING);
    assert_journaled(f, "cleaning", DECISION_GIVEN_UP);
    alter(f, "CREATE TRIGGER full BEFORE UPDATE ON migrations BEGIN SELECT RAISE(FAIL, 'no room'); END");
    ends = g_thread_new("ends", end_for_sure, f);
    while (!said) {
        g_autofree char *says = waiting(f);
        said = says && strstr(says, "no room");
        g_thread_yield();
    }
    g_assert_cmpint(status_phase(f->shown), ==, PHASE_CLEANING);
    alter(f, "DROP TRIGGER full");
    g_thread_join(ends);
    g_assert_cmpint(status_phase(f->shown), ==, PHASE_COMPLETED);
    assert_journaled(f, "completed", DECISION_GIVEN_UP);
    /* What will never be possible is not tried for ever. */
    insist_advance(f->shown, PHASE_COMMITTING);
}

/* What never came to be in the journal ends all the same. */
static void test_not_journaled(fixture *f, gconstpointer data)
{
    status_setup setup = {.id = "5d0f0000-0000-4000-8000-000000000002", .role = "source", .vm = "web01",
                          .peer = "zulu", .channels_wanted = 4, .journal = f->book};
    g_autoptr(status) other = status_new(&setup);

    g_assert_false(status_enter(other, PHASE_COMPARING, NULL));
    status_leave_journal(other);
    status_set_error(other, "journal", "no room");
    insist_end(other, FALSE);
    g_assert_cmpint(status_phase(other), ==, PHASE_FAILED);
}

static void test_first_error(fixture *f, gconstpointer data)
{
    g_autoptr(JsonObject) shown = NULL;
    JsonObject *error;

    status_set_error(f->shown, "link-lost", "the cause");
    status_set_error(f->shown, "migration-failed", "a consequence");
    shown = status_to_json(f->shown);
    error = json_object_get_object_member(shown, "error");
    g_assert_cmpstr(json_object_get_string_member(error, "code"), ==, "link-lost");
    g_assert_cmpstr(json_object_get_string_member(error, "text"), ==, "the cause");
}

static void test_restore(fixture *f, gconstpointer data)
{
    journal_entry e = {.id = (char *)ID, .phase = (char *)"committing", .decision = DECISION_GIVEN_UP,
                       .began = 1, .changed = 2};
    g_autoptr(GError) error = NULL;

    g_assert_true(status_restore(f->shown, &e, &error));
    g_assert_cmpint(status_phase(f->shown), ==, PHASE_COMMITTING);
    g_assert_cmpint(status_decision(f->shown), ==, DECISION_GIVEN_UP);
    g_assert_false(status_cancel(f->shown, "no"));
    e.phase = (char *)"dancing";
    g_assert_false(status_restore(f->shown, &e, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
}

/* Without a link the move waits, and says so; a moment is not worth a word. */
static void test_no_link(fixture *f, gconstpointer data)
{
    gint64 now = g_get_monotonic_time();
    session_stats stats = {.silent_since = now, .silent_until = now + 600 * G_USEC_PER_SEC};
    g_autofree char *first = NULL, *later = NULL, *both = NULL, *again = NULL, *ended = NULL;

    status_set_session(f->shown, &stats);
    first = waiting(f);
    g_assert_null(first);
    stats.silent_since -= 100 * G_USEC_PER_SEC;
    status_set_session(f->shown, &stats);
    later = waiting(f);
    g_assert_true(g_regex_match_simple("^no link to zulu since [0-9:]{8}; trying until [0-9:]{8}$",
                                       later, 0, 0));
    status_set_waiting(f->shown, "the word of zulu");
    both = waiting(f);
    g_assert_true(g_str_has_prefix(both, "the word of zulu; no link to zulu since "));
    status_set_waiting(f->shown, NULL);
    g_assert_true(status_end(f->shown, FALSE, NULL));
    ended = waiting(f);
    g_assert_null(ended);
    status_set_session(f->shown, &(session_stats){0});
    again = waiting(f);
    g_assert_null(again);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, function) g_test_add("/status/" name, fixture, NULL, set_up, function, tear_down)
    ADD("phases follow the table and are journaled", test_steps);
    ADD("a cancel before the commit wins", test_cancel_wins);
    ADD("a commit before the cancel wins", test_commit_wins);
    ADD("what cannot be journaled is not decided", test_journal_gone);
    ADD("past the commit it is insisted on", test_insisted);
    ADD("what never began ends all the same", test_not_journaled);
    ADD("the first error is the one", test_first_error);
    ADD("goes on after a crash", test_restore);
    ADD("says that there is no link", test_no_link);
    return g_test_run();
}
