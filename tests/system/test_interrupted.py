# SPDX-License-Identifier: LGPL-2.1-or-later
"""A move that is cancelled, or whose worker is killed, in each phase before the commit: the VM goes on at the
source, nothing is lost, nothing is left but the data that landed."""

import fcntl
import os
import pty
import signal
import sys
import termios
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from ferrytest import SSD, STORAGE, SWITCHES, FerryCase, wait_until  # noqa: E402

ASAN = True


OTHER = """<domain type='qemu'><name>other01</name><uuid>{uuid}</uuid><memory unit='MiB'>32</memory>
<os><type arch='x86_64' machine='q35'>hvm</type></os></domain>"""


def own_terminal():
    """In the child: standard input becomes its controlling terminal, so that Ctrl-C reaches it as it does a user."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Interrupted(FerryCase):
    """Each phase is held by something real: a stopped daemon, a slow link, a guest that dirties its memory
    faster than the link carries it."""

    # 64 MiB of working set do not fit into a guest of 128.
    VM = {"memory_mib": 256, "cmdline": {"writes": 50, "dirty": 0, "wset": 64}}

    def slow(self, rate):
        for name in ("mig0", "mig1"):
            link = self.lab.link(name)
            link.limit(rate)
            self.addCleanup(link.unlimited)

    def fill(self, guest):
        """Something to copy: 64 MiB that no compression would shorten, before the guest starts."""
        path = guest.vm.disks[1].path
        self.alpha.run(["sh", "-c", f"head -c 64M /dev/urandom | dd of={path} bs=1M seek=128 "
                                    "conv=notrunc status=none"])

    def hold(self, phase):
        """Starts a move that stays in this phase: (guest, id, function that lets it go)."""
        guest = self.new_guest(start=False)
        self.alpha.virsh("autostart", guest.name)
        if phase == "mirroring":
            self.fill(guest)
            self.slow("20mbit")
        guest.start()
        self.witness.watch(guest)
        wait_until(lambda: self.records_or_none(guest), 180, "the guest to be heard")
        go = lambda: None  # noqa: E731
        if phase == "comparing":
            go = self.stopped(self.alpha, "libvirtd")
        elif phase == "landing":
            go = self.stopped(self.zulu, "libvirtd")
        elif phase in ("synchronizing", "switching"):
            self.slow("100mbit")
            self.witness.guest(guest, "set dirty=200")
        move = self.start_move(guest, *SWITCHES, *STORAGE)
        if phase == "switching":
            self.wait_phase(move, "synchronizing")
            go = self.stopped(self.zulu, "libvirtd")
            self.witness.guest(guest, "set dirty=0")
        self.wait_phase(move, phase)
        return guest, move, go

    def goes_on(self, guest, move, *phases):
        last = self.wait_final(move)
        self.assertIn(last["phase"], phases, last["error"])
        self.assertTrue(last["error"]["text"])
        self.assert_runs_at(guest, self.alpha)
        self.assert_tidy(guest, self.zulu)
        return last

    def autostarts(self, guest, host):
        """It is off while a move is under way: a host that comes back must not start what it has given up."""
        self.assertRegex(host.virsh("dominfo", guest.name), r"Autostart:\s+enable")

    def cancel(self, phase):
        guest, move, go = self.hold(phase)
        result = self.alpha.ferry("cancel", move)
        self.assertEqual(result.returncode, 0)
        go()
        self.goes_on(guest, move, "cancelled")
        self.autostarts(guest, self.alpha)
        # Cancelling what has ended is refused, and says so.
        again = self.alpha.ferry("cancel", move, check=False)
        self.assertNotEqual(again.returncode, 0)
        self.assertIn("ended already", again.stdout + again.stderr)
        return guest

    def kill(self, phase, host):
        guest, move, go = self.hold(phase)
        workers = wait_until(host.workers, 30, f"a worker on {host.name}")
        for pid in workers:
            host.kill(pid, signal.SIGKILL)
        go()
        last = self.goes_on(guest, move, "failed")
        self.autostarts(guest, self.alpha)
        return guest, last


def add(phase):
    def cancel(self):
        guest = self.cancel(phase)
        if phase == "switching":
            # The same VM moves when it is tried again: nothing stands in its way.
            self.lab.link("mig0").unlimited()
            self.lab.link("mig1").unlimited()
            self.migrate(guest, *SWITCHES, *STORAGE)
            self.assert_runs_at(guest, self.zulu)

    def kill_source(self):
        self.kill(phase, self.alpha)

    def kill_target(self):
        self.kill(phase, self.zulu)

    setattr(Interrupted, f"test_cancel_while_{phase}", cancel)
    setattr(Interrupted, f"test_kill_source_worker_while_{phase}", kill_source)
    if phase != "comparing":  # there is none yet
        setattr(Interrupted, f"test_kill_target_worker_while_{phase}", kill_target)


for each in ("comparing", "landing", "mirroring", "synchronizing", "switching"):
    add(each)


class TargetFails(Interrupted):
    """The target's storage fails under the copy, or its libvirt takes another guest for this one."""

    def test_no_space_left_during_the_copy(self):
        self.zulu.run(["mkdir", "-p", "/run/tight"])
        self.zulu.run(["mount", "-t", "tmpfs", "-o", "size=120m", "tmpfs", "/run/tight"])
        self.addCleanup(self.zulu.run, ["umount", "/run/tight"])
        guest = self.new_guest(start=False)
        self.fill(guest)
        guest.start()
        self.witness.watch(guest)
        wait_until(lambda: self.records_or_none(guest), 180, "the guest to be heard")
        self.slow("50mbit")
        move = self.start_move(guest, *SWITCHES, "--storage", "/var/lib/libvirt/images=/run/tight")
        self.wait_phase(move, "mirroring")
        self.zulu.run(["sh", "-c", "cat /dev/zero > /run/tight/fill 2>/dev/null; true"])
        last = self.goes_on(guest, move, "failed")
        self.assertIn("space", last["error"]["text"])


    def test_libvirt_refuses_to_prepare(self):
        """A guest of this UUID that came up meanwhile is somebody else's: it stays, the landing goes."""
        guest = self.new_guest()
        uuid = self.alpha.virsh("domuuid", guest.name).strip()
        move, give_back = self.announce(guest, *SWITCHES, *STORAGE)
        self.zulu.write("/run/other.xml", OTHER.format(uuid=uuid))
        self.zulu.virsh("create", "--paused", "/run/other.xml")
        self.addCleanup(self.zulu.virsh_result, "destroy", "other01")
        give_back()
        last = self.goes_on(guest, move, "failed")
        self.assertIn("other01", last["error"]["text"])
        self.assertEqual(self.zulu.virsh("domstate", "other01").strip(), "paused")


