# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the system tests stand on: a lab with ferryd on its hypervisors, paired, guests under a witness."""

import json
import os
import signal
import socket
import subprocess
import sys
import unittest

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(SOURCE, "lab"))

from ferrylab import Lab, topology, vm, wait_until  # noqa: E402
from ferrylab.paths import program  # noqa: E402

FINAL = ("completed", "failed", "cancelled")
# How a VM of alpha's lands on zulu's converged switch.
SWITCHES = ("--switch", "vSwitch-VLAN500=Converged:500", "--switch", "vSwitch-VLAN600=Converged:600")
STORAGE = ("--storage", "/var/lib/libvirt/images=/srv/ssd")
SSD = "/srv/ssd"

def conf(**groups):
    """ferryd.conf of the lab, with groups={"migrations": {"incoming": "no"}} added or replaced; a value of
    None leaves the key out."""
    wanted = {"host": {"memory-reserve": "0"},
              "networks": {"migration": "10.70.0.0/24;10.71.0.0/24", "link-timeout": "20"},
              "migrations": {"settle": "0"}}
    for group, keys in groups.items():
        wanted.setdefault(group.replace("_", "-"), {}).update(keys)
    return "".join(f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items()
                                                if value is not None)
                   for group, keys in wanted.items())


class Witness:
    """The oracle on client: hears every guest of the lab."""

    def __init__(self, lab):
        self.client = lab.client
        self.socket = "/run/witness.sock"
        hosts = []
        for hypervisor in lab.hypervisors:
            hosts += ["--host", f"{hypervisor.plan.tos:#x}={hypervisor.name}"]
        self.process = self.client.popen(
            [program("lab/witness"), "--control", self.socket, *hosts],
            stdin=subprocess.DEVNULL)
        wait_until(lambda: self.client.exists(self.socket), 10, "the witness to listen")

    def ask(self, op, **arguments):
        """One request on its control socket; raises AssertionError when it says no."""
        def dial():
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(300)
            sock.connect(self.socket)
            return sock
        with self.client.call(dial) as sock, sock.makefile("rwb") as stream:
            stream.write(json.dumps({"op": op, **arguments}).encode() + b"\n")
            stream.flush()
            answer = json.loads(stream.readline())
        if not answer.get("ok"):
            raise AssertionError(f"witness: {answer.get('error', answer)}")
        return answer

    def watch(self, guest):
        addresses = [nic.address.split("/")[0] for nic in guest.vm.nics if nic.address]
        self.ask("watch", vm=guest.name, addresses=addresses)

    def stats(self, guest):
        return self.ask("stats", vm=guest.name)["vms"][guest.name]

    def records(self, guest):
        return self.stats(guest)["records"]

    def wait_records(self, guest, more=20, timeout=120):
        """Wait until the guest has had that many more records acknowledged and heard."""
        start = self.records(guest)
        wait_until(lambda: self.records(guest) >= start + more, timeout,
                   f"{more} more records of {guest.name}")

    def verify(self, guest):
        """All that was acknowledged is on the guest's disks, and nobody else spoke for it: returns what
        is wrong, [] if nothing is."""
        read = self.ask("verify", vm=guest.name)
        heard = self.stats(guest)
        wrong = list(read["findings"]) + [one["text"] for one in heard["violations"]]
        if not wrong and (read["verdict"], heard["verdict"]) != ("good", "good"):
            wrong = [str(read), str(heard)]
        return wrong

    def guest(self, guest, line):
        """Ask the guest itself (lab/guest/service.h); its service begins a moment after its reports."""
        def answer():
            try:
                return self.ask("guest", vm=guest.name, line=line)
            except AssertionError as error:
                if "refused" in str(error):
                    return None
                raise
        return wait_until(answer, 30, f"the service of {guest.name}")


