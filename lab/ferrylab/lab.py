# SPDX-License-Identifier: LGPL-2.1-or-later
"""A lab: hypervisors, a client and the switch between them, as namespaces of this machine."""

import concurrent.futures
import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import uuid

from . import cables, kernel, kvm, switch, topology, vm
from .host import Host, Init, control, spawn_init
from .virthost import VirtHost
from .paths import SOURCE, base_folder, build_folder, program
from .wait import LabError, wait_until

LOSSY_SIZE = 16 << 30  # sparse


def names():
    """Names of the labs that have a state folder, up or not."""
    try:
        return sorted(name for name in os.listdir(base_folder()) if not name.startswith("."))
    except FileNotFoundError:
        return []


class Lab:
    """with Lab("name") as lab: lab.alpha.run(["true"]) …; or lab.up(), lab.down(); or attach().

    lossy: {host: seed} of hypervisors whose state is on a disk that forgets what was not flushed, so
    that power_cut is one (lab/lossy; seed 0: it forgets all of that).
    hypervisors: plans from topology. tie_to_parent: the lab dies with this process, however that
    ends; otherwise it stays until down(). roots: {host: folder of another Linux system to run in}.
    flavours: {host: "libvirtd" or "modular"}.
    """

    def __init__(self, name="lab", hypervisors=(topology.ALPHA, topology.ZULU),
                 tie_to_parent=False, roots=None, flavours=None, lossy=None):
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}", name):
            raise LabError(f"“{name}” cannot name a lab: use lower-case letters, digits and “-”")
        self.name = name
        self.base = base_folder()
        self.folder = os.path.join(self.base, name)
        self.tie_to_parent = tie_to_parent
        self.roots, self.flavours, self.lossy = roots or {}, flavours or {}, lossy or {}
        self.plans = {plan.name: plan for plan in hypervisors}
        self.cables = cables.plan(hypervisors)
        self.hosts = {}
        self._inits = []    # Popen objects of the inits we started
        self._owners = []   # our ends of their control sockets

    # Finding things

    def __getitem__(self, name):
        try:
            return self.hosts[name]
        except KeyError:
            there = ", ".join(self.hosts) or "none: it is not up"
            raise LabError(f"lab {self.name} has no host {name}; there are {there}") from None

    def __getattr__(self, name):
        hosts = self.__dict__.get("hosts", {})
        if name in hosts:
            return hosts[name]
        raise AttributeError(name)

    @property
    def hypervisors(self):
        return [self[name] for name in self.plans]

    def link(self, name):
        """A network ("mig0") or one cable ("alpha:mig0"); see cables.Link."""
        return cables.Link(self, name)

    def create_vm(self, host, description=None):
        """Make a VM's disks and define it on a hypervisor (name); returns a vm.Guest, not started.

        Every hypervisor gets the guest's kernel: a VM that moves needs it there too.
        """
        for hypervisor in self.hypervisors:
            vm.prepare_host(hypervisor)
        return vm.create(self[host], description or vm.Vm())

    # Up and down

    @contextlib.contextmanager
    def _locked(self, wait=True):
        """Only one up or down of a name at a time; wait=False: BlockingIOError if there is one."""
        os.makedirs(os.path.join(self.base, ".locks"), exist_ok=True)
        with open(os.path.join(self.base, ".locks", self.name), "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            yield

    def _alive_lock(self):
        """The lock that every init of this lab holds as long as it lives."""
        return open(os.path.join(self.folder, "alive"), "a", encoding="ascii")

    def is_alive(self):
        """True while any host of this lab lives, whoever started it."""
        try:
            with self._alive_lock() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return False
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True

    def up(self):
        """Start everything; clears what a killed run of this name left. Returns self."""
        if os.geteuid() != 0:
            raise LabError("a lab needs root: it makes network and mount namespaces")
        with self._locked():
            if self._complete():
                raise LabError(f"lab {self.name} is up already: use it, or take it down "
                               f"(lab/lab down {self.name})")
            self._clear()
            self._sweep()
            try:
                kvm.settle()
                self._start()
            except BaseException:
                self.keep_logs()
                self._clear()
                raise
        return self

    def _start(self):
        os.makedirs(self.folder)
        hosts = [*self.plans, topology.CLIENT, topology.TOR]
        with self._alive_lock() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            started = {name: self._spawn(name, lock.fileno()) for name in hosts}
        # Until the end every init dies with us: there is no record of them yet.
        inits = {name: self._wait_for(name, *init) for name, init in started.items()}
        self._enter(inits)
        cables.pull(self.cables, self.hosts)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            jobs = [pool.submit(switch.tor, self.tor, self.cables, self.plans.values()),
                    pool.submit(self._start_client)]
            for host in self.hypervisors:
                jobs.append(pool.submit(self._start_networks, host))
                jobs.append(pool.submit(switch.hypervisor, host, host.plan))
                jobs.append(pool.submit(self._start_libvirt, host))
            for job in jobs:
                job.result()
        self._settle()

    def _settle(self):
        """Everything is up: hosts that are to outlive us are let go."""
        self._record({name: host.init for name, host in self.hosts.items()})
        if not self.tie_to_parent:
            for owner in self._owners:
                owner.sendall(b"detach")
                owner.close()
            self._owners = []

    def _wait_for(self, name, process, owner):
        control(owner, name, self._log(name))
        return Init(process.pid, kernel.start_time(process.pid))

    # Power

    def power_cut(self, *names):
        """Take the power of lossy hosts away, all at the same moment: every process dies, and their
        disks keep only what was flushed. power_on brings them back."""
        for name in names:
            if name not in self.lossy:
                raise LabError(f"host {name} has no disk that a power cut can be tried with: "
                               f"Lab(lossy={{\"{name}\": 0}})")
        for name in names:
            self[name].init.kill()
        for name in names:
            host = self[name]
            host.close()

            def dead(host=host):
                host.reap()
                ours = [init for init in self._inits if init.pid == host.init.pid]
                return not host.init.alive() and all(i.poll() is not None for i in ours)
            wait_until(dead, 30, f"the processes of {name} to end")

    def power_on(self, name):
        """Boot a host that lost its power: same disk, same cables, libvirt as at every start. What
        is not started by the lab at the beginning (ferryd) is not started here either."""
        host = self[name]
        with self._alive_lock() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            init = self._wait_for(name, *self._spawn(name, lock.fileno()))
        host.enter(init, self._visible(name, init))
        # The kernel takes its old network namespace down in its own time, and not before every socket in it is closed.
        ends = {cable.tor_end for cable in self.cables if cable.host == name}
        wait_until(lambda: not ends & set(self.tor.out("ls", "/sys/class/net").split()), 60,
                   f"the old interfaces of {name} to go: a socket of it may still be open somewhere")
        cables.pull(self.cables, self.hosts, only=name)
        self._start_networks(host)
        own = [cable for cable in self.cables if cable.host == name]
        switch.plug(self.tor, own, self.plans.values())
        switch.hypervisor(host, host.plan)
        for cable in own:
            self.link(cable.name).reapply()
        host.start_libvirt()
        self._settle()
        return host

    def _log(self, host):
        return os.path.join(self.folder, f"{host}.init.log")

    def _uuid(self, host):
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"ferry-lab:{self.folder}/{host}"))

    def _spawn(self, name, lock):
        state = os.path.join(self.folder, name)
        os.makedirs(state, exist_ok=True)
        visible = [path for path in (SOURCE, self.base, build_folder()) if os.path.isdir(path)]
        spec = {"host": name, "uuid": self._uuid(name), "state": state, "visible": visible,
                "root": self.roots.get(name, ""),
                "hidden_devices": ["kvm"] if kvm.known() == "qemu" else [],
                "hosts_file": topology.hosts_file(self.plans.values())}
        if name in self.lossy:
            spec["disk"] = {"backing": self._backing(name), "program": program("lab/lossy"),
                            "seed": self.lossy[name]}
        init, owner = spawn_init(spec, self._log(name), (lock,))
        self._inits.append(init)
        self._owners.append(owner)
        return init, owner

    def _backing(self, name):
        """The file behind a lossy host's disk, with a file system on it."""
        path = os.path.join(self.folder, f"{name}.disk")
        if not os.path.exists(path):
            with open(path, "wb") as file:
                file.truncate(LOSSY_SIZE)
            subprocess.run(["mkfs.ext4", "-q", "-E", "nodiscard", path], check=True)
        return path

    def _visible(self, name, init):
        """A host's etc, var and srv as this process can see them."""
        return f"/proc/{init.pid}/root" if name in self.lossy else os.path.join(self.folder, name)

    def _enter(self, inits):
        for name, init in inits.items():
            folder = self._visible(name, init)
            if name in self.plans:
                self.hosts[name] = VirtHost(name, init, folder, self.plans[name],
                                            self.flavours.get(name, "libvirtd"))
            else:
                self.hosts[name] = Host(name, init, folder)

    def _start_client(self):
        lines = ["link set lo up", "link set mgmt up",
                 f"addr add {topology.NETWORKS['mgmt']}.{topology.CLIENT_NUMBER}/24 dev mgmt"]
        for vlan in topology.VLANS:
            cables.offload(self.client, f"vlan{vlan}", "off")
            lines += [f"addr add {topology.vlan_address(vlan, 1)}/24 dev vlan{vlan}",
                      f"link set vlan{vlan} up"]
        cables.ip_batch(self.client, lines)

    @staticmethod
    def _start_networks(host):
        lines = ["link set lo up"]
        for network in topology.NETWORKS:
            lines += [f"addr add {host.address(network)}/24 dev {network}",
                      f"link set {network} up"]
        cables.ip_batch(host, lines)

    def _start_libvirt(self, host):
        host.configure_libvirt(self._uuid(host.name))
        seed = None
        if host.name not in self.roots:
            os.makedirs(os.path.join(self.base, ".cache"), exist_ok=True)
            # libvirt forgets what another program than the one that asks has found out.
            seed = os.path.join(self.base, ".cache", f"qemu-capabilities-{host.flavour}")
        host.start_libvirt(seed)

    def _record(self, inits):
        record = {"boot": kernel.boot_id(), "owner": os.getpid() if self.tie_to_parent else None,
                  "hosts": {name: [init.pid, init.start] for name, init in inits.items()},
                  "hypervisors": [[plan.name, plan.number, [list(vars(s).values())
                                                             for s in plan.switches]]
                                  for plan in self.plans.values()],
                  "flavours": self.flavours, "roots": self.roots, "lossy": self.lossy}
        path = os.path.join(self.folder, "lab.json")
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(record, file, indent=1)
        os.rename(path + ".new", path)

    @staticmethod
    def _read_record(folder):
        """The record of a lab of this boot, or None."""
        try:
            with open(os.path.join(folder, "lab.json"), encoding="utf-8") as file:
                record = json.load(file)
        except FileNotFoundError:
            return None
        return record if record["boot"] == kernel.boot_id() else None

    def _recorded_inits(self):
        record = self._read_record(self.folder)
        return {name: Init(*value) for name, value in record["hosts"].items()} if record else {}

    def _complete(self):
        inits = self._recorded_inits()
        return bool(inits) and all(init.alive() for init in inits.values())

    @classmethod
    def attach(cls, name="lab"):
        """A lab that some other program brought up. close() leaves it."""
        folder = os.path.join(base_folder(), name)
        record = cls._read_record(folder)
        if not record:
            raise LabError(f"lab {name} is not up: bring it up with lab/lab up {name}")
        plans = [topology.HypervisorPlan(host, number, tuple(topology.Switch(*s) for s in switches))
                 for host, number, switches in record["hypervisors"]]
        lab = cls(name, plans, roots=record["roots"], flavours=record["flavours"],
                  lossy=record["lossy"])
        if not lab._complete():
            raise LabError(f"lab {name} has lost hosts: take it down with lab/lab down {name}")
        lab._enter(lab._recorded_inits())
        return lab

    def down(self):
        """Kill everything in the lab and remove its folder."""
        with self._locked():
            self._clear()

    def _clear(self):
        for init in self._recorded_inits().values():
            init.kill()
        for owner in self._owners:
            owner.close()
        for init in self._inits:
            init.kill()

        def dead():
            for host in self.hosts.values():
                host.reap()
            ended = [init.poll() is not None for init in self._inits]
            return all(ended) and not self.is_alive()
        wait_until(dead, 30, f"the processes of lab {self.name} to end")
        self.close()
        self._inits, self._owners = [], []
        shutil.rmtree(self.folder, ignore_errors=True)
        if os.path.exists(self.folder):
            shutil.rmtree(self.folder)

    def _sweep(self):
        """Remove folders of other labs that have died: a test's lab is never up again by its name."""
        for name in names():
            with contextlib.suppress(BlockingIOError, LabError):
                other = Lab(name)
                if name != self.name and not other.is_alive():
                    with other._locked(wait=False):
                        if not other.is_alive():
                            shutil.rmtree(other.folder, ignore_errors=True)

    def close(self):
        """Leave the lab without taking it down."""
        for host in self.hosts.values():
            host.close()
        self.hosts = {}

    def keep_logs(self, name=None):
        """Copy the logs to .logs/NAME (default: the lab's), as the state folder goes away; returns that folder."""
        target = os.path.join(self.base, ".logs", name or self.name)
        shutil.rmtree(target, ignore_errors=True)
        os.makedirs(target)
        for name in [*self.plans, topology.CLIENT, topology.TOR]:
            host = self.hosts.get(name)
            logs = os.path.join(host.folder if host else os.path.join(self.folder, name), "var/log")
            if os.path.isdir(logs):
                shutil.copytree(logs, os.path.join(target, name), symlinks=True)
            if os.path.exists(self._log(name)):
                shutil.copy(self._log(name), target)
        return target

    def __enter__(self):
        return self.up()

    def __exit__(self, kind, error, trace):
        if kind is not None and issubclass(kind, Exception):
            error.add_note(f"logs: {self.keep_logs()}") if hasattr(error, "add_note") \
                else self.keep_logs()
        self.down()
