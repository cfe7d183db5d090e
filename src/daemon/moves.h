/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is known of migrations, as the API shows it: those under way from their workers' words,
 * ended ones from the journal. And who waits for one of them to change. Main thread only.
 */
#pragma once
#include "api/exchange.h"
#include "journal/journal.h"
#include "migrate/phase.h"

typedef struct moves moves;

/* `book` (read-only) is borrowed. `changed` is told of each new phase. */
moves *moves_new(journal *book, void (*changed)(const char *id, phase now, gpointer user),
                 gpointer user);
void moves_free(moves *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(moves, moves_free)

/* The newest status of one; its "version" is replaced where it would not grow. A status that makes
 * no sense is logged and dropped. */
void moves_set(moves *self, const char *id, JsonObject *status);
/* From a journal entry: its last status, waiting for `waiting` (NULL: as it says). */
void moves_set_entry(moves *self, const journal_entry *entry, const char *waiting);
/* It is over and nobody will say more: if what was last known is not final, it has failed, for this
 * reason. */
void moves_fail(moves *self, const char *id, const char *code, const char *text);
/* Forgets one. Who waits is told what was last known. */
void moves_drop(moves *self, const char *id);

/* Forgets ended ones an hour after their end: the journal has them. */
void moves_prune(moves *self);

/* Of those in memory, that is all unfinished ones; FALSE: no such. Any of the pointers may be NULL;
 * texts are borrowed until the next call. */
gboolean moves_get(const moves *self, const char *id, phase *now, const char **role,
                   const char **peer);
/* All that are in memory. `each` must not change the table. */
void moves_each(const moves *self,
                void (*each)(const char *id, phase now, JsonObject *status, gpointer user),
                gpointer user);
/* The id of an unfinished move of this VM (name or UUID) away from here; NULL: none. Borrowed. */
const char *moves_leaving(const moves *self, const char *vm);
/* Unfinished ones of a role ("source", "target"). */
guint moves_unfinished(const moves *self, const char *role);

/* By id, a unique prefix of it (4 digits at least) or a VM's name (the latest). Caller unrefs. The
 * error is for the API's caller. */
JsonObject *moves_find(moves *self, const char *what, GError **error);
/* Unfinished first, then newest first; without `all`, of the ended ones those of the last hour. */
JsonArray *moves_list(moves *self, gboolean all);
/* Answers `x` with this migration when its version is no longer `version`, or after 25 s. FALSE: it
 * is not so now, or it is final: answer at once. */
gboolean moves_wait(moves *self, const char *id, gint64 version, exchange *x);
