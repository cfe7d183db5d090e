/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Domain XML as it is to be on the target. Pure. Everything that is not named here stays as it is:
 * aliases, addresses, MACs, models, drivers, metadata (virDomainDefCheckABIStability must agree).
 */
#pragma once
#include "virt/plan.h"

typedef struct {
    const GPtrArray *disks; /* of plan_disk: by target; source and format (libvirt: no backingStore,
                               mirror, index) */
    const GPtrArray *nics;  /* of plan_nic: by MAC */
    const char *const *ejected;  /* targets of drives to empty; NULL: none */
    const char *const *security; /* models of <seclabel> that go; NULL: none */
    const char *emulator;        /* NULL: as it is */
} rewrite_rules;

/* Errors: G_IO_ERROR_INVALID_DATA; a result longer than VM_XML_MAX is one. Caller frees. */
char *rewrite_domain(const char *xml, const rewrite_rules *rules, GError **error);

/* A running VM's migratable XML lacks two things that its plain one has: the VLANs that a NIC got from
 * its network or port group, so that a host without that network can know; and the aliases of disks,
 * by which QEMU's NBD server knows them. Returns the former with them. Caller frees. */
char *rewrite_with_live(const char *migratable, const char *plain, GError **error);
