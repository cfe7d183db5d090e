#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The same programs on a host with libvirtd and on one with libvirt's modular daemons, both ways."""

import os
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from ferrytest import SSD, FerryCase, vm  # noqa: E402
from ferrylab import modular_missing  # noqa: E402

ASAN = True

NETWORK = """\
<network>
  <name>lan</name>
  <forward mode='bridge'/>
  <bridge name='Converged'/>
  <virtualport type='openvswitch'/>
</network>
"""
STORAGE = ("--storage", "/var/lib/libvirt/images=pool:fast")


@unittest.skipIf(modular_missing(), modular_missing())
class Modular(FerryCase):
    FLAVOURS = {"zulu": "modular"}
    VM = {"memory_mib": 128, "cmdline": {"writes": 50, "dirty": 4, "wset": 16}}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # virtproxyd has libvirtd's socket on zulu. Who asks there instead of virtqemud now waits in vain.
        for pid, argv in cls.zulu.processes().items():
            if os.path.basename(argv[0]) == "virtproxyd":
                cls.zulu.kill(pid, signal.SIGSTOP)

    def clean(self):
        super().clean()
        for host in (self.alpha, self.zulu):
            for kind in ("pool", "net"):
                name = {"pool": "fast", "net": "lan"}[kind]
                host.virsh_result(f"{kind}-destroy", name)
                host.virsh_result(f"{kind}-undefine", name)

    def assert_landed(self, guest, host, last):
        """It runs at host, defined for good, with its disks as volumes that the pool knows."""
        self.assertEqual(last["phase"], "completed")
        self.assert_runs_at(guest, host)
        self.assertRegex(host.virsh("dominfo", guest.name), "Persistent: *yes")
        volumes = host.virsh("vol-list", "fast")
        self.assertEqual(len(last["changes"]["disks"]), len(guest.vm.disks))
        for disk in last["changes"]["disks"]:
            self.assertEqual(disk["pool"], "fast")
            self.assertIn(os.path.basename(disk["new_path"]), volumes)

    def test_from_libvirtd_to_virtqemud(self):
        """One NIC lands on a network of virtnetworkd's, the other on a bridge; the disks in a pool of
        virtstoraged's."""
        self.zulu.define_pool("fast", f"{SSD}/fast")
        self.zulu.write("/run/lan.xml", NETWORK)
        self.zulu.virsh("net-define", "/run/lan.xml")
        self.zulu.virsh("net-start", "lan")
        guest = self.new_guest()
        _, last = self.migrate(guest, "--switch", "vSwitch-VLAN500=network:lan:500",
                               "--switch", "vSwitch-VLAN600=Converged:600", *STORAGE)
        self.assert_landed(guest, self.zulu, last)
        self.assertEqual([(nic["new_switch"], nic["vlans"]) for nic in last["changes"]["nics"]],
                         [("lan", [500]), ("Converged", [600])])
        stored = self.zulu.virsh("dumpxml", "--inactive", guest.name)
        self.assertIn("<source network='lan'/>", stored)
        self.assertIn("<source bridge='Converged'/>", stored)
        self.assertIsNone(guest.state(self.alpha))

    def test_from_virtqemud_to_libvirtd(self):
        self.alpha.define_pool("fast", f"{SSD}/fast")
        nics = (vm.Nic("br-plain", "10.50.0.211/24", openvswitch=False),)
        guest = self.new_guest(host="zulu", nics=nics)
        _, last = self.migrate(guest, "--switch", "br-plain=vSwitch-VLAN500", *STORAGE,
                               host=self.zulu, target="alpha")
        self.assert_landed(guest, self.alpha, last)
        stored = self.alpha.virsh("dumpxml", "--inactive", guest.name)
        self.assertIn("<source bridge='vSwitch-VLAN500'/>", stored)
        self.assertIsNone(guest.state(self.zulu))


if __name__ == "__main__":
    unittest.main()
