# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two hosts with ferryd, a witness, and one guest at a time that moves: what a case happens to."""

import contextlib
import http.client
import os
import threading
import time

from ferrytest import FINAL, SSD, STORAGE, SWITCHES, Witness, conf, pair, to_body, wait_until
from ferrylab import Lab, LabError, vm
from ferrylab.paths import program
from hooks import Hooks

from .points import Tracker

IMAGES = "/var/lib/libvirt/images"
# What can be done to the hosts beside killing and cutting: "power": take it away; "faulty": make their disks fail and their
# clocks jump, which a sanitizer does not like.
KINDS = ("plain", "faulty", "power")
WORKER = "/run/worker-with-faults"
FAULTY = "/run/faulty"  # lab/faulty reads it
QEMU = "qemu-system-x86_64"
DISK_MIB = 64
RING_MIB = 8
AWAY = (OSError, http.client.HTTPException, LabError)


class World:
    """kind: one of KINDS. Hooks call on_hook(point, name, host) while a move is under way."""

    def __init__(self, name, kind="plain", seed=0):
        lossy = {"alpha": seed, "zulu": seed} if kind == "power" else None
        self.lab = Lab(name, tie_to_parent=True, lossy=lossy)
        self.kind = kind
        self.tracker = Tracker()
        self.on_hook = lambda point, name, host: False
        self.active, self.number, self.guest, self.hooks, self.link_timeout = False, 0, None, {}, 10

    def __enter__(self):
        try:
            return self._up()
        except BaseException:
            self.lab.down()
            raise

    def _up(self):
        self.lab.up()
        self.alpha, self.zulu = self.lab.alpha, self.lab.zulu
        for host in self.hosts:
            self.hooks[host.name] = Hooks(host, self._answer(host.name))
            if self.kind == "faulty":
                self.preload(host)
            self.start_ferryd(host, self.settings())
            host.run(["mkdir", "-p", SSD])
        pair(self.alpha, self.zulu)
        self.witness = Witness(self.lab)
        return self

    def __exit__(self, *_):
        self.lab.down()

    @property
    def hosts(self):
        return self.alpha, self.zulu

    def host(self, side):
        return self.alpha if side == "source" else self.zulu

    def _answer(self, host):
        def answer(program, name, _pid):
            if not self.active:
                return False
            return self.on_hook(self.tracker.see(host, program, name), name, host)
        return answer

    # Programs

    def settings(self):
        return conf(networks={"link-timeout": str(self.link_timeout)}, migrations={"settle": "1"})

    def set_link_timeout(self, seconds):
        if seconds != self.link_timeout:
            self.link_timeout = seconds
            for host in self.hosts:
                host.stop_ferryd()
                self.start_ferryd(host, self.settings())

    def environment(self):
        """For daemons; libvirt's pass LD_PRELOAD on to QEMU."""
        return {"LD_PRELOAD": program("lab/libfaulty.so")} if self.kind == "faulty" else {}

    def preload(self, host):
        """Everything of the host that has to do with disks and time goes through lab/faulty."""
        host.stop_libvirt()
        host.run(["virtlogd", "-d"])
        self.start_libvirtd(host)
        worker = program("src/worker/ferry-worker")
        host.write(WORKER, f"#!/bin/sh\nLD_PRELOAD={program('lab/libfaulty.so')} exec {worker} \"$@\"\n")
        host.run(["chmod", "755", WORKER])

    def start_ferryd(self, host, text=None):
        worker = {"FERRY_WORKER": WORKER} if self.kind == "faulty" else {}
        host.start_ferryd(conf_text=text, env={**Hooks.environment, **self.environment(), **worker}, timeout=60)

    def pids(self, side, kind):
        """Processes of a host by what they are: worker, ferryd, libvirtd or qemu."""
        host = self.host(side)
        names = {"worker": "ferry-worker", "ferryd": "ferryd", "libvirtd": "libvirtd", "qemu": QEMU}
        return [pid for pid, argv in host.processes().items()
                if os.path.basename(argv[0]) == names[kind]
                and (kind != "worker" or "--id" in argv) and (kind != "qemu" or "-name" in argv)]

    def start_libvirtd(self, host):
        host.run(["libvirtd", "-d"], env={**os.environ, **self.environment()})
        wait_until(lambda: host.virsh_result("version").returncode == 0, 60,
                   f"libvirtd on {host.name}")

    def power_cut(self, *hosts):
        for host in hosts:
            self.hooks[host.name].close()
        self.lab.power_cut(*(host.name for host in hosts))

    def boot(self, host):
        """A host that has lost its power comes back, and with it what an init system would start."""
        self.lab.power_on(host.name)
        self.hooks[host.name].listen()
        vm.prepare_host(host)
        self.start_ferryd(host)

    # The guest and its move

    def ready_guest(self):
        """A guest that runs on alpha and is heard: the one that is there, or a new one."""
        if self.guest:
            return self.guest
        self.number += 1
        name = f"vm{self.number}"
        description = vm.Vm(name=name, number=5 + self.number % 200,
                            disks=vm.images(name, size_mib=DISK_MIB),
                            cmdline={"witness": "10.50.0.1", "writes": 50, "ring": RING_MIB, "wset": 16})
        self.guest = self.lab.create_vm("alpha", description)
        self.guest.start()
        self.witness.watch(self.guest)
        self.witness.wait_records(self.guest, 5, 180)
        if self.kind == "power":  # what came before is not to be lost: the case is about the move
            self.alpha.run(["sync"])
            self.zulu.run(["sync"])
        return self.guest

    def drop_guest(self):
        """The world is empty again."""
        guest, self.guest = self.guest, None
        if not guest:
            return
        for host in self.hosts:
            host.virsh_result("destroy", guest.name)
            host.virsh_result("undefine", guest.name)
            host.run(["sh", "-c", f"rm -rf {SSD}/* {IMAGES}/*"])
        self.witness.ask("forget", vm=guest.name)

    def moves(self, host):
        code, answer = host.api("GET", "/v1/migrations?all=1", timeout=20)
        return {one["id"]: one for one in answer["migrations"]} if code == 200 else {}

    @contextlib.contextmanager
    def move(self, on_hook, link_timeout=10):
        """The guest's move begins; hooks are asked as long as this lasts. Gives an Event: it has ended (or never began)."""
        guest = self.ready_guest()
        self.set_link_timeout(link_timeout)
        self.known = {host.name: set(self.moves(host)) for host in self.hosts}
        self.tracker.reset()
        self.on_hook, self.active = on_hook, True
        body = {"vm": guest.name, "target": "zulu", **to_body((*SWITCHES, *STORAGE))}

        def ask():
            # ferryd may die while it answers: whether there is a move then, its journal says.
            with contextlib.suppress(*AWAY):
                if self.alpha.api("POST", "/v1/migrations", body)[0] == 201:
                    return
            self.tracker.ended.set()
        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        try:
            yield self.tracker.ended
        finally:
            self.active = False
            asking.join(90)

    def new_moves(self, host):
        return [one for key, one in self.moves(host).items() if key not in self.known[host.name]]

    def settled(self):
        """Nothing of the move is under way any more; what still is, in words, or None."""
        for host in self.hosts:
            try:
                open_ones = [one for one in self.new_moves(host) if one["phase"] not in FINAL]
            except AWAY as error:
                return f"ferryd on {host.name} does not answer: {error}"
            if open_ones:
                one = open_ones[0]
                return f"on {host.name} the move is {one['phase']}: {one['waiting'] or one['error']}"
            if self.pids("source" if host is self.alpha else "target", "worker"):
                return f"a worker lives on {host.name}"
        return None

    def wait_settled(self, timeout):
        """None, or what is still under way after that many seconds."""
        last = [None]

        def done():
            last[0] = self.settled()
            return last[0] is None
        try:
            wait_until(done, timeout, "the move to end", interval=0.2)
        except LabError:
            return last[0]
        return None

    def heard(self):
        """Records of the guest heard so far, 0 if it is not known."""
        try:
            return self.witness.records(self.guest)
        except AssertionError:
            return 0

    @staticmethod
    def now():
        return time.monotonic()
