/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The journal's database: its schema, and statements and transactions over SQLite; see
 * journal-inside.h. */
#include "journal/journal-inside.h"
#include "base/hook.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define BUSY_WAIT_MS   10000

/* What makes a journal of schema n, the number of elements before it, one of n + 1. Never changed, only added to. */
static const char *const upgrades[] = {
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
    " vm_uuid TEXT NOT NULL, until INTEGER NOT NULL) STRICT;",
    "CREATE INDEX steps_of ON steps(id);",
    "CREATE TABLE cutovers("
    " cutover TEXT PRIMARY KEY, name TEXT NOT NULL, state INTEGER NOT NULL, why TEXT,"
    " at INTEGER NOT NULL) STRICT;"
    "CREATE TABLE cutover_members("
    " id TEXT PRIMARY KEY REFERENCES migrations(id), token TEXT,"
    " cutover TEXT NOT NULL REFERENCES cutovers(cutover)) STRICT;"};
#define SCHEMA_VERSION ((int)G_N_ELEMENTS(upgrades))

/* Where its file system is mounted, for people. Caller frees. */
static char *mounted_at(const char *path)
{
    char *at = g_path_get_dirname(path);
    struct stat here, above;

    while (strcmp(at, "/") && stat(at, &here) == 0) {
        char *parent = g_path_get_dirname(at);
        if (stat(parent, &above) < 0 || above.st_dev != here.st_dev) {
            g_free(parent);
            break;
        }
        g_free(at);
        at = parent;
    }
    return at;
}

