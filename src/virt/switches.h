/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The switches this host has: Open vSwitch bridges, Linux bridges, libvirt networks. Only inside
 * src/virt. */
#pragma once
#include "virt/conn.h"

typedef struct {
    char *name;
    gboolean network;      /* a libvirt network; else a bridge */
    gboolean openvswitch;  /* can tag (libvirt: networkValidate, virDomainActualNetDefValidate) */
    gboolean active;       /* bridges always are */
    gboolean host_devices; /* a network that gives out devices of the host (forward mode hostdev) */
    GHashTable *portgroups; /* of a network: name -> GArray of guint16, its VLANs */
} virt_switch;

typedef struct switches switches;
struct switches {
    GPtrArray *all;    /* of virt_switch */
    char *ovs_silence; /* why Open vSwitch did not answer although it is installed, or NULL */
};

switches *switches_list(virConnectPtr conn, GError **error);
void switches_free(switches *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(switches, switches_free)

typedef enum { SWITCH_ANY, SWITCH_BRIDGE, SWITCH_NETWORK } switch_kind;
/* Takes "network:" or "bridge:" off *name. */
switch_kind switches_kind(const char **name);
/* NULL: none. ANY prefers a bridge. */
const virt_switch *switches_find(const switches *self, const char *name, switch_kind kind);
/* "Converged (Open vSwitch), br0 (Linux bridge), network default"; caller frees. */
char *switches_describe(const switches *self);
