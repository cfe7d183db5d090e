/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a user asks of a move (POST /v1/migrations, /v1/compare), validated. */
#pragma once
#include "base/json.h"

typedef struct {
    char *id;                         /* UUID; made by ferryd */
    char *vm;                         /* name or UUID */
    char *target;                     /* peer's name */
    GStrv switch_keys, switch_values; /* "switches": {"vSwitch-VLAN500": "Converged:500", MAC: …} */
    GStrv storage_keys, storage_values; /* "storage": {"/var/lib/libvirt/images": "/srv/ssd" |
                                           "pool:fast", "vda": …} */
    GStrv format_keys, format_values;   /* "formats": {"vda": "raw", "*": "qcow2"} */
    gint64 way_back;                    /* "way_back": hours, 0 to 8760; -1: the host's setting */
    gboolean synchronous;               /* "mirror": "background" (default) or "synchronous" */
} request;

/* Unknown members are refused (a typing error must not become a default). "id" is taken if present.
 */
request *request_from_json(JsonObject *object, GError **error);
JsonObject *request_to_json(const request *self);
void request_free(request *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(request, request_free)

/* One rule each of the maps above, wherever it was written. */
gboolean request_check_switch(const char *from, const char *to, GError **error);
gboolean request_check_storage(const char *from, const char *to, GError **error);
gboolean request_check_format(const char *from, const char *to, GError **error);
