/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Findings FERRY-4xxx: CPU, memory and machine; see catalog.h. */
#include "base/catalog-parts.h"

const catalog_entry catalog_machine[] = {
    {4001, FINDING_BLOCKS, "Not enough memory",
     "The memory of the VM, or of its stored definition, is more than the target has available, "
     "less what is kept for the host.",
     "Stop or move something there, lower `memory-reserve`, or another host."},
    {4002, FINDING_BLOCKS, "No such virtualization",
     "The VM needs KVM (or another kind of virtualization), which the target does not offer.",
     "Switch it on in the firmware, load the module."},
    {4003, FINDING_CHANGED, "Another emulator",
     "The VM's emulator is not on the target (or is not root's alone): it runs in the target's "
     "own.",
     NULL},
    {4004, FINDING_BLOCKS, "Architecture", "The target has no QEMU for the VM's architecture.",
     "Install it."},
    {4005, FINDING_BLOCKS, "Machine type", "The target's QEMU does not know the VM's machine type.",
     "A QEMU as new as the source's."},
    {4006, FINDING_BLOCKS, "CPU model or feature not known",
     "The target does not know the VM's CPU model or one of its features.",
     "A model both know: `virsh domcapabilities`."},
    {4007, FINDING_BLOCKS, "CPU lacks features",
     "The target's CPU lacks features that the VM uses; the sentence lists them.",
     "A model both have: `virsh hypervisor-cpu-baseline`."},
    {4008, FINDING_NOTE, "The host's own CPU",
     "The VM sees its host's own CPU (`host-passthrough`), so the target needs the same.",
     "A named model, if the hosts differ."},
    {4009, FINDING_BLOCKS, "File not to be had",
     "A file the VM starts from or reads (kernel, initial RAM disk, firmware, option ROM, …) is "
     "not on the target, is used by or kept for another VM there, or is where no VM may read.",
     "Copy it to the same path, or have the VM use another."},
    {4010, FINDING_BLOCKS, "Not enough huge pages",
     "The VM uses huge pages, and the target has too few free.", "`vm.nr_hugepages` there."},
    {4011, FINDING_CHANGED, "Security model",
     "The target does not use the security model of a label (SELinux, AppArmor): the label is "
     "dropped, the target's own protection applies.",
     NULL},
    {4012, FINDING_BLOCKS, "Too many virtual CPUs",
     "The VM, or its stored definition, has more virtual CPUs than the target's QEMU allows.",
     NULL},
    {4013, FINDING_NOTE, "CPU not checked",
     "The target's CPU may lack features, which libvirt does not check for this VM "
     "(`check='none'`).",
     NULL},
    {4014, FINDING_CHANGED, "Security label of the VM's choice",
     "The VM, or a device of it, has a security label of its own choice (`type='static'`, a base "
     "label, `relabel='no'`), or protection switched off (`type='none'`): that is dropped, the "
     "target's own protection applies.",
     NULL},
    {0}};
