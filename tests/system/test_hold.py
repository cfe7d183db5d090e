# SPDX-License-Identifier: LGPL-2.1-or-later
"""A move that is held: everything is at the target but what changes, the guest runs, nothing comes to an end by itself,
and the cutover is when somebody says so."""

import json
import os
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from ferrytest import STORAGE, SWITCHES, FerryCase, wait_until  # noqa: E402

ASAN = True


class Hold(FerryCase):
    # An idle guest is what QEMU would come to the end of first.
    VM = {"memory_mib": 256, "cmdline": {"writes": 50, "dirty": 0, "wset": 64}}

    def held(self, *options):
        """A guest that is held, ready: (guest, id)."""
        guest = self.new_guest()
        started = self.alpha.ferry("migrate", guest.name, "zulu", *SWITCHES, *STORAGE, "--hold", "--detach",
                                   *options)
        return guest, self.ready(started.stdout.split()[-1])

    def ready(self, move):
        def there():
            now = self.status(move)
            self.assertIsNone(now["ended"], now["error"])
            return now["hold"]["state"] == "ready"
        wait_until(there, 120, "the hold to be ready")
        return move

    def links(self, action):
        for name in ("alpha:mig0", "alpha:mig1"):
            getattr(self.lab.link(name), action)()

    def goes_on(self, guest, move):
        """Held all the same: the guest is heard, at the source, and has not been stopped."""
        self.witness.wait_records(guest)
        now = self.status(move)
        self.assertEqual((now["phase"], now["hold"]["state"]), ("synchronizing", "ready"))
        self.assertEqual(guest.state(self.alpha), "running")

    def test_held_through_cuts_and_restarts_and_then_cut_over(self):
        guest, move = self.held()
        self.assertIn("ferry cutover web01", self.status(move)["waiting"])
        self.goes_on(guest, move)
        self.links("cut")
        self.addCleanup(self.links, "restore")
        wait_until(lambda: self.status(move)["channels"]["alive"] == 0, 30, "no channel to be left")
        for host in (self.alpha, self.zulu):
            host.stop_ferryd()
            host.start_ferryd()
        self.goes_on(guest, move)
        self.links("restore")
        wait_until(lambda: self.status(move)["channels"]["alive"] == 4, 30, "the channels to be back")
        self.goes_on(guest, move)
        self.alpha.ferry("cutover", guest.name)
        self.assertEqual(self.wait_final(move)["phase"], "completed")
        self.assert_runs_at(guest, self.zulu)
        again = self.alpha.ferry("cutover", move, check=False)
        self.assertEqual(again.returncode, 1)
        self.assertIn("ended already", again.stderr)

    def test_at_its_time(self):
        guest, move = self.held()
        past = self.alpha.ferry("cutover", move, "--at", "2020-01-01 00:00", check=False)
        self.assertIn("past", past.stderr)
        at = int(time.time()) + 5
        text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
        told = json.loads(self.alpha.ferry("--json", "cutover", move, "--at", text).stdout)
        self.assertEqual(told["id"], move)
        wait_until(lambda: self.status(move)["hold"]["cutover_at"] == at, 10, "the time to be shown")
        last = self.wait_final(move)
        self.assertEqual(last["phase"], "completed", last["error"])
        self.assertGreaterEqual(last["ended"], at)
        self.assert_runs_at(guest, self.zulu)

    def test_cancelled_while_held(self):
        guest, move = self.held()
        before = self.alpha.virsh("migrate-getmaxdowntime", guest.name)
        self.assertEqual(before.strip(), "1")
        self.alpha.ferry("cancel", move)
        self.assertEqual(self.wait_final(move)["phase"], "cancelled")
        self.assert_runs_at(guest, self.alpha)
        self.assert_tidy(guest, self.zulu)

    def test_the_worker_dies_while_held(self):
        guest, move = self.held()
        for pid in self.alpha.workers():
            self.alpha.kill(pid, signal.SIGKILL)
        last = self.wait_final(move)
        self.assertEqual((last["phase"], last["error"]["code"]), ("failed", "worker-died"))
        self.assert_runs_at(guest, self.alpha)
        self.assert_tidy(guest, self.zulu)

    def test_too_small_to_be_held(self):
        guest = self.new_guest(memory_mib=128)
        result, last = self.migrate(guest, *SWITCHES, *STORAGE, "--hold", check=False)
        self.assertEqual(result.returncode, 3)
        self.assertIn("cannot be held", last["error"]["text"])
        self.assert_runs_at(guest, self.alpha)


if __name__ == "__main__":
    unittest.main()
