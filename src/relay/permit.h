/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The permit of a landing: what the source's libvirt client may ask of the target's libvirtd
 * (I7). Pure: looks at packets, keeps where in the dialogue we are, does no I/O. Everything not
 * named is refused.
 *
 * Order: AUTH_LIST, CONNECT_SUPPORTS_FEATURE, CONNECT_OPEN, CONNECT_SUPPORTS_FEATURE*,
 * MIGRATE_PREPARE3_PARAMS once, MIGRATE_FINISH3_PARAMS once (if it was prepared), CONNECT_CLOSE
 * (at any time after the first answer); each call after the answer to the one before. The
 * arguments are decoded completely (XDR, libvirt: src/remote/remote_protocol.x): migrate_uri,
 * disks_uri and, where libvirt sends it, destination_name must be exactly the landing's,
 * migrate_disks exactly its disks, flags within `flags_allowed` and with all of
 * `flags_required`; parameters that are not known are refused, and nothing may follow the
 * arguments. The destination XML is not compared but replaced by the landing's own: libvirt's
 * client sends what the source's libvirtd made of the one it was given. Cookies are opaque to us
 * but bounded; the target's libvirtd compares their <name> and <uuid> with the XML. What libvirt
 * 9.0 really sends lies in tests/unit/relay/transcripts.
 */
#pragma once
#include "relay/rpc.h"

typedef struct {
    const char *name;      /* the VM */
    const char *open_name; /* what CONNECT_OPEN may name: "qemu:///system" */
    const char *xml;       /* the destination XML that is used, whatever the peer sends */
    const char *uri;       /* unix:///run/ferry/ID/qemu/memory.sock */
    const char *disks_uri; /* NULL when no disk is copied */
    const char *const *disks; /* target devs in migrate_disks; NULL-terminated; NULL: none */
    guint64 flags_required, flags_allowed; /* virDomainMigrateFlags */
} permit_terms;

typedef struct permit permit;
permit *permit_new(const permit_terms *terms); /* copies the terms */
void permit_free(permit *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(permit, permit_free)

/* A call on its way to the local libvirtd. FALSE: forbidden; the error says which procedure or
 * argument. *instead: see rpc_judge. */
gboolean permit_call(permit *self, const rpc_packet *packet, GBytes **instead, GError **error);
/* A reply or event on its way back: only replies to calls that were let through (serial,
 * procedure). */
gboolean permit_reply(permit *self, const rpc_packet *packet, GError **error);
/* What has been answered with success so far; finished: the VM is loaded, and the source did not
 * ask to throw it away. */
gboolean permit_prepared(const permit *self);
/* libvirt has refused to prepare, and nothing can follow. */
gboolean permit_declined(const permit *self);
gboolean permit_finished(const permit *self);

/* On the source: is this the answer to MIGRATE_FINISH3_PARAMS, and does it say that the guest is
 * loaded (status OK and a domain in it)? */
typedef enum { FINISH_NOT_IT, FINISH_LOADED, FINISH_FAILED } permit_finish;
permit_finish permit_finish_reply(const rpc_packet *packet);