for name in [n for n in dir(Interrupted) if n.startswith("test_")]:
    setattr(TargetFails, name, None)


class CtrlC(Interrupted):
    """Ctrl-C in `ferry migrate` asks what to do with the move."""

    def at_terminal(self, key):
        """`ferry migrate` on a terminal of its own, in phase mirroring; Ctrl-C, then this key."""
        guest = self.new_guest(start=False)
        self.fill(guest)
        self.slow("20mbit")
        guest.start()
        self.witness.watch(guest)
        wait_until(lambda: self.records_or_none(guest), 180, "the guest to be heard")
        ours, theirs = pty.openpty()
        ferry = self.alpha.ferry_popen("migrate", guest.name, "zulu", *SWITCHES, *STORAGE,
                                       stdin=theirs, stdout=theirs, stderr=theirs,
                                       preexec_fn=own_terminal)
        os.close(theirs)
        self.addCleanup(os.close, ours)
        os.set_blocking(ours, False)
        said = b""

        def read():
            nonlocal said
            try:
                said += os.read(ours, 65536)
            except (BlockingIOError, OSError):
                pass
            return said
        wait_until(lambda: b"mirroring" in read(), 60, "the progress bar")
        os.write(ours, b"\x03")
        wait_until(lambda: b"[a]bort" in read(), 30, "the question")
        os.write(ours, key + b"\n")
        wait_until(lambda: read() is not None and ferry.poll() is not None, 60,
                   f"ferry to end: {said}")
        move = self.alpha.api("GET", "/v1/migrations")[1]["migrations"][0]["id"]
        return guest, move, ferry.returncode

    def test_abort(self):
        guest, move, code = self.at_terminal(b"a")
        self.assertEqual(code, 5)
        self.goes_on(guest, move, "cancelled")

    def test_detach_leaves_it_running(self):
        guest, move, code = self.at_terminal(b"d")
        self.assertEqual(self.status(move)["phase"], "mirroring")
        self.lab.link("mig0").unlimited()
        self.lab.link("mig1").unlimited()
        self.assertEqual(self.wait_final(move)["phase"], "completed")
        self.assert_runs_at(guest, self.zulu)


for name in [n for n in dir(Interrupted) if n.startswith("test_")]:
    setattr(CtrlC, name, None)


if __name__ == "__main__":
    unittest.main()
