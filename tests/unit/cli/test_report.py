#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reports: what 'ferry compare' writes has the published form, and 'ferry migrate' executes that and nothing else."""

import copy
import json
import os
import sys
import unittest

import jsonschema

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from fakeferryd import BLOCKING, CHANGES, COMPLETED, GIB, ID, MOVE, refusal  # noqa: E402
from runs import SOURCE, FerryCase  # noqa: E402

ASAN = True
NOTE = {"code": "FERRY-3003", "severity": "note", "subject": "/srv/ssd", "text": "It could grow."}
CHANGED = {"code": "FERRY-2009", "severity": "changed", "subject": "52:54:00:00:00:05",
           "text": "Its port name is taken."}
ANSWER = {"vm": "web01", "vm_uuid": MOVE["vm_uuid"], "source": "alpha", "target": "zulu",
          "target_uuid": "b0000000-0000-4000-8000-000000000002", "possible": True,
          "request": {"vm": "web01", "target": "zulu", "switches": {"vSwitch-VLAN500": "Converged:500"},
                      "storage": {}, "formats": {}, "latency_guard": 1.5},
          "machine": {"type": "pc-q35-7.2", "arch": "x86_64", "memory": GIB, "vcpus": 2},
          "findings": [CHANGED, NOTE], "changes": CHANGES}


def answer_for(vm):
    return {**ANSWER, "vm": vm, "request": {**ANSWER["request"], "vm": vm}}


class ReportCase(FerryCase):
    with open(os.path.join(SOURCE, "docs/compare.schema.json"), encoding="utf-8") as file:
        SCHEMA = json.load(file)

    def setUp(self):
        super().setUp()
        self.path = os.path.join(os.path.dirname(self.ferryd.path), "report.json")
        self.addCleanup(lambda: os.path.exists(self.path) and os.unlink(self.path))

    def write(self, report):
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(report if isinstance(report, str) else json.dumps(report))

    def report(self, *vms):
        return {"ferry_report": 1, "made": 1790000000, "ferry": "0.1.0",
                "comparisons": [copy.deepcopy(answer_for(vm)) for vm in vms or ("web01",)]}


class Written(ReportCase):
    def test_the_schema_is_one(self):
        jsonschema.Draft202012Validator.check_schema(self.SCHEMA)

    def test_written_and_valid(self):
        self.ferryd.answers["POST", "/v1/compare"] = (200, ANSWER)
        status, text, errors = self.ferry("compare", "web01", "zulu", "--output", self.path)
        self.assertEqual((status, errors), (0, ""))
        self.assertTrue(text.endswith("web01 can move to zulu.\n"))
        with open(self.path, encoding="utf-8") as file:
            report = json.load(file)
        jsonschema.Draft202012Validator(self.SCHEMA).validate(report)
        self.assertEqual(report["comparisons"], [ANSWER])

    def test_several(self):
        asked = []

        def answer(method, target, body, plain=self.ferryd.answer):
            if target != "/v1/compare":
                return plain(method, target, body)
            asked.append(body["vm"])
            found = answer_for(body["vm"])
            return 200, {**found, "possible": False, "findings": [BLOCKING]} if body["vm"] == "db02" else found
        self.ferryd.answer = answer
        self.ferryd.answers["GET", "/v1/vms"] = (200, {"vms": [
            {"name": name, "uuid": MOVE["vm_uuid"], "state": "running"} for name in ("db02", "web01")]})
        status, text, _ = self.ferry("compare", "web01", "web02", "zulu")
        self.assertEqual((status, asked), (0, ["web01", "web02"]))
        self.assertIn("2 of 2 VMs can move to zulu.", text)
        asked.clear()
        status, text, _ = self.ferry("compare", "--all", "zulu", "--output", self.path)
        self.assertEqual((status, asked), (3, ["db02", "web01"]))
        self.assertIn("db02 cannot move to zulu as asked", text)
        self.assertTrue(text.endswith("web01 can move to zulu.\n\n1 of 2 VMs can move to zulu.\n"))
        self.assertIn("\n\nweb01\n", text)
        with open(self.path, encoding="utf-8") as file:
            self.assertEqual([one["possible"] for one in json.load(file)["comparisons"]], [False, True])
        status, text, _ = self.ferry("--json", "compare", "--all", "zulu")
        self.assertEqual([json.loads(line)["vm"] for line in text.splitlines()], ["db02", "web01"])
        for args in (("compare", "zulu"), ("compare", "--all", "web01", "zulu"), ("compare", "--all")):
            self.assertEqual(self.ferry(*args)[0], 2, args)

    def test_one_that_cannot_be_compared(self):
        self.ferryd.answers["POST", "/v1/compare"] = (404, refusal("unknown-vm", "There is no db02."))
        status, _, errors = self.ferry("compare", "db02", "web01", "zulu", "--output", self.path)
        self.assertEqual((status, errors.count("There is no db02.")), (1, 2))
        self.assertFalse(os.path.exists(self.path))

    def test_a_report_that_cannot_be_written(self):
        self.ferryd.answers["POST", "/v1/compare"] = (200, ANSWER)
        status, _, errors = self.ferry("compare", "web01", "zulu", "--output", "/nonexistent/report")
        self.assertEqual(status, 1)
        self.assertIn("/nonexistent/report", errors)


