# SPDX-License-Identifier: LGPL-2.1-or-later
"""One host of a lab: a door into its namespaces, and what can be done through it."""

import concurrent.futures
import json
import os
import select
import shlex
import signal
import socket
import subprocess

from . import kernel
from .wait import LabError

INIT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "init.py")
PYTHON = "/usr/bin/python3"
NAMESPACES = ("net", "uts", "ipc", "mnt", "pid")


class CommandFailed(LabError):
    """A command in a host that did not end with 0: returncode, stdout and stderr tell more."""

    def __init__(self, host, argv, result):
        self.returncode, self.stdout, self.stderr = result.returncode, result.stdout, result.stderr
        said = (result.stderr or result.stdout or "").strip()
        super().__init__(f"{host}: {shlex.join(argv)} ended with {result.returncode}: {said}")


class Init:
    """Process 1 of a host, as the machine sees it: pid and start time name it safely."""

    def __init__(self, pid, start):
        self.pid, self.start = pid, start

    def alive(self):
        return kernel.start_time(self.pid) == self.start

    def kill(self):
        """SIGKILL it, and with it everything in the host; does not wait."""
        try:
            pidfd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if self.alive():
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        except ProcessLookupError:
            pass
        finally:
            os.close(pidfd)


def spawn_init(spec, log, inherit):
    """Start init.py in a new pid namespace; returns (Popen, our end of its control socket)."""
    ours, theirs = socket.socketpair()
    own = os.open("/proc/self/ns/pid", os.O_RDONLY)
    try:
        with open(log, "wb") as output:
            kernel.unshare(kernel.CLONE_NEWPID)  # from here on the next child is process 1
            try:
                process = subprocess.Popen(
                    [PYTHON, "-s", "-S", INIT, json.dumps(spec), str(theirs.fileno())],
                    stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                    pass_fds=(theirs.fileno(), *inherit))
            finally:
                kernel.setns(own, kernel.CLONE_NEWPID)
    finally:
        os.close(own)
        theirs.close()
    return process, ours


class Host:
    """A host that is up. folder: its state on the machine (etc, var, srv)."""

    def __init__(self, name, init, folder):
        self.name = name
        self._children = []
        self.enter(init, folder)

    def enter(self, init, folder):
        """Open the door; again, after power_on has given the host a new process 1."""
        self.init, self.folder = init, folder
        # The one thread that lives in the host's namespaces: what it starts runs in the host.
        self._door = concurrent.futures.ThreadPoolExecutor(1, f"door-{self.name}")
        try:
            self._door.submit(self._enter).result()
        except OSError as error:
            self._door.shutdown()
            raise LabError(f"host {self.name} cannot be entered: {error}") from error

    def _enter(self):
        fds = [os.open(f"/proc/{self.init.pid}/ns/{kind}", os.O_RDONLY) for kind in NAMESPACES]
        if not self.init.alive():
            raise OSError("its process 1 is gone")
        kernel.unshare(kernel.CLONE_FS)  # a mount namespace is entered with a root of one's own
        for fd in fds:
            kernel.setns(fd)
            os.close(fd)

    def call(self, function, *args, **kwargs):
        """Run function in the host's door: it sees the host's files and sockets.

        It must not start threads, and should be quick: there is one door. So connect in here, but
        talk outside.
        """
        return self._door.submit(function, *args, **kwargs).result()

    def popen(self, argv, **kwargs):
        """subprocess.Popen in the host; .pid is the pid on the machine, fit for signals."""
        kwargs.setdefault("cwd", "/")
        env = dict(kwargs.pop("env", None) or os.environ)
        env["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        try:
            process = self.call(subprocess.Popen, argv, env=env, **kwargs)
        except FileNotFoundError:
            raise LabError(f"{self.name} has no program {argv[0]}; ./setup installs what the lab "
                           "needs") from None
        self._children.append(process)
        return process

    def run(self, argv, check=True, timeout=60, input=None, env=None):
        """Run a command to its end; returns CompletedProcess with text stdout and stderr.

        timeout: seconds, then it is killed and LabError raised. check: raise CommandFailed
        unless it ended with 0.
        """
        argv = [str(arg) for arg in argv]
        process = self.popen(argv, text=True, errors="replace", env=env,
                             stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            stdout, stderr = process.communicate(input, timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise LabError(f"{self.name}: {shlex.join(argv)} took more than {timeout} s") from None
        finally:
            self._children.remove(process)
        result = subprocess.CompletedProcess(argv, process.returncode, stdout, stderr)
        if check and process.returncode != 0:
            raise CommandFailed(self.name, argv, result)
        return result

    def daemon(self, argv, log):
        """Start a program that outlives this process; returns its pid in the host.

        log: file in the host for its standard output and error.
        """
        script = 'log=$1; shift; "$@" </dev/null >>"$log" 2>&1 & echo $!'
        return int(self.out("setsid", "-w", "sh", "-c", script, "sh", log, *argv))

    def out(self, *argv, **kwargs):
        """Standard output of a command, stripped."""
        return self.run(argv, **kwargs).stdout.strip()

    def read(self, path):
        def read():
            with open(path, encoding="utf-8", errors="replace") as file:
                return file.read()
        return self.call(read)

    def write(self, path, text):
        def write():
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        self.call(write)

    def exists(self, path):
        return self.call(os.path.exists, path)

    def processes(self):
        """{pid in the host: argv} of every process of the host; kernel threads have none."""
        def scan():
            found = {}
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    with open(f"/proc/{pid}/cmdline", "rb") as file:
                        argv = file.read().split(b"\0")[:-1]
                except OSError:
                    continue
                if argv:
                    found[int(pid)] = [os.fsdecode(arg) for arg in argv]
            return found
        return self.call(scan)

    def kill(self, pid, number=signal.SIGKILL):
        """Signal a process by its pid in the host."""
        self.run(["sh", "-c", f"kill -{int(number)} {int(pid)}"])

    def reap(self):
        """Collect ended children of ours: the pid namespace cannot end before that."""
        for child in list(self._children):
            if child.poll() is not None:
                self._children.remove(child)

    def close(self):
        """Leave the host; what runs in it goes on."""
        self._door.shutdown()


def control(ours, name, log, timeout=20):
    """Wait for init's "ready" on its control socket."""
    readable = select.select([ours], [], [], timeout)[0]
    answer = ours.recv(4096).decode() if readable else "no answer"
    if answer != "ready":
        with open(log, encoding="utf-8", errors="replace") as file:
            answer = answer or file.read().strip() or "process 1 died"
        raise LabError(f"host {name} did not come up: {answer}")