gboolean journal_failed(journal *self, GError **error)
{
    int code = sqlite3_errcode(self->db);
    g_autofree char *at = mounted_at(self->path), *full = NULL, *locked = NULL;
    const char *hint = "";
    GIOErrorEnum kind = G_IO_ERROR_FAILED;

    int system = code == SQLITE_IOERR || code == SQLITE_CANTOPEN ? sqlite3_system_errno(self->db) : 0;

    if (code == SQLITE_FULL || system == ENOSPC) {
        kind = G_IO_ERROR_NO_SPACE;
        hint = full = g_strdup_printf("; make room on the file system at %s", at);
    } else if (code == SQLITE_READONLY || code == SQLITE_PERM || code == SQLITE_CANTOPEN) {
        kind = G_IO_ERROR_PERMISSION_DENIED;
        hint = locked = g_strdup_printf("; it, and the file system at %s, must be writable for root", at);
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
    return sqlite3_exec(self->db, sql, NULL, NULL, NULL) == SQLITE_OK ||
           journal_failed(self, error);
}

sqlite3_stmt *journal_statement(journal *self, GError **error, const char *sql, const char *types,
                                ...)
{
    sqlite3_stmt *result = NULL;
    va_list args;

    if (sqlite3_prepare_v2(self->db, sql, -1, &result, NULL) != SQLITE_OK) {
        journal_failed(self, error);
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

gboolean journal_run(journal *self, sqlite3_stmt *run, GError **error)
{
    gboolean ok;

    if (!run)
        return FALSE;
    ok = sqlite3_step(run) == SQLITE_DONE || journal_failed(self, error);
    sqlite3_finalize(run);
    return ok;
}

gboolean journal_change(journal *self, const char *step, GError **error)
{
    g_snprintf(self->step, sizeof self->step, "journal:%s", step);
    hook_before(self->step);
    return execute(self, "BEGIN IMMEDIATE", error);
}

gboolean journal_settle(journal *self, gboolean ok, GError **error)
{
    if (ok && execute(self, "COMMIT", error)) {
        hook_after(self->step);
        return TRUE;
    }
    sqlite3_exec(self->db, "ROLLBACK", NULL, NULL, NULL);
    return FALSE;
}

char *journal_column(sqlite3_stmt *row, int n)
{
    return g_strdup((const char *)sqlite3_column_text(row, n));
}

GPtrArray *journal_rows(journal *self, sqlite3_stmt *query, gpointer (*from_row)(sqlite3_stmt *),
                        GDestroyNotify release, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(release);
    int code;

    if (!query)
        return NULL;
    while ((code = sqlite3_step(query)) == SQLITE_ROW)
        g_ptr_array_add(list, from_row(query));
    if (code != SQLITE_DONE)
        journal_failed(self, error);
    sqlite3_finalize(query);
    return code == SQLITE_DONE ? g_steal_pointer(&list) : NULL;
}

static gboolean read_version(journal *self, int *version, GError **error)
{
    sqlite3_stmt *query = journal_statement(self, error, "PRAGMA user_version", "");

    *version = -1;
    if (!query)
        return FALSE;
    if (sqlite3_step(query) == SQLITE_ROW)
        *version = sqlite3_column_int(query, 0);
    sqlite3_finalize(query);
    return *version >= 0 || journal_failed(self, error);
}

static gboolean set_version(journal *self, int version, GError **error)
{
    g_autofree char *set = g_strdup_printf("PRAGMA user_version = %d", version);

    return execute(self, set, error);
}

/* In a transaction: somebody else may have done it since we looked. */
static gboolean upgrade(journal *self, GError **error)
{
    int version;

    if (!read_version(self, &version, error))
        return FALSE;
    for (int i = version; i < SCHEMA_VERSION; i++)
        if (!execute(self, upgrades[i], error))
            return FALSE;
    return set_version(self, SCHEMA_VERSION, error);
}

static gboolean make_schema(journal *self, gboolean read_only, GError **error)
{
    int version;

    if (!read_version(self, &version, error))
        return FALSE;
    if (version > SCHEMA_VERSION) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                    "journal %s was written by a newer Ferry (schema %d, this one knows %d); "
                    "install that version again",
                    self->path, version, SCHEMA_VERSION);
        return FALSE;
    }
    if (version == SCHEMA_VERSION || read_only)
        return TRUE;
    return journal_change(self, "schema", error) &&
           journal_settle(self, upgrade(self, error), error);
}

/* On a file system that cannot be written SQLite cannot make what readers share; without a log to
 * replay nobody needs it. NULL: it can be. Caller frees. */
static char *frozen_uri(const char *path)
{
    g_autofree char *directory = g_path_get_dirname(path), *log = g_strconcat(path, "-wal", NULL);
    g_autofree char *escaped = g_uri_escape_string(path, "/", FALSE);

    return access(directory, W_OK) < 0 && errno == EROFS && access(log, F_OK) < 0
               ? g_strdup_printf("file:%s?immutable=1", escaped)
               : NULL;
}

journal *journal_open(const char *path, gboolean read_only, GError **error)
{
    g_autoptr(journal) self = g_new0(journal, 1);
    int flags = read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    g_autofree char *frozen = read_only ? frozen_uri(path) : NULL;
    mode_t mask = umask(077);
    int code;

    self->path = g_strdup(path);
    code = sqlite3_open_v2(frozen ? frozen : path, &self->db,
                           flags | SQLITE_OPEN_NOMUTEX | (frozen ? SQLITE_OPEN_URI : 0), NULL);
    umask(mask);
    if (code != SQLITE_OK) {
        if (self->db)
            journal_failed(self, error);
        else
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "journal %s: out of memory", path);
        return NULL;
    }
    sqlite3_busy_timeout(self->db, BUSY_WAIT_MS);
    if (!read_only &&
        !execute(self, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;", error))
        return NULL;
    if (!execute(self, "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;", error) ||
        !make_schema(self, read_only, error))
        return NULL;
    return g_steal_pointer(&self);
}

/* A row and the pages around it are small; but what began must also be able to end. */
#define ROOM (4 << 20)

static gboolean has_room(const char *path, GError **error)
{
    g_autofree char *directory = g_path_get_dirname(path), *at = NULL;
    struct statvfs info;

    if (statvfs(directory, &info) < 0 || (guint64)info.f_bavail * info.f_frsize >= ROOM)
        return TRUE; /* writing tells the rest */
    at = mounted_at(path);
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                "journal %s: less than %d MiB are free on the file system at %s; make room there", path,
                ROOM >> 20, at);
    return FALSE;
}

gboolean journal_probe(const char *path, GError **error)
{
    g_autoptr(journal) self = has_room(path, error) ? journal_open(path, FALSE, error) : NULL;
    g_autoptr(GError) local = NULL;
    int version;

    if (!self)
        return FALSE;
    sqlite3_busy_timeout(self->db, 0);
    /* What is there already, once more: a page that goes to the disk. */
    if (journal_change(self, "probe", &local) &&
        journal_settle(self, read_version(self, &version, &local) && set_version(self, version, &local),
                       local ? NULL : &local))
        return TRUE;
    if (g_error_matches(local, G_IO_ERROR, G_IO_ERROR_BUSY))
        return TRUE; /* somebody else is just writing to it */
    g_propagate_error(error, g_steal_pointer(&local));
    return FALSE;
}

void journal_close(journal *self)
{
    if (!self)
        return;
    sqlite3_close(self->db);
    g_free(self->path);
    g_free(self);
}
