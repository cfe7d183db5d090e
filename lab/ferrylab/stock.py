# SPDX-License-Identifier: LGPL-2.1-or-later
"""The way stock tools move a VM without shared storage: what Ferry is compared with."""

import os
import xml.etree.ElementTree as ElementTree


def destination(guest, switches, folder):
    """The guest's XML with its NICs on other switches and its disks in another folder.

    switches: {old switch: (new Open vSwitch bridge, VLAN or None)}. Returns (XML, [(path, format,
    size)]).
    """
    domain = ElementTree.fromstring(guest.host.virsh("dumpxml", "--migratable", guest.name))
    for interface in domain.iter("interface"):
        source = interface.find("source")
        new, vlan = switches[source.get("bridge")]
        source.set("bridge", new)
        for old in interface.findall("vlan"):
            interface.remove(old)
        if vlan:
            tag = ElementTree.SubElement(interface, "vlan")
            ElementTree.SubElement(tag, "tag", id=str(vlan))
    disks = []
    for disk in domain.findall("./devices/disk"):
        source, target = disk.find("source"), disk.find("target").get("dev")
        block = guest.host.virsh("domblkinfo", guest.name, target)
        capacity = next(line.split()[1] for line in block.splitlines() if "Capacity" in line)
        path = os.path.join(folder, os.path.basename(source.get("file")))
        source.set("file", path)
        disks.append((path, disk.find("driver").get("type"), int(capacity)))
    return ElementTree.tostring(domain, encoding="unicode"), disks


def stock_migrate(guest, target, switches, folder, network="mig0", timeout=600):
    """virsh migrate --live --copy-storage-all over plain TCP.

    The target must listen: call target.libvirtd_listen_tcp() before. Makes the disks at the target
    as an administrator would. guest.host is target afterwards; its definition stays at the source.
    """
    xml, disks = destination(guest, switches, folder)
    target.run(["mkdir", "-p", folder])
    for path, kind, size in disks:
        target.run(["qemu-img", "create", "-q", "-f", kind, path, str(size)])
    path = f"/run/{guest.name}-destination.xml"
    guest.host.write(path, xml)
    guest.host.virsh("migrate", "--live", "--persistent", "--copy-storage-all",
                     "--xml", path, "--persistent-xml", path,
                     "--migrateuri", f"tcp://{target.address(network)}",
                     guest.name, f"qemu+tcp://{target.name}/system", timeout=timeout)
    guest.host = target
