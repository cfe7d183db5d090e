/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The target's side of a move: the landing. One thread runs it from beginning to end (target_run); the relay's and the
 * worker's threads leave word for it under one lock.
 *
 *   target.c   the order of things: plan, prepare, wait for what comes, accept or refuse, tidy
 *   intake.c   what the disks' streams are written to, and whether it is what was sent
 *   accept.c   the commit: durable accept, start, proof of life; or durable refusal
 *   settle.c   when a guest counts as running
 *   abandon.c  what becomes of the disks of a landing that failed
 */
#pragma once
#include "migrate/job.h"
#include "migrate/landing.h"
#include "migrate/peer.h"
#include "migrate/status.h"
#include "net/channel.h"

typedef struct target target;

/* Borrows `work` and `peer`; takes `asked` over. */
target *target_new(const job *work, const char *peer, landing_request *asked);
void target_free(target *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(target, target_free)

/* Blocks until the landing has ended, whatever the end. Once. */
void target_run(target *self);
/* After a crash: an accepted guest is made to run, anything else is refused durably and tidied. Instead of target_run.
 * FALSE: the entry cannot be understood; nothing has been touched. */
gboolean target_recover(target *self, const journal_entry *entry, GError **error);

/* Any thread. A data connection whose preamble has been read; does TLS in a thread of its own. Takes `fd` over. */
void target_add_connection(target *self, unsigned index, int fd);
/* Any thread. FALSE: past the commit point. */
gboolean target_cancel(target *self, const char *why);
/* Any thread. What this landing may have of this host's limit (0: all it likes): the source is told. */
void target_set_share(target *self, guint64 share);
/* Any thread. The token by the control port, when the session is gone; the answer comes through `answer`, once the
 * decision has been made: body {"decision": "accepted" or "refused"}. FALSE: another token is known, so that neither
 * would be true of this one (I1), and there will be no answer. A refusal is true of every token. A source that wants the guest back
 * is answered when it is clear whether it can have it. */
gboolean target_commit(target *self, const char *token, peer_back back,
                       void (*answer)(gboolean accepted, void *user), void *user);
status *target_status(target *self);
