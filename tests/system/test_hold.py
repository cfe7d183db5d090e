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
from ferrytest import STORAGE, SWITCHES, FerryCase, conf, wait_until  # noqa: E402


class Hold(FerryCase):
    CONFS = {name: conf(networks={"link-timeout": "5"}) for name in ("alpha", "zulu")}
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
        # 8 s of the guest's: longer than link-timeout, which does not count now, on either side.
        self.witness.wait_records(guest, 400)
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


class Group(FerryCase):
    """Two guests that switch over together, or not at all."""

    VM = {"memory_mib": 256, "cmdline": {"writes": 50, "dirty": 0, "wset": 64}}

    def setUp(self):
        super().setUp()
        self.moves = {}
        for name in ("web01", "db01"):
            guest = self.new_guest(name)
            started = self.alpha.ferry("migrate", name, "zulu", *SWITCHES, *STORAGE, "--group", "shop", "--detach")
            self.moves[started.stdout.split()[-1]] = guest
        for move in self.moves:
            wait_until(lambda move=move: self.status(move)["hold"]["state"] == "ready", 120, "both to be ready")

    def end(self, phase, host):
        """Both end like this, and run there."""
        for move, guest in self.moves.items():
            last = self.wait_final(move)
            self.assertEqual(last["phase"], phase, last["error"])
            self.assert_runs_at(guest, host)

    def test_both_or_none(self):
        self.alpha.ferry("cutover", "--group", "shop")
        self.end("completed", self.zulu)

    def test_one_fails_at_the_barrier(self):
        """db01's worker is killed while web01's guest is loaded at zulu and waits for it."""
        pids = {argv[argv.index("--id") + 1]: pid for pid, argv in self.alpha.workers().items()}
        (web, _), (db, _) = sorted(self.moves.items(), key=lambda item: item[1].name, reverse=True)
        self.alpha.kill(pids[db], signal.SIGSTOP)
        self.alpha.ferry("cutover", "--group", "shop")
        self.wait_phase(web, "switching")
        self.alpha.kill(pids[db], signal.SIGKILL)
        self.end("failed", self.alpha)
        self.assertIn("the worker of db01 has died", self.status(web)["error"]["text"])
        again = self.alpha.ferry("cutover", "--group", "shop", check=False)
        self.assertEqual(again.returncode, 1)

    def test_one_is_cancelled_at_the_barrier(self):
        pids = {argv[argv.index("--id") + 1]: pid for pid, argv in self.alpha.workers().items()}
        (web, _), (db, _) = sorted(self.moves.items(), key=lambda item: item[1].name, reverse=True)
        self.alpha.kill(pids[db], signal.SIGSTOP)
        self.addCleanup(lambda: db in {a[a.index("--id") + 1] for a in self.alpha.workers().values()}
                        and self.alpha.kill(pids[db], signal.SIGCONT))
        self.alpha.ferry("cutover", "--group", "shop")
        self.wait_phase(web, "switching")
        self.alpha.ferry("cancel", web)
        self.assertEqual(self.wait_final(web)["phase"], "cancelled")
        self.alpha.kill(pids[db], signal.SIGCONT)
        last = self.wait_final(db)
        self.assertEqual((last["phase"], last["error"]["code"]), ("failed", "group"))
        for guest in self.moves.values():
            self.assert_runs_at(guest, self.alpha)


if __name__ == "__main__":
    unittest.main()
