# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reading the Test Anything Protocol as GLib's tests speak it, line by line."""

import re

RESULT = re.compile(r"^(?P<indent> *)(?P<not>not )?ok\b *(?P<number>\d+)?(?: *-)? *(?P<name>.*?)"
                    r"(?: *# *(?P<directive>skip|todo)\b *(?P<why>.*))?$", re.IGNORECASE)
PLAN = re.compile(r"^1\.\.(\d+)(?: *# *skip\b *(.*))?", re.IGNORECASE)


class Tap:
    """feed() every line; it calls case(name, "passed" | "failed" | "skipped", reason). Then end()."""

    def __init__(self, case):
        self.case = case
        self.planned, self.top, self.seen, self.depth = None, 0, 0, 0
        self.bailed = None

    def feed(self, line):
        line = line.rstrip("\n")
        if line.startswith("Bail out!"):
            self.bailed = line
            return
        plan = PLAN.match(line)
        if plan:
            self.planned = int(plan[1])
            if self.planned == 0 and plan[2] is not None:
                self.seen += 1
                self.case("all", "skipped", plan[2])
            return
        result = RESULT.match(line)
        if not result:
            return
        depth = len(result["indent"]) // 4
        # Behind a subtest's own results stands one line that sums them up.
        summary = depth < self.depth
        self.depth = depth
        if depth == 0:
            self.top += 1
        if summary:
            return
        self.seen += 1
        directive = (result["directive"] or "").lower()
        verdict = "skipped" if directive == "skip" else \
            "failed" if result["not"] and directive != "todo" else "passed"
        self.case(result["name"] or f"number {result['number']}", verdict, result["why"] or "")

    def end(self):
        """What is wrong with the whole, or None."""
        if self.bailed:
            return self.bailed
        if self.planned is None:
            return "it said no plan (1..N)"
        if self.top != self.planned:
            return f"{self.planned} results were planned, {self.top} came"
        return None
