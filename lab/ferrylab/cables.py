# SPDX-License-Identifier: LGPL-2.1-or-later
"""The cables of a lab (veth pairs between every host and the tor) and what can befall them.

A cable is called HOST:INTERFACE, e.g. "alpha:mig0"; its other end is the tor's interface
HOST-INTERFACE. A network's name ("mig0") stands for the cables of all its hosts. The tor joins the
cables of mig0, mig1 and mgmt in plain Linux bridges and all others in its Open vSwitch "tor".
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import re
import subprocess

from . import topology
from .paths import program
from .wait import LabError, wait_until

# A tbf that lets nothing pass: every packet is longer than its bucket. Not every kernel has a drop
# action, but all have tbf.
SILENT = ["tbf", "rate", "8bit", "burst", "10", "limit", "10"]
RATE = re.compile(r"^([1-9][0-9]*)(kbit|mbit|gbit)$")
RATE_UNIT = {"kbit": 10**3, "mbit": 10**6, "gbit": 10**9}


@dataclasses.dataclass(frozen=True)
class Cable:
    host: str
    interface: str
    vlan: int | None = None  # access VLAN of the tor's port, where it is one
    bridged: bool = False    # joined by a plain bridge of the tor, not by its Open vSwitch

    @property
    def name(self):
        return f"{self.host}:{self.interface}"

    @property
    def tor_end(self):
        return f"{self.host}-{self.interface}"


def plan(hypervisors):
    """Every cable of a lab with these hypervisors."""
    cables = []
    for host in hypervisors:
        cables += [Cable(host.name, switch.uplink, switch.vlan) for switch in host.switches]
        cables += [Cable(host.name, network, bridged=True) for network in topology.NETWORKS]
    cables += [Cable(topology.CLIENT, f"vlan{vlan}", vlan) for vlan in topology.VLANS]
    cables.append(Cable(topology.CLIENT, topology.MANAGEMENT_NETWORK, bridged=True))
    return cables


def ip_batch(host, lines):
    host.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n")


def pull(cables, hosts, only=None):
    """Make every cable, or those of one host only, straight in the namespaces of its two ends."""
    # The kernel reports a carrier a second late where both ends have the same index: hence 1000.
    lines = [f"link add {cable.tor_end} index {1000 + number} type veth "
             f"peer name {cable.interface} netns {hosts[cable.host].init.pid}"
             for number, cable in enumerate(cables) if only in (None, cable.host)]
    # Only the network namespace is the tor's here: the pids above are the machine's.
    tor = hosts[topology.TOR].init.pid
    result = subprocess.run(["nsenter", f"--net=/proc/{tor}/ns/net", "ip", "-batch", "-"],
                            input="\n".join(lines) + "\n", text=True, capture_output=True,
                            check=False)
    if result.returncode != 0:
        raise LabError(f"the lab's cables could not be made: {result.stderr.strip()}")


def offload(host, interface, state):
    """Checksum and segmentation offload on or off: off wherever user space reads the frames."""
    host.run(["ethtool", "-K", interface, "tx", state, "rx", state])


def tbf(rate):
    match = RATE.match(rate)
    if not match:
        raise LabError(f"“{rate}” is no rate: write e.g. 1gbit, 200mbit or 64kbit")
    bytes_per_second = int(match[1]) * RATE_UNIT[match[2]] / 8
    burst = max(int(bytes_per_second * 0.001), 128 * 1024)  # room for one 64 KiB packet and more
    return ["tbf", "rate", rate, "burst", str(burst), "latency", "20ms"]


class Link:
    """One cable or all cables of a network. What is done to it is remembered in the lab's folder,
    so that several programs can work on one lab.
    """

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.cables = [cable for cable in lab.cables if name in (cable.name, cable.interface)]
        if not self.cables:
            known = sorted({cable.interface for cable in lab.cables if cable.bridged})
            known += [cable.name for cable in lab.cables]
            raise LabError(f"there is no link {name}; there are {', '.join(known)}")

    @contextlib.contextmanager
    def _state(self):
        path = os.path.join(self.lab.folder, "links.json")
        with open(path, "a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            state = json.loads(file.read() or "{}")
            yield [(cable, state.setdefault(cable.name, {})) for cable in self.cables]
            file.seek(0)
            file.truncate()
            json.dump(state, file)

    def _set(self, **changes):
        with self._state() as states:
            for cable, state in states:
                state.update(changes)
                host, tor = self.lab[cable.host], self.lab.tor
                self._shape(host, cable.interface, state.get("limit"), state.get("cut_out"))
                self._shape(tor, cable.tor_end, state.get("limit"), state.get("cut_in"))
                up = "down" if state.get("unplugged") else "up"
                tor.run(["ip", "link", "set", cable.tor_end, up])

    @staticmethod
    def _shape(host, interface, limit, cut):
        queue = SILENT if cut else tbf(limit) if limit else ["pfifo_fast"]
        host.run(["tc", "qdisc", "replace", "dev", interface, "root", *queue])

    def reapply(self):
        """Do again what is remembered, after a host has come back with new interfaces."""
        self._set()

    def limit(self, rate):
        """Limit both directions to rate: a number and kbit, mbit or gbit (per second)."""
        tbf(rate)
        self._set(limit=rate)

    def unlimited(self):
        self._set(limit=None)

    def cut(self, direction="both"):
        """Silently drop everything ("both"), what the host sends ("out") or is sent ("in").

        Nobody is told, as when a switch on the way has died. For one direction between two hosts
        cut one cable: lab.link("alpha:mig0").cut("out").
        """
        if direction not in ("both", "out", "in"):
            raise LabError(f"cannot cut {direction}: say both, out or in")
        self._set(cut_out=direction != "in", cut_in=direction != "out")

    def unplug(self):
        """Take the carrier away: the host sees that its cable is out."""
        self._set(unplugged=True)

    def restore(self):
        """Undo cut and unplug; a limit stays."""
        self._set(cut_out=False, cut_in=False, unplugged=False)

    def reset(self):
        """Abort every TCP connection over the link, as a firewall that lost its state does.

        The first host that has one gets ECONNABORTED, its peer a RST. Returns how many there were.
        """
        count = 0
        for cable in self.cables:
            host = self.lab[cable.host]
            address = self.address(cable)
            if not address:
                continue
            chosen = ["state", "connected", "exclude", "time-wait", "src", address]
            listing = ["ss", "-Htn", *chosen]
            before = host.out(*listing).splitlines()
            if not before:
                continue
            host.run(["ss", "-HtnK", *chosen])
            wait_until(lambda: not set(host.out(*listing).splitlines()) & set(before), 5,
                       f"the connections of {cable.name} to be aborted: this needs a kernel "
                       "with CONFIG_INET_DIAG_DESTROY")
            count += len(before)
        return count

    def address(self, cable):
        """IPv4 address of the host on this cable, or None."""
        shown = json.loads(self.lab[cable.host].out("ip", "-j", "-4", "addr", "show", "dev",
                                                     cable.interface))
        addresses = [info["local"] for entry in shown for info in entry.get("addr_info", [])]
        return addresses[0] if addresses else None

    def counters(self):
        """{host: (bytes sent, bytes received)}, frames with their Ethernet headers."""
        result = {}
        for cable in self.cables:
            init = self.lab[cable.host].init
            with open(f"/proc/{init.pid}/net/dev", encoding="ascii") as file:
                for line in file:
                    interface, _, numbers = line.partition(":")
                    if interface.strip() == cable.interface:
                        fields = numbers.split()
                        result[cable.host] = (int(fields[8]), int(fields[0]))
        return result

    def wire(self, delay_ms=0, loss_percent=0, rate_mbit=0, queue=1000):
        """Put lab/wire into the first cable: delay each way, loss and rate each way.

        queue: frames that wait for the rate, more are dropped. A wire that is there takes the new settings without losing what it carries. A limit stays in
        force beside it. Returns the wire's settings and counters.
        """
        cable, tor = self.cables[0], self.lab.tor
        if not cable.bridged:
            raise LabError(f"a wire can be put into {', '.join(topology.NETWORKS)}, "
                           f"not {self.name}")
        inner, outer = f"w-{cable.tor_end}", f"x-{cable.tor_end}"
        binary, socket = program("lab/wire"), f"/run/{cable.tor_end}.wire"
        with self._state() as states:
            if not states[0][1].get("wire"):
                ip_batch(tor, [f"link add {inner} type veth peer name {outer}",
                               f"link set {inner} up", f"link set {outer} up",
                               f"link set {cable.tor_end} nomaster",
                               f"link set {outer} master {cable.interface}"])
                states[0][1]["wire"] = tor.daemon(
                    [binary, cable.tor_end, inner, "--control", socket],
                    f"/var/log/{cable.tor_end}.wire.log")
                wait_until(lambda: tor.exists(socket), 20, f"the wire in {cable.name}")
        return self._ask_wire(op="set", delay_ms=delay_ms, loss=loss_percent, rate_mbit=rate_mbit,
                              queue=queue)

    def wire_stats(self):
        """Settings and counters of the wire in the first cable: see lab/wire/request.h."""
        return self._ask_wire(op="stats")

    def _ask_wire(self, **request):
        path = f"/run/{self.cables[0].tor_end}.wire"
        answer = self.lab.tor.run([program("lab/wire"), "ctl", path, json.dumps(request)],
                                  check=False)
        if answer.returncode != 0:
            raise LabError(f"the wire in {self.name} answers "
                           f"{answer.stdout.strip() or answer.stderr.strip()}")
        return json.loads(answer.stdout)

    def unwire(self):
        """Take the wire out again, if there is one."""
        tor = self.lab.tor
        with self._state() as states:
            for cable, state in states:
                pid = state.pop("wire", None)
                if pid is None:
                    continue
                if pid in tor.processes():
                    tor.kill(pid)
                tor.run(["rm", "-f", f"/run/{cable.tor_end}.wire"])  # or the next seems to listen already
                ip_batch(tor, [f"link del w-{cable.tor_end}",
                               f"link set {cable.tor_end} master {cable.interface}"])

    def state(self):
        """{cable: what was done to it}, for status."""
        with self._state() as states:
            return {cable.name: {key: value for key, value in state.items() if value}
                    for cable, state in states}
