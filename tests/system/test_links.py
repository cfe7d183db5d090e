# SPDX-License-Identifier: LGPL-2.1-or-later
"""Links that go away, come back, are reset, slow or silent under a move: it waits, moves its load, and completes; the
guest goes on and nothing is lost. What a link carries is read from its byte counters."""

import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from ferrytest import FINAL, STORAGE, SWITCHES, FerryCase, conf, wait_until  # noqa: E402

ASAN = True
MIB = 1 << 20
# Ten minutes, on request: FERRY_CUT_SECONDS=600 tests/run.py --only 'system/test_links:Links.test_all*'
CUT_SECONDS = int(os.environ.get("FERRY_CUT_SECONDS", "70"))
RESET_SECONDS = 2
LANDING_SECONDS = 20
# As it comes, so with the default link-timeout.
PLAIN = conf(networks={"link-timeout": None})


class Links(FerryCase):
    CONFS = {"alpha": PLAIN, "zulu": PLAIN}
    # 64 MiB of working set do not fit into a guest of 128.
    VM = {"memory_mib": 256, "cmdline": {"writes": 50, "dirty": 0, "wset": 64}}

    def setUp(self):
        super().setUp()
        self.links = {name: self.lab.link(name) for name in ("mig0", "mig1")}
        for link in self.links.values():
            self.addCleanup(link.unlimited)
            self.addCleanup(link.restore)

    def each(self, action, *arguments):
        for link in self.links.values():
            getattr(link, action)(*arguments)

    def begin(self, rate, **changes):
        """A move whose disk, 64 MiB that no compression would shorten, crosses links of this rate: (guest, id)."""
        guest = self.new_guest(start=False, **changes)
        self.alpha.run(["sh", "-c", f"head -c 64M /dev/urandom | dd of={guest.vm.disks[1].path} bs=1M seek=128 "
                                    "conv=notrunc status=none"])
        self.each("limit", rate)
        guest.start()
        self.witness.watch(guest)
        wait_until(lambda: self.records_or_none(guest), 180, "the guest to be heard")
        return guest, self.start_move(guest, *SWITCHES, *STORAGE)

    def sent(self, name):
        """Bytes alpha has sent over a network."""
        return self.links[name].counters()["alpha"][0]

    def wait_sent(self, move, mib, *names, timeout=120):
        """Wait until each of these networks has carried so much more of the move."""
        start = {name: self.sent(name) for name in names}

        def enough():
            now = self.status(move)
            self.assertNotIn(now["phase"], FINAL, f"{now['error']}\n{self.logs()}")
            return all(self.sent(name) - start[name] >= mib * MIB for name in names)
        wait_until(enough, timeout, f"{mib} MiB over {' and '.join(names)}: "
                                    f"{ {name: self.sent(name) - start[name] for name in names} }")

    def completes(self, guest, move, timeout=180):
        last = self.wait_final(move, timeout=timeout)
        self.assertEqual(last["phase"], "completed", f"{last['error']}\n{self.logs()}")
        self.assert_runs_at(guest, self.zulu)
        return last

    def cut_all(self, guest, move, phase):
        """No link for CUT_SECONDS: the guest goes on, the move says what it waits for."""
        records = self.witness.records(guest)
        self.each("cut")
        since = time.monotonic()
        waiting = wait_until(lambda: self.status(move)["waiting"], 30, "the move to say that there is no link")
        self.assertRegex(waiting, "^no link to zulu since [0-9:]{8}; trying until [0-9:]{8}$")
        self.assertIn("no link to zulu since", self.alpha.ferry("status", move).stdout)

        def over():
            now = self.status(move)
            self.assertEqual(now["phase"], phase, f"{now['error']}\n{self.logs()}")
            return time.monotonic() - since >= CUT_SECONDS
        wait_until(over, 2 * CUT_SECONDS, "the end of the cut")
        self.assertEqual(self.status(move)["channels"]["alive"], 0)
        self.assertGreater(self.witness.records(guest), records + CUT_SECONDS)
        self.each("restore")
        wait_until(lambda: not self.status(move)["waiting"], 60, "a link to be back")

    def test_all_links_are_away_during_disks(self):
        guest, move = self.begin("20mbit")
        self.wait_phase(move, "mirroring")
        self.wait_sent(move, 2, "mig0", "mig1")
        self.cut_all(guest, move, "mirroring")
        self.each("unlimited")
        self.completes(guest, move)

    def test_all_links_are_away_during_memory(self):
        guest = self.new_guest()
        self.each("limit", "100mbit")
        self.witness.guest(guest, "set dirty=200")
        move = self.start_move(guest, *SWITCHES, *STORAGE)
        self.wait_phase(move, "synchronizing")
        self.wait_sent(move, 2, "mig0", "mig1")
        self.cut_all(guest, move, "synchronizing")
        self.witness.guest(guest, "set dirty=0")
        self.each("unlimited")
        self.completes(guest, move)

    def test_a_landing_outlives_its_timeout_without_links(self):
        self.zulu.stop_ferryd()
        self.zulu.start_ferryd(conf_text=conf(migrations={"landing-timeout": str(LANDING_SECONDS)},
                                              networks={"link-timeout": None}))
        self.addCleanup(lambda: (self.zulu.stop_ferryd(), self.zulu.start_ferryd(conf_text=PLAIN)))
        guest = self.new_guest()
        move, give_back = self.announce(guest, *SWITCHES, *STORAGE)
        since = time.monotonic()

        def over():
            landing = self.status(move, self.zulu)
            self.assertEqual(landing["phase"], "landing", f"{landing['error']}\n{self.logs()}")
            return time.monotonic() - since > 1.5 * LANDING_SECONDS
        wait_until(over, 2 * LANDING_SECONDS, "the landing to outlive its timeout")
        give_back()
        self.completes(guest, move)

    def test_every_channel_is_reset_again_and_again(self):
        guest, move = self.begin("50mbit")
        resets, last = [], time.monotonic()

        def ended():
            nonlocal last
            now = self.status(move)
            if now["phase"] in FINAL:
                return now
            if now["phase"] != "comparing" and time.monotonic() - last >= RESET_SECONDS:
                last = time.monotonic()
                resets.append(sum(link.reset() for link in self.links.values()))
            return None
        state = wait_until(ended, 300, f"{move} to end")
        self.assertEqual(state["phase"], "completed", f"{state['error']}\n{self.logs()}")
        self.assertGreaterEqual(len(resets), 3)
        self.assertGreaterEqual(state["channels"]["lost"], 3 * 4)
        self.assert_runs_at(guest, self.zulu)

    def test_a_network_goes_and_comes_back(self):
        guest, move = self.begin("8mbit")
        self.wait_phase(move, "mirroring")
        self.wait_sent(move, 1, "mig0", "mig1")
        self.alpha.run(["ip", "addr", "del", "10.70.0.1/24", "dev", "mig0"])
        give_back = ["ip", "addr", "replace", "10.70.0.1/24", "dev", "mig0"]
        self.addCleanup(self.alpha.run, give_back)
        self.wait_sent(move, 1, "mig1")
        wait_until(lambda: self.status(move)["channels"]["alive"] == 4, 60, "all channels over mig1")
        without = self.sent("mig0")
        self.wait_sent(move, 2, "mig1")
        self.assertLess(self.sent("mig0") - without, MIB / 16)
        self.alpha.run(give_back)
        self.wait_sent(move, 2, "mig0", "mig1")
        self.each("unlimited")
        self.completes(guest, move)

    def test_one_network_is_a_black_hole(self):
        guest, move = self.begin("20mbit")
        self.wait_phase(move, "mirroring")
        self.wait_sent(move, 1, "mig0", "mig1")
        self.links["mig0"].cut()
        self.wait_sent(move, 4, "mig1")
        wait_until(lambda: self.status(move)["channels"]["alive"] == 4, 60, "all channels over mig1")
        self.links["mig1"].unlimited()
        self.completes(guest, move)

    def test_a_slow_network_does_not_slow_the_other(self):
        guest, move = self.begin("100mbit")
        self.links["mig0"].limit("2mbit")
        start = {name: self.sent(name) for name in self.links}
        self.completes(guest, move)
        slow, quick = (self.sent(name) - start[name] for name in ("mig0", "mig1"))
        self.assertGreater(quick, 8 * slow)


if __name__ == "__main__":
    unittest.main()
