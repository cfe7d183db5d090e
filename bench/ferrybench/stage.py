# SPDX-License-Identifier: LGPL-2.1-or-later
"""The lab a benchmark runs in: hosts, networks, settings, and a fresh VM for each move."""

import os
import sys

from ferrylab import Disk, Lab, LabError, Vm, libvirt_tls, topology, wait_until
from ferrylab.ferryd import CONF
from ferrytest import FINAL, SSD, Witness, conf, pair

from .disks import FRONT, Disks

IMAGES = "/var/lib/libvirt/images"
TEMPLATES = "/srv/templates"
QUEUE = 4000  # frames at a far link: twice what is under way at 500 Mbit/s and 50 ms, so that no queue decides
FIRST, LAST = 6, 250  # numbers of VMs


def unfinished(host):
    return [move for move in host.api("GET", "/v1/migrations")[1]["migrations"]
            if move["phase"] not in FINAL]


class Stage:
    """with Stage() as stage: alpha, zulu and the witness, both hosts paired."""

    def __init__(self):
        self.lab = Lab(f"bench-{os.getpid()}", tie_to_parent=True)
        self.number = FIRST
        self.conf = self.net = None
        self.seeds = True  # whether ferryd takes [seeds]: one of another version (FERRY_BUILD) may not

    def __enter__(self):
        self.lab.up()
        try:
            self.alpha, self.zulu = self.lab.alpha, self.lab.zulu
            libvirt_tls(self.lab.hypervisors)
            for host in self.lab.hypervisors:
                host.libvirtd_listen_tcp()
                host.run(["mkdir", "-p", SSD, TEMPLATES])
            self.settings(("mig0",))
            pair(self.alpha, self.zulu)
            self.witness = Witness(self.lab)
        except BaseException:
            self.lab.down()
            raise
        return self

    def __exit__(self, *_):
        self.lab.down()

    # Settings

    def settings(self, networks, templates=False):
        """Ferry uses these migration networks and, at the target, TEMPLATES as seeds."""
        allowed = ";".join(f"{topology.NETWORKS[name]}.0/24" for name in networks)
        wanted = (allowed, templates and self.seeds)
        if wanted == self.conf:
            return
        for host in self.lab.hypervisors:
            if host.ferryd:
                host.stop_ferryd()
            text = conf(networks={"migration": allowed})
            if wanted[1] and host is self.zulu:
                text = self.with_templates(host, text)
            host.start_ferryd(conf_text=text)
        self.conf = wanted

    def with_templates(self, host, text):
        added = text + f"[seeds]\ntemplates = {TEMPLATES}\n"
        host.write(CONF, added)
        ferryd = os.path.join(host.build, "src/daemon/ferryd")
        self.seeds = host.run([ferryd, "--check-config"], check=False).returncode == 0
        if not self.seeds:
            print("this ferryd takes no [seeds]: it has to do without the template", file=sys.stderr)
        return added if self.seeds else text

    def networks(self, net):
        """The cables are as cases.Net says; net None: no limit on any."""
        if net == self.net:
            return
        for name in topology.MIGRATION_NETWORKS:
            link = self.lab.link(name)
            link.unwire()
            link.unlimited()
            if net and name in net.networks and net.delay_ms:
                link.wire(delay_ms=net.delay_ms, rate_mbit=net.rate, queue=QUEUE)
            elif net and name in net.networks and net.rate:
                link.limit(f"{net.rate}mbit")
        self.net = net

    # VMs

    def guest(self, image):
        """A VM on alpha with a copy of the image, running, heard, and writing to that disk."""
        name = f"bench{self.number}"
        disk = Disk(f"{IMAGES}/{name}.qcow2", "qcow2", Disks.capacity_mib(image))
        self.alpha.run(["cp", "--sparse=always", image, disk.path], timeout=300)
        # Nothing that was prepared is still being written while the move is measured.
        self.alpha.run(["sync", disk.path], timeout=300)
        guest = self.lab.create_vm("alpha", Vm(
            name=name, number=self.number, disks=(disk,), memory_mib=256,
            cmdline={"witness": "10.50.0.1", "writes": 100, "ring": FRONT, "dirty": 2, "wset": 8}))
        self.number = self.number + 1 if self.number < LAST else FIRST
        guest.start()
        self.witness.watch(guest)
        wait_until(lambda: self.witness.records(guest) > 50, 180, f"{name} to write")
        return guest

    def template(self, image):
        """The target has this image as a template; None: none."""
        self.zulu.run(["sh", "-c", f"rm -rf {TEMPLATES}/*"])
        if image:
            self.zulu.run(["cp", "--sparse=always", image, f"{TEMPLATES}/template.qcow2"], timeout=300)
            self.zulu.run(["sync", f"{TEMPLATES}/template.qcow2"], timeout=300)

    def verify(self, guest):
        wrong = self.witness.verify(guest)
        if wrong:
            raise LabError(f"the witness objects: {'; '.join(wrong)}")

    def clean(self):
        """No move, no VM, no disk and no template is left."""
        for host in self.lab.hypervisors:
            for move in unfinished(host):
                host.api("POST", f"/v1/migrations/{move['id']}/cancel", {})
            wait_until(lambda host=host: not unfinished(host), 120, f"the moves on {host.name} to end")
        found = set()
        for host in self.lab.hypervisors:
            for name in host.virsh("list", "--all", "--name").split():
                host.virsh_result("destroy", name)
                host.virsh_result("undefine", name)
                found.add(name)
        for name in found:
            self.witness.ask("forget", vm=name)
        for host in self.lab.hypervisors:
            wait_until(lambda host=host: not host.workers(), 60, f"the workers on {host.name} to end")
            host.run(["sh", "-c", f"rm -rf {IMAGES}/* {SSD}/* {TEMPLATES}/*"])
