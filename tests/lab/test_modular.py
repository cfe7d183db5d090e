#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A lab host with libvirt's modular daemons, beside one with libvirtd."""

import os
import sys
import unittest

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(SOURCE, "lab"))

from ferrylab import Guest, Lab, Nic, Vm, modular_missing, stock_migrate, wait_until  # noqa: E402

NETWORK = """\
<network>
  <name>lan</name>
  <forward mode='bridge'/>
  <bridge name='Converged'/>
  <virtualport type='openvswitch'/>
  <portgroup name='VLAN500'><vlan><tag id='500'/></vlan></portgroup>
</network>
"""


@unittest.skipIf(modular_missing(), modular_missing())
class ModularLibvirt(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(f"test-modular-{os.getpid()}", tie_to_parent=True,
                      flavours={"zulu": "modular"}).up()
        cls.addClassCleanup(cls.lab.down)
        cls.alpha, cls.zulu = cls.lab.alpha, cls.lab.zulu

    def daemons(self, host):
        names = {os.path.basename(argv[0]) for argv in host.processes().values()}
        return {name for name in names if name.startswith(("virt", "libvirt"))}

    def answers(self, address):
        ping = self.lab.client.run(["ping", "-c", "1", "-W", "1", address], check=False)
        return ping.returncode == 0

    def test_each_host_runs_its_flavour(self):
        self.assertEqual(self.daemons(self.alpha), {"libvirtd", "virtlogd"})
        self.assertEqual(self.daemons(self.zulu), {"virtqemud", "virtstoraged", "virtnetworkd",
                                                   "virtproxyd", "virtlogd"})
        # libvirt's clients find virtqemud by themselves, and old ones still find a libvirt.
        for socket in ("virtqemud-sock", "libvirt-sock"):
            uri = f"qemu+unix:///system?socket=/run/libvirt/{socket}"
            self.assertIn("<host>", self.zulu.out("virsh", "-c", uri, "capabilities"))

    def test_a_vm_takes_disk_and_network_from_the_daemons_that_have_them(self):
        zulu = self.zulu
        zulu.define_pool("fast", "/srv/fast")
        self.addCleanup(lambda: (zulu.virsh("pool-destroy", "fast"),
                                 zulu.virsh("pool-undefine", "fast")))
        zulu.write("/run/lan.xml", NETWORK)
        zulu.virsh("net-define", "/run/lan.xml")
        zulu.virsh("net-start", "lan")
        self.addCleanup(lambda: (zulu.virsh("net-destroy", "lan"),
                                 zulu.virsh("net-undefine", "lan")))
        zulu.virsh("vol-create-as", "fast", "disk", "64M", "--format", "qcow2")

        vm = Vm("parts", number=21, nics=(Nic("Converged", "10.50.0.21/24"),), disks=())
        guest = self.lab.create_vm("zulu", vm)
        self.addCleanup(guest.stop)
        xml = zulu.virsh("dumpxml", "--inactive", "parts")
        xml = xml.replace("<interface type='bridge'>", "<interface type='network'>")
        xml = xml.replace("<source bridge='Converged'/>",
                          "<source network='lan' portgroup='VLAN500'/>")
        xml = xml.replace("<virtualport type='openvswitch'/>", "")
        xml = xml.replace("</interface>", "</interface><disk type='volume' device='disk'>"
                          "<driver name='qemu' type='qcow2'/>"
                          "<source pool='fast' volume='disk'/><target dev='vda'/></disk>")
        zulu.virsh("undefine", "parts")
        zulu.write("/run/parts.xml", xml)
        zulu.virsh("define", "/run/parts.xml")
        guest.start().wait_up()
        qemu = [argv for argv in zulu.processes().values() if "guest=parts,debug-threads=on" in argv]
        self.assertIn('"/srv/fast/disk"', " ".join(qemu[0]))
        wait_until(lambda: self.answers("10.50.0.21"), 60, "the guest to answer on VLAN 500")

        # virtqemud finds it again after an upgrade of libvirt.
        zulu.stop_libvirt()
        self.assertEqual(self.daemons(zulu), set())
        zulu.start_libvirt()
        self.assertEqual(guest.state(), "running")
        self.assertTrue(self.answers("10.50.0.21"))

    def test_stock_tools_move_a_guest_there_and_back(self):
        nics = (Nic("vSwitch-VLAN500", "10.50.0.22/24"),)
        guest = self.lab.create_vm("alpha", Vm("roundtrip", number=22, nics=nics)).start()
        self.addCleanup(lambda: [Guest(host, guest.vm).stop() for host in (self.alpha, self.zulu)])
        guest.wait_up()
        for host in (self.alpha, self.zulu):
            host.libvirtd_listen_tcp()

        stock_migrate(guest, self.zulu, {"vSwitch-VLAN500": ("Converged", 500)}, "/srv/ssd")
        self.assertEqual(guest.state(self.zulu), "running")
        self.assertEqual(guest.state(self.alpha), "shut off")
        wait_until(lambda: self.answers("10.50.0.22"), 60, "the guest to answer from zulu")

        self.alpha.virsh("undefine", guest.name)
        stock_migrate(guest, self.alpha, {"Converged": ("vSwitch-VLAN500", None)}, "/srv/back")
        self.assertEqual(guest.state(self.alpha), "running")
        self.assertEqual(guest.state(self.zulu), "shut off")
        wait_until(lambda: self.answers("10.50.0.22"), 60, "the guest to answer from alpha")


if __name__ == "__main__":
    unittest.main()
