# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest made of words: says to a witness whatever a test wants it to have seen and written.

The format is that of lab/guest/report.h. Copies are made with copy(): two running copies of one VM
are two FakeGuests that go on from the same state.
"""

import copy
import random
import socket
import struct
import threading

ALPHA, ZULU = 0x10, 0x20  # marks of the two hosts

RECORD, FAILED, BEAT, ECHO = 1, 2, 3, 4
BEGIN, GOOD, BAD, FAILED_ENTRY, END = 1, 2, 3, 4, 5

REPORT = struct.Struct("<IHH32sQQQIIIIQIIIiQQII")
ENTRY = struct.Struct("<IIIIIiIIIIQQQQ32s")
RECORD_HEAD = struct.Struct("<II32sQQQIIIIII")
PROBE = struct.Struct("<IHHIIQ")
REPORT_SUM, ENTRY_SUM, RECORD_SUM, PROBE_SUM = 68, 8, 4, 12


def _table():
    for i in range(256):
        for _ in range(8):
            i = i >> 1 ^ (0x82F63B78 if i & 1 else 0)
        yield i


TABLE = list(_table())


def crc32c(data):
    c = 0xFFFFFFFF
    for byte in data:
        c = c >> 8 ^ TABLE[(c ^ byte) & 255]
    return c ^ 0xFFFFFFFF


def seal(data, at):
    """Put the checksum of data, taken with 0 in its place, at its place."""
    return data[:at] + struct.pack("<I", crc32c(data[:at] + bytes(4) + data[at + 4:])) + data[at + 4:]


class FakeGuest:
    def __init__(self, send, vm="web01", disks=2, slots=64):
        self.send = send  # (bytes, tos)
        self.vm, self.disks, self.slots = vm, disks, slots
        self.memory_errors = 0
        self.seq = self.finished = 0
        self.written = {}  # (disk, slot): (record's sum, previous, boot, seq)
        self.failed = []
        self.previous = 0
        self.boot_up()

    def boot_up(self):
        self.boot = random.getrandbits(64)
        self.first = self.seq + 1
        self.counts = [0] * 8
        self.mono = 10**9

    def copy(self):
        """What a snapshot of memory and disks would bring back."""
        other = copy.copy(self)
        other.counts, other.failed = list(self.counts), list(self.failed)
        other.written = dict(self.written)
        return other

    def report(self, kind, host, nic=0, step_ns=1_000_000, latency=2000, heard=True, disk=0, slot=0,
               record_sum=0, error=0, number=0, series=0):
        self.mono += step_ns
        self.counts[nic] += 1
        data = seal(REPORT.pack(
            0x54504552, 1, kind, self.vm.encode(), self.boot, self.counts[nic], self.mono, nic, 0,
            self.disks, self.slots, self.seq, disk, slot, record_sum, error, latency, number, series,
            self.memory_errors), REPORT_SUM)
        if heard:
            self.send(data, host)
        return data

    def beat(self, host, **how):
        return self.report(BEAT, host, **how)

    def place(self, seq):
        return seq % self.disks, seq // self.disks % self.slots

    def write(self, host=ALPHA, count=1, error=0, lost=False, **how):
        """Write and report records; lost: acknowledged and reported, but never written."""
        for _ in range(count):
            self.seq += 1
            disk, slot = self.place(self.seq)
            record_sum = random.getrandbits(32)  # stands for the content
            if error:
                self.failed.append(self.seq)
            elif not lost:
                self.written[disk, slot] = (record_sum, self.previous, self.boot, self.seq)
            self.previous = record_sum
            self.finished = self.seq
            self.report(FAILED if error else RECORD, host, disk=disk, slot=slot,
                        record_sum=record_sum, error=error, **how)

    def _entry(self, kind, disk=0, slot=0, record_sum=0, previous=0, boot=0, seq=0, first=0, error=0,
               vm=None):
        vm = self.vm if vm is None else vm
        return seal(ENTRY.pack(0x59525445, kind, 0, record_sum, previous, error, disk, self.disks, slot,
                               self.slots, boot, seq, first, 0, vm.encode()), ENTRY_SUM)

    def entries(self):
        """A read-back as [bytes]."""
        result = [self._entry(BEGIN, boot=self.boot, seq=self.finished, first=self.first)]
        for (disk, slot), what in sorted(self.written.items()):
            if what == "bad":
                result.append(self._entry(BAD, disk, slot))
            else:
                result.append(self._entry(GOOD, disk, slot, *what[:4],
                                          vm=what[4] if len(what) > 4 else None))
        result += [self._entry(FAILED_ENTRY, seq=seq, error=5) for seq in self.failed[-1024:]]
        result.append(self._entry(END, boot=self.boot, seq=self.seq, first=len(self.failed)))
        return result

    def images(self, size_slots=None):
        """The disks as bytes, with whole records in place of sums."""
        previous = 0
        disks = [bytearray((size_slots or self.slots) * 4096) for _ in range(self.disks)]
        for seq in range(1, self.seq + 1):
            disk, slot = self.place(seq)
            head = RECORD_HEAD.pack(0x44524345, 0, self.vm.encode(), self.boot, seq, seq, disk,
                                    self.disks, slot, self.slots, previous, 0)
            record = seal(head + random.randbytes(4096 - len(head)), RECORD_SUM)
            previous, = struct.unpack_from("<I", record, RECORD_SUM)
            disks[disk][slot * 4096:slot * 4096 + 4096] = record
            self.written[disk, slot] = (previous, 0, self.boot, seq)
        return disks


class Answering:
    """The services of a guest at an address: answers each request "read" with what `read` returns, and
    probes by `echo` (None: not at all)."""

    def __init__(self, namespace, address="127.0.0.1", port=4006):
        self.read = lambda: []
        self.echo = None
        self.asked = 0
        self.tcp = namespace.call(socket.create_server, (address, port))
        self.udp = namespace.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((address, port))
        self.threads = [threading.Thread(target=work) for work in (self._serve, self._listen)]
        for thread in self.threads:
            thread.start()

    def close(self):
        self.tcp.shutdown(socket.SHUT_RDWR)
        try:
            self.udp.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # not connected: it wakes the receiver all the same
        for thread in self.threads:
            thread.join()
        self.tcp.close()
        self.udp.close()

    def _serve(self):
        while True:
            try:
                client, _ = self.tcp.accept()
            except OSError:
                return
            with client, client.makefile("rb") as lines:
                for line in lines:
                    client.sendall(b"".join(self.read()) if line == b"read\n"
                                   else b'{"ok":true,"line":"%s"}\n' % line.strip())
                    if line == b"read\n":
                        break

    def _listen(self):
        while True:
            data, address = self.udp.recvfrom(2048)
            if not data:
                return
            _, _, _, series, _, number = PROBE.unpack(data)
            self.asked += 1
            if self.echo:
                self.udp.sendto(self.echo(series, number), address)
