# SPDX-License-Identifier: LGPL-2.1-or-later
"""VMs of a lab: what they consist of, their domain XML, and a handle to one on its host."""

import dataclasses
import os
import shutil
from xml.sax.saxutils import escape, quoteattr

from .kvm import accel
from .paths import SOURCE, guest_file
from .wait import wait_until

BOOT = "/var/lib/libvirt/boot"
IMAGES = "/var/lib/libvirt/images"
EMULATORS = {"kvm": "/usr/bin/qemu-system-x86_64", "qemu": os.path.join(SOURCE, "lab/qemu-tcg")}


@dataclasses.dataclass(frozen=True)
class Nic:
    """switch: name of an Open vSwitch bridge, or of a plain one with openvswitch=False.

    address: "10.50.0.5/24" for the guest to take, or None. mac: by default made of the VM's number.
    """
    switch: str
    address: str | None = None
    vlan: int | None = None
    mac: str | None = None
    openvswitch: bool = True


@dataclasses.dataclass(frozen=True)
class Disk:
    """A disk in a file. size_mib: its capacity; the file is made unless it exists.

    cache: libvirt's cache mode; "none" needs a state folder on a file system with O_DIRECT.
    """
    path: str
    format: str = "qcow2"
    size_mib: int = 256
    cache: str = "none"


def images(name, folder=IMAGES, size_mib=256):
    """The usual pair of disks: one qcow2, one raw."""
    return (Disk(f"{folder}/{name}.qcow2", "qcow2", size_mib),
            Disk(f"{folder}/{name}-data.raw", "raw", size_mib))


@dataclasses.dataclass(frozen=True)
class Vm:
    """A VM that runs the lab guest.

    number: unique in its lab, 5–250; gives MAC and, with nics=None, addresses on alpha's two
    switches. cmdline: parameters of the lab guest (lab/guest/README.md), {"writes": 100}; a value
    of True is a bare word. machine: QEMU machine type. cpu: the <cpu> element, or None for what works everywhere.
    """
    name: str = "web01"
    number: int = 5
    nics: tuple[Nic, ...] | None = None
    disks: tuple[Disk, ...] | None = None
    memory_mib: int = 256
    vcpus: int = 1
    cmdline: dict = dataclasses.field(default_factory=dict)
    machine: str = "q35"
    cpu: str | None = None
    uuid: str | None = None

    def __post_init__(self):
        if self.nics is None:
            object.__setattr__(self, "nics", (
                Nic("vSwitch-VLAN500", f"10.50.0.{self.number}/24"),
                Nic("vSwitch-VLAN600", f"10.60.0.{self.number}/24")))
        if self.disks is None:
            object.__setattr__(self, "disks", images(self.name))

    @property
    def serial(self):
        """Where the serial console goes, on the host."""
        return f"/var/log/libvirt/qemu/{self.name}-serial.log"

    def mac(self, index):
        return self.nics[index].mac or f"52:54:00:fe:{self.number:02x}:{index:02x}"

    def kernel_words(self):
        words = ["console=ttyS0", "quiet", f"vm={self.name}"]
        words += [f"ip{index}={nic.address}" for index, nic in enumerate(self.nics) if nic.address]
        words += [key if value is True else f"{key}={value}" for key, value in self.cmdline.items()]
        return " ".join(words)

    def xml(self):
        """The domain XML, for a host of this machine."""
        kind = accel()
        cpu = self.cpu or ("<cpu mode='host-model'/>" if kind == "kvm"
                           else "<cpu mode='custom'><model>qemu64</model></cpu>")
        identity = f"<uuid>{self.uuid}</uuid>" if self.uuid else ""
        disks = "".join(_disk_xml(disk, index) for index, disk in enumerate(self.disks))
        nics = "".join(_nic_xml(nic, self.mac(index)) for index, nic in enumerate(self.nics))
        return f"""\
<domain type='{kind}'>
  <name>{escape(self.name)}</name>{identity}
  <memory unit='MiB'>{self.memory_mib}</memory>
  <vcpu>{self.vcpus}</vcpu>
  <os>
    <type arch='x86_64' machine='{self.machine}'>hvm</type>
    <kernel>{BOOT}/vmlinuz</kernel>
    <initrd>{BOOT}/initrd.gz</initrd>
    <cmdline>{escape(self.kernel_words())}</cmdline>
  </os>
  <features><acpi/></features>
  {cpu}
  <devices>
    <emulator>{EMULATORS[kind]}</emulator>{disks}{nics}
    <serial type='file'><source path={quoteattr(self.serial)}/></serial>
    <memballoon model='none'/>
  </devices>
</domain>
"""


