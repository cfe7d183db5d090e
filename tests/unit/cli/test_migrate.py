#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""ferry migrate: what is shown while a move goes on, how it ends, and what signals do to it."""

import json
import os
import signal
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from fakeferryd import BLOCKING, COMPLETED, GIB, ID, refusal  # noqa: E402
from runs import FerryCase  # noqa: E402

ASAN = True
CANCEL = ("POST", f"/v1/migrations/{ID}/cancel")
CANCELLED = {"phase": "cancelled", "error": {"code": "cancelled", "text": "It was cancelled here."}}
QUESTION = r"\[c\]ontinue watching, \[d\]etach and leave it running, \[a\]bort the move\?(\033\[0m)? $"


def mirroring(done, total=4 * GIB):
    return {"phase": "mirroring", "phase_began": 1790000003.5,
            "progress": {"done": done, "total": total, "rate": 118 << 20, "eta": 26}}


class MigrateCase(FerryCase):
    def migrate(self, *args, **kwargs):
        return self.start("migrate", "web01", "zulu", *args, **kwargs)


class InPipe(MigrateCase):
    def test_to_its_end(self):
        run = self.migrate("--switch", "vSwitch-VLAN500=Converged:500", "--way-back", "0")
        run.wait_for("web01 -> zulu: queued\n")
        self.ferryd.change(**mirroring(GIB))
        run.wait_for(r"web01 -> zulu: mirroring: 1\.0 GiB of 4\.0 GiB \(25 %\), 118 MiB/s, 26 s left\n")
        self.ferryd.change(phase="switching", phase_began=1790000040, progress=None)
        run.wait_for("web01 -> zulu: switching\n")
        self.ferryd.change(**COMPLETED)
        self.assertEqual((run.end(), run.errors), (0, ""))
        for words in ("web01 runs on zulu now\n", "total time  41 s, began 2026-09-21 14:13\n",
                      "blackout    168 ms\n", "4.0 GiB of disks and memory, 1.0 GiB on the wire (25 %)\n",
                      "until 2026-09-22 14:14", "/var/lib/libvirt/images/web01.qcow2.ferry-5d0f\n",
                      "vSwitch-VLAN500 -> Converged, VLAN 500\n", "qcow2 -> raw, 4.0 GiB\n"):
            self.assertIn(words, run.text)
        self.assertNotIn("\r", run.text)
        self.assertEqual(self.ferryd.requests("POST", "/v1/migrations"),
                         [{"vm": "web01", "target": "zulu", "way_back": 0,
                           "switches": {"vSwitch-VLAN500": "Converged:500"}}])
        self.assertEqual(self.ferryd.requests(*CANCEL), [])

    def test_within_a_phase_lines_are_few(self):
        run = self.migrate()
        self.ferryd.change(**mirroring(0))
        run.wait_for("mirroring: ")
        for percent in range(1, 80):
            self.ferryd.change(**mirroring(percent * 4 * GIB // 100))
        self.ferryd.change(phase="switching", progress=None)
        run.wait_for("switching")
        self.ferryd.change(**COMPLETED)
        self.assertEqual(run.end(), 0)
        self.assertLess(run.text.count("mirroring: "), 10)

    def test_ferryd_answers_though_nothing_has_changed(self):
        self.ferryd.patience = 0
        run = self.migrate("--json")
        run.wait_for('"queued"')
        while len(self.ferryd.requests("GET", f"/v1/migrations/{ID}?after=1")) < 5:
            run.pump(0.01)
        self.ferryd.change(**COMPLETED)
        self.assertEqual(run.end(), 0)
        self.assertEqual(run.text.count("\n"), 2)

    def test_what_it_waits_for_is_said(self):
        self.ferryd.move["waiting"] = "zulu has no free slot"
        run = self.migrate()
        run.wait_for("web01 -> zulu: queued: zulu has no free slot\n")
        self.ferryd.change(**COMPLETED)
        self.assertEqual(run.end(), 0)

    def test_json(self):
        run = self.migrate("--json")
        run.wait_for('"queued"')
        self.ferryd.change(**mirroring(GIB))
        run.wait_for('"mirroring"')
        self.ferryd.change(**COMPLETED)
        self.assertEqual((run.end(), run.errors), (0, ""))
        states = [json.loads(line) for line in run.text.splitlines()]
        self.assertEqual([state["phase"] for state in states], ["queued", "mirroring", "completed"])
        self.assertEqual(states[-1], self.ferryd.move)

    def test_json_failure(self):
        self.ferryd.answers["POST", "/v1/migrations"] = (
            409, refusal("blocked", "web01 cannot move to zulu.", [BLOCKING]))
        run = self.migrate("--json")
        self.assertEqual((run.end(), run.errors), (3, ""))
        self.assertEqual(json.loads(run.text),
                         {"error": {"code": "blocked", "text": "web01 cannot move to zulu.",
                                    "findings": [BLOCKING]}})

    def test_detach(self):
        self.assertEqual(self.ferry("migrate", "web01", "zulu", "--detach"), (0, ID + "\n", ""))
        status, text, _ = self.ferry("migrate", "web01", "zulu", "--detach", "--json")
        self.assertEqual((status, json.loads(text)["id"]), (0, ID))
        self.assertFalse([path for method, path, _ in self.ferryd.asked if method == "GET"])

    def test_refused_at_once(self):
        for status, code, found, expected, words in (
                (404, "unknown-vm", [BLOCKING], 3, "ferry: not possible as asked: fix what blocks it\n"),
                (409, "blocked", [BLOCKING], 3, "ferry: not possible as asked: fix what blocks it\n"),
                (400, "bad-request", [], 2, "ferry: No, because.\n"),
                (503, "busy", [], 1, "ferry: No, because.\n")):
            self.ferryd.answers["POST", "/v1/migrations"] = (status, refusal(code, "No, because.", found))
            run = self.migrate()
            self.assertEqual((run.end(), run.text), (expected, ""))
            self.assertEqual(run.errors.count("FERRY-2001  blocks"), len(found))
            self.assertEqual(run.errors.count("Fix: Add --switch"), len(found))
            self.assertTrue(run.errors.endswith(words))
            self.assertEqual(run.errors.count("No, because."), 0 if found else 1)

    def test_ends_badly(self):
        for members, status, words in (
                ({"phase": "failed", "error": {"code": "peer-error", "text": "The disk is full."}}, 1,
                 "the move of web01 to zulu failed: The disk is full.\n"),
                ({"phase": "failed", "error": {"code": "blocked", "text": "No."},
                  "findings": [BLOCKING]}, 3, "Fix: Add --switch"),
                ({"phase": "failed", "error": {"code": "not-running", "text": "It is off."},
                  "findings": [BLOCKING]}, 3,
                 "ferry: web01 cannot move to zulu as asked: fix what blocks it.\n"),
                (CANCELLED, 5, "the move of web01 to zulu was cancelled: It was cancelled here.\n")):
            self.ferryd.change(phase="queued", error=None, findings=[])
            run = self.migrate()
            run.wait_for("queued")
            self.ferryd.change(**members)
            self.assertEqual(run.end(), status)
            self.assertIn(words, run.errors)
            self.assertNotIn("runs on", run.text)

    def test_ferryd_is_restarted(self):
        run = self.migrate()
        run.wait_for("queued")
        self.ferryd.stop()
        run.wait_for("the move goes on without it, waiting for ferryd to be back\n")
        self.ferryd.move.update(mirroring(GIB))
        self.ferryd.move["version"] = 1  # it may also have lost count
        self.ferryd.start()
        run.wait_for("ferryd is back\n")
        run.wait_for("mirroring: ")
        self.ferryd.change(**COMPLETED)
        self.assertEqual(run.end(), 0)
        self.assertEqual(run.errors.count("\n"), 2, run.errors)

    def test_the_move_is_forgotten(self):
        run = self.migrate()
        run.wait_for("queued")
        self.ferryd.answers["GET", f"/v1/migrations/{ID}?after=1"] = \
            self.ferryd.answers["GET", f"/v1/migrations/{ID}?after=2"] = \
            (404, refusal("unknown-migration", "There is no such move."))
        self.ferryd.change(phase="queued")
        self.assertEqual(run.end(), 1)
        self.assertIn("There is no such move.", run.errors)


class Signals(MigrateCase):
    """Nobody can be asked: standard input is no terminal."""

    def running(self, *args, **members):
        run = self.migrate(*args)
        run.wait_for("queued")
        if members:
            self.ferryd.change(**members)
            run.wait_for(members["phase"])
        return run

    def test_interrupt_cancels(self):
        for args in ((), ("--json",)):
            self.ferryd.change(phase="queued", error=None)
            self.ferryd.asked.clear()
            run = self.running(*args)
            run.signal(signal.SIGINT)
            self.wait_asked(*CANCEL)
            self.ferryd.change(**CANCELLED)
            self.assertEqual(run.end(), 5)
            self.assertIn("cancelling the move; web01 goes on where it is", run.errors)

    def test_second_interrupt_leaves_it(self):
        run = self.running()
        run.signal(signal.SIGINT)
        self.wait_asked(*CANCEL)
        run.wait_for("cancelling")
        run.signal(signal.SIGINT)
        self.assertEqual(run.end(), 130)
        self.assertIn("the move is being cancelled; 'ferry status 5d0f1234' tells how it has ended\n",
                      run.errors)
        self.assertNotIn("goes on without", run.errors)

    def test_interrupt_after_the_commit_changes_nothing(self):
        for phase in ("committing", "cleaning"):
            self.ferryd.change(phase="queued", ended=None)
            run = self.running(phase=phase)
            run.signal(signal.SIGINT)
            run.wait_for("past the point where it could be cancelled")
            self.ferryd.change(**COMPLETED)
            self.assertEqual(run.end(), 0)
        self.assertEqual(self.ferryd.requests(*CANCEL), [])

    def test_cancel_is_refused(self):
        self.ferryd.on_cancel = (409, refusal("conflict", "It is being committed."))
        run = self.running()
        run.signal(signal.SIGINT)
        run.wait_for("the move is not cancelled: It is being committed.\n")
        self.ferryd.change(**COMPLETED)
        self.assertEqual(run.end(), 0)

    def test_terminate_and_hangup_leave_it(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            run = self.running()
            run.signal(number)
            self.assertEqual(run.end(), 128 + number)
            self.assertIn("the move goes on without being watched", run.errors)
        self.assertEqual(self.ferryd.requests(*CANCEL), [])

    def test_ignored_signals_stay_ignored(self):
        """As nohup and background jobs of a shell have them."""
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.addCleanup(signal.signal, signal.SIGINT, before)
        run = self.running()
        run.signal(signal.SIGINT)
        self.ferryd.change(phase="landing")
        run.wait_for("landing")
        self.ferryd.change(**COMPLETED)
        self.assertEqual((run.end(), run.errors), (0, ""))
        self.assertEqual(self.ferryd.requests(*CANCEL), [])

    def test_watching_somebody_elses_move(self):
        run = self.start("status", "web01", "--watch")
        run.wait_for("queued")
        run.signal(signal.SIGINT)
        self.assertEqual(run.end(), 130)
        self.assertEqual(self.ferryd.requests(*CANCEL), [])


class OnTerminal(MigrateCase):
    def running(self, columns=100):
        run = self.migrate(terminal=columns)
        run.wait_for("queued")
        self.ferryd.change(**mirroring(GIB))
        run.wait_for(r"\rmirroring ")
        return run

    def asked(self):
        run = self.running()
        run.signal(signal.SIGINT)
        run.wait_for(QUESTION)
        return run

    def test_bar_per_phase(self):
        run = self.running()
        run.wait_for(r"\rmirroring +\[#+-+\]   25 %  1\.0 GiB of 4\.0 GiB  118 MiB/s  26 s left")
        self.ferryd.change(**mirroring(2 * GIB))
        run.wait_for(r"\]   50 %")
        self.ferryd.change(phase="switching", phase_began=1790000039.5, progress=None)
        run.wait_for(r"\rswitching ")
        self.ferryd.change(**COMPLETED)
        self.assertEqual(run.end(), 0)
        shown = self.screen(run.text)
        self.assertIn("\nmirroring     4.0 GiB in 36 s (114 MiB/s)\nswitching     2.0 s\n"
                      "web01 runs on zulu now\n", shown)
        self.assertNotIn("25 %\n", shown)

    def test_bar_follows_the_width(self):
        run = self.running(columns=100)
        at = run.wait_for(r"\rmirroring +\[#")
        run.resize(40)
        run.signal(signal.SIGWINCH)
        run.wait_for(r"\rmirroring      25 %  1\.0 GiB of 4\.0 GiB", at)
        self.ferryd.change(**COMPLETED)
        self.assertEqual(run.end(), 0)

    def test_dumb_terminal(self):
        run = self.start("migrate", "web01", "zulu", terminal=80, env={"TERM": "dumb"})
        run.wait_for("web01 -> zulu: queued")
        self.ferryd.change(**COMPLETED)
        self.assertEqual(run.end(), 0)
        self.assertNotIn("\033", run.text)

    def test_hostile_names(self):
        self.ferryd.move["vm"] = "web\033[2J\a01"
        run = self.migrate(terminal=100)
        self.ferryd.change(phase="landing", waiting="\033]0;x\a")
        run.wait_for(r"landing +\?\]0;x\?")
        run.signal(signal.SIGINT)
        run.wait_for(QUESTION)
        run.type("c\n")
        self.ferryd.change(phase="failed", error={"code": "peer-error", "text": "\033[2J"})
        self.assertEqual(run.end(), 1)
        self.assertNotIn("\033[2J", run.text)
        self.assertNotIn("\a", run.text)

    def test_ask_and_continue(self):
        run = self.asked()
        # What happens meanwhile is not drawn over the question, and not lost.
        at = len(run.text)
        self.ferryd.change(phase="synchronizing", phase_began=1790000039.5, progress=None)
        self.wait_asked("GET", f"/v1/migrations/{ID}?after=3")
        run.type("x\n")
        run.wait_for(QUESTION, at)
        self.assertNotIn("mirroring     4.0 GiB in", run.text)
        run.type("c\n")
        run.wait_for("mirroring     4.0 GiB in 36 s")
        run.wait_for(r"\rsynchronizing")
        self.ferryd.change(**COMPLETED)
        self.assertEqual(run.end(), 0)
        self.assertEqual(self.ferryd.requests(*CANCEL), [])

    def test_ask_and_abort(self):
        run = self.asked()
        run.type("a\n")
        self.wait_asked(*CANCEL)
        self.ferryd.change(**CANCELLED)
        self.assertEqual(run.end(), 5)

    def test_ctrl_c_after_abort(self):
        run = self.asked()
        run.type("a\n")
        self.wait_asked(*CANCEL)
        run.type("\x03")
        self.assertEqual(run.end(), 130)
        self.assertIn("the move is being cancelled; 'ferry status 5d0f1234'", run.text)
        self.assertNotIn("goes on without", run.text)

    def test_ask_and_detach(self):
        run = self.asked()
        run.type("D\n")
        self.assertEqual(run.end(), 130)
        self.assertIn("the move goes on without being watched", run.text)
        self.assertEqual(self.ferryd.requests(*CANCEL), [])

    def test_end_of_input_continues(self):
        run = self.asked()
        run.type("\x04")
        self.ferryd.change(**COMPLETED)
        self.assertEqual(run.end(), 0)
        self.assertEqual(self.ferryd.requests(*CANCEL), [])

    def test_ctrl_c_at_the_question_detaches(self):
        run = self.asked()
        run.type("\x03")  # through the terminal, as a person would
        self.assertEqual(run.end(), 130)
        self.assertEqual(self.ferryd.requests(*CANCEL), [])

    def test_what_was_typed_before_is_no_answer(self):
        run = self.running()
        run.type("a\n")
        run.wait_for("a\r\n")
        run.type("\x03")
        run.wait_for(QUESTION)
        run.type("c\n")
        self.ferryd.change(**COMPLETED)
        self.assertEqual(run.end(), 0)
        self.assertEqual(self.ferryd.requests(*CANCEL), [])

    def test_no_abort_past_the_commit(self):
        run = self.running()
        self.ferryd.change(phase="committing", progress=None)
        run.wait_for(r"\rcommitting")
        run.signal(signal.SIGINT)
        at = run.wait_for(r"cannot be aborted any more: .*running\?\033\[0m $")
        run.type("a\n")
        run.wait_for("cannot be aborted any more", at)
        run.type("c\n")
        self.ferryd.change(**COMPLETED)
        self.assertEqual(run.end(), 0)
        self.assertEqual(self.ferryd.requests(*CANCEL), [])

    def test_it_ends_while_the_question_stands(self):
        run = self.asked()
        self.ferryd.change(**COMPLETED)
        self.assertEqual(run.end(), 0)
        self.assertIn("web01 runs on zulu now", run.text)


if __name__ == "__main__":
    unittest.main()
