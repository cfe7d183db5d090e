/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The cutover of a group: all guests are given up, or none, whoever comes first. */
#include "journal/journal.h"

#include <glib/gstdio.h>
#include <string.h>

typedef struct {
    char *dir, *path;
    journal *book;
} fixture;

static void begin(fixture *f, const char *id, const char *role)
{
    journal_entry e = {.id = (char *)id,
                       .role = (char *)role,
                       .vm = (char *)id,
                       .vm_uuid = (char *)id,
                       .peer = (char *)"zulu",
                       .phase = (char *)"switching",
                       .details = (char *)"{}",
                       .status = (char *)"{}"};
    g_autoptr(GError) error = NULL;

    g_assert_true(journal_begin(f->book, &e, &error));
    g_assert_no_error(error);
}

static void set_up(fixture *f, gconstpointer data)
{
    f->dir = g_dir_make_tmp("journal-XXXXXX", NULL);
    f->path = g_build_filename(f->dir, "journal.db", NULL);
    f->book = journal_open(f->path, FALSE, NULL);
    g_assert_nonnull(f->book);
    begin(f, "a", "source");
    begin(f, "b", "source");
    begin(f, "c", "source");
    begin(f, "t", "target");
}

static void tear_down(fixture *f, gconstpointer data)
{
    static const char *const ends[] = {"", "-wal", "-shm"};

    journal_close(f->book);
    for (guint i = 0; i < G_N_ELEMENTS(ends); i++) {
        g_autofree char *path = g_strconcat(f->path, ends[i], NULL);
        (void)g_unlink(path);
    }
    g_assert_cmpint(g_rmdir(f->dir), ==, 0);
    g_free(f->dir);
    g_free(f->path);
}

static gboolean start(fixture *f, GError **error, const char *one, const char *other)
{
    const char *ids[] = {one, other, NULL};

    return journal_cutover_begin(f->book, "shop", ids, error);
}

static cutover_state join(fixture *f, const char *id)
{
    g_autofree char *token = g_strdup_printf("token of %s", id), *why = NULL;
    g_autoptr(GError) error = NULL;
    cutover_state state = CUTOVER_NONE;

    g_assert_true(journal_cutover_join(f->book, id, token, "committing", &state, &why, &error));
    g_assert_no_error(error);
    g_assert_cmpint(why != NULL, ==, state == CUTOVER_WITHDRAWN);
    return state;
}

static cutover_state withdraw(fixture *f, const char *id, const char *because)
{
    g_autofree char *why = NULL;
    g_autoptr(GError) error = NULL;
    cutover_state state = CUTOVER_NONE;

    g_assert_true(journal_cutover_withdraw(f->book, id, because, &state, &why, &error));
    g_assert_no_error(error);
    return state;
}

static void assert_look(fixture *f, const char *id, cutover_state expected, const char *reason)
{
    g_autofree char *why = g_strdup("what it was before");
    g_autoptr(GError) error = NULL;
    cutover_state state;

    g_assert_true(journal_cutover_look(f->book, id, &state, &why, &error));
    g_assert_no_error(error);
    g_assert_cmpint(state, ==, expected);
    g_assert_cmpstr(why, ==, reason);
}

static void assert_decision(fixture *f, const char *id, journal_decision decision, const char *phase)
{
    g_autoptr(journal_entry) e = journal_find(f->book, id, NULL);
    g_autofree char *token = decision ? g_strdup_printf("token of %s", id) : NULL;

    g_assert_cmpint(e->decision, ==, decision);
    g_assert_cmpstr(e->phase, ==, phase);
    g_assert_cmpstr(e->token, ==, token);
}

static void test_all(fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    assert_look(f, "a", CUTOVER_NONE, NULL);
    g_assert_true(start(f, &error, "a", "b"));
    assert_look(f, "a", CUTOVER_OPEN, NULL);
    assert_look(f, "c", CUTOVER_NONE, NULL);
    g_assert_cmpint(join(f, "a"), ==, CUTOVER_OPEN);
    assert_decision(f, "a", DECISION_NONE, "switching");
    g_assert_cmpint(join(f, "b"), ==, CUTOVER_DECIDED);
    /* It holds for who opens the journal after this one is gone. */
    journal_close(f->book);
    f->book = journal_open(f->path, FALSE, &error);
    g_assert_no_error(error);
    assert_decision(f, "a", DECISION_GIVEN_UP, "committing");
    assert_decision(f, "b", DECISION_GIVEN_UP, "committing");
    assert_decision(f, "c", DECISION_NONE, "switching");
    assert_look(f, "a", CUTOVER_DECIDED, NULL);
    /* Too late; and what each does with its own token is the same once more. */
    g_assert_cmpint(withdraw(f, "a", "late"), ==, CUTOVER_DECIDED);
    assert_decision(f, "b", DECISION_GIVEN_UP, "committing");
    g_assert_true(journal_decide(f->book, "a", DECISION_GIVEN_UP, "token of a", &error));
    g_assert_cmpint(join(f, "a"), ==, CUTOVER_DECIDED);
}

