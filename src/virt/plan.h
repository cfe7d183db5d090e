/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The plan of a landing: where every disk and NIC of a VM goes on this host, made by the *target*
 * from its own maps and what the request asks (the request wins), and the destination XML that
 * follows from it.
 *
 * plan_make looks (switches, storage, CPU, memory, names) and changes nothing; all it dislikes
 * become findings, all at once. plan_prepare makes the disks; plan_abandon takes back what
 * plan_prepare made. All may block; any thread.
 */
#pragma once
#include "base/finding.h"
#include "virt/host.h"
#include "virt/vm.h"

typedef struct {
    char *target; /* vda */
    char *old_path, *old_format;
    char *new_path, *new_format;
    char *pool;       /* libvirt pool, or NULL: a directory */
    char *export;     /* what QEMU's NBD server calls it: "drive-" and libvirt's alias; or NULL */
    guint64 capacity; /* bytes */
    guint64
        inode; /* of new_path once plan_prepare has made it; 0: this plan has made nothing there */
} plan_disk;

typedef struct {
    char *mac;
    char *old_switch; /* NULL if the NIC has none */
    char *new_switch; /* NULL: the NIC stays as it is */
    gboolean network; /* new_switch is a libvirt network, not a bridge */
    gboolean openvswitch;
    GArray *vlans; /* of guint16; empty: untagged */
    /* For the rewriting only, not in the JSON: the port group to keep, or NULL; it gives these
     * VLANs itself; the tap's chosen name is taken here. */
    char *portgroup;
    gboolean portgroup_tags, drop_port;
} plan_nic;

typedef struct {
    GPtrArray *disks; /* of plan_disk: those that are copied */
    GPtrArray *nics;  /* of plan_nic */
    char *mark;     /* 32 random hexadecimal digits: what plan_prepare makes bears it as an extended
                       attribute */
    char *live_xml; /* what the migration must bring, exactly */
    char *persistent_xml; /* what Ferry defines after the commit; NULL for a transient VM */
    GPtrArray *give_up; /* of char *, not in the JSON: those of plan_rules.landed whose room is needed */
} plan;

typedef struct {
    /* Maps as ordered pairs (keys[i] -> values[i]), the request's first; NULL: none. The first pair
     * that fits wins, except that a MAC, a disk's target or a longer directory goes before what is
     * less exact.
     *
     * Switch keys: a NIC's MAC, or an old switch's name ("network:NAME" or "bridge:NAME" where both
     * exist; the bridge behind a network fits too). Values "SWITCH[:VLAN[,VLAN…]]", SWITCH with the
     * same prefixes; without VLANs the NIC keeps its own, with ":untagged" it has none. Without a
     * pair: the switch of the same name. */
    GStrv switch_keys, switch_values;
    /* Storage keys: a disk's target or a directory, with all below it; values: an absolute
     * directory or "pool:NAME". Without a pair: the same path, or the same pool. */
    GStrv storage_keys, storage_values;
    /* Format keys: a disk's target or "*"; values qcow2, raw. Without a pair: the same format. */
    GStrv format_keys, format_values;
    /* Name keys: a disk's target; values: what its file is called. Without a pair: as before, with the
     * ending of its new format. */
    GStrv name_keys, name_values;
    /* Directories, with all below them, where files of VMs may be made on this host. A peer names
     * paths and may not write just anywhere: NULL or empty means any place but the system's own
     * (/etc, /usr, /home, /run, /var except /var/lib/libvirt, …), where a file system mounted below
     * /home, /run or /var/lib is not the system's. The directories of this host's active pools are
     * always among them. */
    GStrv storage_roots;
    guint64 memory_reserve; /* bytes of this host's memory no VM may take */
    /* What landed in earlier tries of this VM; NULL: nothing. Where it is in the way of the new
     * disks it is counted as room, and plan_prepare deletes it: plan_make adds its path to the
     * plan's own `give_up`, whatever is given here. */
    GStrv landed;
    GPtrArray *give_up;
} plan_rules;

/* Never fails for what the VM or host is like: that becomes findings (codes in docs/findings.md).
 * *error only when libvirt itself does not answer, or an XML is not one. Without blocking findings
 * the plan is complete; with them it holds what could be planned and must not be prepared.
 * `machine` is vm_parse(live_xml), with capacity and allocation of the disks filled in. */
plan *plan_make(virt_host *host, const vm *machine, const char *live_xml,
                const char *persistent_xml, const plan_rules *rules, findings *found,
                GError **error);
void plan_free(plan *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(plan, plan_free)

/* The target devices of the disks that are copied, as libvirt wants them named. Caller frees. */
GStrv plan_disk_targets(const plan *self);

/* For the answer to the source, for the journal, and back:
 * {"disks":[{target,old_path,old_format,new_path,new_format,pool,capacity,inode}],
 * "nics":[{mac,old_switch,new_switch,network,openvswitch,vlans}],"mark","live_xml","persistent_xml"}.
 * From a peer: bounded and validated. What a peer says about old_path is to be shown, not acted
 * upon: the source knows its own paths. */
JsonObject *plan_to_json(const plan *self);
plan *plan_from_json(JsonObject *object, GError **error);

/* Deletes what is to be given up, then creates every disk, same size, exclusively (never over an
 * existing file), sparse, 0600, marked; notes each inode in the plan (where a file system keeps no extended attributes, that alone
 * tells). On error takes back what it had made. */
gboolean plan_prepare(plan *self, virt_host *host, GError **error);

/* After a failure: with `keep` the landed disk data stays, as PATH.ferry-landed, so that nothing
 * starts from it by accident; without, and where nothing was written to a disk, it is deleted. What
 * lies there already is replaced, unless it is one of `earlier` (what landed in earlier tries of
 * this VM; may be NULL) and takes more room, so most likely holds more: then that stays. Only files
 * that plan_prepare made (same mark or inode) and that no VM of this host names are touched. Returns
 * the paths put aside now (NULL-terminated, caller frees). Safe to call again; files already gone
 * are no error. NULL only with *error. */
#define PLAN_LANDED ".ferry-landed"
GStrv plan_abandon(const plan *self, virt_host *host, gboolean keep, const char *const *earlier,
                   GError **error);
