# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs one file of unittest tests in a process of its own and reports every result at once.

    child.py FD SECONDS FILE [GLOB]

Results go to descriptor FD as JSON lines: {"name", "result", "seconds", "text"}. After SECONDS the stacks of
all threads are written to standard error; the parent ends the process a little later.
"""

import faulthandler
import fnmatch
import importlib.util
import json
import os
import sys
import time
import unittest


class Reporter(unittest.TestResult):
    def __init__(self, stream):
        super().__init__()
        self.stream, self.began, self.failed_parts = stream, 0, []

    def report(self, test, result, text=""):
        name = test.id().partition(".")[2] if isinstance(test, unittest.TestCase) else test.id()
        seconds = round(time.monotonic() - self.began, 3) if self.began else 0
        line = {"name": name, "result": result, "seconds": seconds, "text": text}
        self.stream.write(json.dumps(line) + "\n")
        self.stream.flush()

    def startTest(self, test):
        super().startTest(test)
        self.began, self.failed_parts = time.monotonic(), []
        print(f"--- {test.id()}", file=sys.stderr, flush=True)

    def stopTest(self, test):
        super().stopTest(test)
        self.began = 0

    def addSuccess(self, test):
        if not self.failed_parts:
            self.report(test, "passed")

    def addError(self, test, err):
        self.report(test, "failed", self._exc_info_to_string(err, test))

    addFailure = addError

    def addSubTest(self, test, subtest, err):
        if err:
            self.failed_parts.append(subtest)
            self.report(subtest, "failed", self._exc_info_to_string(err, test))

    def addSkip(self, test, reason):
        self.report(test, "skipped", reason)

    def addExpectedFailure(self, test, err):
        self.report(test, "passed")

    def addUnexpectedSuccess(self, test):
        self.report(test, "failed", "it was expected to fail, and did not")


def tests_of(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests_of(test)
        else:
            yield test


def main():
    stream = os.fdopen(int(sys.argv[1]), "w", encoding="utf-8")
    os.set_inheritable(stream.fileno(), False)
    path, pattern = sys.argv[3], sys.argv[4] if len(sys.argv) > 4 else "*"
    faulthandler.dump_traceback_later(float(sys.argv[2]))
    name = os.path.basename(path).removesuffix(".py")
    sys.path[0] = os.path.dirname(os.path.abspath(path))
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    loaded = unittest.defaultTestLoader.loadTestsFromModule(module)
    chosen = [test for test in tests_of(loaded)
              if fnmatch.fnmatchcase(test.id().partition(".")[2], pattern)]
    unittest.TestSuite(chosen).run(Reporter(stream))


if __name__ == "__main__":
    main()
