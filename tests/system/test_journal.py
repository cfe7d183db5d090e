# SPDX-License-Identifier: LGPL-2.1-or-later
"""A journal whose disk is full: no move begins; one under way goes on where it is right, as soon as there is room."""

import os
import socket
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from ferrytest import STORAGE, SWITCHES, FerryCase, wait_until  # noqa: E402
from test_blocks import has_hooks  # noqa: E402
from ferrylab.paths import program  # noqa: E402

ASAN = True  # the build with hooks
STATE = "/var/lib/ferry"


class Pause:
    """The other end of src/base/hook.h: holds the first process that comes to this hook until it is let go."""

    def __init__(self, host, name):
        self.path, self.name = "/run/hooks.sock", name
        self.reached, self.go = threading.Event(), threading.Event()

        def listen():
            sock = socket.socket(socket.AF_UNIX)
            sock.bind(self.path)
            sock.listen(64)
            return sock
        self.socket = host.call(listen)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        with peer, peer.makefile("rwb") as stream:
            words = stream.readline().decode().split()
            if len(words) > 1 and words[1] == self.name and not self.reached.is_set():
                self.reached.set()
                self.go.wait()
            stream.write(b"g")

    def close(self):
        self.go.set()
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class FullJournal(FerryCase):
    def setUp(self):
        super().setUp()
        for host in (self.alpha, self.zulu):
            self.restart(host, lambda host=host: host.run(
                ["sh", "-c", f"cp -a {STATE} /run/was && mount -t tmpfs -o size=16m,mode=700 tmpfs {STATE} && "
                             f"cp -a /run/was/. {STATE}/"]))
            self.addCleanup(self.restart, host, lambda host=host: host.run(
                ["sh", "-c", f"umount {STATE} && rm -rf /run/was"]))

    def restart(self, host, meanwhile=lambda: None, **env):
        host.stop_ferryd()
        meanwhile()
        host.start_ferryd(env=env)

    def fill(self, host):
        host.run(["sh", "-c", f"cat /dev/zero > {STATE}/fill 2>/dev/null; true"])

    def empty(self, host):
        host.run(["rm", "-f", f"{STATE}/fill"])

    def refused(self, guest, *words):
        result, last = self.migrate(guest, *SWITCHES, *STORAGE, check=False)
        self.assertEqual(result.returncode, 1, self.story(result))
        self.assertEqual(last["error"]["code"], "journal", last)
        for word in words:
            self.assertIn(word, last["error"]["text"])

    def test_no_move_begins(self):
        guest = self.new_guest()
        self.fill(self.alpha)
        self.refused(guest, "make room there", f"file system at {STATE}")
        self.empty(self.alpha)
        self.fill(self.zulu)
        self.refused(guest, "zulu", "make room there")
        self.empty(self.zulu)
        self.migrate(guest, *SWITCHES, *STORAGE)
        self.assert_runs_at(guest, self.zulu)
        # What has been is read where nothing can be written, and nobody runs.
        self.restart(self.alpha, lambda: self.read_only_history(guest))

    def read_only_history(self, guest):
        self.alpha.run(["mount", "-o", "remount,ro", STATE])
        self.assertIn(guest.name, self.alpha.ferry("history").stdout)
        self.alpha.run(["mount", "-o", "remount,rw", STATE])

    def test_before_the_commit_it_goes_on_at_the_source(self):
        for name in ("mig0", "mig1"):
            self.lab.link(name).limit("100mbit")
            self.addCleanup(self.lab.link(name).unlimited)
        guest = self.new_guest(memory_mib=256, cmdline={"writes": 50, "dirty": 0, "wset": 64})
        self.witness.guest(guest, "set dirty=200")
        move = self.start_move(guest, *SWITCHES, *STORAGE)
        self.wait_phase(move, "synchronizing")
        self.fill(self.alpha)
        self.witness.guest(guest, "set dirty=0")
        wait_until(lambda: "make room" in (self.status(move)["waiting"] or ""), 120, "the source to want room")
        self.witness.wait_records(guest)
        self.empty(self.alpha)
        last = self.wait_final(move)
        self.assertEqual((last["phase"], last["error"]["code"]), ("failed", "journal"), last["error"])
        self.assert_runs_at(guest, self.alpha)
        self.assert_tidy(guest, self.zulu)

    @unittest.skipUnless(has_hooks(), "needs a build with -Dtest-hooks=true")
    def test_past_the_commit_it_waits_for_room(self):
        guest = self.new_guest()
        pause = Pause(self.alpha, "after:journal:given-up")
        self.addCleanup(pause.close)
        worker, wrapper = program("src/worker/ferry-worker"), "/run/worker-with-hooks"
        self.alpha.write(wrapper, f"#!/bin/sh\nFERRY_HOOKS={pause.path} exec {worker} \"$@\"\n")
        self.alpha.run(["chmod", "755", wrapper])
        self.restart(self.alpha, FERRY_WORKER=wrapper)
        move = self.start_move(guest, *SWITCHES, *STORAGE)
        self.assertTrue(pause.reached.wait(180), "the give-up")
        self.fill(self.alpha)
        self.fill(self.zulu)
        pause.go.set()
        wait_until(lambda: "make room" in (self.status(move, self.zulu)["waiting"] or ""), 60, "zulu to want room")
        self.assertEqual((guest.state(self.alpha), guest.state(self.zulu)), ("paused", "paused"))
        self.empty(self.zulu)
        wait_until(lambda: guest.state(self.zulu) == "running", 60, "the guest to run at zulu")
        wait_until(lambda: "make room" in (self.status(move)["waiting"] or ""), 60, "alpha to want room")
        self.witness.wait_records(guest)
        self.empty(self.alpha)
        self.assertEqual(self.wait_final(move)["phase"], "completed")
        self.assert_runs_at(guest, self.zulu)


if __name__ == "__main__":
    unittest.main()
