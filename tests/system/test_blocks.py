# SPDX-License-Identifier: LGPL-2.1-or-later
"""What disks cost on the wire, and that no changed byte gets through."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from ferrytest import STORAGE, SWITCHES, FerryCase, conf, vm, wait_until  # noqa: E402
from hooks import Hooks, has_hooks  # noqa: E402

MIB = 1 << 20
EXTRA_MIB = 192
IMAGES = "/var/lib/libvirt/images"
WAY = (*SWITCHES, *STORAGE, "--way-back", "0")


def nth(name, number):
    """For Hooks: says once, when this hook comes for that time, that it is to be done wrong; .done when it has."""
    def answer(_program, hook, _pid):
        answer.left -= hook == name
        answer.done |= hook == name and answer.left == 0
        return hook == name and answer.left == 0
    answer.left, answer.done = number, False
    return answer


class Blocks(FerryCase):
    VM = {"memory_mib": 128, "cmdline": {"writes": 20}}

    def guest_with(self, content):
        """A guest with one disk more, of EXTRA_MIB, that holds what this shell command says."""
        extra = f"{IMAGES}/web01-extra.raw"
        disks = (*vm.images("web01"), vm.Disk(extra, "raw", EXTRA_MIB))
        guest = self.new_guest(disks=disks, start=False)
        self.alpha.run(["sh", "-c", f"{content} | dd of={extra} bs=1M count={EXTRA_MIB} "
                                    "iflag=fullblock conv=notrunc,fsync status=none"])
        guest.start()
        self.witness.watch(guest)
        wait_until(lambda: self.records_or_none(guest), 180, "the guest to be heard")
        return guest

    def end_of(self, host, path):
        """A digest of the disk's second half, where the guest does not write."""
        return host.out("sh", "-c", f"tail -c {EXTRA_MIB * MIB // 2} {path} | sha256sum").split()[0]

    def moved(self, content):
        """Moves it over 400 Mbit/s; returns bytes QEMU gave and bytes on the wire."""
        for name in ("mig0", "mig1"):
            self.lab.link(name).limit("200mbit")
            self.addCleanup(self.lab.link(name).unlimited)
        guest = self.guest_with(content)
        before = self.end_of(self.alpha, f"{IMAGES}/web01-extra.raw")
        _, last = self.migrate(guest, *WAY)
        self.assert_runs_at(guest, self.zulu)
        new = {disk["target"]: disk["new_path"] for disk in last["changes"]["disks"]}
        self.assertEqual(self.end_of(self.zulu, new["vdc"]), before)
        return last["logical_bytes"], last["wire_bytes"]

    def test_zeroes_are_not_sent(self):
        logical, wire = self.moved("cat /dev/zero")
        self.assertGreater(logical, EXTRA_MIB * MIB)
        self.assertLess(wire, (logical - EXTRA_MIB * MIB) * 1.02 + MIB)

    def test_what_shrinks_is_compressed(self):
        logical, wire = self.moved("yes 'all work and no play makes Jack a dull boy'")
        self.assertGreater(logical, EXTRA_MIB * MIB)
        self.assertLess(wire, logical - EXTRA_MIB * MIB * 0.8)

    def test_what_does_not_shrink_costs_nothing_more(self):
        logical, wire = self.moved("cat /dev/urandom")
        self.assertGreater(wire, EXTRA_MIB * MIB)
        self.assertLess(wire, logical * 1.02)

    @unittest.skipUnless(has_hooks(), "needs a build with -Dtest-hooks=true")
    def test_a_changed_byte_is_found_before_it_is_written(self):
        guest = self.guest_with("cat /dev/urandom")
        changed = nth("wrong:export.content", 500)
        hooks = Hooks(self.alpha, changed)
        self.addCleanup(hooks.close)
        self.alpha.stop_ferryd()
        self.alpha.start_ferryd(conf_text=conf(), env=hooks.environment)
        self.addCleanup(lambda: (self.alpha.stop_ferryd(), self.alpha.start_ferryd()))

        result, last = self.migrate(guest, *SWITCHES, *STORAGE, check=False)
        self.assertTrue(changed.done, "nothing was changed")
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(last["phase"], "failed")
        self.assertRegex(last["error"]["text"], r"vd[abc]\b.* \d+")
        self.assert_runs_at(guest, self.alpha)
        wait_until(lambda: not self.zulu.workers(), 30, "the worker on zulu to end")
        self.assertIsNone(guest.state(self.zulu))


if __name__ == "__main__":
    unittest.main()
