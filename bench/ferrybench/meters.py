# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a move costs: time, bytes, CPU, memory; and what the guest notices of it."""

import os
import threading
import time

NETWORKS = ("mig0", "mig1", "mgmt")


def cpu_seconds(lab):
    """Spent so far by all processes of the hypervisors, by those that have ended, and by what we started there.

    So nothing else on this machine counts; nor do the few kernel threads that work for the hosts.
    """
    ours = os.times()
    return ours.children_user + ours.children_system \
        + sum(host.call(_all_processes) for host in lab.hypervisors)


def _all_processes():
    ticks = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
                # Its own and, of children that were waited for, user and system time.
                ticks += sum(map(int, stat.read().rpartition(")")[2].split()[11:15]))
        except OSError:
            continue
    return ticks / os.sysconf("SC_CLK_TCK")


def bytes_sent(lab):
    """By both hypervisors, over all networks between them."""
    counters = [lab.link(network).counters() for network in NETWORKS]
    return sum(counter[host.name][0] for counter in counters for host in lab.hypervisors)


class WorkerMemory(threading.Thread):
    """The highest resident memory of any ferry-worker of the lab while this runs, in MiB."""

    def __init__(self, hosts):
        super().__init__(daemon=True)
        self.hosts, self.peak, self.over = hosts, 0, threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()

    def run(self):
        while not self.over.wait(0.2):
            for host in self.hosts:
                self.peak = max([self.peak, *host.call(self.marks)])

    @staticmethod
    def marks():
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as status:
                    if status.readline().split(None, 1)[1].strip() == "ferry-worker":
                        found += [int(line.split()[1]) / 1024 for line in status
                                  if line.startswith("VmHWM")]
            except OSError:
                continue
        return found


def rest(stage, guest, records=400):
    """The guest without a move: CPU seconds a second, and its write latencies."""
    stage.witness.ask("begin", window="rest")
    busy, began = cpu_seconds(stage.lab), time.monotonic()
    stage.witness.wait_records(guest, records)
    busy = (cpu_seconds(stage.lab) - busy) / (time.monotonic() - began)
    stage.witness.ask("end", window="rest")
    return busy, latency(stage, guest, "rest")


def latency(stage, guest, window):
    return stage.witness.stats(guest)["windows"][window]["latency_us"]


def measure(stage, guest, gib, move):
    """Calls move(), which takes the guest from one host to the other; returns the figures by name."""
    idle, before = rest(stage, guest)
    with WorkerMemory(stage.lab.hypervisors) as memory:
        stage.witness.ask("begin", window="move")
        sent, busy, began = bytes_sent(stage.lab), cpu_seconds(stage.lab), time.monotonic()
        move()
        total = time.monotonic() - began
        busy, sent = cpu_seconds(stage.lab) - busy, bytes_sent(stage.lab) - sent
        stage.witness.wait_records(guest)
        stage.witness.ask("end", window="move")
    during = latency(stage, guest, "move")
    return {"total_seconds": total, "wire_mib": sent / 2**20,
            "blackout_ms": stage.witness.stats(guest)["windows"]["move"]["blackout_ms"],
            "cpu_per_gib": max(busy - idle * total, 0) / gib, "worker_mib": memory.peak,
            "rest_p50_us": before["p50"], "rest_p99_us": before["p99"],
            "write_p50_us": during["p50"], "write_p99_us": during["p99"]}
