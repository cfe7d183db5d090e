/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The cutover of a group, as the worker of one of its moves sees it. All of them leave this host, so its journal is where they
 * meet: nobody has to be told anything, and nothing is lost with a ferryd or a worker (docs/design.md, "Groups").
 *
 *   ferryd    begins a cutover with all moves of the group, once each of them is ready
 *   workers   see that, and let their memory go; each joins when its guest is loaded at the target
 *   the last  gives all guests up, in the transaction in which it joins
 *   anybody   may withdraw, as long as that has not happened; then nobody gives anything up
 *
 * Any thread; has a handle of the journal of its own.
 */
#pragma once
#include "migrate/job.h"
#include "migrate/status.h"

typedef struct together together;

/* Borrows both. */
together *together_new(const job *work, const char *group);
void together_free(together *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(together, together_free)

/* Has the cutover begun? FALSE with an error: it was withdrawn, and why. What the journal does not tell is not yet. */
gboolean together_look(together *self, gboolean *begun, GError **error);
/* The guest is loaded: gives it up together with all others, as status_commit does for one. Waits for them, not
 * longer than a guest may stand still for it, and not when `lost` says that this move cannot go on. FALSE: withdrawn. */
gboolean together_commit(together *self, status *shown, const char *token,
                         gboolean (*lost)(void *user), void *user, GError **error);
/* This move does not take part (any more): then nobody moves. FALSE: too late, all are given up. Blocks until the journal
 * can say which. */
gboolean together_withdraw(together *self, const char *because);
/* status_cancel for a member: that, and withdrawn; or too late, and FALSE. */
gboolean together_cancel(together *self, status *shown, const char *why);
