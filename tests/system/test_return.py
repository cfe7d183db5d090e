# SPDX-License-Identifier: LGPL-2.1-or-later
"""The way back: a VM returns to where it came from, as it was there; and the way back's end."""

import contextlib
import json
import os
import re
import sqlite3
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from ferrytest import SSD, STORAGE, SWITCHES, FerryCase, wait_until  # noqa: E402

ASAN = True

IMAGES = "/var/lib/libvirt/images"
JOURNAL = "/var/lib/ferry/journal.db"


class Return(FerryCase):
    VM = {"memory_mib": 128, "cmdline": {"writes": 50}}
    # Slower than the disks, as networks are: what is there already is found before it would be sent.
    NETWORK = ("--bandwidth", "15MiB/s")
    CONTENT_MIB = 96  # beyond the ring of records on vdb: nothing compresses it, and the guest leaves it alone

    def filled_guest(self, **changes):
        guest = self.new_guest(start=False, **changes)
        path = guest.vm.disks[1].path
        self.alpha.run(["sh", "-c", f"head -c {self.CONTENT_MIB}M /dev/urandom | dd of={path} bs=1M "
                                    "seek=128 conv=notrunc status=none"])
        return guest

    def run_guest(self, guest):
        guest.start()
        self.witness.watch(guest)
        wait_until(lambda: self.records_or_none(guest), 180, f"{guest.name} to be heard")

    def bring(self, guest, *options, host=None, check=True):
        """`ferry return`, watched to its end: (CompletedProcess, last status or None)."""
        host = host or self.zulu
        result = host.ferry("--json", "return", guest.name, *options, check=False)
        last = None
        for line in result.stdout.splitlines():
            last = json.loads(line)
        if check:
            self.assertEqual(result.returncode, 0, self.story(result))
        return result, last

    def kept(self, host):
        """What Ferry keeps on a host: files."""
        return sorted(host.out("sh", "-c", f"find {IMAGES} {SSD} -name '*.ferry-*'").split())

    def stored(self, host, guest):
        """The stored definition, but for what libvirt numbers anew."""
        text = host.virsh("dumpxml", "--inactive", "--security-info", guest.name)
        return re.sub(r" (index|portid|interfaceid)='[^']*'", "", text)

    def tags(self, host, bridge, guest):
        """VLAN tag by MAC address of the guest's ports on an Open vSwitch bridge."""
        found = {}
        for line in host.virsh("domiflist", guest.name).splitlines()[2:]:
            if line.split():
                port, _, source, _, mac = line.split()
                self.assertEqual(source, bridge[mac])
                self.assertEqual(host.out("ovs-vsctl", "iface-to-br", port), bridge[mac])
                found[mac] = host.out("ovs-vsctl", "get", "port", port, "tag")
        return found

    def refused(self, result, code, *words):
        self.assertEqual(result.returncode, 1, self.story(result))
        error = json.loads(result.stdout.splitlines()[-1])["error"]
        self.assertEqual(error["code"], code, error)
        for word in words:
            self.assertIn(word, error["text"])

    def assert_way_back(self, host, guest, is_open, move=None):
        code, move = host.api("GET", f"/v1/migrations/{move or guest.name}")
        self.assertEqual(code, 200, move)
        self.assertIs(move["way_back"]["open"], is_open, move["way_back"])
        return move["way_back"]

    def assert_little_crossed(self, there, back):
        """Most of the disks was there already: of the random data at least three quarters."""
        self.assertGreater(there["wire_bytes"], self.CONTENT_MIB << 20)
        self.assertGreater(back["found_bytes"], self.CONTENT_MIB * 3 // 4 << 20)
        self.assertLess(back["wire_bytes"], there["wire_bytes"] - (self.CONTENT_MIB // 2 << 20))

    def test_as_if_it_had_never_left(self):
        guest = self.filled_guest()
        self.alpha.virsh("autostart", guest.name)
        self.run_guest(guest)
        before = self.stored(self.alpha, guest)
        modes = ("640", "644")
        for disk, mode in zip(guest.vm.disks, modes):
            self.alpha.run(["chmod", mode, disk.path])
        bridges = {guest.vm.mac(0): "vSwitch-VLAN500", guest.vm.mac(1): "vSwitch-VLAN600"}
        tags = self.tags(self.alpha, bridges, guest)
        _, there = self.migrate(guest, *SWITCHES, *STORAGE, "--format", "vda=raw", "--way-back", "2")
        self.assert_runs_at(guest, self.zulu)

        # Both hosts say that the way back is open, and until when.
        here, at_target = (self.assert_way_back(host, guest, True) for host in (self.alpha, self.zulu))
        self.assertLess(abs(here["until"] - at_target["until"]), 120)
        self.assertIn("way back until", self.zulu.ferry("list").stdout)
        self.assertIn(f"ferry return {guest.name}", self.zulu.ferry("status", guest.name).stdout)

        _, back = self.bring(guest, *self.NETWORK)
        self.assert_runs_at(guest, self.alpha)
        self.assertEqual(self.stored(self.alpha, guest), before)
        self.assertRegex(self.alpha.virsh("dominfo", guest.name), r"Autostart:\s+enable")
        self.assertEqual(self.tags(self.alpha, bridges, guest), tags)
        for disk, mode in zip(guest.vm.disks, modes):
            self.assertEqual(self.alpha.out("stat", "-c", "%a", disk.path), mode)
            info = json.loads(self.alpha.out("qemu-img", "info", "-U", "--output=json", disk.path))
            self.assertEqual((info["format"], info["virtual-size"]), (disk.format, disk.size_mib << 20))

        # What was kept here has served, and is gone; now zulu keeps the VM's disks, and alpha knows.
        wait_until(lambda: self.kept(self.alpha) == [], 30, "alpha to keep nothing")
        self.assertEqual(self.kept(self.zulu), sorted(back["way_back"]["disks"]))
        self.assertEqual(len(back["way_back"]["disks"]), 2)
        self.assertIsNone(guest.state(self.zulu))
        self.assert_way_back(self.alpha, guest, True)
        self.assertIs(self.zulu.api("GET", f"/v1/migrations/{there['id']}")[1]["way_back"]["open"], False)
        self.assert_little_crossed(there, back)
        # It is not at zulu any more, whoever asks there.
        self.refused(self.bring(guest, check=False)[0], "conflict", "has moved to alpha")

    def test_to_a_volume_of_a_pool(self):
        self.alpha.define_pool("old", f"{IMAGES}/old")
        self.addCleanup(lambda: (self.alpha.virsh("pool-destroy", "old"),
                                 self.alpha.virsh("pool-undefine", "old")))
        guest = self.filled_guest()
        disk = guest.vm.disks[1]
        name = os.path.basename(disk.path)
        self.alpha.run(["mv", disk.path, f"{IMAGES}/old/{name}"])
        self.alpha.virsh("pool-refresh", "old")
        xml = self.alpha.virsh("dumpxml", "--inactive", guest.name)
        xml, count = re.subn(r"<disk type='file'([^>]*>\s*<driver[^>]*>\s*)<source file='%s'/>" % disk.path,
                             rf"<disk type='volume'\1<source pool='old' volume='{name}'/>", xml)
        self.assertEqual(count, 1, xml)
        self.alpha.write("/run/volume.xml", xml)
        self.alpha.virsh("define", "/run/volume.xml")
        self.run_guest(guest)
        _, there = self.migrate(guest, *SWITCHES, *STORAGE, "--storage", f"vdb={SSD}")
        self.assert_runs_at(guest, self.zulu)
        _, back = self.bring(guest, *self.NETWORK)
        self.assert_runs_at(guest, self.alpha)
        disks = {disk["target"]: disk for disk in back["changes"]["disks"]}
        self.assertEqual((disks["vdb"]["pool"], disks["vdb"]["new_path"]),
                         ("old", f"{IMAGES}/old/{name}"))
        self.assertEqual(disks["vda"]["new_path"], guest.vm.disks[0].path)
        self.assert_little_crossed(there, back)
        self.assertIn(name, self.alpha.virsh("vol-list", "old"))
        wait_until(lambda: self.kept(self.alpha) == [], 30, "alpha to keep nothing")

    def test_when_it_is_not_possible(self):
        stranger = self.new_guest("web02", host="zulu", start=False, nics=())
        self.refused(self.bring(stranger, check=False)[0], "no-way-back", "has not moved")
        guest = self.new_guest()
        _, there = self.migrate(guest, *SWITCHES, *STORAGE)
        self.assert_runs_at(guest, self.zulu)
        self.refused(self.bring(guest, host=self.alpha, check=False)[0], "conflict", "moved to zulu")

        self.zulu.virsh("suspend", guest.name)
        result, last = self.bring(guest, check=False)
        self.assertEqual((last["phase"], last["error"]["code"]), ("failed", "not-running"), result)
        self.zulu.virsh("resume", guest.name)

        # Its place has been taken: the comparison says so, and the way back stays.
        taken = guest.vm.disks[0].path
        self.alpha.run(["touch", taken])
        result, last = self.bring(guest, check=False)
        self.assertEqual(result.returncode, 3)
        self.assertIn("FERRY-3001", [finding["code"] for finding in last["findings"]])
        self.alpha.run(["rm", taken])
        self.assertEqual(len(self.kept(self.alpha)), 2)
        self.assert_way_back(self.zulu, guest, True, there["id"])

        self.alpha.stop_ferryd()
        self.refused(self.bring(guest, check=False)[0], "unreachable")
        self.alpha.start_ferryd()
        self.assert_runs_at(guest, self.zulu)

    def commit(self, host, guest):
        return json.loads(host.ferry("--json", "commit", "--yes", guest.name).stdout)

    def test_committed_where_the_vm_is(self):
        guest = self.new_guest()
        self.migrate(guest, *SWITCHES, *STORAGE)
        self.assert_runs_at(guest, self.zulu)
        files = self.kept(self.alpha)
        unasked = self.zulu.ferry("commit", guest.name, check=False, input="")
        self.assertEqual(unasked.returncode, 2, unasked)
        self.assertEqual(self.kept(self.alpha), files)
        done = self.commit(self.zulu, guest)
        self.assertEqual((done["host"], sorted(done["disks"])), ("alpha", files))
        self.assertGreater(done["freed"], 0)
        self.assertEqual(self.kept(self.alpha), [])
        for host in (self.alpha, self.zulu):
            self.assert_way_back(host, guest, False)
        self.assertEqual(self.commit(self.zulu, guest)["disks"], [])
        self.refused(self.bring(guest, check=False)[0], "no-way-back", f"ferry migrate {guest.name} alpha")
        self.assert_runs_at(guest, self.zulu)

    def test_committed_where_the_disks_are(self):
        guest = self.new_guest()
        self.migrate(guest, *SWITCHES, *STORAGE)
        self.assert_runs_at(guest, self.zulu)
        done = self.commit(self.alpha, guest)
        self.assertEqual((done["host"], len(done["disks"])), ("alpha", 2))
        self.assertEqual(self.kept(self.alpha), [])
        for host in (self.alpha, self.zulu):
            self.assert_way_back(host, guest, False)
        self.assertEqual(self.commit(self.alpha, guest)["disks"], [])
        self.assert_runs_at(guest, self.zulu)

    def sql(self, host, statement, *values):
        """On the journal of a host. A time cannot be waited for in a test: it is set."""
        def change():
            with contextlib.closing(sqlite3.connect(JOURNAL, timeout=30)) as book, book:
                book.execute(statement, values)
        host.call(change)

    def test_nothing_is_deleted_while_it_returns(self):
        guest = self.filled_guest()
        self.run_guest(guest)
        self.migrate(guest, *SWITCHES, *STORAGE)
        self.assert_runs_at(guest, self.zulu)
        files = self.kept(self.alpha)
        code, move = self.zulu.api("POST", "/v1/returns", {"vm": guest.name, "bandwidth": 125000})
        self.assertEqual(code, 201, move)
        self.wait_phase(move["id"], "mirroring", "synchronizing", host=self.zulu)
        # Its time is over, and that of something else: only the other thing goes, and also after a restart.
        self.alpha.stop_ferryd()
        self.sql(self.alpha, "UPDATE kept SET until = 1")
        other = f"{IMAGES}/other.ferry-landed"
        self.alpha.run(["touch", other])
        self.sql(self.alpha, "INSERT INTO kept VALUES(?, ?, 'landed', 'x', 'x', 1)", other, other)
        self.alpha.start_ferryd()
        wait_until(lambda: not self.alpha.exists(other), 60, "what has expired to be deleted")
        self.assertEqual(self.kept(self.alpha), files)
        # Nor by anybody's wish, on either host.
        for host, text in ((self.alpha, "coming back"), (self.zulu, "moving already")):
            self.refused(host.ferry("--json", "commit", "--yes", guest.name, check=False), "conflict", text)
        self.assertEqual(self.kept(self.alpha), files)
        # It does not come back: what has expired goes now.
        self.zulu.api("POST", f"/v1/migrations/{move['id']}/cancel", {})
        self.assertEqual(self.wait_final(move["id"], self.zulu)["phase"], "cancelled")
        wait_until(lambda: not set(files) & set(self.kept(self.alpha)), 60, "the old disks to go")
        self.assert_runs_at(guest, self.zulu)

    def test_after_one_that_failed(self):
        """A return that fails, with the worker at home killed, leaves the way back as it was."""
        guest = self.new_guest()
        self.migrate(guest, *SWITCHES, *STORAGE)
        self.assert_runs_at(guest, self.zulu)
        files = self.kept(self.alpha)
        code, move = self.zulu.api("POST", "/v1/returns", {"vm": guest.name, "bandwidth": 125000})
        self.assertEqual(code, 201, move)
        self.wait_phase(move["id"], "mirroring", "synchronizing", host=self.zulu)
        for pid in self.alpha.workers():
            self.alpha.kill(pid)
        self.assertEqual(self.wait_final(move["id"], self.zulu)["phase"], "failed")
        wait_until(lambda: not self.alpha.workers(), 60, "the landing to be tidied")
        self.assert_runs_at(guest, self.zulu)
        self.assertLessEqual(set(files), set(self.kept(self.alpha)))
        self.bring(guest)
        self.assert_runs_at(guest, self.alpha)


if __name__ == "__main__":
    unittest.main()
