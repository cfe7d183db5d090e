# SPDX-License-Identifier: LGPL-2.1-or-later
"""What disks cost on the wire, and that no changed byte gets through."""

import json
import os
import socket
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from ferrytest import STORAGE, SWITCHES, FerryCase, conf, vm, wait_until  # noqa: E402
from ferrylab.paths import build_folder, program  # noqa: E402

MIB = 1 << 20
EXTRA_MIB = 192
IMAGES = "/var/lib/libvirt/images"
WAY = (*SWITCHES, *STORAGE, "--way-back", "0")


class Hooks:
    """The other end of src/base/hook.h: tells one hook, at its n-th time, to do it wrong."""

    def __init__(self, host, name, at):
        self.path, self.name, self.left = "/run/hooks.sock", name, at
        self.done = False

        def listen():
            sock = socket.socket(socket.AF_UNIX)
            sock.bind(self.path)
            sock.listen(64)
            return sock
        self.socket = host.call(listen)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            with peer, peer.makefile("rwb") as stream:
                words = stream.readline().decode().split()
                wrong = False
                if len(words) > 1 and words[1] == self.name:
                    self.left -= 1
                    wrong = self.left == 0
                self.done |= wrong
                stream.write(b"d" if wrong else b"g")

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def has_hooks():
    path = os.path.join(build_folder(), "meson-info/intro-buildoptions.json")
    with open(path, encoding="utf-8") as options:
        return any(one["name"] == "test-hooks" and one["value"] for one in json.load(options))


class Blocks(FerryCase):
    VM = {"memory_mib": 128, "cmdline": {"writes": 20}}

    def guest_with(self, content):
        """A guest with one disk more, of EXTRA_MIB, that holds what this shell command says."""
        extra = f"{IMAGES}/web01-extra.raw"
        disks = (*vm.images("web01"), vm.Disk(extra, "raw", EXTRA_MIB))
        guest = self.new_guest(disks=disks, start=False)
        self.alpha.run(["sh", "-c", f"{content} | dd of={extra} bs=1M count={EXTRA_MIB} "
                                    "iflag=fullblock conv=notrunc,fsync status=none"])
        guest.start()
        self.witness.watch(guest)
        wait_until(lambda: self.records_or_none(guest), 180, "the guest to be heard")
        return guest

    def end_of(self, host, path):
        """A digest of the disk's second half, where the guest does not write."""
        return host.out("sh", "-c", f"tail -c {EXTRA_MIB * MIB // 2} {path} | sha256sum").split()[0]

    def moved(self, content):
        """Moves it over 400 Mbit/s; returns bytes QEMU gave and bytes on the wire."""
        for name in ("mig0", "mig1"):
            self.lab.link(name).limit("200mbit")
            self.addCleanup(self.lab.link(name).unlimited)
        guest = self.guest_with(content)
        before = self.end_of(self.alpha, f"{IMAGES}/web01-extra.raw")
        _, last = self.migrate(guest, *WAY)
        self.assert_runs_at(guest, self.zulu)
        new = {disk["target"]: disk["new_path"] for disk in last["changes"]["disks"]}
        self.assertEqual(self.end_of(self.zulu, new["vdc"]), before)
        return last["logical_bytes"], last["wire_bytes"]

    def test_zeroes_are_not_sent(self):
        logical, wire = self.moved("cat /dev/zero")
        self.assertGreater(logical, EXTRA_MIB * MIB)
        self.assertLess(wire, (logical - EXTRA_MIB * MIB) * 1.02 + MIB)

    def test_what_shrinks_is_compressed(self):
        logical, wire = self.moved("yes 'all work and no play makes Jack a dull boy'")
        self.assertGreater(logical, EXTRA_MIB * MIB)
        self.assertLess(wire, logical - EXTRA_MIB * MIB * 0.8)

    def test_what_does_not_shrink_costs_nothing_more(self):
        logical, wire = self.moved("cat /dev/urandom")
        self.assertGreater(wire, EXTRA_MIB * MIB)
        self.assertLess(wire, logical * 1.02)

    @unittest.skipUnless(has_hooks(), "needs a build with -Dtest-hooks=true")
    def test_a_changed_byte_is_found_before_it_is_written(self):
        guest = self.guest_with("cat /dev/urandom")
        hooks = Hooks(self.alpha, "wrong:export.content", 500)
        self.addCleanup(hooks.close)
        worker = program("src/worker/ferry-worker")
        wrapper = "/run/worker-with-hooks"
        self.alpha.write(wrapper, f"#!/bin/sh\nFERRY_HOOKS={hooks.path} exec {worker} \"$@\"\n")
        self.alpha.run(["chmod", "755", wrapper])
        self.alpha.stop_ferryd()
        self.alpha.start_ferryd(conf_text=conf(), env={"FERRY_WORKER": wrapper})
        self.addCleanup(lambda: (self.alpha.stop_ferryd(), self.alpha.start_ferryd()))

        result, last = self.migrate(guest, *SWITCHES, *STORAGE, check=False)
        self.assertTrue(hooks.done, "nothing was changed")
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(last["phase"], "failed")
        self.assertRegex(last["error"]["text"], r"vd[abc]\b.* \d+")
        self.assert_runs_at(guest, self.alpha)
        wait_until(lambda: not self.zulu.workers(), 30, "the worker on zulu to end")
        self.assertIsNone(guest.state(self.zulu))


if __name__ == "__main__":
    unittest.main()
