# SPDX-License-Identifier: LGPL-2.1-or-later
"""The other end of src/base/hook.h, in a host of the lab."""

import json
import os
import socket
import threading

from ferrylab.paths import build_folder

PATH = "/run/hooks.sock"


def has_hooks():
    """Whether the programs in use were built with -Dtest-hooks=true."""
    path = os.path.join(build_folder(), "meson-info/intro-buildoptions.json")
    with open(path, encoding="utf-8") as options:
        return any(one["name"] == "test-hooks" and one["value"] for one in json.load(options))


class Hooks:
    """Asks `answer(program, name, pid)` about every hook a program of this host comes to, in a thread of its own; the
    program waits meanwhile. True: what the hook is for is done wrong. Start programs with .environment."""

    environment = {"FERRY_HOOKS": PATH}

    def __init__(self, host, answer):
        self.host, self.answer = host, answer
        self.listen()

    def listen(self):
        """Again, after the host has lost its power."""
        def bind():
            sock = socket.socket(socket.AF_UNIX)
            if os.path.exists(PATH):
                os.unlink(PATH)
            sock.bind(PATH)
            sock.listen(256)
            return sock
        self.socket = self.host.call(bind)
        threading.Thread(target=self._serve, args=[self.socket], daemon=True).start()

    def _serve(self, sock):
        while True:
            try:
                peer, _ = sock.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=[peer], daemon=True).start()

    def _answer(self, peer):
        with peer:
            try:
                with peer.makefile("rwb") as stream:
                    program, name, pid = stream.readline().decode().split()
                    stream.write(b"d" if self.answer(program, name, int(pid)) else b"g")
            except (OSError, ValueError):
                pass  # it was killed while it asked, or while it waited

    def close(self):
        """Also before the host loses its power: an open socket would keep its network alive."""
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
