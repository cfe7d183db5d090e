/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The journal's migrations; see journal.h. */
#include "journal/journal-inside.h"
#include "base/hook.h"

#include <string.h>

static const char *const decision_names[] = {[DECISION_NONE] = "none",
                                             [DECISION_GIVEN_UP] = "given-up",
                                             [DECISION_TAKEN_BACK] = "taken-back",
                                             [DECISION_ACCEPTED] = "accepted",
                                             [DECISION_REFUSED] = "refused"};
G_STATIC_ASSERT(G_N_ELEMENTS(decision_names) == DECISION_REFUSED + 1);

const char *journal_decision_name(journal_decision decision)
{
    return decision_names[decision];
}

#define ENTRY_COLUMNS                                                                              \
    "SELECT id, role, vm, vm_uuid, peer, phase, decision, token, details, status, began, changed," \
    " ended FROM migrations "

void journal_entry_free(journal_entry *self)
{
    if (!self)
        return;
    g_free(self->id);
    g_free(self->role);
    g_free(self->vm);
    g_free(self->vm_uuid);
    g_free(self->peer);
    g_free(self->phase);
    g_free(self->token);
    g_free(self->details);
    g_free(self->status);
    g_free(self);
}

static journal_entry *entry_from_row(sqlite3_stmt *row)
{
    journal_entry *e = g_new0(journal_entry, 1);

    e->id = journal_column(row, 0);
    e->role = journal_column(row, 1);
    e->vm = journal_column(row, 2);
    e->vm_uuid = journal_column(row, 3);
    e->peer = journal_column(row, 4);
    e->phase = journal_column(row, 5);
    e->decision = (journal_decision)CLAMP(sqlite3_column_int(row, 6), 0, DECISION_REFUSED);
    e->token = journal_column(row, 7);
    e->details = journal_column(row, 8);
    e->status = journal_column(row, 9);
    e->began = sqlite3_column_int64(row, 10);
    e->changed = sqlite3_column_int64(row, 11);
    e->ended = sqlite3_column_int64(row, 12);
    return e;
}

static gpointer any_entry_from_row(sqlite3_stmt *row)
{
    return entry_from_row(row);
}

static void any_entry_free(gpointer entry)
{
    journal_entry_free(entry);
}

static gboolean add_step(journal *self, const char *id, const char *step, GError **error)
{
    return journal_run(self,
                       journal_statement(self, error,
                                         "INSERT INTO steps(id, at, step) VALUES(?1, ?2, ?3)",
                                         "sis", id, g_get_real_time(), step),
                       error);
}

gboolean journal_is_landing(journal *self, const char *vm_uuid, gboolean *landing, GError **error)
{
    sqlite3_stmt *query =
        journal_statement(self, error,
                          "SELECT 1 FROM migrations WHERE ended = 0 AND role = 'target'"
                          " AND vm_uuid = ?1 LIMIT 1",
                          "s", vm_uuid);
    int code;

    if (!query)
        return FALSE;
    code = sqlite3_step(query);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        journal_failed(self, error);
    sqlite3_finalize(query);
    *landing = code == SQLITE_ROW;
    return code == SQLITE_ROW || code == SQLITE_DONE;
}

/* One landing of a VM at a time: what libvirt has by its UUID can only be that one's (I1). */
static gboolean may_begin(journal *self, const journal_entry *e, GError **error)
{
    gboolean landing = FALSE;

    if (strcmp(e->role, "target"))
        return TRUE;
    if (!journal_is_landing(self, e->vm_uuid, &landing, error))
        return FALSE;
    if (landing)
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_BUSY,
                    "%s (UUID %s) is landing on this host already; wait until that move has ended, "
                    "or end it with \"ferry cancel\"",
                    e->vm, e->vm_uuid);
    return !landing;
}

