# SPDX-License-Identifier: LGPL-2.1-or-later
"""What has landed is what was sent: disks of every kind, read back or not, and a target that runs full."""

import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from ferrytest import SWITCHES, STORAGE, FerryCase, vm, wait_until  # noqa: E402

IMAGES = "/var/lib/libvirt/images"
MIB = 160
MEDIUM, ON_MEDIUM = "/srv/medium.img", "/srv/medium"
RECORDS = 10 << 20  # the guest's, at the beginning of each disk
# Data, zeroes that are written, and holes, none of them in whole blocks.
PATTERN = ("write -P 0 10M 7M", "write -P 0xa5 33M 100k", "write -z 34M 3M", "discard 36M 1M")


class Landed(FerryCase):
    VM = {"memory_mib": 128, "cmdline": {"writes": 20}}

    def guest_with(self, **formats):
        """A guest with disks that it leaves alone but for RECORDS, {"one": "qcow2"}: returns it and their paths."""
        extra = [vm.Disk(f"{IMAGES}/{name}.{form}", form, MIB) for name, form in formats.items()]
        guest = self.new_guest(disks=(*vm.images("web01"), *extra), start=False)
        self.alpha.run(["sh", "-c", f"head -c 41943333 /dev/urandom > {IMAGES}/noise"])
        for disk in extra:
            self.alpha.run(["qemu-io", "-f", disk.format, "-c", f"write -s {IMAGES}/noise 50M 41943552",
                            *[word for line in PATTERN for word in ("-c", line)], disk.path])
        guest.start()
        self.witness.watch(guest)
        wait_until(lambda: self.records_or_none(guest), 180, "the guest to be heard")
        return guest, [disk.path for disk in extra]

    def assert_same(self, last, paths):
        """Every byte of these disks is at the target what it is in the source's kept disk."""
        kept = {os.path.basename(path).rsplit(".ferry-", 1)[0]: path
                for path in last["way_back"]["disks"]}
        for disk in last["changes"]["disks"]:
            if disk["old_path"] in paths:
                old = kept[os.path.basename(disk["old_path"])]
                self.assertEqual(self.content(self.alpha, old, disk["old_format"]),
                                 self.content(self.zulu, disk["new_path"], disk["new_format"]), disk)

    def content(self, host, path, form):
        """The digest of what a guest would read, behind the records that it writes to every disk."""
        host.run(["qemu-img", "convert", "-U", "-f", form, "-O", "raw", path, "/run/content"])
        self.addCleanup(host.run, ["rm", "-f", "/run/content"])
        return host.out("sh", "-c", f"tail -c +{RECORDS + 1} /run/content | sha256sum")

    def allocated(self, host, path):
        return int(host.out("stat", "-c", "%b", path)) * 512

    def test_every_byte_of_every_kind(self):
        guest, paths = self.guest_with(one="qcow2", two="raw", three="qcow2", four="raw")
        _, last = self.migrate(guest, *SWITCHES, *STORAGE, "--format", "vde=raw", "--format",
                               "vdf=qcow2")
        self.assertEqual(last["phase"], "completed")
        self.assert_runs_at(guest, self.zulu)
        self.assert_same(last, paths)
        for disk in last["changes"]["disks"]:
            if disk["old_path"] in paths:  # what was a hole is one
                self.assertLess(self.allocated(self.zulu, disk["new_path"]), 64 << 20, disk)

    def test_read_back(self):
        guest, paths = self.guest_with(one="qcow2", two="raw")
        _, last = self.migrate(guest, *SWITCHES, *STORAGE, "--verify", "readback")
        self.assertEqual(last["phase"], "completed")
        self.assert_runs_at(guest, self.zulu)
        self.assert_same(last, paths)
        self.assertEqual(self.zulu.out("sh", "-c", "ls /var/lib/ferry | grep ledger || true"), "")

    def change_medium(self, path):
        """Changes a byte of each block of this image that has reached the medium, below the file system: how many."""
        self.zulu.run(["sync", "-f", path])
        mapped = self.zulu.out("filefrag", "-b4096", "-v", path)

        def flip():
            with open(MEDIUM, "r+b") as medium:
                changed = 0
                for line in mapped.splitlines():
                    # "   0:    12800..   14847:      33280..     35327:   2048:  …": blocks of the file, of the medium
                    numbers = re.findall(r"[0-9]+", line)
                    if not re.match(r" *[0-9]+:", line) or "unwritten" in line or int(numbers[1]) * 4096 < RECORDS:
                        continue
                    for block in range(int(numbers[3]), int(numbers[4]) + 1, 16):
                        medium.seek(block * 4096 + 1234)
                        byte = medium.read(1)
                        medium.seek(-1, os.SEEK_CUR)
                        medium.write(bytes([byte[0] ^ 1]))
                        changed += 1
                return changed
        return self.zulu.call(flip)

    def test_a_medium_that_does_not_hold_what_was_written(self):
        """What a disk loses after it has said that it is safe, nobody but --verify=readback finds."""
        guest, paths = self.guest_with(one="raw")
        self.zulu.run(["sh", "-c", f"truncate -s 800M {MEDIUM} && mkfs.ext4 -qF {MEDIUM} && mkdir -p {ON_MEDIUM} && "
                                   f"mount -o loop,noatime {MEDIUM} {ON_MEDIUM}"])
        self.addCleanup(self.zulu.run, ["sh", "-c", f"umount -l {ON_MEDIUM}; rm -f {MEDIUM}"])
        for name in ("mig0", "mig1"):
            self.lab.link(name).limit("20mbit")
            self.addCleanup(self.lab.link(name).unlimited)
        move = self.start_move(guest, *SWITCHES, "--storage", f"{IMAGES}={ON_MEDIUM}", "--verify", "readback")
        there = f"{ON_MEDIUM}/{os.path.basename(paths[0])}"
        wait_until(lambda: self.zulu.exists(there) and self.allocated(self.zulu, there) > 8 << 20, 120,
                   "some of the disk to land")
        self.assertGreater(self.change_medium(there), 0)
        for name in ("mig0", "mig1"):
            self.lab.link(name).unlimited()
        last = self.wait_final(move)
        self.assertEqual(last["phase"], "failed", self.logs())
        found = self.status(move, self.zulu)["error"]
        self.assertEqual(found["code"], "verify-failed", self.logs())
        self.assertRegex(found["text"], f"{there} at offset [0-9]+ does not read as it was written")
        self.assert_runs_at(guest, self.alpha)

    def full(self, form):
        """The disk grows while it is copied, beyond what the target has."""
        guest, _ = self.guest_with(one=form)
        self.zulu.run(["mkdir", "-p", "/srv/tight"])
        self.zulu.run(["mount", "-t", "tmpfs", "-o", "size=500m", "tmpfs", "/srv/tight"])
        self.addCleanup(self.zulu.run, ["umount", "-l", "/srv/tight"])
        link = self.lab.link("mig0")
        link.limit("100mbit")
        self.lab.link("mig1").limit("100mbit")
        self.addCleanup(link.unlimited)
        self.addCleanup(self.lab.link("mig1").unlimited)
        move = self.start_move(guest, *SWITCHES, *STORAGE[:1], f"{IMAGES}=/srv/tight")
        self.wait_phase(move, "mirroring")
        self.zulu.run(["sh", "-c", "head -c 600M /dev/zero > /srv/tight/others; true"])
        last = self.wait_final(move)
        self.assertEqual(last["phase"], "failed")
        self.assertRegex(last["error"]["text"], r"disk vd[abc]: .*No space left on device")
        there = self.zulu.api("GET", "/v1/migrations?all=1")[1]["migrations"]
        self.assertEqual([one["error"]["code"] for one in there if one["id"] == move], ["disk-failed"])
        self.assert_runs_at(guest, self.alpha)
        wait_until(lambda: not self.zulu.workers(), 30, "the worker on zulu to end")

    def test_the_target_runs_full_raw(self):
        self.full("raw")

    def test_the_target_runs_full_qcow2(self):
        self.full("qcow2")


if __name__ == "__main__":
    unittest.main()
