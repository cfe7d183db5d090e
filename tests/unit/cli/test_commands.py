#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every command but migrate: what it asks ferryd, what it prints, how it ends."""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from fakeferryd import BLOCKING, CHANGES, COMPLETED, GIB, ID, MOVE, refusal  # noqa: E402
from runs import FerryCase  # noqa: E402

ASAN = True
COMMANDS = ("compare", "explain", "migrate", "return", "commit", "status", "list", "history", "set", "cutover", "cancel",
            "pair", "peers", "unpair", "version", "help")


class Usage(FerryCase):
    def test_help_of_every_command(self):
        status, text, _ = self.ferry("help")
        self.assertEqual(status, 0)
        for command in COMMANDS:
            self.assertIn(f"\n  {command}", text)
            for args in ((command, "--help"), ("help", command), ("--help", command), (command, "-h")):
                status, own, errors = self.ferry(*args)
                self.assertEqual((status, errors), (0, ""), args)
                self.assertIn(f"ferry {command} ", own)
                for option in ("--json", "--socket", "--color", "--help"):
                    self.assertIn(option, own)
        self.assertEqual(self.ferryd.asked, [])

    def test_mistakes(self):
        for args, words in (((), "a command is missing; see 'ferry help'"),
                            (("mgrate",), "'mgrate' is no command; see 'ferry help'"),
                            (("help", "mgrate"), "'mgrate' is no command"),
                            (("migrate", "web01"), "'migrate' takes VM TARGET, but was given 1 argument"),
                            (("migrate", "a", "b", "c"), "was given 3 arguments"),
                            (("migrate", "a", "b", "--switch", "x"), "--switch 'x': OLD=NEW"),
                            (("migrate", "a", "b", "--way-back", "x"), "hours from 0 to 8760"),
                            (("migrate", "a", "b", "--switch", "x=y:z"), "--switch: 'y:z': behind the colon"),
                            (("compare", "a", "b", "--storage", "x=y"), "--storage: 'y' is neither"),
                            (("compare", "a", "b", "--format", "vda=vmdk"), "--format: 'vmdk' is no format"),
                            (("compare", "a/b", "b"), "'a/b' is neither a VM's name"),
                            (("compare", "a", "b c"), "'b c' is not the name of a paired host"),
                            (("return", "a", "--mirror", "synchronous", "--latency-guard", "2"),
                             "--latency-guard: with --mirror synchronous"),
                            (("set", "web01"), "'set' takes ID SETTING=VALUE..."),
                            (("set", "web01", "speed=1M"), "'speed=1M': bandwidth=RATE or"),
                            (("set", "web01", "bandwidth"), "'bandwidth': bandwidth=RATE or"),
                            (("set", "web01", "bandwidth="), "bandwidth='': a rate such as"),
                            (("set", "web01", "bandwidth=100"), "bandwidth='100': the unit is missing"),
                            (("set", "web01", "bandwidth=0", "bandwidth=0"), "set twice"),
                            (("set", "web01", "latency-guard=1"), "a factor from 1.1 to 100"),
                            (("list", "--frob"), "--frob"),
                            (("list", "x"), "'list' takes no arguments"),
                            (("list", "--color", "blue"), "auto, always or never"),
                            (("pair",), "HOST or --accept is expected"),
                            (("pair", "zulu", "--accept"), "--accept stands alone"),
                            (("status", "--watch"), "--watch needs the ID"),
                            ((b"cancel", b"\xff"), "not UTF-8")):
            status, text, errors = self.ferry(*args)
            self.assertEqual((status, text), (2, ""), (args, errors))
            self.assertIn(words, errors)
            self.assertEqual(errors.count("\n"), 1, errors)
            status, text, errors = self.ferry(*args, "--json")
            self.assertEqual((status, errors), (2, ""), args)
            error = json.loads(text)["error"]
            self.assertEqual((error["code"], error["findings"]), ("usage", []))
            self.assertIn(words, error["text"])
        self.assertEqual(self.ferryd.asked, [])

    def test_no_ferryd(self):
        self.ferryd.stop()
        for args in (("list",), ("migrate", "web01", "zulu"), ("compare", "web01", "zulu"),
                     ("status", "web01", "--watch")):
            status, text, errors = self.ferry(*args)
            self.assertEqual((status, text), (4, ""), args)
            self.assertIn("systemctl start ferryd", errors)
            status, text, errors = self.ferry("--json", *args)
            self.assertEqual((status, errors), (4, ""), args)
            self.assertEqual(json.loads(text)["error"]["code"], "no-ferryd")

    def test_something_else_answers(self):
        self.ferryd.answers["GET", "/v1/migrations"] = (200, b"<html>hello</html>")
        status, _, errors = self.ferry("list")
        self.assertEqual(status, 4)
        self.assertIn("not JSON", errors)

    def test_full_disk(self):
        self.ferryd.answers["GET", "/v1/migrations"] = (200, {"migrations": [MOVE]})
        with open("/dev/full", "wb") as full:
            run = self.start("list", stdout=full)
            self.assertEqual(run.end(), 1)
            self.assertIn("not all output could be written", run.said(0))


