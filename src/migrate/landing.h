/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a source asks of a target, and what it is answered (docs/api.md, "Landing request", "Landing").
 * Both come from the other host: everything is validated before it is used.
 */
#pragma once
#include "net/networks.h"
#include "virt/plan.h"

typedef struct {
    char *id; /* the migration's UUID */
    gboolean dry_run;
    char *host_uuid; /* the source's */
    char *live_xml, *stored_xml; /* stored: NULL for a transient VM */
    gboolean autostart;
    gint64 way_back; /* hours the source keeps its disks when the VM has gone; 0: not at all, or not said */
    gboolean read_back; /* the disks are read from their media before the guest runs on them */
    vm *machine; /* live_xml understood, with the sizes of its disks filled in */
    GStrv switch_keys, switch_values, storage_keys, storage_values, format_keys, format_values;
    GStrv name_keys, name_values; /* "names": a disk's target -> what its file is to be called */
} landing_request;

landing_request *landing_request_from_json(JsonObject *object, GError **error);
/* Takes what a source knows; `machine` has been measured. */
JsonObject *landing_request_to_json(const landing_request *self);
void landing_request_free(landing_request *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(landing_request, landing_request_free)

typedef struct {
    findings *found;
    plan *made; /* NULL when findings block */
    char *host_uuid;
    GPtrArray *addresses; /* of GInetAddress; empty for a dry run */
    guint16 port;
    char *directory; /* where QEMU's sockets are, the same path on both hosts; NULL for a dry run */
} landing_answer;

landing_answer *landing_answer_from_json(JsonObject *object, GError **error);
JsonObject *landing_answer_to_json(const landing_answer *self);
void landing_answer_free(landing_answer *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(landing_answer, landing_answer_free)

/* The sockets of a move, in the directory that both hosts agree on. */
char *landing_memory_socket(const char *directory);
char *landing_disk_socket(const char *directory);
