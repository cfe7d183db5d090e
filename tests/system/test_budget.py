# SPDX-License-Identifier: LGPL-2.1-or-later
"""Budgets: a move keeps to its own limit, to its hosts' and to what its guest can spare, also to one set while it
runs. What a move takes is read from the links' byte counters."""

import json
import os
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from ferrytest import STORAGE, SWITCHES, FerryCase, conf, to_body, vm, wait_until  # noqa: E402

MIB = 1 << 20
OFF = {"latency-guard": "off"}
CONF = "/etc/ferry/ferryd.conf"
# TLS, TCP and what is not bulk; and a frame or two before the measuring began.
OVERHEAD = 1.2
RATE_MAX = 1 << 40


class BudgetCase(FerryCase):
    VM = {"memory_mib": 128, "cmdline": {"writes": 50, "dirty": 0, "wset": 16}}
    CONFS = {"alpha": conf(migrations=OFF), "zulu": conf()}

    def setUp(self):
        super().setUp()
        self.links = [self.lab.link(name) for name in ("mig0", "mig1")]

    def filled(self, name="web01", mib=96):
        """A guest with so much on its disk that no compression would shorten, where it does not write itself."""
        guest = self.new_guest(name, start=False, disks=vm.images(name, size_mib=mib + 160))
        self.alpha.run(["sh", "-c", f"head -c {mib}M /dev/urandom | dd of={guest.vm.disks[1].path} bs=1M seek=128 "
                                    "conv=notrunc status=none"])
        guest.start()
        self.witness.watch(guest)
        wait_until(lambda: self.records_or_none(guest), 180, f"{name} to be heard")
        return guest

    def begin(self, guest, **members):
        body = {"vm": guest.name, "target": "zulu", **to_body((*SWITCHES, *STORAGE)), **members}
        code, answer = self.alpha.api("POST", "/v1/migrations", body)
        self.assertEqual(code, 201, answer)
        return answer["id"]

    def set(self, move, *settings):
        return json.loads(self.alpha.ferry("--json", "set", move, *settings).stdout)

    def limits(self, move, host=None):
        return self.status(move, host)["limits"]

    def wait_limits(self, move, host=None, **wanted):
        def there():
            now = self.limits(move, host)
            return all(now[key] == value for key, value in wanted.items())
        wait_until(there, 60, f"{move} to have {wanted}: {self.limits(move, host)}")

    def sent(self):
        return sum(link.counters()["alpha"][0] for link in self.links)

    def wait_sent(self, mib, *moves):
        """Wait until the links have carried so much more while all these moves mirror: bytes per second."""
        began, start = time.monotonic(), self.sent()

        def enough():
            for move in moves:
                now = self.status(move)
                self.assertEqual(now["phase"], "mirroring", f"{now['error']}\n{self.logs()}")
            return self.sent() - start >= mib * MIB
        wait_until(enough, 120, f"{mib} MiB to be sent")
        return (self.sent() - start) / (time.monotonic() - began)

    def completes(self, guest, move):
        last = self.wait_final(move)
        self.assertEqual(last["phase"], "completed", f"{last['error']}\n{self.logs()}")
        self.assert_runs_at(guest, self.zulu)

    def configure(self, host, **migrations):
        """Reloads; the old settings come back in the end."""
        def reload(text):
            host.write(CONF, text)
            host.ferryd.send_signal(signal.SIGHUP)
        self.addCleanup(reload, self.CONFS[host.name])
        reload(conf(migrations={**OFF, **migrations}))


