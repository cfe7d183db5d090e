# SPDX-License-Identifier: LGPL-2.1-or-later
"""The commit point when the migration networks fail under it: one copy runs in the end, and only one ever did."""

import os
import re
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from ferrytest import SSD, FerryCase, vm, wait_until  # noqa: E402
from switchover import Switchover  # noqa: E402

ASAN = True


class Committing(Switchover, FerryCase):
    VM = {"memory_mib": 256, "cmdline": {"writes": 50, "dirty": 0, "wset": 64}}

    def end_where_the_journals_say(self, guest, move):
        """Either is right, depending on whether the target was asked before it had given the landing up."""
        last = self.wait_final(move)
        self.assertIn(last["phase"], ("completed", "failed"))
        self.assert_runs_at(guest, self.zulu if last["phase"] == "completed" else self.alpha)

    def test_the_target_is_asked_over_the_control_port_when_no_channel_is_left(self):
        guest, move, go = self.hold_before_the_reply()
        # What the target sends still arrives: the reply, and with it the moment to give the guest up.
        self.links("cut", "out")
        go()
        self.wait_phase(move, "committing", "cleaning", "completed", "failed")
        self.end_where_the_journals_say(guest, move)
        wait_until(lambda: not self.alpha.workers() and not self.zulu.workers(), 60, "workers to end")

    def test_nothing_runs_while_nobody_knows(self):
        """The target cannot be asked either: the guest stays stopped, and it is said why."""
        guest, move, go = self.hold_before_the_reply()
        mgmt = self.lab.link("alpha:mgmt")
        self.addCleanup(mgmt.restore)
        self.links("cut", "out")
        mgmt.cut()
        go()
        waiting = wait_until(lambda: self.status(move)["waiting"], 90, "the source to say what it waits for")
        self.assertIn("zulu", waiting)
        self.assertIn("paused", waiting)
        self.assertEqual(guest.state(self.alpha), "paused")
        self.assertNotEqual(guest.state(self.zulu), "running")
        refused = self.alpha.ferry("cancel", move, check=False)
        self.assertNotEqual(refused.returncode, 0)
        mgmt.restore()
        self.links("restore")
        self.end_where_the_journals_say(guest, move)

    def guest_in_a_pool(self):
        """Its disk is named by pool and volume; no path is in its definition."""
        self.alpha.define_pool("deep", "/srv/deep")
        self.addCleanup(lambda: (self.alpha.virsh("pool-destroy", "deep"),
                                 self.alpha.virsh("pool-undefine", "deep")))
        guest = self.new_guest(start=False, disks=(vm.Disk("/srv/deep/one.qcow2"),))
        self.alpha.virsh("pool-refresh", "deep")
        xml, count = re.subn(r"<disk type='file'(.*?)<source file='[^']*'/>",
                             r"<disk type='volume'\1<source pool='deep' volume='one.qcow2'/>",
                             self.alpha.virsh("dumpxml", "--inactive", guest.name), flags=re.DOTALL)
        self.assertEqual(count, 1)
        self.alpha.write("/run/volume.xml", xml)
        self.alpha.virsh("define", "/run/volume.xml")
        guest.start()
        self.witness.watch(guest)
        wait_until(lambda: self.records_or_none(guest), 180, "the guest to be heard")
        return guest

    def test_the_source_dies_after_the_give_up_of_a_vm_in_a_pool(self):
        """Where the volume lies is known to the journal alone: libvirt has no guest any more to tell it of."""
        guest = self.guest_in_a_pool()
        self.addCleanup(self.alpha.run, ["sh", "-c", "rm -f /srv/deep/*"])
        guest, move, go = self.hold_before_the_reply(guest, ("--storage", f"vda={SSD}"))
        mgmt = self.lab.link("alpha:mgmt")
        self.addCleanup(mgmt.restore)
        self.links("cut", "out")
        mgmt.cut()
        go()
        wait_until(lambda: self.status(move)["waiting"], 90, "the source to wait for the target's word")
        self.assertEqual(self.status(move)["phase"], "committing")
        dead = self.alpha.workers()
        for pid in dead:
            self.alpha.kill(pid, signal.SIGKILL)
        wait_until(lambda: set(self.alpha.workers()) - set(dead), 60, "a worker that recovers")
        mgmt.restore()
        self.links("restore")
        last = self.wait_final(move)
        self.assertEqual(last["phase"], "completed", last["error"])
        self.assert_runs_at(guest, self.zulu)
        self.assertIsNone(guest.state(self.alpha))
        kept = f"/srv/deep/one.qcow2.ferry-{move[:8]}"
        self.assertEqual(last["way_back"]["disks"], [kept])
        self.assertEqual(self.alpha.out("sh", "-c", "ls /srv/deep/*"), kept)
        # The pool has looked again.
        listed = self.alpha.virsh("vol-list", "deep")
        self.assertIn(os.path.basename(kept), listed)
        self.assertNotIn("/srv/deep/one.qcow2\n", listed + "\n")

    def test_the_reply_does_not_arrive(self):
        """No reply, no give-up: the source goes on, and the target forgets the guest it has loaded."""
        guest, move, go = self.hold_before_the_reply()
        self.links("cut")
        go()
        self.assertEqual(self.wait_final(move)["phase"], "failed")
        self.assert_runs_at(guest, self.alpha)
        self.assert_tidy(guest, self.zulu)


if __name__ == "__main__":
    unittest.main()