gboolean journal_begin(journal *self, const journal_entry *e, GError **error)
{
    g_autoptr(GError) local = NULL;
    gboolean ok;

    if (!journal_change(self, "begin", error))
        return FALSE;
    ok = may_begin(self, e, &local) &&
         journal_run(
             self,
             journal_statement(self, &local,
                               "INSERT INTO migrations(id, role, vm, vm_uuid, peer, phase, details,"
                               " status, began, changed) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?9)",
                               "ssssssssi", e->id, e->role, e->vm, e->vm_uuid, e->peer, e->phase,
                               e->details, e->status, g_get_real_time()),
             &local) &&
         add_step(self, e->id, e->phase, &local);
    ok = journal_settle(self, ok, local ? NULL : &local);
    if (!ok)
        g_propagate_error(error, g_steal_pointer(&local));
    return ok;
}

/* An UPDATE of one migration that must exist, with the step it is, in one transaction. Takes over
 * `run`. */
static gboolean update(journal *self, sqlite3_stmt *run, const char *id, const char *step,
                       GError **error)
{
    gboolean ok;

    if (!run)
        return FALSE;
    if (!journal_change(self, step ? step : "details", error)) {
        sqlite3_finalize(run);
        return FALSE;
    }
    ok = journal_run(self, run, error);
    if (ok && sqlite3_changes(self->db) != 1) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "journal %s has no migration %s",
                    self->path, id);
        ok = FALSE;
    }
    return journal_settle(self, ok && (!step || add_step(self, id, step, error)), error);
}

gboolean journal_set_phase(journal *self, const char *id, const char *phase, const char *status,
                           GError **error)
{
    return update(
        self,
        journal_statement(self, error,
                          "UPDATE migrations SET phase=?2, status=?3, changed=?4 WHERE id=?1",
                          "sssi", id, phase, status, g_get_real_time()),
        id, phase, error);
}

gboolean journal_set_details(journal *self, const char *id, const char *details, GError **error)
{
    return update(self,
                  journal_statement(self, error,
                                    "UPDATE migrations SET details=?2, changed=?3 WHERE id=?1",
                                    "ssi", id, details, g_get_real_time()),
                  id, NULL, error);
}

gboolean journal_set_vm(journal *self, const char *id, const char *vm, const char *vm_uuid,
                        GError **error)
{
    return update(
        self,
        journal_statement(self, error,
                          "UPDATE migrations SET vm=?2, vm_uuid=?3, changed=?4 WHERE id=?1", "sssi",
                          id, vm, vm_uuid, g_get_real_time()),
        id, NULL, error);
}

gboolean journal_end(journal *self, const char *id, const char *phase, const char *status,
                     GError **error)
{
    return update(
        self,
        journal_statement(self, error,
                          "UPDATE migrations SET phase=?2, status=?3, changed=?4, ended=?4"
                          " WHERE id=?1",
                          "sssi", id, phase, status, g_get_real_time()),
        id, phase, error);
}

gboolean journal_reopen(journal *self, const char *id, const char *phase, const char *details,
                        GError **error)
{
    return update(
        self,
        journal_statement(self, error,
                          "UPDATE migrations SET phase=?2, details=?3, changed=?4, ended=0"
                          " WHERE id=?1",
                          "sssi", id, phase, details, g_get_real_time()),
        id, "reopened", error);
}

static gboolean decision_legal(const char *role, journal_decision from, journal_decision to)
{
    if (!strcmp(role, "source"))
        return (from == DECISION_NONE && to == DECISION_GIVEN_UP) ||
               (from == DECISION_GIVEN_UP && to == DECISION_TAKEN_BACK);
    return (from == DECISION_NONE && (to == DECISION_ACCEPTED || to == DECISION_REFUSED)) ||
           (from == DECISION_ACCEPTED && to == DECISION_REFUSED);
}

