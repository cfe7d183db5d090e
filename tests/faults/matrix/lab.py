# SPDX-License-Identifier: LGPL-2.1-or-later
"""A process with a lab of its own that runs one case after another, as its parent asks for them.

Requests and answers are JSON lines: {"record": true} → {"points": […]}; {"case": NAME, "fault": NAME} → case.run's result.
"""

import contextlib
import json
import os
import re
import sys
import traceback

from . import case, faults
from .world import AWAY, World


class Bench:
    """A world that is thrown away when a case has left it in a state nobody knows."""

    def __init__(self, name, seed):
        self.name, self.seed, self.world, self.stack = name, seed, None, contextlib.ExitStack()

    def get(self, kind):
        if self.world and self.world.kind != kind:
            self.discard()
        if not self.world:
            self.world = self.stack.enter_context(World(self.name, kind, self.seed))
        return self.world

    def discard(self):
        self.world = None
        self.stack.close()


def answer(bench, request):
    if request.get("record"):
        world = bench.get("plain")
        points = case.record(world)
        world.drop_guest()
        return {"points": points}
    fault = faults.find(request["fault"])
    try:
        result = case.run(bench.get(fault.world), request["case"], fault)
    except (*AWAY, AssertionError) as error:
        result = {"case": request["case"], "verdict": "bad", "outcome": "", "ended": None, "heard": None,
                  "wrong": [f"{type(error).__name__}: {error}", traceback.format_exc()]}
    if result["verdict"] == "bad":
        if bench.world:
            result["logs"] = bench.world.lab.keep_logs(re.sub(r"[^\w.#-]", "-", "faults-" + request["case"]))
        bench.discard()
    elif result["outcome"] == "completed" or fault.stops:
        bench.world.drop_guest()  # else it runs on alpha as it did before
    return result


def main(name, seed):
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # nothing but answers is to be read there
    bench = Bench(name, seed)
    with bench.stack:
        for line in sys.stdin:
            print(json.dumps(answer(bench, json.loads(line))), file=out, flush=True)
