/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The journal over SQLite; see journal.h. */
#include "journal/journal.h"
#include "base/hook.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCHEMA_VERSION 1
#define BUSY_WAIT_MS   10000

struct journal {
    sqlite3 *db;
    char *path;
    char step[64]; /* for hooks: what is being written */
};

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS migrations("
    " id TEXT PRIMARY KEY, role TEXT NOT NULL, vm TEXT NOT NULL, vm_uuid TEXT NOT NULL,"
    " peer TEXT NOT NULL, phase TEXT NOT NULL, decision INTEGER NOT NULL DEFAULT 0, token TEXT,"
    " details TEXT, status TEXT, began INTEGER NOT NULL, changed INTEGER NOT NULL,"
    " ended INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX IF NOT EXISTS unfinished ON migrations(began) WHERE ended = 0;"
    /* Every step stays: the history of a move is read after a bad day. */
    "CREATE TABLE IF NOT EXISTS steps("
    " n INTEGER PRIMARY KEY, id TEXT NOT NULL REFERENCES migrations(id), at INTEGER NOT NULL,"
    " step TEXT NOT NULL) STRICT;"
    "CREATE TABLE IF NOT EXISTS kept("
    " path TEXT PRIMARY KEY, original TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,"
    " vm_uuid TEXT NOT NULL, until INTEGER NOT NULL) STRICT;";

static const char *const decision_names[] = {
    [DECISION_NONE] = "none",         [DECISION_GIVEN_UP] = "given-up",
    [DECISION_TAKEN_BACK] = "taken-back", [DECISION_ACCEPTED] = "accepted",
    [DECISION_REFUSED] = "refused"};
G_STATIC_ASSERT(G_N_ELEMENTS(decision_names) == DECISION_REFUSED + 1);

const char *journal_decision_name(journal_decision decision)
{
    return decision_names[decision];
}

static gboolean failed(journal *self, GError **error)
{
    int code = sqlite3_errcode(self->db);
    const char *hint = "";
    GIOErrorEnum kind = G_IO_ERROR_FAILED;

    if (code == SQLITE_FULL) {
        kind = G_IO_ERROR_NO_SPACE;
        hint = "; make room on its file system";
    } else if (code == SQLITE_READONLY || code == SQLITE_PERM || code == SQLITE_CANTOPEN) {
        kind = G_IO_ERROR_PERMISSION_DENIED;
        hint = "; it must be writable for root";
    } else if (code == SQLITE_BUSY) {
        kind = G_IO_ERROR_BUSY;
        hint = "; another process holds it";
    } else if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) {
        kind = G_IO_ERROR_INVALID_DATA;
        hint = "; move it away and keep it: it says who owns which guest";
    } else if (code == SQLITE_CONSTRAINT) {
        kind = G_IO_ERROR_EXISTS;
    }
    g_set_error(error, G_IO_ERROR, (int)kind, "journal %s: %s%s", self->path,
                sqlite3_errmsg(self->db), hint);
    return FALSE;
}

static gboolean execute(journal *self, const char *sql, GError **error)
{
    return sqlite3_exec(self->db, sql, NULL, NULL, NULL) == SQLITE_OK || failed(self, error);
}

/* Prepares `sql` and binds its arguments: s (string or NULL) or i (gint64), as `types` says. */
static sqlite3_stmt *statement(journal *self, GError **error, const char *sql, const char *types, ...)
{
    sqlite3_stmt *result = NULL;
    va_list args;

    if (sqlite3_prepare_v2(self->db, sql, -1, &result, NULL) != SQLITE_OK) {
        failed(self, error);
        return NULL;
    }
    va_start(args, types);
    for (int i = 0; types[i]; i++) {
        if (types[i] == 's')
            sqlite3_bind_text(result, i + 1, va_arg(args, const char *), -1, SQLITE_TRANSIENT);
        else
            sqlite3_bind_int64(result, i + 1, va_arg(args, gint64));
    }
    va_end(args);
    return result;
}

/* Runs a statement that gives no rows; takes it over. NULL is a statement that could not be made. */
static gboolean finish(journal *self, sqlite3_stmt *run, GError **error)
{
    gboolean ok;

    if (!run)
        return FALSE;
    ok = sqlite3_step(run) == SQLITE_DONE || failed(self, error);
    sqlite3_finalize(run);
    return ok;
}

