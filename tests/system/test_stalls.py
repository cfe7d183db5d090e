# SPDX-License-Identifier: LGPL-2.1-or-later
"""Moves that stand still though there is a link are given up, and say so; a landing that is gone ends its move at
once. The VM goes on at the source."""

import os
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from ferrytest import STORAGE, SWITCHES, FerryCase, conf, wait_until  # noqa: E402


class Stalls(FerryCase):
    # Much longer than the tests wait: only the deadline, or what the target's ferryd says, ends a move.
    CONFS = {"alpha": conf(networks={"link-timeout": "3600"}, migrations={"stall-timeout": "8"}),
             "zulu": conf(networks={"link-timeout": "3600"})}
    VM = {"memory_mib": 256, "cmdline": {"writes": 50, "dirty": 0, "wset": 64}}

    def busy_guest(self):
        """A move that stays in `synchronizing`, since its guest is faster than the links."""
        for name in ("mig0", "mig1"):
            self.lab.link(name).limit("100mbit")
            self.addCleanup(self.lab.link(name).unlimited)
        guest = self.new_guest()
        self.witness.guest(guest, "set dirty=200")
        move = self.start_move(guest, *SWITCHES, *STORAGE)
        self.wait_phase(move, "synchronizing")
        return guest, move

    def waits_for(self, move, text):
        return wait_until(lambda: text in (self.status(move)["waiting"] or ""), 60,
                          f"{move} to say '{text}'")

    def stays(self, guest, move, code, *texts):
        last = self.wait_final(move, timeout=90)
        self.assertEqual((last["phase"], last["error"]["code"]), ("failed", code), last["error"])
        for text in texts:
            self.assertIn(text, last["error"]["text"])

    def test_a_target_that_does_nothing(self):
        """In each phase it is said what is waited for, then the move is given up; and a guest that is too fast is none of that."""
        guest, move = self.busy_guest()
        self.waits_for(move, "faster")
        qemu = [pid for pid, argv in self.zulu.processes().items() if "qemu-system" in argv[0]]
        self.assertEqual(len(qemu), 1)
        self.zulu.kill(qemu[0], signal.SIGSTOP)
        self.waits_for(move, "no byte of its memory has crossed since")
        self.stays(guest, move, "stalled", "synchronizing", "memory", "for 8 s", "goes on here")
        self.assert_runs_at(guest, self.alpha)
        self.assert_tidy(guest, self.zulu)
        # Its libvirt does not answer any more, when the guest is stopped already.
        move = self.start_move(guest, *SWITCHES, *STORAGE)
        self.wait_phase(move, "synchronizing")
        go = self.stopped(self.zulu, "libvirtd")
        self.witness.guest(guest, "set dirty=0")
        self.wait_phase(move, "switching")
        self.stays(guest, move, "stalled", "switching", "for 8 s")
        self.witness.wait_records(guest)
        go()
        wait_until(lambda: guest.state(self.zulu) != "paused", 60, "what was loaded at zulu to go")
        self.assert_runs_at(guest, self.alpha)
        self.assert_tidy(guest, self.zulu)
        # Its ferryd is silent.
        go = self.stopped(self.zulu, "ferryd")
        move = self.start_move(guest, *SWITCHES, *STORAGE)
        self.waits_for(move, "waiting for the answer of zulu since")
        go()
        self.assertEqual(self.wait_final(move)["phase"], "completed")
        self.assert_runs_at(guest, self.zulu)

    def test_a_landing_that_is_gone(self):
        guest, move = self.busy_guest()
        # Links that are away are no stall: there is something to come back to.
        links = [self.lab.link(f"alpha:{name}") for name in ("mig0", "mig1")]
        for link in links:
            self.addCleanup(link.restore)
            link.cut()
        self.waits_for(move, "no link to zulu")
        for pid in self.zulu.workers():
            self.zulu.kill(pid, signal.SIGKILL)
        self.stays(guest, move, "peer-error", "zulu has ended the landing", "ferry-worker died")
        self.assert_runs_at(guest, self.alpha)
        for link in links:
            link.restore()
        self.assert_tidy(guest, self.zulu)


if __name__ == "__main__":
    unittest.main()
