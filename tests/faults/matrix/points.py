# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where a fault can strike: every hook of src/base/hook.h that a move comes to, named WHO.STEP.SIDE[#N].

WHO is source or target (the workers), source-ferryd or target-ferryd; SIDE is before or after; N counts how often this move
has been there. Nobody types these names: a dry run records them.
"""

import collections
import threading

FINAL = ("completed", "failed", "cancelled")
PHASES = ("queued", "comparing", "landing", "mirroring", "synchronizing", "switching", "committing",
          "cleaning", *FINAL)


class Tracker:
    """Turns what hooks say into points, and the source's journal into the phase it is in."""

    def __init__(self):
        self.lock = threading.Lock()
        self.reset()

    def reset(self):
        with self.lock:
            self.phase, self.counts, self.ended = "queued", collections.Counter(), threading.Event()

    def see(self, host, program, name):
        """The point this is, or None if it is none (a "wrong" hook, a program that is not of the move)."""
        side, _, step = name.partition(":")
        who = program if program in ("source", "target") else \
            {"alpha": "source", "zulu": "target"}[host] + "-ferryd"
        if side not in ("before", "after"):
            return None
        with self.lock:
            if program == "source" and side == "after" and step.startswith("journal:"):
                phase = step.removeprefix("journal:")
                if phase in PHASES:
                    self.phase = phase
                if phase in FINAL:
                    self.ended.set()
            point = f"{who}.{step}.{side}"
            self.counts[point] += 1
            count = self.counts[point]
        return point if count == 1 else f"{point}#{count}"