/* For what changes: `step` is what the hooks around it are called. */
static gboolean begin(journal *self, const char *step, GError **error)
{
    g_snprintf(self->step, sizeof self->step, "journal:%s", step);
    hook_before(self->step);
    return execute(self, "BEGIN IMMEDIATE", error);
}

/* Ends a transaction begun: commits if all went well, else takes back. */
static gboolean end(journal *self, gboolean ok, GError **error)
{
    if (ok && execute(self, "COMMIT", error)) {
        hook_after(self->step);
        return TRUE;
    }
    sqlite3_exec(self->db, "ROLLBACK", NULL, NULL, NULL);
    return FALSE;
}

static gboolean make_schema(journal *self, gboolean read_only, GError **error)
{
    g_autofree char *set = g_strdup_printf("PRAGMA user_version = %d", SCHEMA_VERSION);
    sqlite3_stmt *query = statement(self, error, "PRAGMA user_version", "");
    int version = -1;

    if (!query)
        return FALSE;
    if (sqlite3_step(query) == SQLITE_ROW)
        version = sqlite3_column_int(query, 0);
    sqlite3_finalize(query);
    if (version < 0)
        return failed(self, error);
    if (version > SCHEMA_VERSION) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                    "journal %s was written by a newer Ferry (schema %d, this one knows %d); "
                    "install that version again",
                    self->path, version, SCHEMA_VERSION);
        return FALSE;
    }
    if (version == SCHEMA_VERSION || read_only)
        return TRUE;
    return begin(self, "schema", error) &&
           end(self, execute(self, schema, error) && execute(self, set, error), error);
}

journal *journal_open(const char *path, gboolean read_only, GError **error)
{
    g_autoptr(journal) self = g_new0(journal, 1);
    int flags = read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    mode_t mask = umask(077);
    int code;

    self->path = g_strdup(path);
    code = sqlite3_open_v2(path, &self->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    umask(mask);
    if (code != SQLITE_OK) {
        if (self->db)
            failed(self, error);
        else
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "journal %s: out of memory", path);
        return NULL;
    }
    sqlite3_busy_timeout(self->db, BUSY_WAIT_MS);
    if (!read_only && !execute(self, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;", error))
        return NULL;
    if (!execute(self, "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;", error) ||
        !make_schema(self, read_only, error))
        return NULL;
    return g_steal_pointer(&self);
}

void journal_close(journal *self)
{
    if (!self)
        return;
    sqlite3_close(self->db);
    g_free(self->path);
    g_free(self);
}

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

static gboolean add_step(journal *self, const char *id, const char *step, GError **error)
{
    return finish(self,
                  statement(self, error, "INSERT INTO steps(id, at, step) VALUES(?1, ?2, ?3)", "sis",
                            id, g_get_real_time(), step),
                  error);
}

/* Is the VM landing here? */
static gboolean is_landing(journal *self, const char *vm_uuid, gboolean *landing, GError **error)
{
    sqlite3_stmt *query = statement(self, error,
                                    "SELECT 1 FROM migrations WHERE ended = 0 AND role = 'target'"
                                    " AND vm_uuid = ?1 LIMIT 1",
                                    "s", vm_uuid);
    int code;

    if (!query)
        return FALSE;
    code = sqlite3_step(query);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        failed(self, error);
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
    if (!is_landing(self, e->vm_uuid, &landing, error))
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

    if (!begin(self, "begin", error))
        return FALSE;
    ok = may_begin(self, e, &local) &&
         finish(self,
                statement(self, &local,
                          "INSERT INTO migrations(id, role, vm, vm_uuid, peer, phase, details,"
                          " status, began, changed) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?9)",
                          "ssssssssi", e->id, e->role, e->vm, e->vm_uuid, e->peer, e->phase,
                          e->details, e->status, g_get_real_time()),
                &local) &&
         add_step(self, e->id, e->phase, &local);
    ok = end(self, ok, local ? NULL : &local);
    if (!ok)
        g_propagate_error(error, g_steal_pointer(&local));
    return ok;
}

/* An UPDATE of one migration that must exist, with the step it is, in one transaction. Takes over `run`. */
static gboolean update(journal *self, sqlite3_stmt *run, const char *id, const char *step,
                       GError **error)
{
    gboolean ok;

    if (!run)
        return FALSE;
    if (!begin(self, step ? step : "details", error)) {
        sqlite3_finalize(run);
        return FALSE;
    }
    ok = finish(self, run, error);
    if (ok && sqlite3_changes(self->db) != 1) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "journal %s has no migration %s",
                    self->path, id);
        ok = FALSE;
    }
    return end(self, ok && (!step || add_step(self, id, step, error)), error);
}