class FerryCase(unittest.TestCase):
    """One lab for all tests of a class; every test leaves it as it found it."""

    CONFS = {}          # host name: text of ferryd.conf
    LOSSY = {}          # host name: seed of a disk that loses what was not flushed when its power is cut
    FLAVOURS = {}       # host name: "modular", where its libvirt is not to be libvirtd
    WITNESS = True
    PAIR = True
    VM = {"memory_mib": 128, "cmdline": {"writes": 50}}
    NUMBER = 5

    @classmethod
    def setUpClass(cls):
        name = f"t-{cls.__name__.lower()}"[:24] + f"-{os.getpid()}"
        cls.lab = Lab(name[:31], tie_to_parent=True, flavours=cls.FLAVOURS, lossy=cls.LOSSY)
        cls.lab.up()
        cls.addClassCleanup(cls.lab.down)
        cls.alpha, cls.zulu, cls.client = cls.lab.alpha, cls.lab.zulu, cls.lab.client
        for host in (cls.alpha, cls.zulu):
            host.start_ferryd(conf_text=cls.CONFS.get(host.name, conf()))
            host.run(["mkdir", "-p", SSD])
        if cls.PAIR:
            pair(cls.alpha, cls.zulu)
        if cls.WITNESS:
            cls.witness = Witness(cls.lab)

    def setUp(self):
        self.guests = []
        self.addCleanup(self.clean)

    def new_guest(self, name="web01", host="alpha", start=True, **changes):
        """A guest on `host`, running and heard by the witness."""
        type(self).NUMBER += 1
        options = {**self.VM, **changes}
        options["cmdline"] = {"witness": "10.50.0.1", **options.get("cmdline", {})}
        description = vm.Vm(name=name, number=type(self).NUMBER, **options)
        guest = self.lab.create_vm(host, description)
        self.guests.append(guest)
        if start:
            guest.start()
            if self.WITNESS:
                self.witness.watch(guest)
                wait_until(lambda: self.records_or_none(guest), 180,
                           f"{guest.name} to be heard by the witness")
            else:
                guest.wait_up()
        return guest

    def records_or_none(self, guest):
        try:
            return self.witness.records(guest)
        except AssertionError:
            return 0

    def clean(self):
        """Moves end, guests are stopped, their disks and what was kept of them go."""
        for host in (self.alpha, self.zulu):
            if host.ferryd and host.ferryd.poll() is None:
                for move in host.api("GET", "/v1/migrations?all=1")[1]["migrations"]:
                    if move["phase"] not in FINAL:
                        host.api("POST", f"/v1/migrations/{move['id']}/cancel", {})
                        self.wait_final(move["id"], host)
        for guest in self.guests:
            for host in (self.alpha, self.zulu):
                host.virsh_result("destroy", guest.name)
                host.virsh_result("undefine", guest.name)
            if self.WITNESS:
                self.witness.ask("forget", vm=guest.name)
        for host in (self.alpha, self.zulu):
            host.run(["sh", "-c", f"rm -rf {SSD}/* /var/lib/libvirt/images/*"])

    # Moving

    def migrate(self, guest, *options, target="zulu", check=True, host=None, **kwargs):
        """`ferry migrate`, watched to its end: (CompletedProcess, last status or None)."""
        host = host or self.alpha
        result = host.ferry("--json", "migrate", guest.name, target, *options, check=False, **kwargs)
        last = None
        for line in result.stdout.splitlines():
            last = json.loads(line)
        if check:
            self.assertEqual(result.returncode, 0, self.story(result))
        return result, last

    def start_move(self, guest, *options, host=None, target="zulu"):
        """Starts a move through the API; returns its id."""
        body = {"vm": guest.name, "target": target, **to_body(options)}
        code, answer = (host or self.alpha).api("POST", "/v1/migrations", body)
        self.assertEqual(code, 201, answer)
        return answer["id"]

    def status(self, move, host=None):
        code, answer = (host or self.alpha).api("GET", f"/v1/migrations/{move}")
        self.assertEqual(code, 200, answer)
        return answer

    def wait_phase(self, move, *phases, host=None, timeout=120):
        """Wait until the move is in one of these phases; fails when it has ended in another."""
        def there():
            now = self.status(move, host)
            if now["phase"] in FINAL and now["phase"] not in phases:
                raise AssertionError(f"the move is {now['phase']}: {now['error']}\n{self.logs()}")
            return now if now["phase"] in phases else None
        return wait_until(there, timeout, f"{move} to be {' or '.join(phases)}")

    def wait_final(self, move, host=None, timeout=180):
        def there():
            now = self.status(move, host)
            return now if now["phase"] in FINAL else None
        return wait_until(there, timeout, f"{move} to end")

    def stopped(self, host, program):
        """SIGSTOPs a daemon until the test ends or it is continued."""
        pids = [pid for pid, argv in host.processes().items() if os.path.basename(argv[0]) == program]
        self.assertTrue(pids, f"{program} on {host.name}")

        def go():
            for pid in pids:
                host.kill(pid, signal.SIGCONT)
        for pid in pids:
            host.kill(pid, signal.SIGSTOP)
        self.addCleanup(go)
        return go

    def announce(self, guest, *options):
        """A move whose landing is made, and whose networks go away before anything has begun: (id, function that
        gives them back)."""
        links = [self.lab.link(name) for name in ("mig0", "mig1")]

        def give_back():
            for link in links:
                link.restore()
                link.unwire()
        self.addCleanup(give_back)
        for link in links:  # libvirt asks some questions before it has anything prepared
            link.wire(delay_ms=500)
        move = self.start_move(guest, *options)

        def arrived():
            code, landing = self.zulu.api("GET", f"/v1/migrations/{move}")
            return code == 200 and landing["channels"]["alive"]
        wait_until(arrived, 60, "the channels")
        for link in links:
            link.cut()
        self.assertEqual(self.status(move, self.zulu)["phase"], "landing")
        return move, give_back

    # What must be so

    def assert_runs_at(self, guest, host):
        """It runs there, is heard, nothing acknowledged is lost, and only one copy has ever spoken."""
        other = self.zulu if host is self.alpha else self.alpha
        wait_until(lambda: guest.state(host) == "running", 30,
                   f"{guest.name} to run on {host.name}: {guest.state(host)}")
        self.assertNotIn(guest.state(other), ("running", "paused"), other.name)
        guest.host = host
        if self.WITNESS:
            self.witness.wait_records(guest)
            self.assertEqual(self.witness.verify(guest), [])

    def assert_tidy(self, guest, host, landed=()):
        """No socket, process, definition or file of the move is left on a host the VM is not on."""
        wait_until(lambda: not host.workers(), 30, f"the workers on {host.name} to end")
        self.assertIsNone(guest.state(host))
        left = host.out("sh", "-c", "ls -d /run/ferry/*-* 2>/dev/null; true").split()
        self.assertEqual(left, [], f"left on {host.name}")
        files = host.out("sh", "-c", f"find {SSD} -type f").split()
        self.assertEqual([f for f in files if not f.endswith(".ferry-landed")], [], "left in " + SSD)

    def story(self, result):
        return f"{result.args} ended with {result.returncode}\n{result.stdout}\n{result.stderr}\n" \
            + self.logs()

    def logs(self):
        return "\n".join(f"--- ferryd on {host.name}:\n"
                         + "\n".join(host.read("/var/log/ferry/ferryd.log").splitlines()[-60:])
                         for host in (self.alpha, self.zulu))


def to_body(options):
    """CLI options as members of a request: what the command line would send."""
    body = {}
    names = {"--switch": "switches", "--storage": "storage", "--format": "formats"}
    for option, value in zip(options[::2], options[1::2]):
        if option == "--way-back":
            body["way_back"] = int(value)
        elif option == "--verify":
            body["verify"] = value
        else:
            key, _, to = value.partition("=")
            body.setdefault(names[option], {})[key] = to
    return body


def pair(one, other):
    one.pair(other)
