/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Findings FERRY-1xxx: the request and the hosts; see catalog.h. */
#include "base/catalog-parts.h"

const catalog_entry catalog_host[] = {
    {1001, FINDING_BLOCKS, "No such VM", "There is no VM of that name or UUID at the source.",
     "`virsh list --all` shows those there are."},
    {1002, FINDING_BLOCKS, "The VM does not run", "The VM does not run: it is shut off or paused.",
     "`virsh start` or `virsh resume` first."},
    {1003, FINDING_BLOCKS, "libvirt is busy with the VM",
     "libvirt is busy with the VM: a migration, a backup, a copy or commit of a disk.",
     "Wait for it, or end it (`virsh domjobabort`, `virsh blockjob --abort`)."},
    {1004, FINDING_BLOCKS, "A disk's directory cannot be written to",
     "The directory of a disk cannot be written to at the source; the disk is renamed there when "
     "the VM has moved.",
     "Make the directory writable."},
    {1005, FINDING_BLOCKS, "The target is this host", "The target is this host.", "Name another."},
    {1006, FINDING_BLOCKS, "No migration network",
     "A host, the target or this one, has no network that may carry migrations.",
     "Set `migration` under `[networks]` in its `ferryd.conf`."},
    {1007, FINDING_BLOCKS, "--switch for what the VM does not have",
     "`--switch` names a switch or NIC that the VM does not have.",
     "`virsh domiflist` shows its own."},
    {1008, FINDING_BLOCKS, "--storage for what the VM does not have",
     "`--storage` names a directory or disk that the VM does not have.",
     "`virsh domblklist` shows its own."},
    {1009, FINDING_BLOCKS, "--format for what the VM does not have",
     "`--format` names a disk that the VM does not have.", "`virsh domblklist` shows its own."},
    {1010, FINDING_BLOCKS, "No return to the old places",
     "A return is not possible any more: what the VM was like where it came from is not known, or "
     "one of its NICs cannot be put back.",
     "`ferry migrate`, saying with `--switch` and `--storage` where it goes."},
    {1101, FINDING_BLOCKS, "Name taken", "The target has another VM of that name.",
     "`virsh domrename` one of them while it is shut off."},
    {1102, FINDING_BLOCKS, "UUID taken", "The target has a VM with that UUID.",
     "A leftover: `virsh undefine` there. The VM itself: it is there already."},
    {1103, FINDING_BLOCKS, "Switch map not understood",
     "An entry of the switch map cannot be understood.",
     "`OLD=NEW`, `OLD=NEW:VLAN`, `OLD=NEW:VLAN,VLAN` or `OLD=NEW:untagged`; VLANs 1 to 4094."},
    {1104, FINDING_BLOCKS, "Storage map not understood",
     "An entry of the storage map has a value that is neither an absolute directory nor "
     "`pool:NAME`.",
     "`OLD=/DIRECTORY` or `OLD=pool:NAME`; OLD is a disk (`vda`) or a directory."},
    {1105, FINDING_BLOCKS, "Format that Ferry does not make",
     "A format was asked for that Ferry does not make.", "`qcow2` or `raw`."},
    {1106, FINDING_BLOCKS, "No name of a file",
     "A file was asked to have a name that is none: with a directory, or empty.",
     "A program other than `ferry` made this request: the name of a file alone."},
    {0}};
