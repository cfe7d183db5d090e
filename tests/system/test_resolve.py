# SPDX-License-Identifier: LGPL-2.1-or-later
"""ferry resolve: somebody decides whose a VM is when the other host does not say."""

import json
import os
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from ferrytest import STORAGE, SWITCHES, FerryCase, conf, wait_until  # noqa: E402
from switchover import Switchover  # noqa: E402


class Resolve(Switchover, FerryCase):
    VM = {"memory_mib": 256, "cmdline": {"writes": 50, "dirty": 0, "wset": 64}}

    def settle_for(self, seconds):
        def reload(text):
            self.zulu.write("/etc/ferry/ferryd.conf", text)
            self.zulu.ferryd.send_signal(signal.SIGHUP)
        self.addCleanup(reload, conf())
        reload(conf(migrations={"settle": seconds}))

    def resolve(self, guest, move, order, check=True):
        return self.alpha.ferry("resolve", move, order, "--vm-name", guest.name, check=check, timeout=200)

    def nobody_knows(self):
        """The guest is given up, and zulu does not say whether it has it."""
        guest, move, go = self.hold_before_the_reply()
        mgmt = self.mgmt()
        self.links("cut", "out")
        mgmt.cut()
        go()
        wait_until(lambda: "must say" in (self.status(move)["waiting"] or ""), 90, "alpha to say what it waits for")
        return guest, move, mgmt

    def settling(self):
        """A move whose guest runs at zulu and is watched."""
        self.settle_for("3600")
        guest = self.new_guest()
        move = self.start_move(guest, *SWITCHES, *STORAGE)
        wait_until(lambda: "settling" in (self.status(move)["waiting"] or ""), 120, "the move to settle")
        return guest, move

    def dead(self):
        guest, move = self.settling()
        self.zulu.virsh("destroy", guest.name)
        self.assertEqual(self.wait_final(move)["error"]["code"], "guest-died")
        self.wait_final(move, self.zulu)
        wait_until(lambda: not self.alpha.workers() and not self.zulu.workers(), 30, "workers to end")
        return guest, move

    def test_it_runs_here(self):
        guest, move, mgmt = self.nobody_knows()
        text = self.alpha.ferry("status", move).stdout
        for part in ("must say whether it has started", "since", "--run-here", "--give-up", "zulu"):
            self.assertIn(part, text)
        wrong = self.alpha.ferry("resolve", move, "--run-here", "--vm-name", "web02", check=False)
        self.assertEqual(wrong.returncode, 5)
        self.assertEqual(guest.state(self.alpha), "paused")
        self.resolve(guest, move, "--run-here")
        wait_until(lambda: guest.state(self.alpha) == "running", 30, "the guest to run")
        now = self.status(move)
        self.assertEqual((now["phase"], now["order"]["what"], now["order"]["state"]), ("cleaning", "run-here", "done"))
        self.assertIn("does not answer", now["order"]["why"])
        # Its worker may die now: what was ordered is known, and zulu is told all the same.
        dead = self.alpha.workers()
        for pid in dead:
            self.alpha.kill(pid, signal.SIGKILL)
        wait_until(lambda: set(self.alpha.workers()) - set(dead), 60, "a worker that recovers")
        mgmt.restore()
        self.links("restore")
        last = self.wait_final(move)
        self.assertEqual((last["phase"], last["error"]["code"]), ("failed", "taken-back"), last["error"])
        self.assert_runs_at(guest, self.alpha)
        self.assert_tidy(guest, self.zulu)

    def test_it_is_given_up(self):
        guest, move, mgmt = self.nobody_knows()
        self.resolve(guest, move, "--give-up")
        last = wait_until(lambda: "settling" in (self.status(move)["waiting"] or "") and self.status(move), 90,
                          "alpha to wait for the proof")
        self.assertEqual(last["order"]["state"], "done")
        self.assertIsNone(guest.state(self.alpha))
        self.resolve(guest, move, "--give-up")
        last = self.wait_final(move)
        self.assertEqual(last["phase"], "completed", last["error"])
        self.assertIn("FERRY-1090", [finding["code"] for finding in last["findings"]])
        # zulu never had the token: it has refused. What was kept here is the VM, and can be taken back.
        mgmt.restore()
        self.links("restore")
        wait_until(lambda: not self.alpha.workers() and not self.zulu.workers(), 90, "both to be done with it")
        said = self.resolve(guest, move, "--run-here")
        last = self.wait_final(move)
        self.assertEqual((last["phase"], (last["error"] or {}).get("code")), ("failed", "taken-back"), self.story(said))
        self.assert_runs_at(guest, self.alpha)

    def test_the_peers_word_counts(self):
        guest, move = self.settling()
        refused = self.resolve(guest, move, "--run-here", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("in touch", refused.stdout + refused.stderr)
        self.links("cut")
        self.addCleanup(self.links, "restore")
        wait_until(lambda: "still watching" in (self.status(move)["waiting"] or ""), 60, "the control port to be asked")
        refused = self.resolve(guest, move, "--run-here", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("zulu answers: it has web01", refused.stdout + refused.stderr)
        self.zulu.virsh("destroy", guest.name)
        self.wait_final(move)

    def test_both_run_it(self):
        guest, move = self.settling()
        mgmt = self.mgmt()
        self.addCleanup(self.links, "restore")
        self.links("cut")
        mgmt.cut()
        wait_until(lambda: "--run-here" in (self.status(move)["waiting"] or ""), 120, "alpha to say what can be done")
        self.resolve(guest, move, "--run-here")
        wait_until(lambda: guest.state(self.alpha) == "running", 30, "the guest to run at alpha")
        mgmt.restore()
        self.links("restore")
        for host in (self.alpha, self.zulu):
            wait_until(lambda: "both hosts" in json.dumps(self.status(move, host)), 60, f"{host.name} to say so")
            self.assertEqual(guest.state(host), "running", "Ferry stops neither")
        self.zulu.virsh("destroy", guest.name)
        self.assertEqual(self.wait_final(move)["error"]["code"], "two-copies")

    def test_one_that_died_is_taken_back(self):
        guest, move = self.dead()
        self.resolve(guest, move, "--run-here")
        last = self.wait_final(move)
        self.assertEqual((last["phase"], last["error"]["code"]), ("failed", "taken-back"), last["error"])
        self.assert_tidy(guest, self.zulu)
        wait_until(lambda: guest.state(self.alpha) == "running", 30, "the guest to run")
        for disk in guest.vm.disks:
            self.assertTrue(self.alpha.exists(disk.path))
            self.assertFalse(self.alpha.exists(f"{disk.path}.ferry-{move[:8]}"))
        self.assertIsNone(guest.state(self.zulu))

    def test_one_that_died_and_was_started_again_is_not(self):
        guest, move = self.dead()
        self.zulu.virsh("start", guest.name)
        self.settle_for("0")
        refused = self.resolve(guest, move, "--run-here", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("zulu answers: it has web01", refused.stdout + refused.stderr)
        self.assertIsNone(guest.state(self.alpha))
        # Now it has settled after all.
        self.assertEqual(self.wait_final(move)["phase"], "completed")
        self.assertEqual(guest.state(self.zulu), "running")


if __name__ == "__main__":
    unittest.main()