class Explain(FerryCase):
    def test_codes(self):
        self.ferryd.stop()  # nobody is asked
        for code in ("FERRY-2002", "ferry-2002", "2002"):
            status, text, errors = self.ferry("explain", code, "FERRY-3012")
            self.assertEqual((status, errors), (0, ""))
            first, second = text.split("\n\n")
            self.assertRegex(first, r"^FERRY-2002: The switch cannot tag\n"
                                    r"  Severity  blocks\n  About     network\n  Meaning   .*VLAN.*\n  Fix  ")
            self.assertNotIn("`", text)
            self.assertRegex(second, r"^FERRY-3012: .*\n  Severity  changed\n")
            self.assertNotIn("Fix", second)

    def test_all(self):
        status, text, _ = self.ferry("explain")
        self.assertEqual(status, 0)
        self.assertRegex(text, r"^CODE +SEVERITY +TITLE\nFERRY-1001 +blocks +No such VM\n")
        status, lines, _ = self.ferry("--json", "explain")
        self.assertEqual(len(lines.splitlines()), len(text.splitlines()) - 1)
        self.assertEqual(json.loads(lines.splitlines()[0])["code"], "FERRY-1001")

    def test_unknown(self):
        for code in ("FERRY-9999", "200", "FERRY-20022", "x", "-2003", "0042"):
            status, text, errors = self.ferry("explain", "2002", "--", code)
            self.assertEqual((status, text), (2, ""), code)
            self.assertIn("is no code of a finding such as FERRY-2003", errors)


