#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""lab/wire: what it is told to do to frames it does, and nothing else."""

import hashlib
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from netns import Namespace, ask  # noqa: E402
from ferrylab.paths import program  # noqa: E402
from ferrylab.wait import wait_until  # noqa: E402

TYPE = 0x88B5  # an Ethernet type for local experiments: nobody else sends it
HEADER = struct.Struct("!6s6sH")
BODY = struct.Struct("!QQ")  # number, when it was sent (ns)
TIMEOUT = 60


def frame(number, length=200):
    body = HEADER.pack(b"\x02\0\0\0\0\x02", b"\x02\0\0\0\0\x01", TYPE)
    return (body + BODY.pack(number, time.monotonic_ns())).ljust(length, b"\0")


def ones_sum(data):
    """The one's complement sum of RFC 1071; 0xFFFF over data that holds its own checksum."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


class Ending:
    """A host at one end of the cable: sends and receives numbered frames."""

    def __init__(self, namespace, interface):
        self.socket = namespace.call(socket.socket, socket.AF_PACKET, socket.SOCK_RAW,
                                     socket.htons(TYPE))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
        self.socket.bind((interface, TYPE))
        self.socket.settimeout(TIMEOUT)

    def send(self, numbers, length=200):
        for number in numbers:
            self.socket.send(frame(number, length))

    def receive(self, count):
        """[(number, ns on its way)] of the next count frames, as they come."""
        result = []
        while len(result) < count:
            data, address = self.socket.recvfrom(65536)
            if address[2] == socket.PACKET_OUTGOING:
                continue
            number, sent = BODY.unpack_from(data, HEADER.size)
            result.append((number, time.monotonic_ns() - sent))
        return result

    def numbers(self, count):
        return [number for number, _ in self.receive(count)]


class WireTest(unittest.TestCase):
    def setUp(self):
        self.wire = program("lab/wire")
        self.folder = self.enterContext_(tempfile.TemporaryDirectory())
        self.path = f"{self.folder}/wire"
        self.near, self.middle, self.far = (Namespace() for _ in range(3))
        for namespace in (self.near, self.middle, self.far):
            self.addCleanup(namespace.close)
        self.middle.cable("wa", self.near, "ea")
        self.middle.cable("wb", self.far, "eb")
        self.a, self.b = Ending(self.near, "ea"), Ending(self.far, "eb")
        self.addCleanup(self.a.socket.close)
        self.addCleanup(self.b.socket.close)
        self.process = None

    def enterContext_(self, manager):  # unittest has it since Python 3.11
        value = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        return value

    def start(self, *options):
        self.process = self.middle.popen([self.wire, "wa", "wb", "--control", self.path, *options],
                                         stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.stop)
        wait_until(lambda: self.process.poll() is not None or self.ask({"op": "stats"})[0] == 0,
                   TIMEOUT, "the wire to answer")
        self.assertIsNone(self.process.poll())

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.assertEqual(self.process.wait(TIMEOUT), 0, "SIGTERM ends a wire in order")
        if self.process:
            self.process.stderr.close()

    def ask(self, request):
        return ask(self.wire, self.path, request)

    def set(self, **settings):
        status, answer = self.ask({"op": "set", **settings})
        self.assertEqual(status, 0, answer)
        return answer

    def stats(self, direction):
        return self.ask({"op": "stats"})[1][direction]

    def test_carries_everything_in_order_both_ways(self):
        self.start()
        self.a.send(range(3000))
        self.b.send(range(5000, 8000))
        self.assertEqual(self.b.numbers(3000), list(range(3000)))
        self.assertEqual(self.a.numbers(3000), list(range(5000, 8000)))
        for direction in ("ab", "ba"):
            stats = self.stats(direction)
            self.assertEqual(stats["in_frames"], 3000)
            self.assertEqual(stats["out_frames"], 3000)
            self.assertEqual(stats["out_bytes"], 3000 * 200)

    def test_no_frame_is_faster_than_the_delay(self):
        self.start("--delay", "30")
        for sender, receiver in ((self.a, self.b), (self.b, self.a)):
            sender.send(range(50))
            received = receiver.receive(50)
            self.assertEqual([number for number, _ in received], list(range(50)))
            self.assertGreaterEqual(min(ns for _, ns in received), 30_000_000)

    def test_a_shorter_delay_does_not_let_frames_overtake(self):
        self.start("--delay", "400")
        self.a.send(range(100))
        wait_until(lambda: self.stats("ab")["in_frames"] == 100, TIMEOUT, "the frames to be taken in")
        self.set(direction="ab", delay_ms=0)
        self.a.send(range(100, 200))
        self.assertEqual(self.b.numbers(200), list(range(200)))

    def test_delay_differs_by_direction(self):
        self.start()
        self.set(direction="ba", delay_ms=80)
        self.b.send([1])
        self.assertGreaterEqual(self.a.receive(1)[0][1], 80_000_000)
        self.assertEqual(self.stats("ab")["delay_ms"], 0)

    def lost(self, seed, *options):
        """Which of 2000 frames do not come through; ends the wire."""
        last = 10**6
        self.start("--seed", str(seed), *options)
        self.a.send(range(2000))
        wait_until(lambda: self.stats("ab")["in_frames"] == 2000, TIMEOUT, "all to be taken in")
        self.set(loss=0)
        self.a.send([last])  # never lost: after it nothing more comes
        got = []
        while not got or got[-1] != last:
            got += self.b.numbers(1)
        self.stop()
        self.assertEqual(got, sorted(got))
        return set(range(2000)) - set(got)

    def test_the_seed_decides_which_frames_are_lost(self):
        first = self.lost(7, "--loss", "20")
        self.assertGreater(len(first), 300)  # the same every time: no luck involved
        self.assertLess(len(first), 500)
        self.assertEqual(self.lost(7, "--loss", "20"), first)
        self.assertNotEqual(self.lost(8, "--loss", "20"), first)

    def test_losses_are_counted(self):
        self.start("--seed", "3", "--loss", "50")
        self.a.send(range(500))
        wait_until(lambda: self.stats("ab")["in_frames"] == 500, TIMEOUT, "all to be taken in")
        stats = wait_until(lambda: (s := self.stats("ab"))["out_frames"] + s["lost"] == 500 and s,
                           TIMEOUT, "all to be gone")
        self.assertGreater(stats["lost"], 100)
        self.assertEqual(len(set(self.b.numbers(stats["out_frames"]))), stats["out_frames"])

    def burst_ns(self, count, length):
        """How long a burst takes from before its first frame is sent to its last one's arrival."""
        start = time.monotonic_ns()
        self.a.send(range(count), length)
        self.assertEqual(self.b.numbers(count), list(range(count)))
        return time.monotonic_ns() - start

    def test_a_slower_rate_takes_longer(self):
        self.start("--rate", "4", "--queue", "5000")
        slow = self.burst_ns(300, 1000)
        self.set(rate_mbit=80)
        fast = self.burst_ns(300, 1000)
        bits = 300 * 1024 * 8  # what 1000 bytes take of a real cable
        self.assertGreaterEqual(slow, bits * 250)
        self.assertGreaterEqual(fast, bits * 12.5)
        self.assertGreater(slow / fast, 2, "20 is to be expected")

    def test_the_queue_is_bounded(self):
        self.start("--rate", "0.1", "--queue", "10")
        self.a.send(range(200), 1000)
        stats = wait_until(lambda: (s := self.stats("ab"))["in_frames"] == 200 and s, TIMEOUT,
                           "all to be taken in")
        self.assertGreater(stats["overflown"], 0)
        self.set(rate_mbit=0)
        stats = wait_until(lambda: (s := self.stats("ab"))["out_frames"] + s["overflown"] == 200
                           and s, TIMEOUT, "the queue to be empty")
        numbers = self.b.numbers(stats["out_frames"])
        self.assertEqual(numbers[:10], list(range(10)), "those that came first are kept")

    def test_black_hole_one_way_and_both(self):
        self.start()
        self.set(direction="ab", blackhole=True)
        self.a.send([1])
        self.b.send([2])
        self.assertEqual(self.a.numbers(1), [2])
        wait_until(lambda: self.stats("ab")["swallowed"] == 1, TIMEOUT, "the frame to be swallowed")
        self.set(blackhole=True)
        self.b.send([3])
        wait_until(lambda: self.stats("ba")["swallowed"] == 1, TIMEOUT, "the frame to be swallowed")
        self.set(blackhole=False)
        self.a.send([4])
        self.b.send([5])
        self.assertEqual(self.b.numbers(1), [4])
        self.assertEqual(self.a.numbers(1), [5])

    def test_a_black_hole_lets_arrive_what_was_on_its_way(self):
        self.start("--delay", "300")
        self.a.send([1])
        wait_until(lambda: self.stats("ab")["in_frames"] == 1, TIMEOUT, "the frame to be taken in")
        self.set(blackhole=True)
        self.assertEqual(self.b.numbers(1), [1])

    def tcp(self, family, near, far):
        """Send 8 MiB through one TCP connection and compare; offloads are on, as by default."""
        data = os.urandom(8 << 20)
        with self.far.call(socket.create_server, (far, 5000), family=family) as server:
            with self.near.call(socket.create_connection, (far, 5000), TIMEOUT) as client:
                self.assertEqual(client.getsockname()[0], near)
                connection, _ = server.accept()
                sender = threading.Thread(target=lambda: (client.sendall(data),
                                                          client.shutdown(socket.SHUT_WR)))
                sender.start()
                digest = hashlib.sha256()
                with connection:
                    connection.settimeout(TIMEOUT)
                    while chunk := connection.recv(1 << 20):
                        digest.update(chunk)
                sender.join()
        self.assertEqual(digest.digest(), hashlib.sha256(data).digest())
        stats = self.stats("ab")
        self.assertGreater(stats["out_frames"], (8 << 20) / 1460)
        self.assertLessEqual(stats["out_bytes"] / stats["out_frames"], 1514)
        # A segment whose checksum is wrong is not taken, and has to be sent again.
        tcp = self.far.run("cat", "/proc/net/snmp").splitlines()
        names, values = [line.split() for line in tcp if line.startswith("Tcp:")]
        self.assertEqual(values[names.index("InCsumErrors")], "0")

    def test_tcp_over_ipv4_is_cut_into_segments(self):
        self.start()
        self.near.run("ip", "addr", "add", "10.9.0.1/24", "dev", "ea")
        self.far.run("ip", "addr", "add", "10.9.0.2/24", "dev", "eb")
        self.tcp(socket.AF_INET, "10.9.0.1", "10.9.0.2")
        self.near.run("ping", "-c", "1", "-W", "20", "-s", "4000", "10.9.0.2")

    def test_tcp_over_ipv6_is_cut_into_segments(self):
        self.start()
        for namespace, interface, address in ((self.near, "ea", "fd09::1"), (self.far, "eb", "fd09::2")):
            namespace.run("sh", "-c", f"echo 0 >/proc/sys/net/ipv6/conf/{interface}/disable_ipv6")
            namespace.run("ip", "addr", "add", f"{address}/64", "dev", interface, "nodad")
        self.tcp(socket.AF_INET6, "fd09::1", "fd09::2")

    def test_a_vlan_tag_stays(self):
        self.start()
        every = 3  # ETH_P_ALL: only such sockets are told of tags
        with self.far.call(socket.socket, socket.AF_PACKET, socket.SOCK_RAW,
                           socket.htons(every)) as listener:
            listener.bind(("eb", every))
            listener.settimeout(TIMEOUT)
            listener.setsockopt(263, 8, 1)  # SOL_PACKET, PACKET_AUXDATA
            tagged = frame(1)
            self.a.socket.send(tagged[:12] + struct.pack("!HH", 0x8100, 500) + tagged[12:])
            data, auxiliary, _, _ = listener.recvmsg(65536, 256)
        status, _, _, _, _, tci, tpid = struct.unpack("=IIIHHHH", auxiliary[0][2])
        self.assertEqual((status & 0x50, tci, tpid), (0x50, 500, 0x8100))
        self.assertEqual(data, tagged)

    def test_a_tagged_large_frame_is_cut_like_any_other(self):
        self.start()
        payload = bytes(range(256)) * 14
        tcp = struct.pack("!HHIIBBHHH", 1, 2, 0xFFFFFE00, 7, 0x50, 0x89, 100, 0, 0)  # FIN PSH CWR
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40 + len(payload), 0xFFFF, 0, 64, 6, 0,
                         b"\x0a\x09\0\x01", b"\x0a\x09\0\x02")
        large = HEADER.pack(b"\x02\0\0\0\0\x02", b"\x02\0\0\0\0\x01", 0x8100)
        large += struct.pack("!HH", 500, 0x0800) + ip + tcp + payload
        # struct virtio_net_hdr: needs its checksum, TCP over IPv4, headers, segment size, where.
        head = struct.pack("=BBHHHH", 1, 1, 58, 1000, 38, 16)
        with self.far.call(socket.socket, socket.AF_PACKET, socket.SOCK_RAW,
                           socket.htons(3)) as listener:
            listener.bind(("eb", 3))
            listener.settimeout(TIMEOUT)
            with self.near.call(socket.socket, socket.AF_PACKET, socket.SOCK_RAW, 0) as sender:
                sender.setsockopt(263, 15, 1)  # PACKET_VNET_HDR
                sender.bind(("ea", 0))
                sender.send(head + large)
            segments = [listener.recv(65536) for _ in range(4)]
        whole = b""
        for number, segment in enumerate(segments):
            self.assertEqual(segment[12:14], b"\x08\0")  # the listener's kernel took the tag out
            length, identity = struct.unpack_from("!HH", segment, 16)
            self.assertEqual(length, len(segment) - 14)
            self.assertEqual(identity, (0xFFFF + number) & 0xFFFF)
            self.assertEqual(ones_sum(segment[14:34]), 0xFFFF)
            pseudo = segment[26:34] + struct.pack("!HH", 6, length - 20)
            self.assertEqual(ones_sum(pseudo + segment[34:]), 0xFFFF)
            sequence, = struct.unpack_from("!I", segment, 38)
            self.assertEqual(sequence, (0xFFFFFE00 + 1000 * number) & 0xFFFFFFFF)
            self.assertEqual(segment[47], (0x80, 0, 0, 0x09)[number], "CWR first, FIN and PSH last")
            whole += segment[54:]
        self.assertEqual(whole, payload)

    def test_settings_out_of_range_change_nothing(self):
        self.start("--delay", "5")
        for request in ({"delay_ms": -1}, {"delay_ms": 60001}, {"loss": 101}, {"loss": "5"},
                        {"rate_mbit": 1e9}, {"queue": 0}, {"queue": -5}, {"blackhole": 1}, {"color": 1},
                        {"direction": "up"}, {"direction": 5}, {"delay_ms": None}, {"loss": []},
                        {"delay_ms": 9, "loss": 200}):
            status, answer = self.ask({"op": "set", **request})
            self.assertEqual((status, answer["ok"]), (1, False), request)
            self.assertTrue(answer["error"])
        self.assertEqual(self.stats("ab")["delay_ms"], 5)
        for garbage in ("x", 5, [], {}, {"op": 5}, {"op": "fly"}):
            self.assertFalse(self.ask(garbage)[1]["ok"], garbage)

    def test_bad_input_is_refused_in_one_sentence(self):
        for argv in (["wa", "nosuch"], ["wa"], ["wa", "wb", "--delay", "x"], ["wa", "wb", "--loss", "101"],
                     ["wa", "wb", "--queue", "-1"], ["wa", "wb", "--rate", "-5"],
                     ["wa", "wb", "--control", "/nonexistent/socket"]):
            process = self.middle.popen([self.wire, *argv], stderr=subprocess.PIPE, text=True)
            said = process.communicate(timeout=TIMEOUT)[1]
            self.assertEqual(process.returncode, 1, argv)
            self.assertRegex(said, r"\Awire: [^\n]+\n\Z")

    def test_an_interface_that_goes_away_ends_it(self):
        self.start()
        self.middle.run("ip", "link", "del", "wb")
        self.assertEqual(self.process.wait(TIMEOUT), 1)
        self.assertIn("wb", self.process.stderr.read())

    def test_an_interface_that_is_down_for_a_while_does_not(self):
        self.start()
        self.middle.run("ip", "link", "set", "wb", "down")
        self.middle.run("ip", "link", "set", "wb", "up")
        self.far.run("ip", "link", "set", "eb", "up")
        self.a.send([1])
        self.assertEqual(self.b.numbers(1), [1])
        self.process.send_signal(signal.SIGINT)
        self.assertEqual(self.process.wait(TIMEOUT), 0)


if __name__ == "__main__":
    unittest.main()
