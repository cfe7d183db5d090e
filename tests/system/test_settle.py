# SPDX-License-Identifier: LGPL-2.1-or-later
"""Proof of life: a move is completed when its guest has been seen running for a while, and not when it has died."""

import os
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from ferrytest import STORAGE, SWITCHES, FerryCase, conf, wait_until  # noqa: E402


class Settle(FerryCase):
    VM = {"memory_mib": 128, "cmdline": {"writes": 50}}
    CONFS = {"zulu": conf(migrations={"settle": "1"})}

    def settle_for(self, seconds):
        """How long zulu watches from the next move on."""
        def reload(text):
            self.zulu.write("/etc/ferry/ferryd.conf", text)
            self.zulu.ferryd.send_signal(signal.SIGHUP)
        self.addCleanup(reload, self.CONFS["zulu"])
        reload(conf(migrations={"settle": seconds}))

    def settling(self, *options):
        """A move whose guest runs at zulu and is watched."""
        self.settle_for("3600")
        guest = self.new_guest()
        move = self.start_move(guest, *SWITCHES, *STORAGE, *options)
        for host in (self.alpha, self.zulu):
            wait_until(lambda: "settling" in (self.status(move, host)["waiting"] or ""), 120,
                       f"{host.name} to say that it settles")
        self.assertEqual(guest.state(self.zulu), "running")
        self.assertIsNone(self.status(move)["settled"])
        return guest, move

    def both_say(self, move, how):
        for host in (self.alpha, self.zulu):
            last = self.wait_final(move, host)
            self.assertEqual(last["phase"], "failed", last)
            self.assertEqual(last["error"]["code"], "guest-died")
            self.assertIn(how, last["error"]["text"])
            self.assertIs(last["settled"], False)

    def starts_again(self, guest):
        """The first way out: its definition and disks are there, and it did not start by itself."""
        wait_until(lambda: guest.state(self.zulu) == "shut off", 10, "the guest to be off")
        self.assertRegex(self.zulu.virsh("dominfo", guest.name), r"Autostart:\s+disable")
        self.zulu.virsh("start", guest.name)
        wait_until(lambda: guest.state(self.zulu) == "running", 30, "the guest to run again")

    def test_one_that_lives(self):
        guest = self.new_guest()
        _, last = self.migrate(guest, *SWITCHES, *STORAGE)
        self.assertEqual(last["phase"], "completed")
        self.assertIs(last["settled"], True)
        self.assert_runs_at(guest, self.zulu)

    def test_one_that_is_switched_off(self):
        """With way-back 0 as well its old disks are kept."""
        guest, move = self.settling("--way-back", "0")
        self.zulu.virsh("destroy", guest.name)
        self.both_say(move, "was switched off by somebody")
        for disk in guest.vm.disks:
            self.assertTrue(self.alpha.exists(f"{disk.path}.ferry-{move[:8]}"), disk.path)
        self.starts_again(guest)

    def test_one_that_shuts_itself_down_while_no_link_is_left(self):
        guest, move = self.settling()
        for name in ("alpha:mig0", "alpha:mig1"):
            self.lab.link(name).cut()
            self.addCleanup(self.lab.link(name).restore)
        self.witness.guest(guest, "poweroff")
        self.both_say(move, "was shut down from inside")

    def test_one_that_is_paused_for_a_while(self):
        guest, move = self.settling()
        self.zulu.virsh("suspend", guest.name)
        wait_until(lambda: "was paused by somebody" in self.status(move, self.zulu)["waiting"], 30,
                   "zulu to say that it stands still")
        self.assertEqual(self.status(move)["phase"], "cleaning")
        self.zulu.virsh("resume", guest.name)
        wait_until(lambda: "seen running" in self.status(move, self.zulu)["waiting"], 30, "zulu to go on")
        self.zulu.virsh("destroy", guest.name)
        self.both_say(move, "was switched off")


if __name__ == "__main__":
    unittest.main()
