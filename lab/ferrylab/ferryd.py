# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ferry's own programs in a lab host: the daemon, its API, the command line."""

import http.client
import json
import os
import signal
import socket
import subprocess

from .paths import build_folder
from .wait import LabError, wait_until

CONF = "/etc/ferry/ferryd.conf"
LOG = "/var/log/ferry/ferryd.log"
API = "/run/ferry/api.sock"


class _Connection(http.client.HTTPConnection):
    """HTTP over a UNIX socket of a host."""

    def __init__(self, host, timeout):
        super().__init__("localhost", timeout=timeout)
        self._host = host

    def connect(self):
        def dial():
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(self.timeout)
            try:
                sock.connect(API)
            except OSError:
                sock.close()
                raise
            return sock
        self.sock = self._host.call(dial)


class FerryMixin:
    """What VirtHost can do with Ferry. Expects Host's methods."""

    build = None    # build folder the programs are taken from
    ferryd = None   # Popen of the running daemon

    def start_ferryd(self, build_dir=None, conf_text=None, env=None, timeout=30):
        """Start ferryd and wait until its API answers; returns its Popen, also kept as .ferryd.

        build_dir: default $FERRY_BUILD or build. conf_text: new content of ferryd.conf, or None to
        leave it as it is. env: additional environment. Its stderr is added to LOG in the host.
        """
        self.build = os.path.abspath(build_dir) if build_dir else self.build or build_folder()
        if conf_text is not None:
            self.write(CONF, conf_text)
        binary = os.path.join(self.build, "src/daemon/ferryd")
        if not self.exists(binary):
            raise LabError(f"{binary} is not there (as seen from {self.name}): build first (make)")
        worker = os.path.join(self.build, "src/worker/ferry-worker")
        environment = {**os.environ, "FERRY_WORKER": worker, **(env or {})}
        with self.call(open, LOG, "ab") as log:
            self.ferryd = self.popen([binary, "--foreground"], stdin=subprocess.DEVNULL,
                                     stdout=log, stderr=log, env=environment)

        def answers():
            if self.ferryd.poll() is not None:
                said = self.read(LOG).strip().splitlines()[-5:]
                raise LabError(f"ferryd on {self.name} ended with {self.ferryd.returncode}: "
                               + "; ".join(said))
            try:
                return self.api("GET", "/v1/host", timeout=5)[0] == 200
            except (OSError, http.client.HTTPException):
                return False
        wait_until(answers, timeout, f"the API of ferryd on {self.name}")
        return self.ferryd

    def stop_ferryd(self, number=signal.SIGTERM, timeout=30):
        """Signal ferryd and wait for its end; returns its exit status as Popen.returncode."""
        self.ferryd.send_signal(number)
        try:
            return self.ferryd.wait(timeout)
        except subprocess.TimeoutExpired:
            raise LabError(f"ferryd on {self.name} did not end in {timeout} s") from None

    def api(self, method, path, body=None, timeout=60):
        """One request to ferryd's API: (status, decoded JSON or None)."""
        connection = _Connection(self, timeout)
        try:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read()
            return response.status, json.loads(text) if text else None
        finally:
            connection.close()

    def _ferry(self, args):
        self.build = self.build or build_folder()
        return [os.path.join(self.build, "src/cli/ferry"), *map(str, args)]

    def ferry(self, *args, check=True, timeout=600, input=None, env=None):
        """Run the command line; CompletedProcess. See Host.run."""
        return self.run(self._ferry(args), check=check, timeout=timeout, input=input, env=env)

    def pair(self, other):
        """`ferry pair` with a token made on the other host, as two people would do it."""
        token = json.loads(other.ferry("--json", "pair", "--accept").stdout)["token"]
        self.ferry("pair", other.name, "--token", token)

    def ferry_popen(self, *args, **kwargs):
        """Start the command line; Popen."""
        return self.popen(self._ferry(args), **kwargs)

    def workers(self):
        """{pid in the host: argv} of ferry-worker processes that carry a move; end one with host.kill(pid)."""
        return {pid: argv for pid, argv in self.processes().items()
                if os.path.basename(argv[0]) == "ferry-worker" and "--id" in argv}
