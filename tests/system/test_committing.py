# SPDX-License-Identifier: LGPL-2.1-or-later
"""The commit point when the migration networks fail under it: one copy runs in the end, and only one ever did."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from ferrytest import STORAGE, SWITCHES, FerryCase, wait_until  # noqa: E402

ASAN = True


class Committing(FerryCase):
    VM = {"memory_mib": 256, "cmdline": {"writes": 50, "dirty": 0, "wset": 64}}

    def links(self, action, *arguments):
        for name in ("alpha:mig0", "alpha:mig1"):
            getattr(self.lab.link(name), action)(*arguments)

    def hold_before_the_reply(self):
        """A move whose guest is stopped, and whose target libvirt does not answer Finish3 yet."""
        guest = self.new_guest()
        self.links("limit", "100mbit")
        self.addCleanup(self.links, "unlimited")
        self.addCleanup(self.links, "restore")
        self.witness.guest(guest, "set dirty=200")
        move = self.start_move(guest, *SWITCHES, *STORAGE)
        self.wait_phase(move, "synchronizing")
        go = self.stopped(self.zulu, "libvirtd")
        self.witness.guest(guest, "set dirty=0")
        self.wait_phase(move, "switching")
        # The call is there when it lies unread in the stopped daemon's socket.
        wait_until(self.unread, 60, "Finish3 to reach zulu's libvirtd")
        return guest, move, go

    def unread(self):
        lines = [line.split() for line in self.zulu.out("ss", "-xH").splitlines()]
        return any(words[2] != "0" and words[4].endswith("libvirt-sock") for words in lines)

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
