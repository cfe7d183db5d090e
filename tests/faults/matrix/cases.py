# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which cases there are: points × faults, named PHASE/POINT/FAULT."""

import dataclasses
import fnmatch
import random

from .faults import Fault, all_faults, lost_messages
from .world import KINDS


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    fault: Fault

    @property
    def phase(self):
        return self.name.partition("/")[0]


def plan(points, seed):
    """All cases for these points (case.record), in an order that seed says; the faults that take long strike at one point of
    each phase, that seed says too. Those of a kind of world come together."""
    cases = [Case(name, fault) for name, fault in lost_messages().items()]
    for fault in all_faults().values():
        possible = [one for one in points if fault.possible({tuple(pair) for pair in one["present"]})]
        for phase in dict.fromkeys(one["phase"] for one in possible):
            there = [one["point"] for one in possible if one["phase"] == phase]
            if not fault.every:
                there = [random.Random(f"{seed}/{fault.name}/{phase}").choice(there)]
            cases += [Case(f"{phase}/{point}/{fault.name}", fault) for point in there]
    random.Random(seed).shuffle(cases)
    return sorted(cases, key=lambda case: KINDS.index(case.fault.world))


def choose(cases, patterns):
    return [case for case in cases
            if not patterns or any(fnmatch.fnmatchcase(case.name, pattern) for pattern in patterns)]
