# SPDX-License-Identifier: LGPL-2.1-or-later
"""Running the real `ferry`, in pipes or on a terminal of its own, against a FakeFerryd."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import tempfile
import termios
import time
import unittest

from fakeferryd import FakeFerryd

DEADLINE = 30
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
FERRY = os.path.join(os.environ.get("FERRY_BUILD") or os.path.join(SOURCE, "build/release"),
                     "src/cli/ferry")


class Run:
    """A ferry that runs. `text` is what it wrote to standard output (on a terminal: all it wrote),
    `errors` to standard error."""

    def __init__(self, argv, terminal=None, env=None, stdin=None, stdout=None):
        environment = {**os.environ, "TERM": "xterm", "TZ": "UTC", "NO_COLOR": "", **(env or {})}
        self.master = None
        self.parts = {}
        if terminal:
            self.master, slave = pty.openpty()
            self.resize(terminal)
            self.process = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave,
                                            env=environment, preexec_fn=self.own_terminal)
            os.close(slave)
            self.parts[self.master] = []
        else:
            self.process = subprocess.Popen(argv, stdin=stdin or subprocess.DEVNULL,
                                            stdout=stdout or subprocess.PIPE,
                                            stderr=subprocess.PIPE, env=environment)
            for stream in filter(None, (self.process.stdout, self.process.stderr)):
                self.parts[stream.fileno()] = []
        self.open = list(self.parts)

    @staticmethod
    def own_terminal():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def resize(self, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def pump(self, timeout):
        """Reads what there is, waiting at most so long; FALSE when all is closed."""
        if not self.open:
            return False
        for fd in select.select(self.open, [], [], timeout)[0]:
            try:
                data = os.read(fd, 65536)
            except OSError:  # EIO: nobody has the terminal open any more
                data = b""
            if data:
                self.parts[fd].append(data)
            else:
                self.open.remove(fd)
        return True

    def said(self, index):
        parts = list(self.parts.values())
        return b"".join(parts[index]).decode("utf-8", "replace") if index < len(parts) else ""

    @property
    def text(self):
        return self.said(0)

    @property
    def errors(self):
        return self.said(1)

    def wait_for(self, pattern, start=0):
        """Until `pattern` was written (searched from character `start`); returns the match's end."""
        end = time.monotonic() + DEADLINE
        while True:
            for text in (self.text, self.errors):
                found = re.compile(pattern).search(text, start)
                if found:
                    return found.end()
            if time.monotonic() > end or not self.pump(0.1):
                raise AssertionError(f"{pattern!r} never came: {self.text!r} {self.errors!r}")

    def type(self, text):
        os.write(self.master, text.encode())

    def signal(self, number):
        self.process.send_signal(number)

    def end(self):
        """Its exit status, once it has ended by itself."""
        limit = time.monotonic() + DEADLINE
        while self.pump(0.1):
            if time.monotonic() > limit:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"it does not end: {self.text!r} {self.errors!r}")
        return self.process.wait(DEADLINE)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()
        if self.master is not None:
            os.close(self.master)


class FerryCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.ferryd = FakeFerryd(os.path.join(folder.name, "api.sock")).start()
        self.addCleanup(self.ferryd.stop)

    def start(self, *args, **kwargs):
        run = Run([FERRY, "--socket", self.ferryd.path, *args], **kwargs)
        self.addCleanup(run.close)
        return run

    def ferry(self, *args, **kwargs):
        """Runs it to its end: (exit status, standard output, standard error)."""
        run = self.start(*args, **kwargs)
        return run.end(), run.text, run.errors

    def wait_asked(self, method, path):
        end = time.monotonic() + DEADLINE
        while not self.ferryd.requests(method, path):
            self.assertLess(time.monotonic(), end, f"{method} {path} was never asked")
            with self.ferryd.changed:
                self.ferryd.changed.wait(0.05)

    def screen(self, text):
        """What a terminal shows of `text`: lines drawn over are gone."""
        lines = []
        for line in text.replace("\r\n", "\n").split("\n"):
            lines.append(line.split("\033[K\r")[-1].split("\r")[-1].replace("\033[K", ""))
        return re.sub(r"\033\[\d*m", "", "\n".join(lines))


INTERRUPT, TERMINATE, RESIZED = signal.SIGINT, signal.SIGTERM, signal.SIGWINCH
