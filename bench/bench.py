#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ferry and `virsh migrate --copy-storage-all`, alternately, in one lab: every figure, and the ratios.

Absolute figures are this machine's, of this hour; the ratios are what is looked at. virsh goes over plain
TCP, Ferry over its authenticated and encrypted channels; both over the one network mig0.
"""

import argparse
import json
import os
import statistics
import sys
import threading
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(SOURCE, "tests/lib"))
from ferrytest import SSD, SWITCHES, Lab, Witness, conf, pair, vm, wait_until  # noqa: E402
from ferrylab import stock_migrate  # noqa: E402

IMAGES = "/var/lib/libvirt/images"
VLANS = {"vSwitch-VLAN500": ("Converged", 500), "vSwitch-VLAN600": ("Converged", 600)}
FIGURES = (("total_seconds", "total time", "s"), ("blackout_ms", "blackout (10 ms probe)", "ms"),
           ("wire_mib", "bytes on the wire", "MiB"), ("cpu_seconds", "CPU, both hosts", "s"),
           ("worker_mib", "largest worker", "MiB"), ("write_p50_us", "guest write p50", "µs"),
           ("write_p99_us", "guest write p99", "µs"))


def machine_busy():
    """CPU seconds this machine has spent so far, in all its processes."""
    with open("/proc/stat", encoding="ascii") as stat:
        user, nice, system, _idle, _wait, irq, soft = map(int, stat.readline().split()[1:8])
    return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")


class WorkerMemory(threading.Thread):
    """The high-water mark of every ferry-worker of the lab while it runs."""

    def __init__(self, hosts):
        super().__init__(daemon=True)
        self.hosts, self.peak, self.over = hosts, 0, threading.Event()

    def run(self):
        while not self.over.wait(0.1):
            for host in self.hosts:
                self.peak = max([self.peak, *host.call(self.marks)])

    @staticmethod
    def marks():
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as status:
                    fields = dict(line.split(":", 1) for line in status)
                if fields["Name"].strip() == "ferry-worker":
                    found.append(int(fields["VmHWM"].split()[0]))
            except (OSError, KeyError, ValueError):
                continue
        return found


class Bench:
    def __init__(self, options):
        self.options = options
        self.lab = Lab(f"bench-{os.getpid()}", tie_to_parent=True)
        self.number = 5

    def __enter__(self):
        self.lab.up()
        self.alpha, self.zulu = self.lab.alpha, self.lab.zulu
        self.zulu.libvirtd_listen_tcp()
        for host in (self.alpha, self.zulu):
            host.start_ferryd(conf_text=conf(networks={"migration": "10.70.0.0/24"}))
            host.run(["mkdir", "-p", SSD])
        pair(self.alpha, self.zulu)
        self.witness = Witness(self.lab)
        base = f"{IMAGES}/base.raw"
        self.alpha.run(["sh", "-c", f"head -c {self.options.size}M /dev/urandom > {base}"], timeout=300)
        size = self.options.size + 256  # room for the guest's records in front of the data
        self.alpha.run(["sh", "-c", f"truncate -s {size}M {IMAGES}/b.raw && "
                        f"dd if={base} of={IMAGES}/b.raw bs=1M seek=256 conv=notrunc status=none && "
                        f"qemu-img convert -f raw -O qcow2 {IMAGES}/b.raw {IMAGES}/base.qcow2 && "
                        f"rm {base} {IMAGES}/b.raw"], timeout=600)
        return self

    def __exit__(self, *_):
        self.lab.down()

    def guest(self):
        """A fresh VM with the data, running and heard."""
        self.number += 1
        name = f"bench{self.number}"
        disk = vm.Disk(f"{IMAGES}/{name}.qcow2", "qcow2", self.options.size + 256)
        self.alpha.run(["cp", f"{IMAGES}/base.qcow2", disk.path], timeout=300)
        guest = self.lab.create_vm("alpha", vm.Vm(
            name=name, number=self.number, disks=(disk,), memory_mib=256,
            cmdline={"witness": "10.50.0.1", "writes": 50, "dirty": 4, "wset": 64}))
        guest.start()
        self.witness.watch(guest)
        wait_until(lambda: self.witness.ask("stats")["vms"][name]["records"] > 50, 180,
                   f"{name} to write")
        return guest

    def ferry(self, guest):
        self.alpha.ferry("migrate", guest.name, "zulu", *SWITCHES, "--storage", f"{IMAGES}={SSD}",
                         "--way-back", "0")

    def virsh(self, guest):
        stock_migrate(guest, self.zulu, VLANS, SSD)

    def one(self, tool):
        guest = self.guest()
        links = [self.lab.link(name) for name in ("mig0", "mig1", "mgmt")]
        sent = sum(link.counters()["alpha"][0] for link in links)
        memory = WorkerMemory((self.alpha, self.zulu))
        self.witness.ask("begin", window="move")
        memory.start()
        busy, began = machine_busy(), time.monotonic()
        getattr(self, tool)(guest)
        total, busy = time.monotonic() - began, machine_busy() - busy
        sent = sum(link.counters()["alpha"][0] for link in links) - sent
        self.witness.wait_records(guest)
        self.witness.ask("end", window="move")
        memory.over.set()
        memory.join()
        wrong = self.witness.verify(guest)
        if wrong:
            raise SystemExit(f"bench: {tool}: the witness says: {wrong}")
        window = self.witness.stats(guest)["windows"]["move"]
        for host in (self.alpha, self.zulu):
            host.virsh_result("destroy", guest.name)
            host.virsh_result("undefine", guest.name)
            host.run(["sh", "-c", f"rm -f {IMAGES}/{guest.name}* {SSD}/{guest.name}*"])
        self.witness.ask("forget", vm=guest.name)
        return {"total_seconds": total, "blackout_ms": window["blackout_ms"],
                "wire_mib": sent / 2**20, "cpu_seconds": busy, "worker_mib": memory.peak / 1024,
                "write_p50_us": window["latency_us"]["p50"],
                "write_p99_us": window["latency_us"]["p99"]}

    def case(self, name, limit):
        link = self.lab.link("mig0")
        if limit:
            link.limit(limit)
        else:
            link.unlimited()
        results = {"ferry": [], "virsh": []}
        for number in range(self.options.rounds):
            for tool in ("virsh", "ferry") if number % 2 else ("ferry", "virsh"):
                results[tool].append(self.one(tool))
                print(f"  {name}, round {number + 1}, {tool}: "
                      f"{results[tool][-1]['total_seconds']:.2f} s", file=sys.stderr, flush=True)
        return summary(name, results)


def summary(name, results):
    median = {tool: {key: statistics.median(run[key] for run in runs) for key, _, _ in FIGURES}
              for tool, runs in results.items()}
    print(f"\n{name}\n  {'':26}{'ferry':>12}{'virsh':>12}{'ratio':>9}")
    for key, title, unit in FIGURES:
        ferry, virsh = median["ferry"][key], median["virsh"][key]
        ratio = f"{ferry / virsh:9.2f}" if virsh else f"{'–':>9}"
        print(f"  {title + ', ' + unit:26}{ferry:12.1f}{virsh:12.1f}{ratio}")
    return {"median": median, "runs": results}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--size", type=int, default=1024, metavar="MIB", help="incompressible data "
                        "on the VM's disk (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="moves with each tool (%(default)s)")
    parser.add_argument("--limits", default="1gbit,", help="link rates, an empty one is unlimited "
                        "(default \"1gbit,\")")
    parser.add_argument("--output", default=os.path.join(SOURCE, "build/bench.json"))
    options = parser.parse_args()
    report = {}
    with Bench(options) as bench:
        for limit in options.limits.split(","):
            name = f"{options.size} MiB incompressible, {limit or 'no limit'}"
            report[name] = bench.case(name, limit)
    with open(options.output, "w", encoding="utf-8") as output:
        json.dump(report, output, indent=1)


if __name__ == "__main__":
    main()
