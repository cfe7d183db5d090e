# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a run says in the end: build/faults.md and build/faults.json."""

import collections
import json
import os

from .points import PHASES

HEAD = """\
# The fault matrix

{good} of {all} cases good, {bad} bad, {missed} not reached (the move did not come to the point that time). Seed {seed}.

Each line: what happened to the moves, and the seconds from the fault to the end of the move and until the guest was heard
again (median, most).

| Phase | Fault | Cases | Outcome | Ended after | Heard after |
|---|---|---|---|---|---|
"""


def _seconds(results, key):
    values = sorted(one[key] for one in results if one[key] is not None)
    return f"{values[len(values) // 2]:.0f}, {values[-1]:.0f}" if values else ""


def write(folder, results, seed):
    """results: {case: result of case.run}."""
    groups = collections.defaultdict(list)
    for name, result in results.items():
        phase, _, fault = name.split("/")
        groups[PHASES.index(phase), fault].append(result)
    count = collections.Counter(result["verdict"] for result in results.values())
    text = HEAD.format(good=count["good"], bad=count["bad"], missed=count["not reached"],
                       all=len(results), seed=seed)
    for (phase, fault), group in sorted(groups.items()):
        reached = [one for one in group if one["verdict"] != "not reached"]
        outcomes = collections.Counter(one["outcome"] or "?" for one in reached)
        bad = sum(one["verdict"] == "bad" for one in group)
        said = ", ".join(f"{number} {outcome}" for outcome, number in outcomes.most_common())
        text += f"| {PHASES[phase]} | {fault} | {len(reached)} | {said}{f', **{bad} BAD**' if bad else ''} " \
                f"| {_seconds(reached, 'ended')} | {_seconds(reached, 'heard')} |\n"
    failures = [one for one in results.values() if one["verdict"] == "bad"]
    if failures:
        text += "\n## What went wrong\n\n"
    for one in failures:
        text += f"- `{one['case']}`: {'; '.join(one['wrong'][:3])}" \
                + (f" (logs: {one['logs']})\n" if one.get("logs") else "\n")
    for name, content in (("faults.md", text), ("faults.json", json.dumps(list(results.values()), indent=1))):
        path = os.path.join(folder, name)
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(content)
        os.rename(path + ".new", path)