class Compare(FerryCase):
    ANSWER = {"vm": "web01", "target": "zulu", "possible": True, "findings": [
        {"code": "FERRY-2002", "severity": "changed", "subject": "52:54:00:00:00:05",
         "text": "Goes to Converged."}], "changes": CHANGES}

    def test_possible(self):
        self.ferryd.answers["POST", "/v1/compare"] = (200, self.ANSWER)
        status, text, errors = self.ferry("compare", "web01", "zulu", "--switch",
                                          "vSwitch-VLAN500=Converged:500", "--storage", "/a=/b",
                                          "--format=vda=raw", "--way-back=48")
        self.assertEqual((status, errors), (0, ""))
        self.assertIn("FERRY-2002  changed  52:54:00:00:00:05  Goes to Converged.\n", text)
        self.assertIn("vSwitch-VLAN500 -> Converged, VLAN 500\n", text)
        self.assertIn("/var/lib/libvirt/images/web01.qcow2 -> /srv/ssd/web01.raw\n", text)
        self.assertIn("qcow2 -> raw, 4.0 GiB\n", text)
        self.assertTrue(text.endswith("\nweb01 can move to zulu.\n"))
        self.assertEqual(self.ferryd.requests("POST", "/v1/compare"),
                         [{"vm": "web01", "target": "zulu",
                           "switches": {"vSwitch-VLAN500": "Converged:500"},
                           "storage": {"/a": "/b"}, "formats": {"vda": "raw"}, "way_back": 48}])

    def test_not_possible(self):
        answer = {**self.ANSWER, "possible": False, "findings": [BLOCKING]}
        self.ferryd.answers["POST", "/v1/compare"] = (200, answer)
        status, text, errors = self.ferry("compare", "web01", "zulu")
        self.assertEqual((status, errors), (3, ""))
        self.assertIn("blocks", text)
        self.assertIn("Fix: Add --switch vSwitch-VLAN500=SWITCH:VLAN.\n", text)
        self.assertTrue(text.endswith("web01 cannot move to zulu as asked: fix what blocks it.\n"))
        status, text, _ = self.ferry("compare", "web01", "zulu", "--json")
        self.assertEqual((status, json.loads(text)), (3, answer))

    def test_refused(self):
        self.ferryd.answers["POST", "/v1/compare"] = (404, refusal("unknown-vm", "There is no web01."))
        status, text, errors = self.ferry("compare", "web01", "zulu")
        self.assertEqual((status, text, errors), (1, "", "ferry: There is no web01.\n"))
        # With findings they say it, once, and whatever the code the move is not possible as asked.
        finding = {**BLOCKING, "text": "There is no web01."}
        self.ferryd.answers["POST", "/v1/compare"] = (
            404, refusal("unknown-vm", "There is no web01.", [finding]))
        status, text, errors = self.ferry("compare", "web01", "zulu")
        self.assertEqual((status, text), (3, ""))
        self.assertEqual(errors.count("There is no web01."), 1)
        self.assertTrue(errors.endswith("\nferry: not possible as asked: fix what blocks it\n"), errors)
        error = json.loads(self.ferry("compare", "web01", "zulu", "--json")[1])["error"]
        self.assertEqual((error["text"], error["findings"]), ("There is no web01.", [finding]))

    def test_what_only_ferryd_knows_is_wrong_usage(self):
        self.ferryd.answers["POST", "/v1/compare"] = (400, refusal("bad-request", "zulu is this host."))
        self.assertEqual(self.ferry("compare", "web01", "zulu"), (2, "", "ferry: zulu is this host.\n"))


