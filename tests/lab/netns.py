# SPDX-License-Identifier: LGPL-2.1-or-later
"""Network namespaces for tests of one program: made in a thread, gone with it."""

import concurrent.futures
import json
import os
import subprocess
import sys
import threading

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(SOURCE, "lab"))

from ferrylab import kernel  # noqa: E402


class Namespace:
    """A network namespace with loopback up and IPv6 silent. Leave it with close()."""

    def __init__(self):
        self._thread = concurrent.futures.ThreadPoolExecutor(1)
        self._thread.submit(kernel.unshare, kernel.CLONE_NEWNET).result()
        self.id = self._thread.submit(threading.get_native_id).result()
        self.run("ip", "link", "set", "lo", "up")
        # Nothing but what the test sends shall be on the cables.
        for name in ("all", "default"):
            self.call(_write, f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", "1")

    def close(self):
        self._thread.shutdown()

    def call(self, function, *args, **kwargs):
        """Run function in the namespace, e.g. to make a socket of it."""
        return self._thread.submit(function, *args, **kwargs).result()

    def popen(self, argv, **kwargs):
        return self.call(subprocess.Popen, argv, **kwargs)

    def run(self, *argv):
        return self.call(subprocess.run, argv, check=True, capture_output=True, text=True).stdout

    def cable(self, here, other, there):
        """Connect interface `here` of this namespace with `there` of another, both up."""
        self.run("ip", "link", "add", here, "type", "veth", "peer", "name", there,
                 "netns", str(other.id))
        self.run("ip", "link", "set", here, "up")
        other.run("ip", "link", "set", there, "up")


def _write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def ask(program, path, request):
    """Ask a lab program on its control socket: (exit status, answer)."""
    result = subprocess.run([program, "ctl", path, json.dumps(request)], capture_output=True,
                            text=True, timeout=120, check=False)
    return result.returncode, json.loads(result.stdout) if result.stdout else result.stderr