static gboolean decide_inside(journal *self, const char *id, journal_decision decision,
                              const char *token, GError **error)
{
    g_autoptr(journal_entry) now = journal_find(self, id, error);

    if (!now) {
        if (error && !*error)
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "journal %s has no migration %s",
                        self->path, id);
        return FALSE;
    }
    if (now->decision == decision && !g_strcmp0(now->token, token))
        return TRUE;
    if (!decision_legal(now->role, now->decision, decision) ||
        (now->token && g_strcmp0(now->token, token))) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "migration %s: the %s cannot go from \"%s\" to \"%s\"", id, now->role,
                    decision_names[now->decision], decision_names[decision]);
        return FALSE;
    }
    return journal_run(self,
                       journal_statement(
                           self, error,
                           "UPDATE migrations SET decision=?2, token=?3, changed=?4 WHERE id=?1",
                           "sisi", id, (gint64)decision, token, g_get_real_time()),
                       error) &&
           add_step(self, id, decision_names[decision], error);
}

gboolean journal_decide(journal *self, const char *id, journal_decision decision, const char *token,
                        GError **error)
{
    g_autoptr(GError) local = NULL;
    gboolean ok;

    if (hook_wrong(decision_names[decision])) /* a decision that is only thought to be durable */
        return TRUE;
    if (!journal_change(self, decision_names[decision], error))
        return FALSE;
    ok = journal_settle(self, decide_inside(self, id, decision, token, &local),
                        local ? NULL : &local);
    if (!ok)
        g_propagate_error(error, g_steal_pointer(&local));
    return ok;
}

journal_entry *journal_find(journal *self, const char *id, GError **error)
{
    g_autoptr(GPtrArray) found =
        journal_rows(self, journal_statement(self, error, ENTRY_COLUMNS "WHERE id = ?1", "s", id),
                     any_entry_from_row, any_entry_free, error);

    return found && found->len ? g_ptr_array_steal_index(found, 0) : NULL;
}

GPtrArray *journal_list(journal *self, gboolean unfinished_only, guint most, GError **error)
{
    const char *sql = unfinished_only ? ENTRY_COLUMNS "WHERE ended = 0 ORDER BY began DESC LIMIT ?1"
                                      : ENTRY_COLUMNS "ORDER BY began DESC LIMIT ?1";

    return journal_rows(self, journal_statement(self, error, sql, "i", (gint64)most),
                        any_entry_from_row, any_entry_free, error);
}

GPtrArray *journal_history(journal *self, const char *what, gint64 since, guint most, GError **error)
{
    g_autofree char *lower = what ? g_ascii_strdown(what, -1) : NULL;

    return journal_rows(
        self,
        journal_statement(self, error,
                          ENTRY_COLUMNS
                          "WHERE began >= ?3 AND (?1 IS NULL OR vm = ?1 OR vm_uuid = ?2 OR"
                          " length(?2) >= 4 AND substr(id, 1, length(?2)) = ?2)"
                          " ORDER BY began DESC LIMIT ?4",
                          "ssii", what, lower, since, (gint64)most),
        any_entry_from_row, any_entry_free, error);
}

static gpointer step_from_row(sqlite3_stmt *row)
{
    journal_step *step = g_new0(journal_step, 1);

    step->at = sqlite3_column_int64(row, 0);
    step->step = journal_column(row, 1);
    return step;
}

static void step_free(gpointer data)
{
    journal_step *step = data;

    g_free(step->step);
    g_free(step);
}

GPtrArray *journal_steps(journal *self, const char *id, GError **error)
{
    return journal_rows(
        self,
        journal_statement(self, error, "SELECT at, step FROM steps WHERE id = ?1 ORDER BY n", "s", id),
        step_from_row, step_free, error);
}

journal_entry *journal_last_handover(journal *self, const char *vm, GError **error)
{
    g_autofree char *uuid = g_ascii_strdown(vm, -1);
    g_autoptr(GPtrArray) found = journal_rows(
        self,
        journal_statement(self, error,
                          ENTRY_COLUMNS "WHERE (vm = ?1 OR vm_uuid = ?2) AND decision IN (?3, ?4)"
                                        " ORDER BY began DESC LIMIT 1",
                          "ssii", vm, uuid, (gint64)DECISION_GIVEN_UP, (gint64)DECISION_ACCEPTED),
        any_entry_from_row, any_entry_free, error);

    return found && found->len ? g_ptr_array_steal_index(found, 0) : NULL;
}
