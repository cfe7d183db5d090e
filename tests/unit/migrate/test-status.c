/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The status: one setter of the phase, one winner between cancelling and committing, and nothing shown that
 * the journal does not have. */
#include "migrate/status.h"

#include <glib/gstdio.h>
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
    ADD("the first error is the one", test_first_error);
    ADD("goes on after a crash", test_restore);
    ADD("says that there is no link", test_no_link);
    return g_test_run();
}
