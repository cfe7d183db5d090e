/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The plan of a landing: where every disk and NIC of a VM goes on this host, made by the *target* from its
 * own maps and what the request asks (the request wins), and the destination XML that follows from it.
 *
 * plan_make looks (switches, storage, CPU, memory, names) and changes nothing; all it dislikes become findings, all at once.
 * plan_prepare makes the disks; plan_abandon takes back what plan_prepare made.
 */
#pragma once
#include "base/finding.h"
#include "virt/host.h"
#include "virt/vm.h"

typedef struct {
    char *target;      /* vda */
    char *old_path, *old_format;
    char *new_path, *new_format;
    char *pool;        /* libvirt pool, or NULL: a directory */
    guint64 capacity;  /* bytes */
} plan_disk;

typedef struct {
    char *mac;
    char *old_switch;  /* NULL if the NIC has none */
    char *new_switch;
    gboolean network;  /* new_switch is a libvirt network, not a bridge */
    gboolean openvswitch;
    GArray *vlans;     /* of guint16 */
} plan_nic;

typedef struct {
    GPtrArray *disks; /* of plan_disk: those that are copied */
    GPtrArray *nics;  /* of plan_nic */
    char *live_xml;       /* what the migration must bring, exactly */
    char *persistent_xml; /* what Ferry defines after the commit; NULL for a transient VM */
} plan;

typedef struct {
    /* Maps as ordered pairs (keys[i] -> values[i]), the request's first. Switch keys: an old switch's
     * name or a NIC's MAC; values "SWITCH[:VLAN[,VLAN…]]". Storage keys: a disk's target or a directory (the longest
     * prefix wins); values: an absolute directory or "pool:NAME". Format keys: a disk's target or "*"; values qcow2, raw. */
    GStrv switch_keys, switch_values;
    GStrv storage_keys, storage_values;
    GStrv format_keys, format_values;
    guint64 memory_reserve; /* bytes of this host's memory no VM may take */
} plan_rules;

/* Never fails for what the VM or host is like: that becomes findings (codes in docs/findings.md). *error only when
 * libvirt itself does not answer. Without blocking findings the plan is complete. */
plan *plan_make(virt_host *host, const vm *machine, const char *live_xml, const char *persistent_xml,
                const plan_rules *rules, findings *found, GError **error);
void plan_free(plan *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(plan, plan_free)

/* For the answer to the source, and back: {"disks":[{target,old_path,old_format,new_path,new_format,pool,capacity}],
 * "nics":[{mac,old_switch,new_switch,vlans}],"live_xml","persistent_xml"}. From a peer: validated. */
JsonObject *plan_to_json(const plan *self);
plan *plan_from_json(JsonObject *object, GError **error);

/* Creates every disk, same size, exclusively (never over an existing file), sparse. On error takes back what it had made. */
gboolean plan_prepare(const plan *self, virt_host *host, GError **error);

/* After a failure: the landed disk data stays, as PATH.ferry-landed (replacing what an earlier try of this VM left there),
 * so that nothing starts from it by accident; a disk nothing was written to is deleted. Returns the kept paths (NULL-terminated,
 * caller frees). Safe to call again; files already gone are no error. */
GStrv plan_abandon(const plan *self, virt_host *host, GError **error);
