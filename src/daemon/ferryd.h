/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ferryd put together: what its routes and its parts share. Main thread only.
 *
 *   API requests ─► routes-*.c ─► outgoing (queue, start) ─┐
 *                             └─► landings ────────────────┤
 *                                                          ▼
 *   data port ─► dataport ─────────────────────────► workers ══ worker processes
 *                                                          │ status, answer, decision, gone
 *                             moves, pending, recovery ◄───┘
 */
#pragma once
#include "api/server.h"
#include "daemon/admission.h"
#include "daemon/dataport.h"
#include "daemon/expiry.h"
#include "daemon/indexer.h"
#include "daemon/moves.h"
#include "daemon/outgoing.h"
#include "daemon/pending.h"
#include "daemon/recovery.h"
#include "daemon/replies.h"
#include "daemon/token.h"
#include "daemon/workers.h"
#include "migrate/settings.h"

typedef struct ferryd {
    char *config; /* as given; NULL: the default place */
    settings *conf;
    char *refused; /* why the last reload changed nothing; NULL: it did, or there was none */
    pki *identity;
    GPtrArray *old_conf, *old_identity; /* replaced by a reload; threads may still read them */
    char *host_uuid;
    journal *book; /* read-only */
    server *served;
    dataport *data;
    workers *crew;
    moves *known;
    admission *leaving, *arriving;
    outgoing *queue;
    recovery *recoveries;
    pending *starts;    /* wait for a worker's answer: landings, comparisons */
    pending *commits;   /* wait for a target's decision */
    pending *ends;      /* wait for a landing to be gone */
    GHashTable *owners; /* id -> peer: landings begun since ferryd runs (their workers may not have
                           reported yet) */
    replies *answered;    /* what landings were answered */
    GHashTable *stuck;    /* id -> why: see stuck.h */
    GHashTable *fleeting; /* set: ids of comparisons, which are no moves */
    token *pairing;
    expiry *kept;
    indexer *index;
    int lock;           /* that no other ferryd runs here */
    guint minute;       /* timer */
    gboolean sweeping, again; /* what has expired is being deleted; and shall be looked at once more */
    guint busy;         /* threads of ours under way */
    GCancellable *stop; /* ends them */
} ferryd;

/* Everything but running the main loop. The error says what to do. */
ferryd *ferryd_new(const char *config, GError **error);
/* Leaves workers alone. */
void ferryd_free(ferryd *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ferryd, ferryd_free)
/* Reads the settings again; keeps the old ones if there is anything wrong with the new. */
void ferryd_reload(ferryd *self);

/* Starts a worker for a comparison (of ours or of a peer), or to look at this host, and lets `x` wait for its answer. */
void ferryd_compare(ferryd *self, JsonObject *start, exchange *x);
/* Deletes soon what has expired, without waiting for the minute to be over. */
void ferryd_sweep(ferryd *self);
/* Runs `work` in a thread, then `done` here; ferryd does not end before that. */
void ferryd_run(ferryd *self, void (*work)(gpointer data), void (*done)(gpointer data),
                gpointer data);