def _disk_xml(disk, index):
    return f"""
    <disk type='file' device='disk'>
      <driver name='qemu' type='{disk.format}' cache='{disk.cache}' discard='unmap'/>
      <source file={quoteattr(disk.path)}/>
      <target dev='vd{chr(ord("a") + index)}' bus='virtio'/>
    </disk>"""


def _nic_xml(nic, mac):
    port = "<virtualport type='openvswitch'/>" if nic.openvswitch else ""
    vlan = f"<vlan><tag id='{nic.vlan}'/></vlan>" if nic.vlan else ""
    # A userspace datapath reads frames as they are: the guest has to finish its checksums itself.
    return f"""
    <interface type='bridge'>
      <mac address='{mac}'/>
      <source bridge={quoteattr(nic.switch)}/>{port}{vlan}
      <model type='virtio'/>
      <driver><host csum='off' gso='off' tso4='off' tso6='off' ecn='off' ufo='off'/></driver>
    </interface>"""


def prepare_host(host):
    """Put the lab guest's kernel and initial RAM disk where domain XML expects them."""
    for name in ("vmlinuz", "initrd.gz"):
        target = os.path.join(host.folder, "var/lib/libvirt/boot", name)
        fresh = f"{target}.new"
        shutil.copy(guest_file(name), fresh)
        os.rename(fresh, target)


class Guest:
    """A VM defined on a host. host: the lab host it is on, as far as we know; set it after a move.
    """

    def __init__(self, host, vm):
        self.host, self.vm, self.name = host, vm, vm.name

    def start(self):
        self.host.virsh("start", self.name)
        return self

    def stop(self):
        """Pull its plug and remove its definition; its disks stay."""
        self.host.virsh("destroy", self.name, check=False)
        self.host.virsh("undefine", self.name, check=False)

    def state(self, host=None):
        """libvirt's word for its state on host (default: self.host), None if not known there."""
        result = (host or self.host).virsh_result("domstate", self.name)
        return result.stdout.strip() if result.returncode == 0 else None

    def live_xml(self, host=None):
        return (host or self.host).virsh("dumpxml", self.name)

    def serial(self, host=None):
        """What its serial console has said so far on host."""
        host = host or self.host
        return host.read(self.vm.serial) if host.exists(self.vm.serial) else ""

    def wait_serial(self, text, timeout=120, host=None):
        """Wait until its serial console has said text; the error tells what it said instead."""
        try:
            wait_until(lambda: text in self.serial(host), timeout,
                       f"{self.name} to say “{text}” on its console")
        except Exception as error:
            said = self.serial(host)[-2000:]
            raise type(error)(f"{error}; it said: {said or 'nothing'}") from None
        return self

    def wait_up(self, timeout=180):
        """Wait until the lab guest in it says that it is up."""
        return self.wait_serial(f"guest: {self.name} is up", timeout)


def create(host, vm):
    """Make what is missing of a VM's disks on host and define it there; returns a Guest."""
    for disk in vm.disks:
        if not host.exists(disk.path):
            host.run(["mkdir", "-p", os.path.dirname(disk.path)])
            host.run(["qemu-img", "create", "-q", "-f", disk.format, disk.path,
                      f"{disk.size_mib}M"])
    path = f"/run/{vm.name}.xml"
    host.write(path, vm.xml())
    host.virsh("define", path)
    return Guest(host, vm)
