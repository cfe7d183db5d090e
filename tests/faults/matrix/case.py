# SPDX-License-Identifier: LGPL-2.1-or-later
"""One case: a move, a fault at one point of it, and what came of it; and the dry run that finds the points."""

import threading

from ferrytest import wait_until
from ferrylab import LabError

from .faults import SIDES
from .oracle import judge

REACH = 120   # seconds for a move to come to the point, or to its end
SETTLE = 150  # seconds after the fault is over in which the move must have ended


def record(world):
    """The points of a move that nothing happens to: [{"phase", "point", "present": [[side, kind]…]}], the first of each kind
    and time in every phase."""
    points, seen, lock = [], set(), threading.Lock()

    def on_hook(point, _name, _host):
        if point:
            phase = world.tracker.phase
            key = phase, point.partition("#")[0]
            with lock:
                new = key not in seen
                seen.add(key)
            if new:
                present = [[side, kind] for side in SIDES for kind in ("worker", "ferryd", "libvirtd", "qemu")
                           if world.pids(side, kind)]
                with lock:
                    points.append({"phase": phase, "point": point, "present": present})
        return False
    with world.move(on_hook) as ended:
        if not ended.wait(REACH):
            raise LabError("the dry run did not end")
        still = world.wait_settled(SETTLE)
    outcome, wrong = judge(world, ())
    if still or wrong or outcome != "completed":
        raise LabError(f"the dry run went wrong: {outcome}; {still}; {wrong}; "
                       f"{[move['error'] for host in world.hosts for move in world.new_moves(host)]}")
    return points


class _Trap:
    """Holds the program that comes to the point until the fault has struck."""

    def __init__(self, point, wrong):
        self.point, self.wrong = point, set(wrong)
        self.hit, self.struck, self.lock = threading.Event(), threading.Event(), threading.Lock()
        self.lost = False

    def __call__(self, point, name, host):
        program = "source" if host == "alpha" else "target"
        if f"{program} {name}" in self.wrong:
            self.lost = True
            self.hit.set()
            return True
        with self.lock:
            mine = point is not None and point == self.point and not self.hit.is_set()
            if mine:
                self.hit.set()
        if mine:
            self.struck.wait()
        return False


def run(world, name, fault, mutations=()):
    """A dict: case, verdict ("good", "bad", "not reached"), outcome, wrong, and seconds from the fault to the end of the move
    and until the guest was heard again. mutations: hooks, "source wrong:given-up", that are to be done wrong all along."""
    point = name.split("/")[1]
    lost = getattr(fault, "wrong", ())
    trap = _Trap(None if lost else point, [*lost, *mutations])
    result = {"case": name, "verdict": "good", "outcome": "", "wrong": [], "ended": None, "heard": None}
    world.ready_guest()
    with world.move(trap, fault.link_timeout) as ended:
        wait_until(lambda: trap.hit.is_set() or ended.is_set(), REACH, "the move to come to the point")
        began = world.now()
        if trap.hit.is_set():
            fault.strike(world)
            trap.struck.set()
            if fault.seconds:
                # What the fault takes is what it is; nothing is waited for but its end.
                threading.Event().wait(fault.seconds)
            fault.undo(world)
        still = world.wait_settled(SETTLE)
        result["ended"] = round(world.now() - began, 1)
    if not trap.hit.is_set():
        result["verdict"] = "not reached"
    if still:
        result.update(verdict="bad", wrong=[f"no end {SETTLE} s after the fault: {still}"])
        return result
    result["outcome"], result["wrong"] = judge(world, fault.stops)
    result["heard"] = round(world.now() - began, 1)
    if result["wrong"]:
        result["verdict"] = "bad"
    return result
