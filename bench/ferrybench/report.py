# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the figures come to: medians, ratios, goals. Everything is told as it was measured."""

import dataclasses
import statistics

from .cases import BLACKOUT_MORE_MS, WRITE_P99

# figure, title, unit, factor from the figure to the unit, digits
FIGURES = (("total_seconds", "total time", "s", 1, 2),
           ("wire_mib", "bytes on the wire", "MiB", 1, 1),
           ("blackout_ms", "blackout", "ms", 1, 0),
           ("rest_p50_us", "write p50 before", "ms", 1e-3, 2),
           ("write_p50_us", "write p50 during", "ms", 1e-3, 2),
           ("rest_p99_us", "write p99 before", "ms", 1e-3, 2),
           ("write_p99_us", "write p99 during", "ms", 1e-3, 2),
           ("cpu_per_gib", "CPU per GiB", "s", 1, 2),
           ("worker_mib", "largest worker", "MiB", 1, 1))
TITLES = {"ferry": "ferry", "back": "ferry", "template": "ferry", "retry": "ferry", "virsh": "virsh",
          "tls": "virsh --tls"}


@dataclasses.dataclass
class Goal:
    """figure ≤ limit, in words, and what it is; met is None where that cannot be said."""
    figure: str
    wanted: str
    value: float | None
    limit: float
    unit: str = ""

    @property
    def met(self):
        return None if self.value is None else self.value <= self.limit

    def __str__(self):
        word = {True: "met", False: "MISSED", None: "unknown"}[self.met]
        value = "–" if self.value is None else f"{self.value:.{0 if self.unit else 2}f}{self.unit}"
        return f"{self.figure} {value} (goal {self.wanted}: {word})"


def medians(runs):
    """A median of what is known of each figure; None where nothing is."""
    found = {}
    for key, *_ in FIGURES:
        values = [figures[key] for figures in runs if figures[key] is not None]
        found[key] = statistics.median(values) if values else None
    return found


def ratio(one, other):
    return one / other if one is not None and other else None


def goals(case, run, against):
    """The goals of a case. run, against: medians."""
    found = []
    for key, title, limit in (("total_seconds", "time", case.time), ("wire_mib", "bytes", case.wire)):
        if limit is not None:
            found.append(Goal(title, f"≤ {limit:.2f}", ratio(run[key], against[key]), limit))
    if case.against.way == "virsh" and None not in (run["blackout_ms"], against["blackout_ms"]):
        limit = against["blackout_ms"] + BLACKOUT_MORE_MS
        found.append(Goal("blackout", f"≤ {limit:.0f} ms", run["blackout_ms"], limit, " ms"))
    found.append(Goal("write p99", f"≤ {WRITE_P99} × before",
                      ratio(run["write_p99_us"], run["rest_p99_us"]), WRITE_P99))
    return found


def column(case, run):
    """What the column of a run is called: by the tool or, where both are Ferry's, by the networks."""
    if run in (case.run, case.against) and TITLES[case.run.way] == TITLES[case.against.way]:
        return f"{len(run.net.networks)} networks" if len(run.net.networks) > 1 else "1 network"
    return TITLES[run.way]


def block(case, found, failures):
    """The figures of one case, as lines. found: {run: medians}; failures: {run: why not}."""
    lines = ["", f"{case.name}: {case.title}",
             f"  {'':24}" + "".join(f"{column(case, run):>13}" for run in case.runs) + f"{'ratio':>9}"]
    for key, title, unit, factor, digits in FIGURES:
        values = [found[run][key] if run in found else None for run in case.runs]
        shown = "".join(f"{'–' if value is None else f'{value * factor:.{digits}f}':>13}"
                        for value in values)
        part = ratio(values[1], values[0])
        lines.append(f"  {title + ', ' + unit:24}{shown}{'–' if part is None else f'{part:.2f}':>9}")
    lines += [f"  {column(case, run)} {failures[run]}" for run in case.beside if run in failures]
    lines += [f"  {goal}" for goal in goals(case, found[case.run], found[case.against])]
    return lines


def table_line(case, found):
    """A row of the table at the end."""
    run, against = found[case.run], found[case.against]
    cells = [case.title]
    for key, limit in (("total_seconds", case.time), ("wire_mib", case.wire)):
        part = ratio(run[key], against[key])
        value = "–" if part is None else f"{part:.2f}"
        wanted = "" if limit is None else \
            f" (≤ {limit:.2f} {'met' if part is not None and part <= limit else 'MISSED'})"
        cells.append(value + wanted)
    return "| " + " | ".join(cells) + " |"


def printed(cases, results, failures):
    """All of it, as text."""
    found = {run: medians(runs) for run, runs in results.items()}
    lines, table = [], ["", "| case | total time | bytes on the wire |", "|---|---|---|"]
    for case in cases:
        missing = [failures[run] for run in (case.run, case.against) if run in failures]
        if missing:
            lines += ["", f"{case.name}: {case.title}", f"  {missing[0]}"]
            table.append(f"| {case.title} | {missing[0].split(':')[0]} | |")
        else:
            lines += block(case, found, failures)
            table.append(table_line(case, found))
    return "\n".join(lines + table)


def as_json(cases, results, failures):
    """The same for programs: medians, ratios and goals of each case, and every single run."""
    answer = {}
    for case in cases:
        entry = answer[case.name] = {"title": case.title, "runs": {}, "failed": []}
        found = {}
        for run in case.runs:
            if run in failures:
                entry["failed"].append(failures[run])
            if run in results:
                found[run] = medians(results[run])
                entry["runs"][column(case, run)] = {"median": found[run], "rounds": results[run]}
        if case.run in found and case.against in found:
            one, other = found[case.run], found[case.against]
            entry["ratio"] = {key: ratio(one[key], other[key]) for key, *_ in FIGURES}
            entry["goals"] = [{"figure": goal.figure, "goal": goal.wanted, "value": goal.value,
                               "met": goal.met} for goal in goals(case, one, other)]
    return answer