class Limits(BudgetCase):
    def test_a_limit_holds_and_is_changed_while_it_runs(self):
        guest = self.filled()
        move = self.begin(guest, bandwidth=4 * MIB)
        self.wait_phase(move, "mirroring")
        self.wait_limits(move, bandwidth=4 * MIB, rate=4 * MIB)
        self.wait_sent(1, move)
        self.assertLessEqual(self.wait_sent(6, move), 4 * MIB * OVERHEAD)
        self.assertIn("this move: 4.0 MiB/s", self.alpha.ferry("status", move).stdout)
        self.set(move, "bandwidth=8MiB/s")
        self.wait_limits(move, rate=8 * MIB)
        self.wait_sent(1, move)
        self.assertLessEqual(self.wait_sent(10, move), 8 * MIB * OVERHEAD)
        # At this rate it would take a quarter of an hour: that it completes is due to what is set next.
        self.set(move, "bandwidth=1Mbit/s", "latency-guard=3")
        self.wait_limits(move, rate=125000, latency_guard=3)
        self.set(move, "bandwidth=none", "latency-guard=off")
        self.wait_limits(move, rate=None, latency_guard=None)
        self.completes(guest, move)
        result = self.alpha.ferry("set", move, "bandwidth=1M", check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("ended already", result.stderr)

    def test_moves_share_what_their_host_has(self):
        self.configure(self.alpha, bandwidth="4MiB/s")
        guests = [self.filled("one"), self.filled("two")]
        moves = [self.begin(guest) for guest in guests]
        for move in moves:
            self.wait_phase(move, "mirroring")
            self.wait_limits(move, share=2 * MIB, rate=2 * MIB)
        self.wait_sent(1, *moves)
        self.assertLessEqual(self.wait_sent(8, *moves), 4 * MIB * OVERHEAD)
        # What one leaves is the other's.
        self.set(moves[1], "bandwidth=1MiB/s")
        self.wait_limits(moves[0], rate=3 * MIB)
        self.alpha.ferry("cancel", moves[1])
        self.wait_limits(moves[0], share=4 * MIB)
        self.configure(self.alpha, bandwidth="none")
        self.wait_limits(moves[0], rate=None)
        self.completes(guests[0], moves[0])
        self.assertEqual(self.wait_final(moves[1])["phase"], "cancelled")

    def test_the_targets_limit_binds(self):
        self.configure(self.zulu, bandwidth="4MiB/s")
        guest = self.filled()
        move = self.begin(guest, bandwidth=64 * MIB)
        self.wait_phase(move, "mirroring")
        self.wait_limits(move, peer_share=4 * MIB, rate=4 * MIB)
        self.wait_limits(move, host=self.zulu, bandwidth=64 * MIB, share=4 * MIB)
        self.wait_sent(1, move)
        self.assertLessEqual(self.wait_sent(6, move), 4 * MIB * OVERHEAD)
        code, answer = self.zulu.api("PATCH", f"/v1/migrations/{move}", {"bandwidth": 0})
        self.assertEqual((code, answer["error"]["code"]), (409, "conflict"), answer)
        self.configure(self.zulu, bandwidth="none")
        self.wait_limits(move, peer_share=None, rate=64 * MIB)
        self.completes(guest, move)

    def test_a_share_outlives_ferryd(self):
        self.configure(self.alpha, bandwidth="4MiB/s")
        guest = self.filled()
        move = self.begin(guest)
        self.wait_phase(move, "mirroring")
        self.wait_limits(move, rate=4 * MIB)
        self.alpha.stop_ferryd()
        start = self.sent()
        wait_until(lambda: self.sent() - start > 4 * MIB, 60, "the move to go on without ferryd")
        self.alpha.start_ferryd()
        self.wait_limits(move, rate=4 * MIB)
        self.configure(self.alpha, bandwidth="32MiB/s")
        self.wait_limits(move, rate=32 * MIB)
        self.completes(guest, move)


class Guard(BudgetCase):
    CONFS = {"alpha": conf(migrations={"latency-guard": "3", "latency-patience": "1"}), "zulu": conf()}

    def throttle(self, guest, iops):
        """Makes the guest's own requests wait, and nothing of the mirror's. (libvirt's blkdeviotune would wait for
        the end of the migration.)"""
        blocks = json.loads(self.alpha.virsh("qemu-monitor-command", guest.name,
                                             '{"execute": "query-block"}'))["return"]
        for block in blocks:
            if not block.get("inserted"):
                continue
            self.alpha.virsh("qemu-monitor-command", guest.name, json.dumps({
                "execute": "block_set_io_throttle",
                "arguments": {"id": block["qdev"], "iops": iops, "iops_rd": 0, "iops_wr": 0, "bps": 0,
                              "bps_rd": 0, "bps_wr": 0}}))

    def test_a_guest_that_suffers_is_spared(self):
        guest = self.filled(mib=320)
        move = self.begin(guest, bandwidth=6 * MIB)
        self.wait_phase(move, "mirroring")
        self.wait_sent(1, move)
        self.throttle(guest, 4)
        spared = wait_until(lambda: self.limits(move)["spared"], 60, "the guard to slow the move down")
        self.assertLess(spared, 6 * MIB)
        self.assertIn("slowed down to spare the guest", self.alpha.ferry("status", move).stdout)
        self.assertIn("slowed down to spare the guest", self.alpha.read("/var/log/ferry/ferryd.log"))
        self.throttle(guest, 0)
        self.set(move, "bandwidth=none")
        wait_until(lambda: (self.limits(move)["spared"] or RATE_MAX) > spared, 60,
                   "the guard to let the move go again")
        self.completes(guest, move)


class Stall(BudgetCase):
    CONFS = {"alpha": conf(migrations=OFF), "zulu": conf()}

    def cut(self):
        for link in self.links:
            self.addCleanup(link.restore)
            link.cut()

    def test_a_guest_does_not_wait_for_a_target_that_is_gone(self):
        guest = self.filled()
        move = self.begin(guest, mirror="synchronous", bandwidth=4 * MIB)
        self.wait_phase(move, "mirroring")
        self.wait_sent(2, move)
        self.cut()
        # While the links are still cut: it is given up, and the guest's writes are done.
        last = self.wait_final(move)
        self.assertEqual((last["phase"], last["error"]["code"]), ("failed", "guest-stall"), self.logs())
        self.assert_runs_at(guest, self.alpha)
        for link in self.links:
            link.restore()
        self.assert_tidy(guest, self.zulu)

    def test_in_the_background_nobody_waits(self):
        guest = self.filled()
        move = self.begin(guest, bandwidth=4 * MIB)
        self.wait_phase(move, "mirroring")
        self.wait_sent(2, move)
        self.cut()
        # Its channels are found dead, long after max-guest-stall; the guest goes on all the time, and so does the move.
        self.witness.wait_records(guest)
        wait_until(lambda: self.status(move)["channels"]["alive"] == 0, 60, "the channels to be given up")
        self.witness.wait_records(guest)
        self.assertEqual(self.status(move)["phase"], "mirroring")
        for link in self.links:
            link.restore()
        self.set(move, "bandwidth=none")
        self.completes(guest, move)


if __name__ == "__main__":
    unittest.main()
