/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the journal's tables share; for journal*.c only. */
#pragma once
#include "journal/journal.h"

#include <sqlite3.h>

struct journal {
    sqlite3 *db;
    char *path;
    char step[64]; /* for hooks: what is being written */
};

/* SQLite's last error, in the words journal.h promises; returns FALSE. */
gboolean journal_failed(journal *self, GError **error);

/* Prepares `sql` and binds its arguments: s (string or NULL) or i (gint64), as `types` says.
 * NULL: with error. */
sqlite3_stmt *journal_statement(journal *self, GError **error, const char *sql, const char *types,
                                ...);
/* Runs a statement that gives no rows; takes it over. NULL: it could not be made. */
gboolean journal_run(journal *self, sqlite3_stmt *run, GError **error);
/* All rows of a query, made into objects that `release` frees; takes `query` over as above. */
GPtrArray *journal_rows(journal *self, sqlite3_stmt *query, gpointer (*from_row)(sqlite3_stmt *),
                        GDestroyNotify release, GError **error);
/* A text of the row, the caller's; NULL for NULL. */
char *journal_column(sqlite3_stmt *row, int n);

/* Begins a transaction that writes; `step` is what the hooks around it are called. */
gboolean journal_change(journal *self, const char *step, GError **error);
/* Ends it: commits if all went well, else takes back. */
gboolean journal_settle(journal *self, gboolean ok, GError **error);

/* Is the VM landing here? */
gboolean journal_is_landing(journal *self, const char *vm_uuid, gboolean *landing, GError **error);
