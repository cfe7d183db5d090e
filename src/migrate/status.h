/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state of one migration on one side: its phase, and all that is shown of it (docs/api.md, "Migration").
 *
 * The phase has one setter, status_enter: it checks the step against the table of phase.h, logs "OLD ->
 * NEW", and puts it into the journal before anybody is told. All functions may be called from any thread.
 * Guarded by one lock, which is held over the journal's writes: so decisions and phases are in one order.
 */
#pragma once
#include "journal/journal.h"
#include "migrate/order.h"
#include "migrate/phase.h"
#include "relay/session.h"
#include "virt/plan.h"

typedef struct status status;

typedef struct {
    const char *id, *role, *vm, *peer;
    guint channels_wanted;
    /* NULL for a comparison, which is not journaled. Borrowed; used only under the status's lock. */
    journal *journal;
    /* Something has changed; called without the lock held, from any thread. */
    void (*changed)(void *user);
    void *user;
} status_setup;

/* What bounds a move's rate: bytes/s, 0: nothing does. */
typedef struct {
    guint64 own;        /* asked for; at the target: what the source says it could use at most */
    guint64 share;      /* of this host's limit, as ferryd divides it */
    guint64 claim;      /* source: what that share would be if the target had no limit */
    guint64 peer_share; /* source: of the target's */
    guint64 rate;       /* what counts: the least of them */
    guint64 spared;     /* source: what the latency guard lets the disks have */
    double guard;       /* source: its factor; 0: off */
} status_limits;

status *status_new(const status_setup *setup);
void status_free(status *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(status, status_free)

/* Calls `write` under the lock: for what else this move has in the journal. It may not call status_*. */
gboolean status_write(status *self, gboolean (*write)(journal *book, gpointer user, GError **error),
                      gpointer user, GError **error);
/* After a crash: goes on from what the journal says, instead of from the beginning. */
gboolean status_restore(status *self, const journal_entry *entry, GError **error);

/* It did not come to be in the journal: nothing of it is written from now on. */
void status_leave_journal(status *self);

phase status_phase(status *self);
const char *status_peer(const status *self);
/* FALSE: not a legal step (nothing changes), or the journal could not be written. */
gboolean status_enter(status *self, phase to, GError **error);
/* Enters every phase up to `to` in order, where signs of several phases may arrive late or together; already there or beyond
 * is TRUE. Never leaves a final phase. */
gboolean status_advance(status *self, phase to, GError **error);

/* Cancelling and committing exclude each other: whichever comes first wins. */
gboolean status_cancel(status *self, const char *why); /* FALSE: too late */
gboolean status_is_cancelled(status *self);
/* It is given up here: this is its error, and it will not be committed. FALSE: too late, or cancelled already. */
gboolean status_give_up(status *self, const char *code, const char *text);
/* Enters committing and records the decision with its token, in this order and durably, unless cancelled or given up. */
gboolean status_commit(status *self, journal_decision decision, const char *token, GError **error);
/* Records a later decision with the same token. */
gboolean status_decide(status *self, journal_decision decision, const char *token, GError **error);
journal_decision status_decision(status *self);

/* The first failure counts: later ones are consequences. */
void status_set_error(status *self, const char *code, const char *format, ...) G_GNUC_PRINTF(3, 4);
gboolean status_has_error(status *self);
/* The end: completed, or cancelled if it was, or failed with what status_set_error said. Journaled as ended. */
gboolean status_end(status *self, gboolean success, GError **error);

/* What became of the guest at the target: seen running for as long as it takes, or dead. Written down with the phase, for who
 * recovers; where that fails it is only shown. */
typedef enum { SETTLED_UNKNOWN, SETTLED_ALIVE, SETTLED_DEAD } status_settled;
void status_set_settled(status *self, status_settled settled);
status_settled status_get_settled(status *self);

/* What somebody has ordered, and what came of it: shown, and in the journal's details. `why` NULL: what was said before. */
gboolean status_set_order(status *self, order_what what, order_state state, const char *why,
                          GError **error);
/* ORDER_NONE: none was given. */
order_what status_order(status *self, order_state *state);

void status_set_waiting(status *self, const char *text); /* NULL: for nothing */
/* The same, as long as it is in this phase; else nothing, and FALSE. */
gboolean status_set_waiting_in(status *self, phase during, const char *text);
void status_set_vm(status *self, const char *name, const char *uuid);
void status_set_progress(status *self, guint64 done, guint64 total); /* bytes of this phase; rate and ETA follow */
/* Shows also how long there has been no channel, if that is the case. */
void status_set_session(status *self, const session_stats *stats);
void status_set_limits(status *self, const status_limits *limits);
void status_set_blackout(status *self, gint64 microseconds);
void status_set_plan(status *self, const plan *made);
/* Takes `hold`: what "hold" is to be (docs/api.md, "Migration"). */
void status_set_hold(status *self, JsonObject *hold);
void status_set_way_back(status *self, gint64 until, const char *const *disks);
void status_take_findings(status *self, findings *found);

JsonObject *status_to_json(status *self);
/* {"error": {"code", "text", "findings"}} of what status_set_error said, for an answer. */
JsonObject *status_error_json(status *self);
/* "code" of the error, or NULL; borrowed, valid while the status lives and no error is set after it. */
const char *status_error_code(status *self);