gboolean journal_set_phase(journal *self, const char *id, const char *phase, const char *status,
                           GError **error)
{
    return update(self,
                  statement(self, error,
                            "UPDATE migrations SET phase=?2, status=?3, changed=?4 WHERE id=?1",
                            "sssi", id, phase, status, g_get_real_time()),
                  id, phase, error);
}

gboolean journal_set_details(journal *self, const char *id, const char *details, GError **error)
{
    return update(self,
                  statement(self, error,
                            "UPDATE migrations SET details=?2, changed=?3 WHERE id=?1", "ssi", id,
                            details, g_get_real_time()),
                  id, NULL, error);
}

gboolean journal_set_vm(journal *self, const char *id, const char *vm, const char *vm_uuid,
                        GError **error)
{
    return update(self,
                  statement(self, error,
                            "UPDATE migrations SET vm=?2, vm_uuid=?3, changed=?4 WHERE id=?1",
                            "sssi", id, vm, vm_uuid, g_get_real_time()),
                  id, NULL, error);
}

gboolean journal_end(journal *self, const char *id, const char *phase, const char *status,
                     GError **error)
{
    return update(self,
                  statement(self, error,
                            "UPDATE migrations SET phase=?2, status=?3, changed=?4, ended=?4"
                            " WHERE id=?1",
                            "sssi", id, phase, status, g_get_real_time()),
                  id, phase, error);
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
    return finish(self,
                  statement(self, error,
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
    if (!begin(self, decision_names[decision], error))
        return FALSE;
    ok = end(self, decide_inside(self, id, decision, token, &local), local ? NULL : &local);
    if (!ok)
        g_propagate_error(error, g_steal_pointer(&local));
    return ok;
}

static char *column(sqlite3_stmt *row, int n)
{
    return g_strdup((const char *)sqlite3_column_text(row, n));
}

#define ENTRY_COLUMNS                                                                              \
    "SELECT id, role, vm, vm_uuid, peer, phase, decision, token, details, status, began, changed," \
    " ended FROM migrations "

static journal_entry *entry_from_row(sqlite3_stmt *row)
{
    journal_entry *e = g_new0(journal_entry, 1);

    e->id = column(row, 0);
    e->role = column(row, 1);
    e->vm = column(row, 2);
    e->vm_uuid = column(row, 3);
    e->peer = column(row, 4);
    e->phase = column(row, 5);
    e->decision = (journal_decision)CLAMP(sqlite3_column_int(row, 6), 0, DECISION_REFUSED);
    e->token = column(row, 7);
    e->details = column(row, 8);
    e->status = column(row, 9);
    e->began = sqlite3_column_int64(row, 10);
    e->changed = sqlite3_column_int64(row, 11);
    e->ended = sqlite3_column_int64(row, 12);
    return e;
}

static gpointer kept_from_row(sqlite3_stmt *row)
{
    journal_kept *k = g_new0(journal_kept, 1);

    k->path = column(row, 0);
    k->original = column(row, 1);
    k->kind = column(row, 2);
    k->id = column(row, 3);
    k->vm_uuid = column(row, 4);
    k->until = sqlite3_column_int64(row, 5);
    return k;
}

void journal_kept_free(journal_kept *k)
{
    if (!k)
        return;
    g_free(k->path);
    g_free(k->original);
    g_free(k->kind);
    g_free(k->id);
    g_free(k->vm_uuid);
    g_free(k);
}

static void any_kept_free(gpointer kept)
{
    journal_kept_free(kept);
}

/* All rows of a query, made into objects; takes over `query`. */
static GPtrArray *rows(journal *self, sqlite3_stmt *query, gpointer (*from_row)(sqlite3_stmt *),
                       GDestroyNotify release, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(release);
    int code;

    if (!query)
        return NULL;
    while ((code = sqlite3_step(query)) == SQLITE_ROW)
        g_ptr_array_add(list, from_row(query));
    if (code != SQLITE_DONE)
        failed(self, error);
    sqlite3_finalize(query);
    return code == SQLITE_DONE ? g_steal_pointer(&list) : NULL;
}

static gpointer any_entry_from_row(sqlite3_stmt *row)
{
    return entry_from_row(row);
}

static void any_entry_free(gpointer entry)
{
    journal_entry_free(entry);
}

journal_entry *journal_find(journal *self, const char *id, GError **error)
{
    g_autoptr(GPtrArray) found =
        rows(self, statement(self, error, ENTRY_COLUMNS "WHERE id = ?1", "s", id),
             any_entry_from_row, any_entry_free, error);

    return found && found->len ? g_ptr_array_steal_index(found, 0) : NULL;
}

GPtrArray *journal_list(journal *self, gboolean unfinished_only, guint most, GError **error)
{
    const char *sql = unfinished_only ? ENTRY_COLUMNS "WHERE ended = 0 ORDER BY began DESC LIMIT ?1"
                                      : ENTRY_COLUMNS "ORDER BY began DESC LIMIT ?1";

    return rows(self, statement(self, error, sql, "i", (gint64)most), any_entry_from_row,
                any_entry_free, error);
}

journal_entry *journal_last_handover(journal *self, const char *vm, GError **error)
{
    g_autofree char *uuid = g_ascii_strdown(vm, -1);
    g_autoptr(GPtrArray) found =
        rows(self,
             statement(self, error,
                       ENTRY_COLUMNS "WHERE (vm = ?1 OR vm_uuid = ?2) AND decision IN (?3, ?4)"
                                     " ORDER BY began DESC LIMIT 1",
                       "ssii", vm, uuid, (gint64)DECISION_GIVEN_UP, (gint64)DECISION_ACCEPTED),
             any_entry_from_row, any_entry_free, error);

    return found && found->len ? g_ptr_array_steal_index(found, 0) : NULL;
}

/* Without symbolic links but for the last part. A directory that is not there stays as it is called. */
static char *resolved(const char *path)
{
    g_autofree char *directory = g_path_get_dirname(path), *name = g_path_get_basename(path);
    char *real = *path == '/' ? realpath(directory, NULL) : NULL;
    char *result = real ? g_build_filename(real, name, NULL) : g_strdup(path);

    free(real);
    return result;
}

gboolean journal_keep(journal *self, const journal_kept *file, GError **error)
{
    g_autofree char *path = resolved(file->path);

    if (!begin(self, "keep", error))
        return FALSE;
    return end(self,
               finish(self,
                      statement(self, error,
                                "INSERT OR REPLACE INTO kept"
                                "(path, original, kind, id, vm_uuid, until)"
                                " VALUES(?1,?2,?3,?4,?5,?6)",
                                "sssssi", path, file->original, file->kind, file->id,
                                file->vm_uuid, file->until),
                      error),
               error);
}

gboolean journal_forget(journal *self, const char *path, GError **error)
{
    g_autofree char *real = resolved(path);

    if (!begin(self, "forget", error))
        return FALSE;
    return end(self,
               finish(self,
                      statement(self, error, "DELETE FROM kept WHERE path IN (?1, ?2)", "ss", path,
                                real),
                      error),
               error);
}

GPtrArray *journal_kept_list(journal *self, gint64 expired_at, GError **error)
{
    return rows(self,
                statement(self, error,
                          "SELECT path, original, kind, id, vm_uuid, until FROM kept"
                          " WHERE ?1 = 0 OR until <= ?1 ORDER BY until, path",
                          "i", expired_at),
                kept_from_row, any_kept_free, error);
}

journal_kept *journal_kept_find(journal *self, const char *path, GError **error)
{
    g_autofree char *real = resolved(path);
    g_autoptr(GPtrArray) found =
        rows(self,
             statement(self, error,
                       "SELECT path, original, kind, id, vm_uuid, until FROM kept WHERE path = ?1",
                       "s", real),
             kept_from_row, any_kept_free, error);

    return found && found->len ? g_ptr_array_steal_index(found, 0) : NULL;
}

gboolean journal_drop(journal *self, const journal_kept *file,
                      gboolean (*drop)(const char *path, void *user, GError **error), void *user,
                      gboolean *in_use, GError **error)
{
    g_autoptr(GError) local = NULL;
    gboolean ok;

    *in_use = FALSE;
    /* Whoever begins a landing waits for the end of this. */
    if (!begin(self, "drop", error))
        return FALSE;
    ok = is_landing(self, file->vm_uuid, in_use, &local) &&
         (*in_use || (drop(file->path, user, &local) &&
                      finish(self,
                             statement(self, &local, "DELETE FROM kept WHERE path = ?1", "s",
                                       file->path),
                             &local)));
    ok = end(self, ok, local ? NULL : &local);
    if (!ok)
        g_propagate_error(error, g_steal_pointer(&local));
    return ok;
}
