/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A migration as the API shows it (docs/api.md, "Migration"), with what is not known told apart.
 *
 * Phases stay names: one that a newer ferryd has and this program does not is shown as it is.
 */
#pragma once
#include "base/json.h"

typedef struct {
    JsonObject *json; /* all of it; the strings below belong to it */
    const char *id, *vm, *peer, *phase;
    const char *waiting;                 /* NULL: for nothing */
    const char *error_code, *error_text; /* NULL: none */
    gboolean source;                     /* the VM leaves this host (else it comes) */
    gint64 version;
    double began, phase_began, ended; /* Unix seconds; here and below -1: not known */
    gint64 done, total, rate, eta;    /* bytes, bytes, bytes/s, seconds; of this phase */
    gint64 wire_bytes, logical_bytes, found_bytes;
    double blackout_ms, total_seconds;
    gint64 channels_alive, channels_wanted;
    gint64 bandwidth, share, peer_share; /* bytes/s; -1: no limit, here and below */
    gint64 limit, spared;                /* the least of these; what the guest's latency leaves the disks */
    double latency_guard;                /* -1: off */
    const char *hold; /* how far a hold is: preparing, ready, over; NULL: there is none */
    const char *group; /* NULL: alone */
    double cutover_at;
    double way_back_until;
    gboolean way_back_open; /* as far as is known here; TRUE where nothing is said of it */
    JsonObject *changes;                  /* NULL: not known */
    JsonArray *way_back_disks, *findings; /* NULL: none */
    char *blocked_by; /* codes of findings (report_blocking); NULL: none blocks */
} migration;

/* Error: id, vm, peer, phase or version are missing. */
migration *migration_from_json(JsonObject *object, GError **error);
void migration_free(migration *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(migration, migration_free)

gboolean migration_has_ended(const migration *self);
/* Can it still be cancelled, with the VM going on at the source? */
gboolean migration_may_cancel(const migration *self);
/* The exit status of ferry(1) that an ended one stands for. */
int migration_exit_status(const migration *self);
/* The first 8 digits of the ID, enough to name it. Caller frees. */
char *migration_short_id(const migration *self);
/* "-> zulu" or "<- alpha". Caller frees. */
char *migration_direction(const migration *self);
