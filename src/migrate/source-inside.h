/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the source's side share; see source.h for who does what. */
#pragma once
#include "migrate/source.h"
#include "migrate/hold.h"
#include "migrate/throttle.h"
#include "relay/export.h"
#include "relay/rpc.h"

/* What the target said about the guest after it got the token. */
typedef enum { VERDICT_NONE, VERDICT_STARTED, VERDICT_REFUSED } verdict;

struct source {
    const job *work;
    const request *asked;
    gboolean compare, recovering;
    status *status;
    throttle *throttle;
    hold *hold; /* NULL: it does not wait for a cutover */

    /* Set by the running thread before the session exists; read-only for all others afterwards. */
    virt_host *host;
    virt_domain *domain;
    landing_request *landing;
    landing_answer *landed;
    export_table *exports; /* the disks' streams write to them; outlives the session */
    session *session;
    rpc_judge judge;

    GMutex lock; /* guards the rest; taken before the status's lock, never inside a callback of libvirt's held locks */
    GCond changed;
    gboolean moving; /* move_run is under way: it can be aborted */
    gboolean session_over;
    verdict said;
    status_settled proof; /* what the target says of the guest since then */
    char *died;           /* how, if it has; NULL: it has not, or nothing is known */
    gint64 suspended_at; /* monotonic µs; 0: the guest has not been stopped */
};

/* The relay's judge of the rpc stream: lets libvirt's packets through, and turns a successful Finish3
 * reply into the hand-over. Runs in the rpc stream's thread. */
gboolean handover_judge(const rpc_packet *packet, rpc_direction direction, void *source_,
                        GBytes **instead, GError **error);
/* The give-up is on record: finds out, for as long as it takes, what the target has decided, and acts on it: the
 * guest here is gone on return of VERDICT_STARTED, and may go on after VERDICT_REFUSED. */
verdict handover_settle(source *self, const char *token);

/* The target has the guest: removes the definition, keeps or deletes the disks, tells the target. Tries for ever. FALSE: the guest
 * has died there, and the status's error says so. */
gboolean wayback_clean(source *self);
/* proof.c: waits, for as long as it takes, until the target has seen the guest run, or die (then it says how in ->died). */
status_settled proof_wait(source *self);
/* Can the session still bring an answer? Lock held or not. */
gboolean handover_has_link(source *self);

/* Unlocks after something guarded has changed, and wakes whoever waits for it. */
void source_leave_word(source *self);

/* Phase comparing. FALSE: the status says why not. */
gboolean source_look(source *self);
/* A blocking finding that is the error as well; returns FALSE. And a failure of this host's own. */
gboolean source_refuse(source *self, int code, const char *error_code, const char *fix,
                       const char *text);
gboolean source_fail(source *self, const GError *error);

/* Phase landing: asks until the target has a free slot; a comparison asks once. FALSE: the status says why not. */
gboolean source_land(source *self);
/* The whole of a comparison: looks, asks the target, and answers. */
void compare_run(source *self);
/* The target has landed: is it still the move that was reported, if one was? FALSE: the status says what differs. */
gboolean compare_is_expected(source *self);

/* TRUE with an error once it was cancelled. */
gboolean source_is_cancelled(source *self, GError **error);
/* The session with its sockets, dialling. */
gboolean source_open_session(source *self, GError **error);
/* Blocks in libvirt until the migration has ended. What counts afterwards is the decision, not what libvirt thinks. */
gboolean source_migrate(source *self, GError **error);

/* The end, either way: cleans up behind a VM that has moved, or sees that it runs here and the target forgets it. */
void source_finish(source *self, gboolean moved);
