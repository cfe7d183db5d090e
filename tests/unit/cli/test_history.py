#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""ferry history reads the journal itself: also one of an older version, and while no ferryd runs."""

import json
import os
import sqlite3
import sys
import time

import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from fakeferryd import COMPLETED, MOVE  # noqa: E402
from runs import FerryCase  # noqa: E402

ASAN = True
# As version 1 had it.
SCHEMA = """
    CREATE TABLE migrations(id TEXT PRIMARY KEY, role TEXT NOT NULL, vm TEXT NOT NULL, vm_uuid TEXT NOT NULL,
      peer TEXT NOT NULL, phase TEXT NOT NULL, decision INTEGER NOT NULL DEFAULT 0, token TEXT, details TEXT,
      status TEXT, began INTEGER NOT NULL, changed INTEGER NOT NULL, ended INTEGER NOT NULL DEFAULT 0) STRICT;
    CREATE TABLE steps(n INTEGER PRIMARY KEY, id TEXT NOT NULL, at INTEGER NOT NULL, step TEXT NOT NULL) STRICT;
    CREATE TABLE kept(path TEXT PRIMARY KEY, original TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
      vm_uuid TEXT NOT NULL, until INTEGER NOT NULL) STRICT;
    PRAGMA journal_mode = WAL; PRAGMA user_version = 1;
"""
HOUR = 3600 * 1000000


class History(FerryCase):
    def setUp(self):
        super().setUp()
        self.ferryd.stop()
        folder = os.path.dirname(self.ferryd.path)
        self.conf = os.path.join(folder, "ferryd.conf")
        with open(self.conf, "w", encoding="utf-8") as file:
            file.write(f"[host]\nstate-directory = {folder}\n")
        self.path = os.path.join(folder, "journal.db")

    def make(self):
        self.now = int(time.time() * 1000000)
        with sqlite3.connect(self.path) as db:
            db.executescript(SCHEMA)
            self.add(db, "aaaa0001-0000-4000-8000-000000000001", "web01", "completed", 48, COMPLETED, 0)
            self.add(db, "aaab0002-0000-4000-8000-000000000002", "db02", "failed", 24,
                     {**MOVE, "error": {"code": "stalled", "text": "nothing \x1b[2Jmoved"}}, 1234567)
            self.add(db, "bbbb0003-0000-4000-8000-000000000003", "web01", "cancelled", 1, None, None)
            db.executemany("INSERT INTO steps(id, at, step) VALUES(?, ?, ?)",
                           [("aaab0002-0000-4000-8000-000000000002", self.now - 24 * HOUR, "queued"),
                            ("aaab0002-0000-4000-8000-000000000002", self.now - 23 * HOUR, "failed")])
        db.close()

    def add(self, db, move, vm, phase, hours, status, uid):
        details = {"request": {"vm": vm, **({} if uid is None else {"asked_by": uid})}}
        began = self.now - hours * HOUR
        db.execute("INSERT INTO migrations VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)",
                   (move, "source", vm, "5d0f1c2e-0000-4000-8000-0000000000ff", "zulu", phase, 0, None,
                    json.dumps(details), json.dumps(status) if status else None, began, began, began + 1))

    def history(self, *args):
        return self.ferry("history", "--config", self.conf, *args)

    def test_table(self):
        self.make()
        status, text, errors = self.history()
        self.assertEqual((status, errors), (0, ""))
        lines = text.splitlines()
        self.assertEqual(len(lines), 4, text)
        self.assertRegex(lines[0], "^BEGAN +VM +PEER +PHASE +TOOK +BLACKOUT +SENT +ASKED BY +ID")
        self.assertRegex(lines[1], "web01 .*cancelled .*bbbb0003")
        self.assertRegex(lines[2], r"db02 .*failed .*uid 1234567 +aaab0002 +nothing \?\[2Jmoved")
        self.assertRegex(lines[3], "web01 .*completed .* ms .*root +aaaa0001")

    def test_some(self):
        self.make()
        for args, found in ((("web01",), ["bbbb", "aaaa"]), (("aaab",), ["aaab"]), (("--since", "30h"), ["bbbb", "aaab"]),
                            (("--since", "30h", "web01"), ["bbbb"]),
                            (("5D0F1C2E-0000-4000-8000-0000000000FF",), ["bbbb", "aaab", "aaaa"])):
            status, text, errors = self.history("--json", *args)
            self.assertEqual((status, errors), (0, ""), args)
            self.assertEqual([json.loads(line)["id"][:4] for line in text.splitlines()], found, args)
        one = json.loads(self.history("--json", "aaab0002")[1])
        self.assertEqual((one["asked_by"], one["decision"], one["error"]["code"]), (1234567, "none", "stalled"))
        self.assertEqual([step["step"] for step in one["steps"]], ["queued", "failed"])
        self.assertIsNone(json.loads(self.history("--json", "bbbb")[1])["asked_by"])

    def test_one_in_full(self):
        self.make()
        status, text, errors = self.history("aaab0002")
        self.assertEqual((status, errors), (0, ""))
        self.assertIn("asked for by uid 1234567", text)
        self.assertRegex(text, r"\d\d:\d\d:\d\d  queued")
        self.assertRegex(text, r"failed +1 h 00 min")

    def test_nothing(self):
        status, text, errors = self.history()
        self.assertEqual((status, text), (1, ""))
        self.assertIn("there is no journal " + self.path, errors)
        self.make()
        status, text, errors = self.history("mail")
        self.assertEqual((status, text), (1, ""))
        self.assertIn("no move of or by 'mail'", errors)
        self.assertEqual(self.history("--since", "30m"), (0, "No move from or to this host since then.\n", ""))
        status, _, errors = self.history("--since", "noon")
        self.assertEqual(status, 2)
        self.assertIn("--since 'noon': a time such as", errors)

    def test_newer(self):
        self.make()
        with sqlite3.connect(self.path) as db:
            db.execute("PRAGMA user_version = 99")
        db.close()
        status, text, errors = self.history()
        self.assertEqual((status, text), (1, ""))
        self.assertIn("written by a newer Ferry", errors)

    def test_nothing_is_changed(self):
        self.make()
        self.assertEqual(self.history()[0], 0)
        with sqlite3.connect(self.path) as db:
            self.assertEqual(db.execute("PRAGMA user_version").fetchone(), (1,))
        db.close()


if __name__ == "__main__":
    unittest.main()
