#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""lab/witness is the oracle of other tests: told of a broken promise it must say so, and only then."""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from fakeguest import ALPHA, ECHO, ZULU, Answering, FakeGuest, seal  # noqa: E402
from netns import Namespace, ask  # noqa: E402
from ferrylab.paths import program  # noqa: E402
from ferrylab.wait import wait_until  # noqa: E402

TIMEOUT = 60


class WitnessTest(unittest.TestCase):
    def setUp(self):
        self.witness = program("lab/witness")
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name
        self.path = f"{self.folder}/witness"
        self.namespace = Namespace()
        self.addCleanup(self.namespace.close)
        self.sockets = {}
        for mark in (ALPHA, ZULU):
            s = self.namespace.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
            s.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, mark)
            self.addCleanup(s.close)
            self.sockets[mark] = s
        self.answering = Answering(self.namespace)
        self.addCleanup(self.answering.close)
        self.process = self.namespace.popen(
            [self.witness, "--listen", "127.0.0.1", "--host", "0x10=alpha", "--host", "0x20=zulu",
             "--control", self.path, "--out", f"{self.folder}/report.json"],
            stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.stop)
        wait_until(self.answers, TIMEOUT, "the witness to answer")
        self.guest = FakeGuest(self.send)

    def answers(self):
        """Its socket is there before it listens: then the answer is the complaint of who asked."""
        answer = os.path.exists(self.path) and self.ask({"op": "stats"})
        return isinstance(answer, dict) and answer["ok"]

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.assertEqual(self.process.wait(TIMEOUT), 0)
        self.process.stderr.close()

    def send(self, data, mark):
        self.sockets[mark].sendto(data, ("127.0.0.1", 4005))

    def ask(self, request):
        return ask(self.witness, self.path, request)[1]

    def vm(self, name="web01"):
        return self.ask({"op": "stats"})["vms"].get(name)

    def found(self):
        """The kinds of violations, with how many there are."""
        return {kind: n for kind, n in self.vm()["violation_counts"].items() if n}

    def verify(self, guest=None, entries=None):
        self.answering.read = (lambda: entries) if entries else (guest or self.guest).entries
        return self.ask({"op": "verify", "vm": "web01", "address": "127.0.0.1"})

    def hosts(self):
        return [epoch["host"] for epoch in self.vm()["epochs"]]

    # Records.

    def test_a_healthy_guest_is_good(self):
        self.guest.write(count=100)
        answer = self.verify()
        self.assertEqual((answer["verdict"], answer["checked"], answer["heard"]), ("good", 100, 100))
        vm = self.vm()
        self.assertEqual((vm["verdict"], vm["records"], vm["host"]), ("good", 100, "alpha"))
        self.assertEqual(self.hosts(), ["alpha"])

    def test_an_acknowledged_record_that_is_missing_is_lost(self):
        self.guest.write(count=50)
        self.guest.write(lost=True)
        self.guest.write(count=9)
        answer = self.verify()
        self.assertEqual((answer["verdict"], answer["missing"], answer["corrupt"]), ("bad", 1, 0))
        self.assertIn("record 51", answer["findings"][0])
        self.assertEqual(self.found(), {"lost": 1})

    def test_a_record_is_lost_too_when_nobody_heard_of_it(self):
        self.guest.write(count=10)
        self.guest.write(lost=True, heard=False)
        self.guest.write(count=10)
        self.assertEqual(self.verify()["missing"], 1)

    def test_an_old_record_in_place_of_a_newer_is_a_loss(self):
        self.guest.write(count=128 + 30)
        old = self.guest.copy()
        self.guest.write()
        self.guest.written = old.written
        answer = self.verify()
        self.assertEqual((answer["missing"], answer["corrupt"]), (1, 0))
        self.assertIn("still holds record 31", answer["findings"][0])

    def test_a_damaged_record_is_corrupt(self):
        self.guest.write(count=20)
        self.guest.written[self.guest.place(7)] = "bad"
        answer = self.verify()
        self.assertEqual((answer["verdict"], answer["missing"], answer["corrupt"]), ("bad", 0, 1))
        self.assertEqual(self.found(), {"corrupt": 1})

    def test_another_content_than_acknowledged_is_corrupt(self):
        self.guest.write(count=20)
        place = self.guest.place(20)
        self.guest.written[place] = (1, *self.guest.written[place][1:])
        self.assertEqual(self.verify()["corrupt"], 1)

    def test_a_broken_chain_is_corrupt_though_nobody_heard_of_it(self):
        self.guest.write(count=20, heard=False)
        self.guest.beat(ALPHA)
        place = self.guest.place(12)
        self.guest.written[place] = (1, *self.guest.written[place][1:])
        answer = self.verify()
        self.assertEqual((answer["heard"], answer["corrupt"]), (0, 1))
        self.assertIn("record 13 does not follow", answer["findings"][0])

    def test_a_record_of_another_vm_is_corrupt(self):
        self.guest.write(count=20)
        place = self.guest.place(3)
        self.guest.written[place] = (*self.guest.written[place], "db01")
        answer = self.verify()
        self.assertEqual(answer["corrupt"], 1)
        self.assertIn("db01", answer["findings"][0])

    def test_a_failed_write_owes_nothing(self):
        self.guest.write(count=10)
        self.guest.write(error=5)
        self.guest.write(count=10)
        self.assertEqual(self.verify()["verdict"], "good")
        self.assertEqual(self.vm()["failed"], 1)

    def test_records_written_over_as_planned_are_not_missed(self):
        self.guest.write(count=500)
        answer = self.verify()
        self.assertEqual((answer["verdict"], answer["checked"]), ("good", 128))
        self.assertEqual(answer["overwritten"], 500 - 128)

    def test_a_record_in_flight_during_the_read_back_is_not_missed(self):
        self.guest.write(count=30)
        before = self.guest.copy()
        self.guest.write(count=5)
        entries = before.entries()
        entries[-1] = self.guest.entries()[-1]
        self.assertEqual(self.verify(entries=entries)["verdict"], "good")

    def test_disks_from_an_earlier_time_have_lost_what_was_heard_since(self):
        self.guest.write(count=30)
        old = self.guest.copy()
        self.guest.write(count=5)
        self.assertEqual(self.verify(old)["missing"], 5)

    def test_a_reboot_goes_on_where_it_was(self):
        self.guest.write(count=30)
        self.guest.boot_up()
        self.guest.write(count=30)
        self.assertEqual(self.verify()["checked"], 60)
        self.assertEqual(self.vm()["verdict"], "good")
        self.assertEqual(self.hosts(), ["alpha", "alpha"])

    def test_a_record_number_used_again_after_a_reboot_is_a_conflict(self):
        self.guest.write(count=30)
        self.guest.seq -= 1  # the last one was not on the disk when it came up
        self.guest.boot_up()
        self.guest.write(count=5)
        self.assertEqual(self.found(), {"conflict": 1})

    def test_images_of_the_disks_can_be_verified(self):
        self.guest.seq = 9
        paths = []
        for number, content in enumerate(self.guest.images(size_slots=80)):
            paths.append(f"{self.folder}/disk{number}")
            with open(paths[-1], "wb") as file:
                file.write(content)
        for seq in range(1, 10):
            self.guest.seq = seq
            disk, slot = self.guest.place(seq)
            self.guest.report(1, ALPHA, disk=disk, slot=slot,
                              record_sum=self.guest.written[disk, slot][0])
        result = subprocess.run([self.witness, "verify", self.path, "web01", *paths],
                                capture_output=True, text=True, timeout=TIMEOUT, check=False)
        answer = json.loads(result.stdout)
        self.assertEqual((result.returncode, answer["verdict"], answer["heard"]), (0, "good", 9))
        with open(paths[1], "r+b") as file:
            file.seek(2 * 4096 + 4000)  # record 5
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 1]))
        result = subprocess.run([self.witness, "verify", self.path, "web01", *paths],
                                capture_output=True, text=True, timeout=TIMEOUT, check=False)
        self.assertEqual((result.returncode, json.loads(result.stdout)["corrupt"]), (1, 1))
        self.assertFalse(self.ask({"op": "verify", "vm": "web01", "images": paths[:1]})["ok"])
        self.assertFalse(self.ask({"op": "verify", "vm": "web01", "images": ["/nonexistent"]})["ok"])

    # Read-backs that cannot be believed.

    def test_a_read_back_that_is_not_whole_is_no_verdict(self):
        self.guest.write(count=10)
        entries = self.guest.entries()
        stranger = FakeGuest(lambda data, mark: None, vm="db01")
        stranger.write(count=3)
        damaged = bytearray(entries[4])
        damaged[50] ^= 1
        larger = FakeGuest(lambda data, mark: None, slots=65)
        larger.write(count=1)
        for bad in (entries[:-1], entries[1:], entries[:3] + [bytes(damaged)] + entries[5:],
                    stranger.entries(), [entries[0][:60]], entries[:1] + larger.entries()[1:],
                    entries[:1] + entries):
            answer = self.verify(entries=bad)
            self.assertFalse(answer["ok"])
            self.assertTrue(answer["error"])
        self.assertEqual(self.vm()["verdict"], "good", "this is not the VM's fault")
        self.assertEqual(self.verify()["verdict"], "good")

    def test_a_guest_that_cannot_be_reached_is_no_verdict(self):
        self.guest.write()
        answer = self.ask({"op": "verify", "vm": "web01", "address": "127.0.0.9"})
        self.assertIn("cannot reach", answer["error"])

    # Copies.

    def test_a_move_is_two_epochs_and_good(self):
        self.guest.write(ALPHA, 50)
        self.guest.write(ZULU, 50)
        self.assertEqual(self.hosts(), ["alpha", "zulu"])
        self.assertEqual(self.vm()["verdict"], "good")
        self.assertEqual(self.verify()["verdict"], "good")
        epochs = self.vm()["epochs"]
        self.assertEqual([(e["first_seq"], e["last_seq"]) for e in epochs], [(1, 50), (51, 100)])

    def test_moves_there_and_back_are_good(self):
        for host in (ALPHA, ZULU, ALPHA, ZULU):
            self.guest.write(host, 500)
        self.assertEqual(self.hosts(), ["alpha", "zulu", "alpha", "zulu"])
        self.assertEqual(self.vm()["verdict"], "good")

    def test_two_copies_are_found(self):
        self.guest.write(ALPHA, 50)
        other = self.guest.copy()
        self.guest.write(ALPHA, 3)
        self.assertEqual(self.found(), {})
        other.write(ZULU, 1)
        self.assertIn("two-copies", self.found())

    def test_two_copies_taking_turns_are_found(self):
        self.guest.write(ALPHA, 50)
        other = self.guest.copy()
        for _ in range(10):
            self.guest.write(ALPHA)
            other.write(ZULU)
        self.assertGreaterEqual(self.found()["two-copies"], 10)
        self.assertGreaterEqual(self.found()["conflict"], 10, "each record was written twice")

    def test_two_copies_are_found_without_marks(self):
        self.guest.write(ALPHA, 50)
        other = self.guest.copy()
        self.guest.write(ALPHA, 20)
        other.write(ALPHA, 1)
        self.assertIn("two-copies", self.found())

    def test_two_copies_are_found_when_hardly_anything_is_heard(self):
        self.guest.write(ALPHA, 50)
        other = self.guest.copy()
        for number in range(300):
            self.guest.write(ALPHA, heard=number % 30 == 0)
            other.write(ZULU, heard=number % 30 == 15)
        self.assertIn("two-copies", self.found())

    def test_two_copies_heard_by_different_nics_are_found(self):
        self.guest.beat(ALPHA, nic=0)
        self.guest.beat(ALPHA, nic=1)
        other = self.guest.copy()
        for _ in range(200):
            self.guest.beat(ALPHA, nic=0)
            other.beat(ZULU, nic=1)
        self.assertIn("two-copies", self.found())

    def test_the_source_that_runs_on_after_a_move_is_found(self):
        self.guest.write(ALPHA, 50)
        source = self.guest.copy()
        self.guest.write(ZULU, 500)
        source.write(ALPHA, 1)
        self.assertIn("two-copies", self.found())

    def test_an_older_copy_is_found_after_any_time(self):
        self.guest.write(ALPHA, 50)
        snapshot = self.guest.copy()
        self.guest.write(ALPHA, 3000, heard=False)
        self.guest.write(ALPHA, 1)
        snapshot.write(ALPHA, 1)
        self.assertIn("two-copies", self.found())

    def test_an_earlier_boot_that_is_heard_again_is_found(self):
        self.guest.write(ALPHA, 5)
        source = self.guest.copy()
        self.guest.boot_up()
        self.guest.write(ZULU, 5)
        self.assertEqual(self.found(), {})
        source.beat(ALPHA)
        self.assertEqual(self.found(), {"two-copies": 1})

    def test_a_packet_that_was_on_its_way_during_the_move_is_good(self):
        self.guest.write(ALPHA, 50)
        late = self.guest.report(3, ALPHA, heard=False)
        self.guest.write(ZULU, 5)
        self.send(late, ALPHA)
        vm = self.vm()
        self.assertEqual((vm["verdict"], vm["late"]), ("good", 1))
        self.assertEqual(self.hosts(), ["alpha", "zulu"])

    def test_packets_of_other_nics_on_their_way_are_good(self):
        self.guest.beat(ALPHA, nic=0)
        self.guest.beat(ALPHA, nic=1)
        late = [self.guest.beat(ALPHA, nic=1, heard=False) for _ in range(3)]
        queued = self.guest.beat(ZULU, nic=0, heard=False)  # sent on by the new host
        self.guest.beat(ALPHA, nic=1)
        self.send(queued, ZULU)
        for data in late:
            self.send(data, ALPHA)
        for _ in range(100):
            self.guest.beat(ZULU, nic=1)
            self.guest.beat(ZULU, nic=0)
        self.assertEqual(self.vm()["verdict"], "good", self.vm()["violations"])
        self.assertEqual(self.hosts(), ["alpha", "zulu"])

    def test_what_the_network_doubles_or_reorders_is_good(self):
        kept = [self.guest.beat(ALPHA, heard=False) for _ in range(20)]
        for data in kept[::-1] + kept:
            self.send(data, ALPHA)
        vm = self.vm()
        self.assertEqual((vm["verdict"], vm["duplicates"]), ("good", 20))

    def test_a_clock_that_runs_backwards_is_found(self):
        self.guest.write(ALPHA, 50)
        self.guest.write(ALPHA, 1, step_ns=-5_000_000)
        self.assertEqual(self.found(), {"clock": 1})

    def test_memory_that_changed_by_itself_is_found(self):
        self.guest.write(ALPHA, 5)
        self.guest.memory_errors = 3
        self.guest.write(ZULU, 5)
        self.assertEqual(self.found(), {"memory": 1})
        self.assertEqual(self.vm()["memory_errors"], 3)

    # What comes in.

    def test_datagrams_that_are_no_reports_are_refused(self):
        good = self.guest.beat(ALPHA)
        bad = [good[:-1], good + b"\0", b"", os.urandom(128), good[:100] + b"\1" + good[101:]]
        for at, value in ((4, struct.pack("<H", 9)), (6, struct.pack("<H", 77)), (8, b"we b01"),
                          (64, struct.pack("<I", 8)), (72, struct.pack("<I", 9))):
            bad.append(seal(good[:at] + value + good[at + len(value):], 68))
        record = bytearray(self.guest.report(1, ALPHA, heard=False, disk=1, slot=60))
        bad.append(bytes(record))  # not where record 0 could be
        for data in bad:
            self.send(data, ZULU)
        stats = self.ask({"op": "stats"})
        self.assertEqual(stats["refused"], len(bad))
        self.assertEqual(self.hosts(), ["alpha"])

    def test_no_more_vms_than_there_is_room_for(self):
        for number in range(70):
            FakeGuest(self.send, vm=f"vm{number}").beat(ALPHA)
        stats = self.ask({"op": "stats"})
        self.assertEqual((len(stats["vms"]), stats["refused"]), (64, 6))
        self.assertFalse(self.ask({"op": "watch", "vm": "one-more", "addresses": []})["ok"])
        self.assertTrue(self.ask({"op": "forget", "vm": "vm5"})["ok"])
        self.assertTrue(self.ask({"op": "watch", "vm": "one-more", "addresses": []})["ok"])

    def test_hosts_without_a_name_are_told_apart_by_their_mark(self):
        self.sockets[0x40] = self.namespace.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
        self.sockets[0x40].setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0x40)
        self.addCleanup(self.sockets[0x40].close)
        self.guest.beat(0x40)
        self.assertEqual(self.hosts(), ["tos-0x40"])

    # Figures.

    def test_latency_percentiles_by_window(self):
        self.guest.write(count=100, latency=1000)
        self.ask({"op": "begin", "window": "move"})
        self.guest.write(count=98, latency=5000)
        self.guest.write(count=2, latency=90000)
        self.ask({"op": "end", "window": "move"})
        self.guest.write(count=10, latency=10**6)
        windows = self.vm()["windows"]
        latency = windows["move"]["latency_us"]
        self.assertEqual((windows["move"]["writes"], windows["all"]["writes"]), (100, 210))
        self.assertTrue(5000 <= latency["p50"] <= 5000 * 33 / 32, latency)
        self.assertTrue(90000 * 31 / 32 <= latency["p99"] <= 90000, latency)
        self.assertEqual((latency["max"], windows["all"]["latency_us"]["max"]), (90000, 10**6))
        self.assertFalse(self.ask({"op": "end", "window": "nosuch"})["ok"])
        self.assertFalse(self.ask({"op": "begin", "window": "all"})["ok"])
        self.assertFalse(self.ask({"op": "begin"})["ok"])

    def fast(self, window="all"):
        return self.vm()["windows"][window]["probes"][0]

    def test_probes_that_are_not_answered_are_lost_and_make_a_blackout(self):
        silent = []

        def echo(series, number):
            return self.guest.report(ECHO, ALPHA, heard=False, series=series, number=number)
        self.answering.echo = echo
        self.ask({"op": "watch", "vm": "web01", "addresses": ["127.0.0.1"]})
        wait_until(lambda: self.fast()["answered"] > 10, TIMEOUT, "answers")
        self.ask({"op": "begin", "window": "cut"})
        self.answering.echo = None
        begun, asked = time.monotonic(), self.answering.asked
        wait_until(lambda: self.answering.asked > asked + 20, TIMEOUT, "some probes")
        silent.append(time.monotonic() - begun)
        self.answering.echo = echo
        self.ask({"op": "end", "window": "cut"})
        wait_until(lambda: self.fast("cut")["lost"] + self.fast("cut")["answered"]
                   == self.fast("cut")["sent"], TIMEOUT, "every probe to be answered or lost")
        figures = self.vm()["windows"]["cut"]
        self.assertGreaterEqual(figures["pings_lost_10ms"], 19)
        self.assertGreaterEqual(figures["blackout_ms"], 0.9 * silent[0] * 1000)
        self.assertGreaterEqual(self.fast()["lost"], self.fast("cut")["lost"])
        self.assertEqual(self.vm()["verdict"], "good")

    def test_before_the_first_answer_nothing_is_lost(self):
        self.ask({"op": "watch", "vm": "web01", "addresses": ["127.0.0.1"]})
        wait_until(lambda: self.fast()["sent"] > 120, TIMEOUT, "the first probes to be overdue")
        self.assertEqual((self.fast()["lost"], self.fast()["silence_ms"]), (0, None))
        self.assertIsNone(self.vm()["windows"]["all"]["blackout_ms"])

    def test_what_cannot_be_watched_is_refused(self):
        for request in ({"vm": "web01"}, {"vm": "web01", "addresses": ["nonsense"]}, {"addresses": []},
                        {"vm": "a b", "addresses": []}, {"vm": "x" * 32, "addresses": []},
                        {"vm": "web01", "addresses": "127.0.0.1"}, {"vm": 5, "addresses": [6]},
                        {"vm": "web01", "addresses": ["127.0.0.1"] * 9}):
            answer = self.ask({"op": "watch", **request})
            self.assertFalse(answer["ok"], request)
            self.assertTrue(answer["error"])

    # Control.

    def test_requests_are_passed_to_the_guest(self):
        self.guest.write()
        answer = self.ask({"op": "guest", "vm": "web01", "address": "127.0.0.1", "line": "set dirty=1"})
        self.assertEqual(answer, {"ok": True, "line": "set dirty=1"})
        for line in ("read", "x\nstate", "x" * 300):
            self.assertFalse(self.ask({"op": "guest", "vm": "web01", "address": "127.0.0.1",
                                       "line": line})["ok"])

    def test_requests_that_make_no_sense_are_answered(self):
        for request in ("x", 5, [], {}, {"op": 5}, {"op": "fly"}, {"op": "verify"}, {"op": "stats", "vm": "x"},
                        {"op": "guest", "vm": "x"}):
            self.assertFalse(self.ask(request)["ok"], request)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.path)
            client.settimeout(TIMEOUT)
            client.sendall(b"not json\n\n{\"op\":\"stats\"}\n")
            with client.makefile("rb") as lines:
                self.assertEqual([json.loads(lines.readline())["ok"] for _ in range(3)],
                                 [False, False, True])
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.path)
            client.settimeout(TIMEOUT)
            try:
                client.sendall(b"x" * 100000)
                self.assertEqual(client.recv(10), b"", "a line without end is not collected")
            except (BrokenPipeError, ConnectionResetError):
                pass
        self.assertTrue(self.ask({"op": "stats"})["ok"])

    def test_at_the_end_it_leaves_a_report(self):
        self.guest.write(count=5)
        self.assertTrue(self.ask({"op": "quit"})["ok"])
        self.assertEqual(self.process.wait(TIMEOUT), 0)
        with open(f"{self.folder}/report.json", encoding="utf-8") as file:
            self.assertEqual(json.load(file)["vms"]["web01"]["records"], 5)
        self.assertFalse(os.path.exists(self.path))

    def test_a_socket_left_by_a_killed_witness_is_taken_over(self):
        argv = [self.witness, "--listen", "127.0.0.1:4100", "--control", self.path]
        process = self.namespace.popen(argv, stderr=subprocess.PIPE, text=True)
        self.assertIn("already", process.communicate(timeout=TIMEOUT)[1])
        self.assertEqual(process.returncode, 1)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(TIMEOUT)
        process = self.namespace.popen(argv)
        wait_until(lambda: ask(self.witness, self.path, {"op": "stats"})[0] == 0, TIMEOUT,
                   "the new witness to answer")
        process.terminate()
        self.assertEqual(process.wait(TIMEOUT), 0)

    def test_bad_options_are_refused_in_one_sentence(self):
        for argv in (["--listen", "nonsense"], ["--listen", "127.0.0.1:0"], ["--host", "alpha"],
                     ["--host", "999=alpha"], ["--control", "/nonexistent/x"], ["--frobnicate"], ["ctl"],
                     ["verify", self.path], ["--listen", "127.0.0.1"]):
            process = self.namespace.popen([self.witness, *argv], stderr=subprocess.PIPE, text=True)
            said = process.communicate(timeout=TIMEOUT)[1]
            self.assertEqual(process.returncode, 1, argv)
            self.assertRegex(said, r"\Awitness: [^\n]+\n\Z")


if __name__ == "__main__":
    unittest.main()
