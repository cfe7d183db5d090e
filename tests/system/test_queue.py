# SPDX-License-Identifier: LGPL-2.1-or-later
"""Limits: more moves than slots wait in a queue, visibly, and get their turn."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from ferrytest import FINAL, STORAGE, SWITCHES, FerryCase, conf, wait_until  # noqa: E402

ASAN = True
ONE_OUT = conf(migrations={"max-outgoing": "1"})
ONE_IN = conf(migrations={"max-incoming": "1"})


class Queue(FerryCase):
    def two_at_once(self, limited):
        """Two moves started together: the host that has the limit never has both past the queue; one that only
        tidies up has given its slot back."""
        guests = [self.new_guest("one"), self.new_guest("two")]
        moves = [self.start_move(guest, *SWITCHES, *STORAGE) for guest in guests]
        waited = set()

        def ended():
            busy = [move for move in limited.api("GET", "/v1/migrations?all=1")[1]["migrations"]
                    if move["id"] in moves and move["phase"] not in ("queued", "cleaning", *FINAL)]
            self.assertLessEqual(len(busy), 1, busy)
            now = [self.status(move) for move in moves]
            phases = [status["phase"] for status in now]
            waited.update(status["waiting"] for status in now if status["phase"] == "queued"
                          and status["waiting"])
            return all(phase == "completed" for phase in phases) or "failed" in phases
        wait_until(ended, 180, "both moves to end")
        for guest, move in zip(guests, moves):
            self.assertEqual(self.status(move)["phase"], "completed", self.status(move)["error"])
            self.assert_runs_at(guest, self.zulu)
        self.assertTrue(waited, "nobody was seen waiting")

    def restart(self, host, text):
        host.stop_ferryd()
        host.start_ferryd(conf_text=text)
        self.addCleanup(lambda: (host.stop_ferryd(), host.start_ferryd(conf_text=conf())))

    def test_limit_of_the_source(self):
        self.restart(self.alpha, ONE_OUT)
        self.two_at_once(self.alpha)

    def test_limit_of_the_target(self):
        self.restart(self.zulu, ONE_IN)
        self.two_at_once(self.zulu)

    def test_same_vm_twice(self):
        guest = self.new_guest()
        move = self.start_move(guest, *SWITCHES, *STORAGE)
        code, answer = self.alpha.api("POST", "/v1/migrations",
                                      {"vm": guest.name, "target": "zulu"})
        self.assertEqual((code, answer["error"]["code"]), (409, "conflict"), answer)
        self.assertEqual(self.wait_final(move)["phase"], "completed")


if __name__ == "__main__":
    unittest.main()
