/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is decided is done, however long it takes: a step that is tried for ever, with the reason shown.
 *
 * Only for what has no other way than forward. Blocks; step and reopen run in the caller's thread.
 */
#pragma once
#include "migrate/job.h"
#include "migrate/status.h"

typedef gboolean (*insist_step)(void *user, GError **error);

/* `step` until it succeeds. Why it has not is what the move waits for, and is logged whenever it changes. The pauses
 * grow from 0.1 s to 2 s; after each comes `reopen` (NULL: nothing), for what may have died under us. */
void insist(status *shown, insist_step step, void (*reopen)(void *user), void *user);
/* status_advance and status_end past the point where nothing else is possible: what the journal cannot take now it takes
 * when its disk has room, or can be written, again. */
void insist_advance(status *shown, phase to);
void insist_end(status *shown, gboolean success);
/* A step that is not legal, or of what the journal does not have, will never be written, however often it is tried. */
gboolean insist_is_hopeless(const GError *error);

/* For both: opens libvirt, whose daemon may have been restarted. `*host` (NULL: none yet) is replaced by the new
 * connection, and stays as it is if there is none to be had. */
gboolean insist_open_host(const job *work, virt_host **host, GError **error);
