/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a user asks of a move (POST /v1/migrations, /v1/compare), validated. */
#pragma once
#include "base/json.h"

/* How hard a move may push; also by itself, when it is changed on the way. */
typedef struct {
    gint64 bandwidth;     /* "bandwidth": bytes/s (rate.h), 0: no limit; -1: not said */
    double latency_guard; /* "latency_guard": factor (rate.h), 0: off; -1: not said */
} request_limits;

typedef struct {
    char *id;                         /* UUID; made by ferryd */
    char *vm;                         /* name or UUID */
    char *target;                     /* peer's name */
    GStrv switch_keys, switch_values; /* "switches": {"vSwitch-VLAN500": "Converged:500", MAC: …} */
    GStrv storage_keys, storage_values; /* "storage": {"/var/lib/libvirt/images": "/srv/ssd" |
                                           "pool:fast", "vda": …} */
    GStrv format_keys, format_values;   /* "formats": {"vda": "raw", "*": "qcow2"} */
    char *return_of;                    /* "return_of": id of the move that brought the VM here: it goes back to its
                                           places there, so there are no maps; NULL: an ordinary move */
    gint64 way_back;                    /* "way_back": hours, 0 to 8760; -1: the host's setting */
    gboolean synchronous;               /* "mirror": "background" (default) or "synchronous" */
    gboolean read_back;                 /* "verify": "transfer" (default) or "readback" */
    gboolean hold;                      /* "hold": wait for the cutover with everything there */
    gint64 cutover_at;                  /* "cutover_at": Unix seconds, only with hold; 0: when told */
    request_limits limits;              /* not said: the host's settings */
    JsonObject *report;                 /* "report": the comparison (docs/compare.schema.json) that this move must
                                           still be; NULL: none */
} request;

/* Unknown members are refused (a typing error must not become a default). "id" is taken if present.
 */
request *request_from_json(JsonObject *object, GError **error);
JsonObject *request_to_json(const request *self);
void request_free(request *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(request, request_free)

/* The members of limits; others may be there as well. Only what is said is written. */
gboolean request_limits_from_json(JsonObject *object, request_limits *limits, GError **error);
void request_limits_to_json(const request_limits *limits, JsonObject *object);

/* A time, Unix seconds; not there or null: 0. */
gboolean request_time_from_json(JsonObject *object, const char *member, gint64 *at, GError **error);

/* "hold" in a migration object (docs/api.md): how far a hold is. Caller unrefs. */
JsonObject *request_hold_json(const char *state, gint64 cutover_at);

/* Parts of it, wherever they were written: the VM's and the target's name, one rule each of the maps. */
gboolean request_check_vm(const char *vm, GError **error);
gboolean request_check_target(const char *target, GError **error);
gboolean request_check_switch(const char *from, const char *to, GError **error);
gboolean request_check_storage(const char *from, const char *to, GError **error);
gboolean request_check_format(const char *from, const char *to, GError **error);