class Moves(FerryCase):
    def test_list(self):
        ended = {**MOVE, **COMPLETED, "id": "77aa1234-0000-4000-8000-000000000002", "vm": "db02",
                 "role": "target", "peer": "alpha"}
        running = {**MOVE, "phase": "mirroring",
                   "progress": {"done": GIB, "total": 4 * GIB, "rate": 118 << 20, "eta": 26}}
        self.ferryd.answers["GET", "/v1/migrations"] = (200, {"migrations": [running, ended]})
        self.ferryd.answers["GET", "/v1/migrations?all=1"] = (200, {"migrations": []})
        status, text, _ = self.ferry("list")
        self.assertEqual(status, 0)
        lines = text.splitlines()
        self.assertEqual(lines[0].split(), ["ID", "VM", "PEER", "PHASE", "BEGAN", "TOOK"])
        self.assertEqual(lines[1].split()[:5], ["5d0f1234", "web01", "->", "zulu", "mirroring"])
        self.assertTrue(lines[1].endswith("25 %, 118 MiB/s"))
        self.assertEqual(lines[2].split()[:5], ["77aa1234", "db02", "<-", "alpha", "completed"])
        self.assertIn("41 s", lines[2])
        self.assertEqual(len(self.ferry("list", "--all")[1].splitlines()), 1)
        status, text, _ = self.ferry("list", "--json")
        self.assertEqual(json.loads(text), {"migrations": [running, ended]})
        refused = {**MOVE, "phase": "failed", "error": {"code": "not-running", "text": "All in full."},
                   "findings": [BLOCKING, BLOCKING, {**BLOCKING, "code": "FERRY-3004"}]}
        self.ferryd.answers["GET", "/v1/migrations"] = (200, {"migrations": [refused]})
        self.assertTrue(self.ferry("list")[1].endswith("  blocked by FERRY-2001, FERRY-3004\n"))

    def test_nobody_reads(self):
        """As in 'ferry list | head': many moves, and a reader that goes away."""
        self.ferryd.answers["GET", "/v1/migrations"] = (200, {"migrations": [MOVE] * 1000})
        for args in (("list",), ("list", "--json"), ("help",)):
            read_end, write_end = os.pipe()
            os.close(read_end)
            with os.fdopen(write_end, "wb") as stdout:
                run = self.start(*args, stdout=stdout)
            self.assertEqual((run.end(), run.said(0)), (0, ""), args)

    def test_status_of_one(self):
        self.ferryd.change(phase="mirroring", changes=CHANGES,
                           progress={"done": GIB, "total": 4 * GIB, "rate": 118 << 20, "eta": 26})
        status, text, _ = self.ferry("status", "web01")
        self.assertEqual(status, 0)
        for words in ("web01 -> zulu: mirroring\n", ID, "1.0 GiB of 4.0 GiB (25 %), 118 MiB/s, 26 s left",
                      "so far, began 2026-09-21 ", "Converged, VLAN 500"):
            self.assertIn(words, text)

    def test_status_tells_how_it_ended(self):
        for members, expected, words in (
                (COMPLETED, 0, "web01 runs on zulu now\n"),
                ({"phase": "failed", "error": {"code": "peer-error", "text": "The disk is full."}}, 1,
                 "peer-error  The disk is full.\n"),
                ({"phase": "failed", "error": {"code": "blocked", "text": "No."},
                  "findings": [BLOCKING]}, 3, "Fix: Add --switch"),
                ({"phase": "failed", "error": {"code": "not-running", "text": "It is off."},
                  "findings": [BLOCKING]}, 3, "Fix: Add --switch"),
                ({"phase": "cancelled", "error": {"code": "cancelled", "text": "By you."}, "findings": []},
                 5, "By you.")):
            self.ferryd.change(**members)
            status, text, _ = self.ferry("status", ID)
            self.assertEqual(status, expected)
            self.assertIn(words, text)

    def test_status_of_all(self):
        self.ferryd.answers["GET", "/v1/migrations"] = (200, {"migrations": [
            MOVE, {**MOVE, **COMPLETED}]})
        status, text, _ = self.ferry("status")
        self.assertEqual((status, text.count("web01")), (0, 1))
        self.assertEqual(json.loads(self.ferry("status", "--json")[1]), {"migrations": [MOVE]})
        self.ferryd.answers["GET", "/v1/migrations"] = (200, {"migrations": [MOVE, MOVE]})
        self.assertEqual(self.ferry("status")[1].count("\n\nweb01 -> zulu: queued\n"), 1)
        self.ferryd.answers["GET", "/v1/migrations"] = (200, {"migrations": []})
        self.assertIn("No move is under way", self.ferry("status")[1])
        self.assertEqual(json.loads(self.ferry("status", "--json")[1]), {"migrations": []})

    def test_names_are_escaped_in_paths(self):
        path = "/v1/migrations/a%2Fb%20%C3%A9%3Fall"
        self.ferryd.answers["GET", path] = (404, refusal("unknown-migration", "None."))
        self.assertEqual(self.ferry("status", "a/b é?all"), (1, "", "ferry: None.\n"))

    def test_set(self):
        told = ("PATCH", f"/v1/migrations/{ID}")
        self.ferryd.answers[told] = (202, MOVE)
        status, text, _ = self.ferry("set", ID, "bandwidth=100MiB/s", "latency-guard=off")
        self.assertEqual((status, self.ferryd.requests(*told)),
                         (0, [{"bandwidth": 100 << 20, "latency_guard": 0}]))
        self.assertIn("ferry status", text)
        self.ferry("set", ID, "bandwidth=none")
        self.assertEqual(self.ferryd.requests(*told)[1], {"bandwidth": 0})
        self.ferryd.answers[told] = (409, refusal("conflict", "It has ended."))
        self.assertEqual(self.ferry("set", ID, "latency-guard=2"), (1, "", "ferry: It has ended.\n"))

    def test_cutover(self):
        path = f"/v1/migrations/{ID}/cutover"
        self.ferryd.answers["POST", path] = (202, {**MOVE, "hold": {"state": "ready", "cutover_at": None}})
        status, text, _ = self.ferry("cutover", ID)
        self.assertEqual((status, self.ferryd.requests("POST", path)[-1]), (0, {}))
        self.assertIn("switches over", text)
        status, text, _ = self.ferry("cutover", ID, "--at", "2026-12-01T02:00:00Z")
        self.assertEqual((status, self.ferryd.requests("POST", path)[-1]), (0, {"at": 1796090400}))
        self.assertEqual(self.ferry("cutover", ID, "--at", "tomorrow")[0], 2)
        group = "/v1/groups/shop/cutover"
        self.ferryd.answers["POST", group] = (202, {"group": "shop", "migrations": [ID]})
        status, text, _ = self.ferry("cutover", "--group", "shop", "--without", "db01")
        self.assertEqual((status, self.ferryd.requests("POST", group)[-1]), (0, {"without": ["db01"]}))
        self.assertIn("The group switches over", text)
        for args in ((), ("--without", "db01", ID), ("--group", "shop", ID), ("--group", "shop", "--at", "2026-12-01 02:00")):
            self.assertEqual(self.ferry("cutover", *args)[0], 2, args)
        self.ferryd.answers["POST", path] = (409, refusal("conflict", "This move is not held."))
        status, _, text = self.ferry("cutover", ID)
        self.assertEqual((status, text), (1, "ferry: This move is not held.\n"))

    def test_cancel(self):
        status, text, _ = self.ferry("cancel", ID)
        self.assertEqual((status, len(self.ferryd.requests("POST", f"/v1/migrations/{ID}/cancel"))), (0, 1))
        self.assertIn("being cancelled", text)
        self.ferryd.on_cancel = (202, {"phase": "failed"})  # it was stuck
        status, text, _ = self.ferry("cancel", ID)
        self.assertEqual((status, text), (0, "The move is closed; the VM and its disks are as they were.\n"))
        self.ferryd.on_cancel = (409, refusal("conflict", "It has ended."))
        self.assertEqual(self.ferry("cancel", ID), (1, "", "ferry: It has ended.\n"))

    def test_a_name_cannot_steer_the_terminal(self):
        evil = "web\033[2J\u009b1m\u202e01"
        self.ferryd.change(vm=evil)
        for args in (("status", "web01"), ("status", "web01", "--json")):
            for terminal in (None, 100):
                status, text, _ = self.ferry(*args, terminal=terminal, env={"NO_COLOR": "1"})
                self.assertEqual(status, 0)
                for bad in "\033\u009b\u202e":
                    self.assertNotIn(bad, text)
                if args[-1] == "--json":
                    self.assertEqual(json.loads(text)["vm"], evil)

    def test_colour(self):
        plain = self.ferry("status", "web01", terminal=100, env={"NO_COLOR": "1"})[1]
        coloured = self.ferry("status", "web01", terminal=100)[1]
        self.assertNotIn("\033", plain)
        self.assertIn("\033[1m", coloured)
        self.assertNotIn("\033", self.ferry("status", "web01")[1])
        self.assertIn("\033", self.ferry("status", "web01", "--color=always")[1])
        self.assertNotIn("\033", self.ferry("status", "web01", "--color=never", terminal=100)[1])


