# SPDX-License-Identifier: LGPL-2.1-or-later
"""One process that runs tests: started in a session of its own, read as it speaks, ended in time."""

import glob
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

from .tap import Tap

CHILD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "child.py")
GRACE = 10   # seconds between asking a process to end and ending it
SHOWN = 120  # lines of its output that are shown when something failed


class Task:
    """name: "unit/net-pki"; build: folder of the programs. Subclasses say command and how to read it."""

    def __init__(self, name, build, timeout, sanitized):
        self.name, self.build, self.timeout, self.sanitized = name, build, timeout, sanitized
        self.label = name + (" [asan]" if sanitized else "")
        self.alone = False
        self.process = self.stopped = None
        self.guard, self.reaped = threading.Lock(), False  # the group is ours until its leader is reaped

    def environment(self):
        env = {**os.environ, "FERRY_BUILD": self.build}
        if self.sanitized:
            # Programs deep in a lab have nobody who reads their standard error: a report is a file.
            log = f"log_path={self.reports()}"
            env.update(ASAN_OPTIONS=f"{log}:detect_leaks=1",
                       UBSAN_OPTIONS=f"{log}:halt_on_error=1:print_stacktrace=1")
        return env

    def reports(self):
        folder = os.path.join(self.build, "reports")
        os.makedirs(folder, exist_ok=True)
        return os.path.join(folder, re.sub(r"\W+", "-", self.name))

    def run(self, case):
        """Runs it; calls case(task, name, result, seconds, text) for every test, from this thread."""
        self.case = case
        self.failed = self.results = 0
        for old in glob.glob(glob.escape(self.reports()) + ".*"):
            os.unlink(old)
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            timer = threading.Timer(self.timeout, self.stop, [f"no end after {self.timeout:.0f} s"])
            if self.stopped:
                return
            began = time.monotonic()
            stream = self.start(output)
            timer.start()
            if self.stopped:
                self.kill(signal.SIGTERM)
            try:
                for line in stream:
                    self.read(line, output)
                os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
            finally:
                timer.cancel()
                stream.close()
                code = self.reap()
            problem = self.stopped or self.ended(code)
            if problem:
                self.result("the whole", "failed", time.monotonic() - began, problem)
            for report in sorted(glob.glob(glob.escape(self.reports()) + ".*")):
                with open(report, encoding="utf-8", errors="replace") as text:
                    self.result("sanitizer", "failed", 0, text.read())
            if self.failed:
                output.seek(0)
                lines = output.read().splitlines()
                self.case(self, None, "output", 0, "\n".join(lines[-SHOWN:]))

    def result(self, name, result, seconds, text):
        self.results += 1
        self.failed += result == "failed"
        self.case(self, name, result, seconds, text)

    def popen(self, argv, **kwargs):
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, env=self.environment(),
                                        start_new_session=True, **kwargs)

    def kill(self, number):
        """Signals its process group, from any thread."""
        with self.guard:
            if not self.reaped:
                os.killpg(self.process.pid, number)

    def reap(self):
        """Ends it and what it may have left in its group; returns its exit code."""
        self.kill(signal.SIGKILL)
        with self.guard:
            self.reaped = True
            return self.process.wait()

    def stop(self, why):
        """From any thread: end it, politely first."""
        if self.stopped:
            return
        self.stopped = why
        if self.process:
            self.kill(signal.SIGTERM)
            last = threading.Timer(GRACE, self.kill, [signal.SIGKILL])
            last.daemon = True
            last.start()

    @staticmethod
    def status(code):
        return f"it was ended by {signal.Signals(-code).name}" if code < 0 else \
            f"it ended with {code}"


class TapTask(Task):
    """A test program that meson knows."""

    def __init__(self, test, build, sanitized):
        super().__init__("unit/" + test["name"], build,
                         test["timeout"] * (4 if sanitized else 1) or 3600, sanitized)
        self.test = test
        self.is_tap = test["protocol"] == "tap"

    def start(self, output):
        self.popen(self.test["cmd"], stdout=subprocess.PIPE, stderr=output, text=True,
                   errors="replace", cwd=self.test["workdir"])
        self.tap = Tap(self.tap_case)
        self.last = time.monotonic()
        return self.process.stdout

    def environment(self):
        return {**super().environment(), **self.test["env"]}

    def tap_case(self, name, result, why):
        now = time.monotonic()
        self.result(name, result, now - self.last, why)
        self.last = now

    def read(self, line, output):
        output.write(line)
        output.flush()
        if self.is_tap:
            self.tap.feed(line)

    def ended(self, code):
        if not self.is_tap:
            if code == 0:
                self.result("the whole", "passed", 0, "")
            return self.status(code) if code else None
        wrong = self.tap.end()
        if code and not self.failed:
            return self.status(code) + (f"; {wrong}" if wrong else "")
        return wrong


class PythonTask(Task):
    """A file of unittest tests. At its top it may say ASAN = True (also with the sanitized build), ALONE = True
    (nothing else at the same time) and TIMEOUT = seconds."""

    def __init__(self, path, name, build, timeout, sanitized, pattern):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        own = re.search(r"^TIMEOUT = (\d+)", text, re.MULTILINE)
        super().__init__(name, build, int(own[1]) if own else timeout, sanitized)
        self.path, self.pattern = path, pattern
        self.wants_asan = bool(re.search(r"^ASAN = True", text, re.MULTILINE))
        self.alone = bool(re.search(r"^ALONE = True", text, re.MULTILINE))

    def start(self, output):
        read_end, write_end = os.pipe()
        try:
            self.popen([sys.executable, CHILD, str(write_end), str(self.timeout - 1), self.path,
                        self.pattern], stdout=output, stderr=output, pass_fds=[write_end])
        finally:
            os.close(write_end)
        return os.fdopen(read_end, encoding="utf-8")

    def read(self, line, output):
        report = json.loads(line)
        self.result(report["name"], report["result"], report["seconds"], report["text"])

    def ended(self, code):
        if code:
            return self.status(code)
        return None if self.results or self.pattern != "*" else "it holds no tests"