class Executed(ReportCase):
    def test_one(self):
        self.ferryd.move.update(COMPLETED)
        self.write(self.report())
        for args in ((), ("web01",), ("web01", "zulu")):
            status, _, errors = self.ferry("migrate", "--report", self.path, *args)
            self.assertEqual((status, errors), (0, ""))
            sent = self.ferryd.requests("POST", "/v1/migrations").pop()
            expected = sent.pop("report")
            self.assertEqual(sent, ANSWER["request"])
            self.assertEqual(expected, {**ANSWER, "findings": [CHANGED]})

    def test_several_are_queued(self):
        self.write(self.report("web01", "db02"))
        status, text, _ = self.ferry("migrate", "--report", self.path)
        self.assertEqual((status, text), (0, f"{ID}\n{ID}\n"))
        self.assertEqual([one["vm"] for one in self.ferryd.requests("POST", "/v1/migrations")],
                         ["web01", "db02"])

    def test_the_world_has_changed(self):
        self.ferryd.move.update(phase="failed", ended=1790000001.0, error={
            "code": "changed", "text": "it is not the move of the report any more: disk vdb was not there"})
        self.write(self.report())
        status, text, errors = self.ferry("migrate", "--report", self.path)
        self.assertEqual(status, 3)
        self.assertIn("disk vdb was not there", text + errors)

    def refused(self, report, *places, args=()):
        """Refused with a line for each of these places and no other."""
        self.write(report)
        status, text, errors = self.ferry("--json", "migrate", "--report", self.path, *args)
        self.assertEqual((status, errors), (2, ""))
        error = json.loads(text)["error"]
        self.assertEqual(error["code"], "bad-report")
        problems = error["text"].partition(f"{self.path}: ")[2].split("; /")
        self.assertEqual({"/" + one.lstrip("/").partition(": ")[0] for one in problems}, set(places),
                         error["text"])
        status, text, errors = self.ferry("migrate", "--report", self.path, *args)
        self.assertEqual((status, text), (2, ""))
        for place in places:
            self.assertIn(f"{place}: ", errors)
        self.assertEqual(self.ferryd.asked, [])
        return errors

    def test_no_sense(self):
        other = self.report("web01", "db02", "web01")
        other["comparisons"][0].pop("changes")
        other["comparisons"][1]["possible"] = False
        other["comparisons"][1]["request"]["vm"] = "web02"
        other["comparisons"][2]["machine"]["memory"] = -1
        self.refused(other, "/comparisons/0", "/comparisons/1/possible", "/comparisons/1/request/vm",
                     "/comparisons/2/machine/memory")
        self.refused(self.report("web01", "web01"), "/comparisons/1/vm")
        errors = self.refused(self.report("db02"), "/comparisons/0/vm", "/comparisons/0/target",
                              args=("web01", "yankee"))
        self.assertIn("it is of db02, and web01 is asked for", errors)

    def test_newer(self):
        errors = self.refused({**self.report(), "ferry_report": 2, "comparisons": "nonsense"}, "/ferry_report")
        self.assertIn("version 2 is newer", errors)

    def test_not_to_be_read(self):
        for text in ("", "{", "[]", "{" * 100):
            self.write(text)
            status, _, errors = self.ferry("migrate", "--report", self.path)
            self.assertEqual(status, 2, text)
            self.assertIn(self.path, errors)
        os.unlink(self.path)
        self.assertEqual(self.ferry("migrate", "--report", self.path)[0], 2)

    def test_nothing_else_may_be_asked(self):
        self.write(self.report())
        status, _, errors = self.ferry("migrate", "--report", self.path, "--way-back", "3")
        self.assertEqual(status, 2)
        self.assertIn("no other option", errors)

    def places(self, report):
        """Where the schema says that something is wrong, by another program's reading of it."""
        return {"/" + "/".join(map(str, error.absolute_path))
                for error in jsonschema.Draft202012Validator(self.SCHEMA).iter_errors(report)}

    def spoil(self, node, path=()):
        """Every (path, value) of a report, with something in its place that may not be there."""
        for key in (list(node) if isinstance(node, dict) else range(len(node))):
            for value in (None, [], {}, "", -1, 1.5, "/", "x" * 5000, True):
                yield (*path, key), value
            if isinstance(node[key], (dict, list)):
                yield from self.spoil(node[key], (*path, key))

    def test_places_are_those_of_the_schema(self):
        """All that can be wrong, wrong together in a few reports; ours and another validator agree on where."""
        wrong = []
        for path, value in self.spoil(self.report()):
            spoilt = self.report()
            *way, last = path
            at = spoilt
            for step in way:
                at = at[step]
            at[last] = value
            if self.places(spoilt) and path[0] == "comparisons" and len(path) > 2:
                wrong.append(spoilt["comparisons"][0])
        self.assertGreater(len(wrong), 100)
        for start in range(0, len(wrong), 20):  # fewer problems than are shown at most
            report = {**self.report(), "comparisons": wrong[start:start + 20]}
            self.refused(report, *self.places(report))


if __name__ == "__main__":
    unittest.main()
