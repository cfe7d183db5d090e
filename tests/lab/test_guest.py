#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The lab guest and its witness, for real: the guest's kernel under QEMU, disks that are damaged, hosts
that stop, machines that run twice."""

import json
import mmap
import os
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from netns import Namespace, ask  # noqa: E402
from qemu import NETWORKS, TIMEOUT, Machine  # noqa: E402
from ferrylab.paths import program  # noqa: E402
from ferrylab.wait import wait_until  # noqa: E402


class GuestTest(unittest.TestCase):
    def setUp(self):
        self.witness = program("lab/witness")
        temporary = tempfile.TemporaryDirectory(dir="/var/tmp")  # tmpfs may not do O_DIRECT
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name
        self.path = f"{self.folder}/witness"
        self.namespace = Namespace()
        self.addCleanup(self.namespace.close)
        for number, network in enumerate(NETWORKS):
            self.namespace.run("ip", "link", "add", f"br{number}", "type", "bridge")
            self.namespace.run("ip", "addr", "add", f"{network}.1/24", "dev", f"br{number}")
            self.namespace.run("ip", "link", "set", f"br{number}", "up")
        process = self.namespace.popen([self.witness, "--control", self.path])
        self.addCleanup(lambda: (process.terminate(), self.assertEqual(process.wait(TIMEOUT), 0)))
        wait_until(lambda: os.path.exists(self.path), TIMEOUT, "the witness to be there")
        self.ask({"op": "watch", "vm": "web01", "addresses": [f"{n}.5" for n in NETWORKS]})
        self.machine = self.another("a")

    def another(self, name):
        machine = Machine(self.namespace, self.folder, name)
        self.addCleanup(machine.kill)
        return machine

    def ask(self, request):
        return ask(self.witness, self.path, request)[1]

    def vm(self):
        return self.ask({"op": "stats"})["vms"]["web01"]

    def guest(self, line):
        answer = self.ask({"op": "guest", "vm": "web01", "line": line})
        self.assertTrue(answer["ok"], answer)
        return answer

    def verify(self, *images):
        result = subprocess.run([self.witness, "verify", self.path, "web01", *images],
                                capture_output=True, text=True, timeout=TIMEOUT, check=False)
        answer = json.loads(result.stdout)
        self.assertTrue(answer["ok"], answer)
        self.assertEqual(result.returncode, 0 if answer["verdict"] == "good" else 1)
        return answer

    def hear(self, more=20):
        """Wait until the witness has heard of so many more records."""
        have = self.vm()["records"]
        try:
            return wait_until(lambda: (vm := self.vm())["records"] >= have + more and vm, TIMEOUT,
                              "the guest's reports")
        except Exception as error:
            raise AssertionError(f"{error}; its console: {self.machine.said()[-2000:]}") from None

    def pause_writing(self):
        self.guest("set writes=0")
        return wait_until(lambda: (s := self.guest("state"))["seq"] == s["finished"] and s, TIMEOUT,
                          "the last write to return")["seq"]

    def good(self, answer):
        self.assertEqual(answer["verdict"], "good", answer)
        self.assertGreater(answer["heard"], 0)
        self.assertEqual(self.vm()["violations"], [])

    def damage(self, seq):
        """Change one byte of a record on the raw disk, behind the guest; seq is odd there."""
        self.assertEqual(seq % 2, 1)
        slot = seq // 2 % 4096
        with open(self.machine.disks[1], "r+b") as file:
            file.seek(slot * 4096 + 3000)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 0x10]))
            file.flush()
            os.fsync(file.fileno())

    def test_it_reports_answers_and_is_read_back(self):
        self.machine.start("dirty=20 wset=32 writes=100")
        self.hear(60)
        vm = wait_until(lambda: (v := self.vm()) and min(p["answered"] for p in v["windows"]["all"]["probes"])
                        and v, TIMEOUT, "an answer to every series of probes")
        self.assertEqual([p["address"] for p in vm["windows"]["all"]["probes"]],
                         ["10.50.0.5"] * 2 + ["10.60.0.5"] * 2)
        self.good(self.verify())
        state = self.guest("state")
        self.assertEqual((state["disks"], state["slots"], state["wset"], state["boot"]),
                         (2, 4096, 32, vm["boot"]))
        self.assertEqual(self.guest("set dirty=40 wset=16 writes=7")["writes"], 7)
        have = self.guest("state")["dirtied_mib"]
        state = wait_until(lambda: (s := self.guest("state"))["dirtied_mib"] > have + 40 and s, TIMEOUT,
                           "memory to be dirtied")
        self.assertEqual(state["memory_errors"], 0)
        self.assertTrue(self.guest("sync")["ok"])
        for line in ("set writes=x", "set", "set color=1", "fly"):
            answer = self.ask({"op": "guest", "vm": "web01", "line": line})
            self.assertEqual(answer["ok"], line == "set", answer)

    def test_a_stopped_host_shows_as_a_blackout(self):
        self.machine.start()
        self.hear()
        self.ask({"op": "begin", "window": "stop"})
        self.machine.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: self.vm()["heard_ms_ago"] > 500, TIMEOUT, "half a second of silence")
        self.machine.process.send_signal(signal.SIGCONT)
        self.hear()
        self.ask({"op": "end", "window": "stop"})
        figures = self.vm()["windows"]["stop"]
        self.assertGreater(figures["blackout_ms"], 450)
        self.assertGreater(figures["write_silence_ms"], 450)
        self.good(self.verify())

    def test_damage_behind_its_back_is_found(self):
        self.machine.start()
        last = self.hear(40)["last_record"]
        self.pause_writing()
        self.good(self.verify())
        victim = last - 20 | 1
        self.damage(victim)
        answer = self.verify()
        self.assertEqual((answer["corrupt"], answer["missing"]), (1, 0))
        self.assertIn(f"record {victim}", answer["findings"][0])
        self.assertEqual(self.vm()["verdict"], "bad")

    def test_after_a_power_cut_nothing_acknowledged_is_missing(self):
        self.machine.start("writes=200")
        before = self.hear(100)
        self.machine.kill()
        raw = f"{self.folder}/converted.raw"
        subprocess.run(["qemu-img", "convert", "-O", "raw", self.machine.disks[0], raw], check=True)
        self.good(self.verify(raw, self.machine.disks[1]))
        self.machine.start()
        wait_until(lambda: self.vm()["boot"] != before["boot"], TIMEOUT, "a new boot")
        self.hear()
        self.good(self.verify())
        self.assertGreaterEqual(self.guest("state")["first"], before["last_record"] + 1)
        self.assertEqual(len(self.vm()["epochs"]), 2)

    def test_a_failed_write_is_reported_and_owes_nothing(self):
        self.machine.start(raw={
            "driver": "blkdebug",
            "image": {"driver": "file", "filename": self.machine.disks[1], "cache": {"direct": True}},
            "inject-error": [{"event": "none", "iotype": "write", "sector": 8 * slot, "errno": 5,
                              "once": True} for slot in (50, 51)]})
        vm = wait_until(lambda: (v := self.vm())["last_record"] > 150 and v, TIMEOUT, "some records")
        self.assertEqual(vm["failed"], 2)
        self.good(self.verify())
        self.assertEqual(self.guest("state")["failures"], 2)

    def test_it_goes_on_elsewhere_as_if_nothing_were(self):
        self.machine.start("dirty=10")
        before = self.hear()
        twin = self.another("b")
        self.machine.save(f"{self.folder}/state", twin)
        self.machine.kill()
        twin.start("dirty=10", incoming=f"{self.folder}/state")
        vm = self.hear()
        self.assertEqual((vm["boot"], len(vm["epochs"])), (before["boot"], 1))
        wait_until(lambda: self.guest("state")["dirtied_mib"] > 100, TIMEOUT, "all pages to be looked at")
        self.good(self.verify())

    def test_two_running_copies_are_found(self):
        self.machine.start()
        self.hear()
        twin = self.another("b")
        self.machine.save(f"{self.folder}/state", twin)
        twin.start(incoming=f"{self.folder}/state")
        self.hear()
        self.assertEqual(self.vm()["verdict"], "good", "so far only one runs")
        self.machine.qmp("cont")
        vm = wait_until(lambda: (v := self.vm())["verdict"] == "bad" and v, TIMEOUT, "the verdict")
        self.assertGreater(vm["violation_counts"]["two-copies"], 0)
        wait_until(lambda: self.vm()["violation_counts"]["conflict"], TIMEOUT,
                   "a record with two contents")

    def test_memory_that_is_not_what_was_written_is_found(self):
        memory = f"{self.folder}/memory"
        self.machine.start("dirty=50 wset=16", memory=memory)
        self.hear()
        wait_until(lambda: self.guest("state")["dirtied_mib"] > 20, TIMEOUT, "memory to be dirtied")
        noise = 88172645463325252  # the first word after the first of the working set (dirty.c)
        for shift in (13, -7, 17):
            noise ^= noise << shift if shift > 0 else noise >> -shift
            noise &= (1 << 64) - 1
        with open(memory, "r+b") as file, mmap.mmap(file.fileno(), 0) as ram:
            at = ram.find(noise.to_bytes(8, "little"))
            self.assertEqual(at % 4096, 8)
            ram[at - 8] ^= 1
        vm = wait_until(lambda: (v := self.vm())["memory_errors"] and v, TIMEOUT, "it to be noticed")
        self.assertEqual((vm["memory_errors"], vm["violation_counts"]["memory"]), (1, 1))

    def test_a_parameter_that_makes_no_sense_is_named(self):
        for word, name in (("writes=many", "writes="), ("witness=here", "witness="),
                           ("disks=vdz", "/dev/vdz")):
            self.machine.start(word)
            wait_until(lambda: "guest: " in self.machine.said(), TIMEOUT, "the guest to complain")
            wait_until(lambda: name in self.machine.said(), TIMEOUT, f"the guest to name {name}")
            self.machine.kill()
            os.remove(self.machine.serial)

    def test_it_reboots_and_powers_off(self):
        self.machine.start()
        before = self.hear()
        self.assertTrue(self.guest("reboot")["ok"])
        wait_until(lambda: self.vm()["boot"] != before["boot"], TIMEOUT, "a new boot")
        self.hear()
        self.assertTrue(self.guest("poweroff")["ok"])
        self.assertEqual(self.machine.process.wait(TIMEOUT), 0)
        self.assertEqual(self.vm()["verdict"], "good")


if __name__ == "__main__":
    unittest.main()
