# SPDX-License-Identifier: LGPL-2.1-or-later
"""The way stock tools move a VM without shared storage: what Ferry is compared with."""

import os
import xml.etree.ElementTree as ElementTree


def destination(guest, switches, folder, disk_format=None):
    """The guest's XML with its NICs on other switches and its disks in another folder.

    switches: {old switch: (new Open vSwitch bridge, VLAN or None)}. disk_format: of all disks there, None:
    the one each has. Returns (XML, [(path, format, size)]).
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
        driver = disk.find("driver")
        driver.set("type", disk_format or driver.get("type"))
        disks.append((path, driver.get("type"), int(capacity)))
    return ElementTree.tostring(domain, encoding="unicode"), disks


def stock_prepare(guest, target, switches, folder, disk_format=None):
    """What an administrator does before: the disks at the target, and the XML. Returns its path."""
    xml, disks = destination(guest, switches, folder, disk_format)
    target.run(["mkdir", "-p", folder])
    for path, kind, size in disks:
        target.run(["qemu-img", "create", "-q", "-f", kind, path, str(size)])
    path = f"/run/{guest.name}-destination.xml"
    guest.host.write(path, xml)
    return path


def stock_run(guest, target, xml_path, network="mig0", tls=False, timeout=600):
    """virsh migrate --live --copy-storage-all with the XML of stock_prepare().

    The target must listen: call target.libvirtd_listen_tcp() before. tls: memory and disks go over
    libvirt's own TLS; both hosts need certificates.libvirt_tls() then. guest.host is target
    afterwards; its definition stays at the source.
    """
    guest.host.virsh("migrate", "--live", "--persistent", "--copy-storage-all",
                     *(["--tls"] if tls else []),
                     "--xml", xml_path, "--persistent-xml", xml_path,
                     "--migrateuri", f"tcp://{target.address(network)}",
                     guest.name, f"qemu+tcp://{target.name}/system", timeout=timeout)
    guest.host = target


def stock_migrate(guest, target, switches, folder, network="mig0", timeout=600):
    """Both of the above, over plain TCP."""
    stock_run(guest, target, stock_prepare(guest, target, switches, folder), network,
              timeout=timeout)
