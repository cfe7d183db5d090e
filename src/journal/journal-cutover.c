/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The journal's cutovers of groups; see journal.h. */
#include "journal/journal-inside.h"

/* A transaction that has failed in a statement: rolled back, with that error. */
static gboolean settle(journal *self, gboolean ok, GError **local, GError **error)
{
    ok = journal_settle(self, ok, *local ? NULL : local);
    if (!ok)
        g_propagate_error(error, g_steal_pointer(local));
    return ok;
}

static gboolean add_member(journal *self, const char *cutover, const char *id, GError **error)
{
    if (!journal_run(self,
                     journal_statement(self, error,
                                       "INSERT INTO cutover_members(id, cutover)"
                                       " SELECT id, ?2 FROM migrations WHERE id = ?1 AND role = 'source'"
                                       " AND decision = 0 AND ended = 0",
                                       "ss", id, cutover),
                     error))
        return FALSE;
    if (sqlite3_changes(self->db) == 1)
        return TRUE;
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                "the move %.8s has ended, or its VM has been given up", id);
    return FALSE;
}

gboolean journal_cutover_begin(journal *self, const char *group, const char *const *ids, GError **error)
{
    g_autofree char *cutover = g_uuid_string_random();
    g_autoptr(GError) local = NULL;
    gboolean ok;

    if (!journal_change(self, "cutover", error))
        return FALSE;
    ok = journal_run(self,
                     journal_statement(self, &local,
                                       "INSERT INTO cutovers(cutover, name, state, at)"
                                       " VALUES(?1, ?2, ?3, ?4)",
                                       "ssii", cutover, group, (gint64)CUTOVER_OPEN, g_get_real_time()),
                     &local);
    for (guint i = 0; ok && ids[i]; i++)
        ok = add_member(self, cutover, ids[i], &local);
    return settle(self, ok, &local, error);
}

typedef struct {
    char *cutover, *why;
    cutover_state state;
} found;

static gpointer found_from_row(sqlite3_stmt *row)
{
    found *f = g_new0(found, 1);

    f->cutover = journal_column(row, 0);
    f->why = journal_column(row, 1);
    f->state = (cutover_state)CLAMP(sqlite3_column_int(row, 2), CUTOVER_OPEN, CUTOVER_WITHDRAWN);
    return f;
}