class Peers(FerryCase):
    PEER = {"name": "zulu", "address": "zulu:16550", "fingerprint": "ab" * 32, "expires": 2104185600}

    def test_accept(self):
        answer = {"token": "ABCD-EFGH-IJKL-MNOP", "expires": 1790000600, "name": "zulu",
                  "fingerprint": "ab" * 32}
        self.ferryd.answers["POST", "/v1/pairing"] = (201, answer)
        status, text, _ = self.ferry("pair", "--accept")
        self.assertEqual(status, 0)
        for words in ("ABCD-EFGH-IJKL-MNOP", "2026-09-21 14:23", "ab" * 32, "'ferry pair zulu'"):
            self.assertIn(words, text)
        self.assertEqual(json.loads(self.ferry("--json", "pair", "--accept")[1]), answer)

    def test_token_as_option(self):
        self.ferryd.answers["POST", "/v1/peers"] = (201, self.PEER)
        status, text, _ = self.ferry("pair", "zulu:1234", "--token", "abcd", "--name", "z", "--replace")
        self.assertEqual(status, 0)
        self.assertIn("Paired with zulu at zulu:16550.", text)
        self.assertIn("ab" * 32, text)
        self.assertEqual(self.ferryd.requests("POST", "/v1/peers"),
                         [{"host": "zulu:1234", "token": "abcd", "name": "z", "replace": True}])

    def test_token_is_asked_for(self):
        self.ferryd.answers["POST", "/v1/peers"] = (201, self.PEER)
        run = self.start("pair", "zulu", terminal=80)
        run.wait_for("'ferry pair --accept' on zulu shows it")
        self.assertEqual(self.ferryd.asked, [])
        run.type("abcd-efgh \n")
        self.assertEqual(run.end(), 0)
        self.assertEqual(self.ferryd.requests("POST", "/v1/peers"),
                         [{"host": "zulu", "token": "abcd-efgh"}])

    def test_token_from_a_pipe(self):
        self.ferryd.answers["POST", "/v1/peers"] = (201, self.PEER)
        read_end, write_end = os.pipe()
        os.write(write_end, b"abcd\n")
        os.close(write_end)
        with os.fdopen(read_end) as stdin:
            self.assertEqual(self.ferry("pair", "zulu", stdin=stdin)[0], 0)
        self.assertEqual(self.ferryd.requests("POST", "/v1/peers"), [{"host": "zulu", "token": "abcd"}])

    def test_no_token(self):
        status, _, errors = self.ferry("pair", "zulu")
        self.assertEqual((status, self.ferryd.asked), (2, []))
        self.assertIn("no token was given", errors)

    def test_wrong_token(self):
        self.ferryd.answers["POST", "/v1/peers"] = (403, refusal("bad-token", "Make a new one."))
        self.assertEqual(self.ferry("pair", "zulu", "--token", "x"), (1, "", "ferry: Make a new one.\n"))

    def test_peers_and_unpair(self):
        self.ferryd.answers["GET", "/v1/peers"] = (200, {"peers": [self.PEER]})
        self.ferryd.answers["DELETE", "/v1/peers/zulu"] = (204, {})
        status, text, _ = self.ferry("peers")
        self.assertEqual(status, 0)
        self.assertEqual(text.splitlines()[1].split(),
                         ["zulu", "zulu:16550", "2036-09-05", "00:00", "ab" * 32])
        self.assertEqual(self.ferry("unpair", "zulu")[0], 0)
        self.assertEqual(self.ferry("unpair", "nobody")[0], 1)

    def test_version(self):
        self.ferryd.answers["GET", "/v1/host"] = (200, {"name": "alpha", "version": "9.9"})
        status, text, _ = self.ferry("version")
        self.assertEqual(status, 0)
        self.assertRegex(text, r"^ferry \d+\.\d+\.\d+\nferryd 9\.9 on alpha\n$")
        self.assertEqual(self.ferry("--version")[1], text)
        self.assertEqual(json.loads(self.ferry("--version", "--json")[1])["ferryd"], "9.9")
        self.ferryd.answers["GET", "/v1/host"] = (200, {"name": "alpha", "version": "9.9",
                                                        "settings_error": "[networks]: no"})
        self.assertIn("\nIt keeps its old settings: [networks]: no\n", self.ferry("version")[1])
        self.ferryd.stop()
        self.assertRegex(self.ferry("version")[1],
                         "ferryd at .*api.sock does not answer: .* 'systemctl start ferryd'\n")


if __name__ == "__main__":
    unittest.main()
