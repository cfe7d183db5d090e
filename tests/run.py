#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs all tests of Ferry, several at once, and ends with one line: "N passed, N failed".

Unit tests are those meson knows, and tests/unit/*/test_*.py; then come tests/lab/test_*.py (the lab itself)
and tests/system/test_*.py (Ferry in the lab), which need root. Everything runs with the plain
build, and again with the one that has sanitizers: unit tests, and files that say ASAN = True.
"""

import argparse
import fnmatch
import glob
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
TESTS = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(TESTS)
sys.path.insert(0, TESTS)

from runner.task import PythonTask, TapTask  # noqa: E402

MARKS = {"passed": "ok  ", "failed": "FAIL", "skipped": "skip"}


class Run:
    """The tasks, the threads that run them, and what came of it."""

    def __init__(self, tasks, jobs):
        self.tasks, self.jobs = tasks, jobs
        self.lock = threading.Lock()
        self.cases, self.running, self.interrupted = [], set(), None
        self.began = time.monotonic()

    def case(self, task, name, result, seconds, text):
        with self.lock:
            if result == "output":
                self.show(f"output of {task.label}, at its end", text)
                return
            print(f"{MARKS[result]} {task.label}: {name} ({seconds:.1f} s)"
                  + (f": {text}" if result == "skipped" and text else ""), flush=True)
            if result == "failed" and text:
                self.show(f"{task.label}: {name}", text)
            self.cases.append({"task": task.name, "build": os.path.basename(task.build),
                               "name": name, "result": result, "seconds": round(seconds, 3),
                               "text": text})

    @staticmethod
    def show(title, text):
        print(f"     --- {title}")
        for line in text.rstrip().splitlines():
            print("     " + line)
        print("     ---", flush=True)

    def work(self, waiting):
        while not self.interrupted:
            try:
                task = waiting.get_nowait()
            except queue.Empty:
                return
            with self.lock:
                self.running.add(task)
            try:
                task.run(self.case)
            except Exception as error:  # the runner's own trouble must not look like success
                self.case(task, "the runner", "failed", 0, repr(error))
            with self.lock:
                self.running.discard(task)

    def all(self):
        for together, jobs in (([t for t in self.tasks if not t.alone], self.jobs),
                               ([t for t in self.tasks if t.alone], 1)):
            waiting = queue.Queue()
            for task in together:
                waiting.put(task)
            threads = [threading.Thread(target=self.work, args=[waiting]) for _ in range(jobs)]
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.2)  # so that signals are handled meanwhile

    def interrupt(self, number, _frame):
        self.interrupted = signal.Signals(number).name
        for task in list(self.running):
            task.stop(f"the run was ended by {self.interrupted}")

    def count(self, result):
        return sum(case["result"] == result for case in self.cases)

    def finish(self, path):
        passed, failed, skipped = map(self.count, ("passed", "failed", "skipped"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"passed": passed, "failed": failed, "skipped": skipped,
                       "interrupted": self.interrupted,
                       "seconds": round(time.monotonic() - self.began, 1), "cases": self.cases},
                      file, indent=1)
        for case in self.cases:
            if case["result"] == "failed":
                print(f"FAIL {case['task']} ({case['build']}): {case['name']}")
        print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""),
              flush=True)
        return 0 if passed and not failed and not self.interrupted else 1


def tap_tasks(build, sanitized):
    text = subprocess.run(["meson", "introspect", "--tests", build], check=True,
                          capture_output=True, text=True).stdout
    return [TapTask(test, build, sanitized) for test in json.loads(text)]


def python_tasks(build, sanitized, timeout, pattern):
    for group in ("unit/*", "lab", "system"):
        for path in sorted(glob.glob(os.path.join(TESTS, group, "test_*.py"))):
            name = os.path.relpath(path, TESTS).removesuffix(".py")
            task = PythonTask(path, name, build, timeout, sanitized, pattern)
            if task.wants_asan or not sanitized:
                yield task


def collect(args):
    only, _, pattern = (args.only or "*").partition(":")
    tasks = []
    for build, sanitized in ((args.build, False), (args.asan_build, True)):
        if sanitized and args.no_asan:
            continue
        if not os.path.exists(os.path.join(build, "build.ninja")):
            sys.exit(f"run.py: nothing is built in {build}: run 'make check', which builds first")
        tasks += tap_tasks(build, sanitized)
        tasks += python_tasks(build, sanitized, args.timeout * (2 if sanitized else 1),
                              pattern or "*")
    tasks = [task for task in tasks if fnmatch.fnmatchcase(task.name, only)]
    # Quick ones first: who broke something soon knows.
    return sorted(tasks, key=lambda task: ("unit", "lab", "system").index(task.name.split("/")[0]))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="GLOB[:GLOB]",
                        help="tasks as --list names them, and tests of a Python file in them, such as "
                             "'system/test_move:Move.*raw*'")
    parser.add_argument("--list", action="store_true", help="name the tasks and do nothing")
    parser.add_argument("--no-asan", action="store_true", help="the plain build only")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="tasks at once (default 2)")
    parser.add_argument("--timeout", type=int, default=900, metavar="SECONDS",
                        help="for one Python file (default 900, with sanitizers twice that)")
    parser.add_argument("--build", default=os.path.join(SOURCE, "build/release"))
    parser.add_argument("--asan-build", default=os.path.join(SOURCE, "build/asan"))
    parser.add_argument("--json", default=os.path.join(SOURCE, "build/check.json"),
                        metavar="FILE", help="all results (default build/check.json)")
    args = parser.parse_args()
    args.build, args.asan_build = map(os.path.abspath, (args.build, args.asan_build))

    tasks = collect(args)
    if args.list:
        print("\n".join(task.label for task in tasks))
        return 0
    run = Run(tasks, max(1, args.jobs))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, run.interrupt)
    run.all()
    return run.finish(os.path.abspath(args.json))


if __name__ == "__main__":
    sys.exit(main())