static void found_free(gpointer data)
{
    found *f = data;

    if (!f)
        return;
    g_free(f->cutover);
    g_free(f->why);
    g_free(f);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(found, found_free)

/* The one that `id` is in; none is CUTOVER_NONE. NULL: with error. */
static found *find(journal *self, const char *id, GError **error)
{
    g_autoptr(GPtrArray) list =
        journal_rows(self,
                     journal_statement(self, error,
                                       "SELECT c.cutover, c.why, c.state FROM cutovers c"
                                       " JOIN cutover_members m ON m.cutover = c.cutover WHERE m.id = ?1",
                                       "s", id),
                     found_from_row, found_free, error);

    if (!list)
        return NULL;
    return list->len ? g_ptr_array_steal_index(list, 0) : g_new0(found, 1);
}

static void tell(found *f, cutover_state *state, char **why)
{
    *state = f->state;
    if (why) {
        g_free(*why);
        *why = f->state == CUTOVER_WITHDRAWN ? g_steal_pointer(&f->why) : NULL;
    }
}

gboolean journal_cutover_look(journal *self, const char *id, cutover_state *state, char **why,
                              GError **error)
{
    g_autoptr(found) f = find(self, id, error);

    if (f)
        tell(f, state, why);
    return f != NULL;
}

static gboolean set_state(journal *self, found *f, cutover_state state, const char *why, GError **error)
{
    f->state = state;
    g_free(f->why);
    f->why = g_strdup(why);
    return journal_run(self,
                       journal_statement(self, error,
                                         "UPDATE cutovers SET state = ?2, why = ?3 WHERE cutover = ?1",
                                         "sis", f->cutover, (gint64)state, why),
                       error);
}

static gpointer number_from_row(sqlite3_stmt *row)
{
    gint64 *n = g_new(gint64, 1);

    *n = sqlite3_column_int64(row, 0);
    return n;
}

/* How many members have no token yet. */
static gboolean count_missing(journal *self, const char *cutover, gint64 *missing, GError **error)
{
    g_autoptr(GPtrArray) list = journal_rows(
        self,
        journal_statement(self, error,
                          "SELECT count(*) FROM cutover_members WHERE cutover = ?1 AND token IS NULL", "s",
                          cutover),
        number_from_row, g_free, error);

    if (list)
        *missing = *(gint64 *)list->pdata[0];
    return list != NULL;
}

/* Everybody is there: all are given up, or, should one of them not be what it was, none is. */
static gboolean decide(journal *self, found *f, const char *phase, GError **error)
{
    gint64 now = g_get_real_time();

    return set_state(self, f, CUTOVER_DECIDED, NULL, error) &&
           journal_run(self,
                       journal_statement(self, error,
                                         "INSERT INTO steps(id, at, step) SELECT id, ?2, 'given-up'"
                                         " FROM cutover_members WHERE cutover = ?1",
                                         "si", f->cutover, now),
                       error) &&
           journal_run(self,
                       journal_statement(self, error,
                                         "UPDATE migrations SET decision = ?2, phase = ?3, changed = ?4,"
                                         " token = (SELECT m.token FROM cutover_members m"
                                         "          WHERE m.id = migrations.id)"
                                         " WHERE id IN (SELECT id FROM cutover_members WHERE cutover = ?1)"
                                         " AND decision = 0 AND ended = 0",
                                         "sisi", f->cutover, (gint64)DECISION_GIVEN_UP, phase, now),
                       error);
}

static gboolean all_given_up(journal *self, const char *cutover, gint64 given_up, GError **error)
{
    g_autoptr(GPtrArray) list = journal_rows(
        self,
        journal_statement(self, error, "SELECT count(*) FROM cutover_members WHERE cutover = ?1", "s",
                          cutover),
        number_from_row, g_free, error);

    if (list && *(gint64 *)list->pdata[0] == given_up)
        return TRUE;
    if (list)
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                            "a member of the group has been decided by itself");
    return FALSE;
}

static gboolean join(journal *self, found *f, const char *id, const char *token, const char *phase,
                     GError **error)
{
    gint64 missing = 0;

    if (f->state != CUTOVER_OPEN)
        return TRUE;
    if (!journal_run(self,
                     journal_statement(self, error,
                                       "UPDATE cutover_members SET token = ?2 WHERE id = ?1", "ss", id,
                                       token),
                     error) ||
        !count_missing(self, f->cutover, &missing, error))
        return FALSE;
    return missing || (decide(self, f, phase, error) &&
                       all_given_up(self, f->cutover, sqlite3_changes(self->db), error));
}

gboolean journal_cutover_join(journal *self, const char *id, const char *token, const char *phase,
                              cutover_state *state, char **why, GError **error)
{
    g_autoptr(GError) local = NULL;
    g_autoptr(found) f = NULL;

    if (!journal_change(self, "cutover-join", error))
        return FALSE;
    f = find(self, id, &local);
    if (!settle(self, f && join(self, f, id, token, phase, &local), &local, error))
        return FALSE;
    tell(f, state, why);
    return TRUE;
}

gboolean journal_cutover_withdraw(journal *self, const char *id, const char *because,
                                  cutover_state *state, char **why, GError **error)
{
    g_autoptr(GError) local = NULL;
    g_autoptr(found) f = NULL;

    if (!journal_change(self, "cutover-withdraw", error))
        return FALSE;
    f = find(self, id, &local);
    if (!settle(self,
                f && (f->state != CUTOVER_OPEN || set_state(self, f, CUTOVER_WITHDRAWN, because, &local)),
                &local, error))
        return FALSE;
    tell(f, state, why);
    return TRUE;
}
