#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""ferry return and ferry commit, and what list and status say of a way back."""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from fakeferryd import COMPLETED, GIB, ID, MOVE, refusal  # noqa: E402
from runs import FerryCase  # noqa: E402

ASAN = True
WAY = "/v1/way-backs/web01"
ABOUT = {"id": ID, "vm": "web01", "vm_uuid": MOVE["vm_uuid"], "host": "alpha"}
ENDED = {**ABOUT, "disks": ["/a/x.qcow2.ferry-5d0f1234"], "freed": 3 * GIB}
FAR = 4000000000


class Return(FerryCase):
    def test_is_a_move(self):
        self.ferryd.answers["POST", "/v1/returns"] = (201, {**MOVE, "peer": "alpha"})
        status, text, _ = self.ferry("return", "web01", "--detach", "--way-back", "3", "--bandwidth", "1G")
        self.assertEqual((status, text), (0, ID + "\n"))
        self.assertEqual(self.ferryd.requests("POST", "/v1/returns"),
                         [{"vm": "web01", "way_back": 3, "bandwidth": GIB}])

    def test_is_watched(self):
        self.ferryd.move["peer"] = "alpha"
        self.ferryd.answers["POST", "/v1/returns"] = (201, {**MOVE, "peer": "alpha"})
        run = self.start("return", "web01")
        run.wait_for("web01 -> alpha: queued")
        self.ferryd.change(**COMPLETED)
        self.assertEqual(run.end(), 0)
        self.assertIn("web01 runs on alpha now", run.text)

    def test_refused(self):
        self.ferryd.answers["POST", "/v1/returns"] = (404, refusal("no-way-back", "alpha keeps nothing."))
        self.assertEqual(self.ferry("return", "web01")[::2], (1, "ferry: alpha keeps nothing.\n"))
        # Where things go is known: there is nothing to say.
        self.assertEqual(self.ferry("return", "web01", "--storage", "a=b")[0], 2)


class Commit(FerryCase):
    def setUp(self):
        super().setUp()
        self.ferryd.answers["GET", WAY] = (200, {**ABOUT, "until": FAR, "bytes": 3 * GIB, "disks": []})
        self.ferryd.answers["DELETE", WAY] = (200, ENDED)

    def test_without_a_question(self):
        for option in ("--yes", "-y"):
            status, text, errors = self.ferry("commit", "web01", option)
            self.assertEqual((status, errors), (0, ""))
            self.assertEqual(text, "The way back of web01 to alpha has ended: 1 disk deleted, 3.0 GiB freed.\n")
        self.assertEqual(json.loads(self.ferry("--json", "commit", "--yes", "web01")[1]), ENDED)
        self.ferryd.answers["DELETE", WAY] = (200, {**ENDED, "disks": [], "freed": 0})
        self.assertEqual(self.ferry("commit", "web01", "-y")[:2],
                         (0, "alpha kept nothing of web01 any more.\n"))

    def test_nobody_to_ask(self):
        status, _, errors = self.ferry("commit", "web01")
        self.assertEqual(status, 2)
        self.assertIn("say --yes", errors)
        self.assertEqual(self.ferryd.requests("DELETE", WAY), [])
        # What is not there needs nobody's leave.
        answer = (404, refusal("no-way-back", "Ferry has not moved web01."))
        self.ferryd.answers["GET", WAY] = self.ferryd.answers["DELETE", WAY] = answer
        self.assertEqual(self.ferry("commit", "web01"), (1, "", "ferry: Ferry has not moved web01.\n"))

    def test_a_person_is_asked(self):
        for answer, ends, asked in (("n", 5, 0), ("x\ny", 0, 1)):
            run = self.start("commit", "web01", terminal=200)
            run.wait_for(r"alpha keeps of web01 until .* \(3.0 GiB\)\?.*\[y/n\]")
            run.type(answer + "\n")
            self.assertEqual(run.end(), ends, run.text)
            self.assertEqual(len(self.ferryd.requests("DELETE", WAY)), asked)
        self.assertIn("1 disk deleted", run.text)

    def test_nothing_to_ask_about(self):
        self.ferryd.answers["GET", WAY] = (404, refusal("no-way-back", "nothing"))
        self.ferryd.answers["DELETE", WAY] = (200, {**ENDED, "disks": [], "freed": 0})
        run = self.start("commit", "web01", terminal=80)
        self.assertEqual(run.end(), 0)
        self.assertIn("alpha kept nothing", run.text)
        self.ferryd.answers["GET", WAY] = (502, refusal("unreachable", "nobody answers"))
        run = self.start("commit", "web01", terminal=80)
        self.assertEqual(run.end(), 1)
        self.assertIn("nobody answers", run.text)

    def test_refused(self):
        self.ferryd.answers["DELETE", WAY] = (409, refusal("conflict", "web01 is just coming back."))
        self.assertEqual(self.ferry("commit", "web01", "-y")[::2], (1, "ferry: web01 is just coming back.\n"))


class Shown(FerryCase):
    def way(self, role, is_open, disks=()):
        move = {**MOVE, **COMPLETED, "role": role,
                "way_back": {"until": FAR, "disks": list(disks), "open": is_open}}
        self.ferryd.answers["GET", "/v1/migrations"] = (200, {"migrations": [move]})
        self.ferryd.answers["GET", "/v1/migrations/web01"] = (200, move)
        return self.ferry("list")[1], " ".join(self.ferry("status", "web01")[1].split())

    def test_where_the_vm_is(self):
        listed, status = self.way("target", True)
        self.assertIn("way back until 2096-10-02", listed)
        self.assertIn("'ferry return web01' brings it back to zulu, 'ferry commit web01' deletes the "
                      "disks kept on zulu now", status)
        listed, status = self.way("target", False)
        self.assertNotIn("way back", listed)
        self.assertIn("way back ended", status)

    def test_where_the_disks_are(self):
        listed, status = self.way("source", True, ["/a/x.ferry-5d0f"])
        self.assertIn("way back until 2096-10-02", listed)
        self.assertIn("'ferry return web01' on zulu brings it back, 'ferry commit web01' deletes the "
                      "disks kept here now: /a/x.ferry-5d0f", status)
        listed, status = self.way("source", False, ["/a/x.ferry-5d0f"])
        self.assertNotIn("way back", listed)
        self.assertIn("way back ended: the disks here were deleted", status)


if __name__ == "__main__":
    unittest.main()
