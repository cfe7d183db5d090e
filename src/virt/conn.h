/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is behind virt_host and virt_domain; only inside src/virt. */
#pragma once
#include "base/hook.h"
#include "virt/host.h"
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(virConnect, virConnectClose)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(virDomain, virDomainFree)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(virStoragePool, virStoragePoolFree)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(virStorageVol, virStorageVolFree)

struct virt_host {
    virConnectPtr conn;
    char *socket;
};

struct virt_domain {
    virDomainPtr domain;
    char *name, *uuid;
    gint aborting; /* atomic: move_abort was asked for */
};

/* Connects to qemu:///system through `socket`, with the event loop running and libvirt's own error
 * printing off. Caller closes. */
virConnectPtr conn_open(const char *socket, GError **error);
/* libvirt's last error in this thread as *error, behind the prefix; FALSE, for use in `return`. */
gboolean conn_error(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Is the last error that this thing does not exist (or is in no state for what was asked)? */
gboolean conn_error_is(int code);
/* Whether it failed because libvirt has no driver for it here: not built in or, of the modular
 * daemons, not running (virtqemud then cannot connect to the socket of, e.g., virtstoraged). */
gboolean conn_error_no_driver(void);
/* The host's capabilities (formatcaps); caller frees with xmlFreeDoc. */
struct _xmlDoc *conn_capabilities(virConnectPtr conn, GError **error);
