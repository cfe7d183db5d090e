/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The journal's kept files; see journal.h. */
#include "journal/journal-inside.h"

#include <stdlib.h>

static gpointer kept_from_row(sqlite3_stmt *row)
{
    journal_kept *k = g_new0(journal_kept, 1);

    k->path = journal_column(row, 0);
    k->original = journal_column(row, 1);
    k->kind = journal_column(row, 2);
    k->id = journal_column(row, 3);
    k->vm_uuid = journal_column(row, 4);
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

/* Without symbolic links but for the last part. A directory that is not there stays as it is
 * called. */
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

    if (!journal_change(self, "keep", error))
        return FALSE;
    return journal_settle(self,
                          journal_run(self,
                                      journal_statement(self, error,
                                                        "INSERT OR REPLACE INTO kept"
                                                        "(path, original, kind, id, vm_uuid, until)"
                                                        " VALUES(?1,?2,?3,?4,?5,?6)",
                                                        "sssssi", path, file->original, file->kind,
                                                        file->id, file->vm_uuid, file->until),
                                      error),
                          error);
}

gboolean journal_forget(journal *self, const char *path, GError **error)
{
    g_autofree char *real = resolved(path);

    if (!journal_change(self, "forget", error))
        return FALSE;
    return journal_settle(
        self,
        journal_run(self,
                    journal_statement(self, error, "DELETE FROM kept WHERE path IN (?1, ?2)", "ss",
                                      path, real),
                    error),
        error);
}

GPtrArray *journal_kept_list(journal *self, gint64 expired_at, GError **error)
{
    return journal_rows(
        self,
        journal_statement(self, error,
                          "SELECT path, original, kind, id, vm_uuid, until FROM kept"
                          " WHERE ?1 = 0 OR until <= ?1 ORDER BY until, path",
                          "i", expired_at),
        kept_from_row, any_kept_free, error);
}

journal_kept *journal_kept_find(journal *self, const char *path, GError **error)
{
    g_autofree char *real = resolved(path);
    g_autoptr(GPtrArray) found = journal_rows(
        self,
        journal_statement(
            self, error,
            "SELECT path, original, kind, id, vm_uuid, until FROM kept WHERE path = ?1", "s", real),
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
    if (!journal_change(self, "drop", error))
        return FALSE;
    ok =
        journal_is_landing(self, file->vm_uuid, in_use, &local) &&
        (*in_use || (drop(file->path, user, &local) &&
                     journal_run(self,
                                 journal_statement(self, &local, "DELETE FROM kept WHERE path = ?1",
                                                   "s", file->path),
                                 &local)));
    ok = journal_settle(self, ok, local ? NULL : &local);
    if (!ok)
        g_propagate_error(error, g_steal_pointer(&local));
    return ok;
}
