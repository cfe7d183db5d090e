/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Findings FERRY-5xxx: devices; see catalog.h. */
#include "base/catalog-parts.h"

const catalog_entry catalog_device[] = {
    {5001, FINDING_BLOCKS, "Bound to its host",
     "The VM uses a device, file, socket or port of its host (`hostdev`, a whole network card, "
     "TCP serial ports, sound of the host, a file as source of randomness, …), a shared "
     "directory, firmware it may write to, memory encrypted by the CPU, or QEMU arguments of its "
     "own.",
     "Detach it for the move, or shut the VM down first."},
    {5002, FINDING_BLOCKS, "No directory for a file the VM writes",
     "The directory of a file the VM writes (the log of a serial port, NVRAM, a socket) is not on "
     "the target.",
     "`mkdir -p` there."},
    {5003, FINDING_BLOCKS, "No TPM emulator",
     "The VM has a TPM, and the target has no TPM emulator.", "Install swtpm there."},
    {5004, FINDING_BLOCKS, "No place for a file the VM writes",
     "A file the VM writes would be in a system directory of the target.",
     "A file below `/var/log/libvirt`."},
    {5005, FINDING_BLOCKS, "Stored definition of another machine",
     "The stored definition has another emulator or machine type than the running VM.",
     "Restart the VM, or undo the change with `virsh edit`."},
    {5006, FINDING_BLOCKS, "Not known to be harmless",
     "The live or stored definition has an element, or a path at a place, that Ferry does not "
     "know to be harmless on another host, or one in a namespace (outside `<metadata>`). The "
     "sentence names it.",
     "Take it out with `virsh edit` and restart the VM, or shut the VM down first and move it by "
     "hand."},
    {0}};
