# SPDX-License-Identifier: LGPL-2.1-or-later
"""The move: a running VM, under load, to a host that shares nothing with it."""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from ferrytest import SSD, STORAGE, SWITCHES, FerryCase, vm, wait_until  # noqa: E402

ASAN = True


class Move(FerryCase):
    VM = {"memory_mib": 128, "cmdline": {"writes": 50, "dirty": 4, "wset": 16}}

    def image(self, host, path):
        return json.loads(host.out("qemu-img", "info", "-U", "--output=json", path))

    def test_to_another_switch_vlan_and_path(self):
        guest = self.new_guest()
        self.alpha.virsh("autostart", guest.name)
        disks = {disk.path: disk for disk in guest.vm.disks}
        _, last = self.migrate(guest, *SWITCHES, *STORAGE)
        self.assertEqual(last["phase"], "completed")
        self.assert_runs_at(guest, self.zulu)

        # What was said to have changed is what libvirt and Open vSwitch have.
        self.assertEqual({(n["old_switch"], n["new_switch"], tuple(n["vlans"]))
                          for n in last["changes"]["nics"]},
                         {("vSwitch-VLAN500", "Converged", (500,)),
                          ("vSwitch-VLAN600", "Converged", (600,))})
        ports = self.zulu.out("ovs-vsctl", "list-ports", "Converged").split()
        tags = {self.zulu.out("ovs-vsctl", "get", "port", port, "tag") for port in ports}
        self.assertLessEqual({"500", "600"}, tags)
        for disk in last["changes"]["disks"]:
            old = disks[disk["old_path"]]
            self.assertEqual(os.path.dirname(disk["new_path"]), SSD)
            self.assertEqual(self.image(self.zulu, disk["new_path"])["format"], old.format)
            self.assertEqual(disk["capacity"], old.size_mib << 20)

        # The source keeps no definition, and its disks under names nothing starts from.
        self.assertIsNone(guest.state(self.alpha))
        for path in disks:
            self.assertFalse(self.alpha.exists(path))
        for kept in last["way_back"]["disks"]:
            self.assertTrue(self.alpha.exists(kept))
        # The target has the definition for good, and it is the moved one.
        self.assertEqual(self.zulu.out("virsh", "dominfo", guest.name).count("Persistent:     yes"), 1)
        self.assertRegex(self.zulu.virsh("dominfo", guest.name), r"Autostart:\s+enable")
        stored = self.zulu.virsh("dumpxml", "--inactive", guest.name)
        self.assertIn(f"{SSD}/", stored)
        self.assertIn("bridge='Converged'", stored)
        self.assertNotIn("vSwitch", stored)
        wait_until(lambda: not self.alpha.workers() and not self.zulu.workers(), 30, "workers to end")
        for host in (self.alpha, self.zulu):
            self.assertEqual(host.out("sh", "-c", "ls -d /run/ferry/*-* 2>/dev/null; true"), "")
        # Bytes are counted: what QEMU gave, and what that took on the wire.
        self.assertGreater(last["logical_bytes"], 10 << 20)
        self.assertGreater(last["wire_bytes"], 1 << 20)
        self.assertGreater(last["blackout_ms"], 0)

    def test_formats_are_converted_on_the_way(self):
        guest = self.new_guest()
        _, last = self.migrate(guest, *SWITCHES, *STORAGE, "--format", "vda=raw", "--format",
                               "vdb=qcow2")
        self.assert_runs_at(guest, self.zulu)
        new = {disk["target"]: disk for disk in last["changes"]["disks"]}
        self.assertEqual(self.image(self.zulu, new["vda"]["new_path"])["format"], "raw")
        self.assertEqual(self.image(self.zulu, new["vdb"]["new_path"])["format"], "qcow2")

    def test_three_nics_on_two_switches(self):
        guest = self.new_guest(nics=(vm.Nic("vSwitch-VLAN500", "10.50.0.201/24"),
                                     vm.Nic("vSwitch-VLAN600", "10.60.0.201/24"),
                                     vm.Nic("vSwitch-VLAN500", "10.50.0.202/24")))
        _, last = self.migrate(guest, *SWITCHES, *STORAGE)
        self.assert_runs_at(guest, self.zulu)
        self.assertEqual([(n["new_switch"], n["vlans"]) for n in last["changes"]["nics"]],
                         [("Converged", [500]), ("Converged", [600]), ("Converged", [500])])
        # All three answer, each on its own VLAN.
        for address in ("10.50.0.201", "10.60.0.201", "10.50.0.202"):
            wait_until(lambda a=address: self.client.run(["ping", "-c1", "-W1", a],
                                                         check=False).returncode == 0,
                       30, f"{address} to answer")

    def test_into_a_pool(self):
        self.zulu.define_pool("fast", f"{SSD}/fast")
        self.addCleanup(lambda: (self.zulu.virsh("pool-destroy", "fast"),
                                 self.zulu.virsh("pool-undefine", "fast")))
        guest = self.new_guest()
        _, last = self.migrate(guest, *SWITCHES, "--storage", "/var/lib/libvirt/images=pool:fast")
        self.assert_runs_at(guest, self.zulu)
        for disk in last["changes"]["disks"]:
            self.assertEqual(disk["pool"], "fast")
            self.assertIn(os.path.basename(disk["new_path"]), self.zulu.virsh("vol-list", "fast"))

    def test_way_back_of_zero_hours_deletes_once_the_guest_is_seen_running(self):
        guest = self.new_guest()
        _, last = self.migrate(guest, *SWITCHES, *STORAGE, "--way-back", "0")
        self.assert_runs_at(guest, self.zulu)
        self.assertEqual(self.alpha.out("ls", "/var/lib/libvirt/images"), "")
        self.assertEqual(last["way_back"]["disks"], [])

    def test_the_targets_own_maps_serve_when_nothing_is_asked(self):
        self.zulu.stop_ferryd()
        from ferrytest import conf
        self.zulu.start_ferryd(conf_text=conf(
            switch_map={"vSwitch-VLAN500": "Converged:500", "vSwitch-VLAN600": "Converged:600"},
            storage_map={"/var/lib/libvirt/images": SSD}))
        self.addCleanup(lambda: (self.zulu.stop_ferryd(), self.zulu.start_ferryd(conf_text=conf())))
        guest = self.new_guest()
        self.migrate(guest)
        self.assert_runs_at(guest, self.zulu)


if __name__ == "__main__":
    unittest.main()
