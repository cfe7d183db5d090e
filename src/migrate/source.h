/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The source's side of a move: one thread runs it from beginning to end (source_run); libvirt's, the relay's
 * and the worker's threads only leave word for it, under one lock.
 *
 *   source.c    the order of things: compare, land, migrate, clean
 *   inspect.c   comparing: the VM as it is here
 *   carry.c     the session, and libvirt's migration through it
 *   throttle.c  how fast it may go
 *   hold.c      waiting for the cutover
 *   together.c  switching over with others
 *   handover.c  the switchover: give up, send the token, learn the answer, whatever happens to the session
 *   proof.c     the guest has been seen running at the target, or has died there
 *   wayback.c   afterwards: the definition goes, the disks are kept
 *   resolve.c   somebody decides what the target does not say
 *   recover.c   after a crash of the worker
 */
#pragma once
#include "migrate/job.h"
#include "migrate/landing.h"
#include "migrate/request.h"
#include "migrate/status.h"
#include "virt/move.h"

typedef struct source source;

/* Borrows both. `compare`: only asks; the answer is the comparison. */
source *source_new(const job *work, const request *asked, gboolean compare);
void source_free(source *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(source, source_free)

/* Blocks until the move has ended, whatever the end. Once. */
void source_run(source *self);
/* After a crash: brings what `entry` says was under way to its end (docs/design.md, "After a crash"). Instead of source_run.
 * FALSE: the entry cannot be understood; nothing has been touched. */
gboolean source_recover(source *self, const journal_entry *entry, GError **error);
/* Any thread. FALSE: past the commit point. */
gboolean source_cancel(source *self, const char *why);
/* Any thread: limits for the rest of the move, from the user and from ferryd; see throttle.h. */
void source_set_limits(source *self, const request_limits *wanted);
void source_set_share(source *self, guint64 share, guint64 claim);
/* Any thread: a move that is held shall switch over at this time (Unix, seconds), or now: 0. FALSE: it is not held. */
gboolean source_cutover(source *self, gint64 at);
/* Any thread. Somebody has decided what the target does not say; what comes of it is in the status. */
void source_resolve(source *self, order_what what);
status *source_status(source *self);
