/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How fast a move may go, at its source: the least of what was asked for it, of this host's share
 * and of the target's; and for its disks what the latency guard (guard.h) allows, which a thread of
 * its own asks by looking at the guest. The guard is for mirrors in the background: with a synchronous
 * one the guest's writes wait in the same streams, and holding these back would slow it down. All of it holds while the guest runs here: once it is
 * stopped, what is left goes as fast as it can, because every limit would be blackout.
 *
 * All functions may be called from any thread, with no lock held but the source's.
 */
#pragma once
#include "migrate/request.h"
#include "migrate/settings.h"
#include "migrate/status.h"

typedef struct throttle throttle;

/* Borrows `shown`. Until ferryd says what this host's share is, it is all there is. */
throttle *throttle_new(status *shown, const settings *conf, const request *asked);
/* Before the session's, the domain's and the status's. */
void throttle_free(throttle *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(throttle, throttle_free)

/* Begins to look at the guest, for what is usual for it: long before the copy, at best. Borrows
 * `domain`, takes `disks` (targets) over. Once. */
void throttle_watch(throttle *self, virt_domain *domain, GStrv disks);
/* The session is there: from now on it is held to the rate. Borrowed. Once. */
void throttle_drive(throttle *self, session *to);
/* The guest is stopped, or the copy over or given up. */
void throttle_rest(throttle *self);
/* The guest runs here again, and the copy goes on. */
void throttle_resume(throttle *self);

/* What the user wants from now on; what is not said stays, and so does "off" with a synchronous mirror. */
void throttle_set(throttle *self, const request_limits *wanted);
/* ferryd's word: status_limits has what they are. */
void throttle_set_share(throttle *self, guint64 share, guint64 claim);
/* The target's. */
void throttle_set_peer_share(throttle *self, guint64 share);
