# SPDX-License-Identifier: LGPL-2.1-or-later
"""ferryd is killed, stopped and started on both hosts in every phase of one move, which goes on by itself: with the same two
workers from beginning to end, and through its commit without any ferryd at all."""

import os
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from ferrytest import STORAGE, SWITCHES, FerryCase, wait_until  # noqa: E402


class Restarts(FerryCase):
    VM = {"memory_mib": 256, "cmdline": {"writes": 50, "dirty": 0, "wset": 64}}

    def kill(self):
        for host in (self.alpha, self.zulu):
            host.stop_ferryd(signal.SIGKILL)

    def start(self):
        for host in (self.alpha, self.zulu):
            host.start_ferryd()

    def pids(self):
        return {host.name: sorted(host.workers()) for host in (self.alpha, self.zulu)}

    def test_one_move_outlives_them(self):
        guest = self.new_guest(start=False)
        path = guest.vm.disks[1].path
        self.alpha.run(["sh", "-c", f"head -c 64M /dev/urandom | dd of={path} bs=1M seek=128 conv=notrunc status=none"])
        guest.start()
        self.witness.watch(guest)
        wait_until(lambda: self.records_or_none(guest), 180, "the guest to be heard")
        links = [self.lab.link(name) for name in ("mig0", "mig1")]
        for link in links:
            link.limit("20mbit")
            self.addCleanup(link.unlimited)

        go = self.stopped(self.zulu, "libvirtd")
        move = self.start_move(guest, *SWITCHES, *STORAGE)
        self.wait_phase(move, "landing")
        wait_until(lambda: len(self.zulu.workers()) == 1, 60, "the landing to begin")
        workers = self.pids()
        self.kill()
        self.start()
        go()
        self.wait_phase(move, "mirroring")
        self.kill()
        self.start()
        self.assertEqual(self.status(move)["phase"], "mirroring")
        # Stopped is not dead: nobody may wait for it.
        for host in (self.alpha, self.zulu):
            host.ferryd.send_signal(signal.SIGSTOP)
        self.witness.wait_records(guest)
        for host in (self.alpha, self.zulu):
            host.ferryd.send_signal(signal.SIGCONT)
        self.witness.guest(guest, "set dirty=200")
        for link in links:
            link.limit("100mbit")
        self.wait_phase(move, "synchronizing")
        self.kill()
        self.start()
        self.assertEqual(self.status(move)["phase"], "synchronizing")

        go = self.stopped(self.zulu, "libvirtd")
        self.witness.guest(guest, "set dirty=0")
        self.wait_phase(move, "switching")
        self.assertEqual(self.pids(), workers)
        self.kill()
        go()
        wait_until(lambda: guest.state(self.zulu) == "running", 60, "the guest to run at zulu, without any ferryd")
        self.start()
        self.assertEqual(self.wait_final(move)["phase"], "completed")
        self.assert_runs_at(guest, self.zulu)
        self.assertEqual(self.wait_final(move, self.zulu)["phase"], "completed")
        wait_until(lambda: not self.alpha.workers() and not self.zulu.workers(), 60, "the workers to end")
        for host in (self.alpha, self.zulu):
            self.assertNotIn("takes up what was left", host.read("/var/log/ferry/ferryd.log"))

    def test_cancelled_from_both_sides(self):
        """At once, twice, and by the API and the command line: one end, the same on both sides."""
        for name in ("mig0", "mig1"):
            self.lab.link(name).limit("100mbit")
            self.addCleanup(self.lab.link(name).unlimited)
        guest = self.new_guest()
        self.witness.guest(guest, "set dirty=200")
        move = self.start_move(guest, *SWITCHES, *STORAGE)
        self.wait_phase(move, "synchronizing")
        by_hand = [host.ferry_popen("cancel", move) for host in (self.zulu, self.alpha)]
        answers = [host.api("POST", f"/v1/migrations/{move}/cancel", {})[0]
                   for host in (self.zulu, self.alpha) for _ in range(2)]
        self.assertTrue(set(answers) <= {202, 409}, answers)
        codes = [process.wait(60) for process in by_hand]
        self.assertIn(0, codes)
        for host in (self.alpha, self.zulu):
            last = self.wait_final(move, host)
            # Whichever word came first is the reason.
            self.assertIn(last["phase"], ("cancelled", "failed"), last["error"])
            self.assertIn("cancelled", last["error"]["text"])
        self.assert_runs_at(guest, self.alpha)
        self.assert_tidy(guest, self.zulu)
        # By the target alone: its word ends the source's move as well.
        move = self.start_move(guest, *SWITCHES, *STORAGE)
        self.wait_phase(move, "synchronizing")
        self.assertEqual(self.zulu.ferry("cancel", move).returncode, 0)
        self.assertEqual(self.wait_final(move, self.zulu)["phase"], "cancelled")
        last = self.wait_final(move)
        self.assertEqual(last["phase"], "failed")
        self.assertIn("cancelled", last["error"]["text"])
        self.assert_runs_at(guest, self.alpha)
        self.assert_tidy(guest, self.zulu)


if __name__ == "__main__":
    unittest.main()