static void test_none(fixture *f, gconstpointer data)
{
    g_assert_true(start(f, NULL, "a", "b"));
    g_assert_cmpint(join(f, "a"), ==, CUTOVER_OPEN);
    g_assert_cmpint(withdraw(f, "b", "b is broken"), ==, CUTOVER_WITHDRAWN);
    assert_look(f, "a", CUTOVER_WITHDRAWN, "b is broken");
    g_assert_cmpint(join(f, "b"), ==, CUTOVER_WITHDRAWN);
    g_assert_cmpint(withdraw(f, "a", "another reason"), ==, CUTOVER_WITHDRAWN);
    assert_look(f, "b", CUTOVER_WITHDRAWN, "b is broken");
    assert_decision(f, "a", DECISION_NONE, "switching");
    assert_decision(f, "b", DECISION_NONE, "switching");
    /* Who is in none has nothing to withdraw from. */
    g_assert_cmpint(withdraw(f, "c", "c"), ==, CUTOVER_NONE);
    g_assert_cmpint(join(f, "c"), ==, CUTOVER_NONE);
    assert_decision(f, "c", DECISION_NONE, "switching");
}

static void test_members(fixture *f, gconstpointer data)
{
    static const char *const wrong[] = {"t", "nobody", "b"};

    g_assert_true(journal_end(f->book, "b", "failed", "{}", NULL));
    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_false(start(f, &error, "a", wrong[i]));
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
        assert_look(f, "a", CUTOVER_NONE, NULL); /* nothing of it is left */
    }
    g_assert_true(start(f, NULL, "a", "c"));
    {
        g_autoptr(GError) error = NULL;
        g_assert_false(start(f, &error, "c", NULL));
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS);
    }
}

/* One of them ended without a word: then the last one must not decide for the rest. */
static void test_one_has_ended(fixture *f, gconstpointer data)
{
    g_autofree char *why = NULL;
    g_autoptr(GError) error = NULL;
    cutover_state state = CUTOVER_NONE;

    g_assert_true(start(f, NULL, "a", "b"));
    g_assert_cmpint(join(f, "a"), ==, CUTOVER_OPEN);
    g_assert_true(journal_end(f->book, "a", "failed", "{}", NULL));
    g_assert_false(journal_cutover_join(f->book, "b", "token of b", "committing", &state, &why, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
    assert_decision(f, "b", DECISION_NONE, "switching");
    assert_look(f, "b", CUTOVER_OPEN, NULL);
    g_assert_cmpint(withdraw(f, "b", "a has ended"), ==, CUTOVER_WITHDRAWN);
}

typedef struct {
    const char *path, *id;
    gboolean withdraws;
    cutover_state state;
} racer;

static gpointer race(gpointer data)
{
    racer *r = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(journal) book = journal_open(r->path, FALSE, &error);
    g_autofree char *why = NULL, *token = g_strdup_printf("token of %s", r->id);

    g_assert_no_error(error);
    if (r->withdraws)
        journal_cutover_withdraw(book, r->id, "race", &r->state, &why, &error);
    else
        journal_cutover_join(book, r->id, token, "committing", &r->state, &why, &error);
    g_assert_no_error(error);
    return NULL;
}

/* Joining and withdrawing at the same moment, through handles of their own as workers have them: one verdict for all. */
static void test_race(fixture *f, gconstpointer data)
{
    for (guint i = 0; i < 20; i++) {
        g_autofree char *one = g_strdup_printf("one%u", i), *other = g_strdup_printf("other%u", i);
        racer racers[] = {{f->path, one, FALSE, CUTOVER_NONE},
                          {f->path, other, FALSE, CUTOVER_NONE},
                          {f->path, one, TRUE, CUTOVER_NONE}};
        GThread *threads[G_N_ELEMENTS(racers)];
        g_autoptr(journal_entry) first = NULL, second = NULL;
        cutover_state state;
        begin(f, one, "source");
        begin(f, other, "source");
        g_assert_true(start(f, NULL, one, other));
        for (guint k = 0; k < G_N_ELEMENTS(racers); k++)
            threads[k] = g_thread_new("race", race, &racers[k]);
        for (guint k = 0; k < G_N_ELEMENTS(racers); k++)
            g_thread_join(threads[k]);
        g_assert_true(journal_cutover_look(f->book, one, &state, NULL, NULL));
        g_assert_cmpint(state, !=, CUTOVER_OPEN);
        g_assert_cmpint(racers[2].state, ==, state);
        first = journal_find(f->book, one, NULL);
        second = journal_find(f->book, other, NULL);
        g_assert_cmpint(first->decision, ==,
                        state == CUTOVER_DECIDED ? DECISION_GIVEN_UP : DECISION_NONE);
        g_assert_cmpint(second->decision, ==, first->decision);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name) g_test_add("/cutover/" #name, fixture, NULL, set_up, test_##name, tear_down)
    TEST(all);
    TEST(none);
    TEST(members);
    TEST(one_has_ended);
    TEST(race);
    return g_test_run();
}
