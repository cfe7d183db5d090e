# SPDX-License-Identifier: LGPL-2.1-or-later
"""The lab guest under a plain QEMU, without libvirt: for tests of the guest and its witness."""

import json
import os
import shutil
import socket
import subprocess

import netns  # noqa: F401 (finds ferrylab)
from ferrylab.kvm import accel
from ferrylab.paths import guest_file
from ferrylab.wait import wait_until

TIMEOUT = 120
NETWORKS = ("10.50.0", "10.60.0")


class Machine:
    """One QEMU in namespace, with a NIC in each of its bridges br0 and br1, and disks in folder."""

    def __init__(self, namespace, folder, name="a"):
        self.namespace, self.folder, self.name = namespace, folder, name
        self.disks = (f"{folder}/{name}.qcow2", f"{folder}/{name}.raw")
        self.serial = f"{folder}/{name}.serial"
        self.process = None
        for path, kind in zip(self.disks, ("qcow2", "raw")):
            subprocess.run(["qemu-img", "create", "-q", "-f", kind, path, "128M"], check=True)
        for number in range(len(NETWORKS)):
            tap = f"tap-{name}{number}"
            namespace.run("ip", "tuntap", "add", "dev", tap, "mode", "tap")
            namespace.run("ip", "link", "set", tap, "master", f"br{number}", "up")

    def start(self, words="", incoming=None, raw=None, memory=None):
        """words: more for the kernel command line; incoming: a file with the state of a stopped
        machine; raw: -blockdev options in place of the raw disk's; memory: a file to keep it in."""
        line = f"console=ttyS0 quiet vm=web01 witness={NETWORKS[0]}.1 ring=16 {words} "
        line += " ".join(f"ip{n}={network}.5/24" for n, network in enumerate(NETWORKS))
        argv = ["qemu-system-x86_64", "-M", "q35", "-accel", {"qemu": "tcg"}.get(accel(), accel()),
                "-m", "256", "-display", "none", "-nodefaults", "-no-user-config",
                "-kernel", guest_file("vmlinuz"), "-initrd", guest_file("initrd.gz"), "-append", line,
                "-serial", f"file:{self.serial}", "-qmp", f"unix:{self.folder}/{self.name}.qmp,server=on,wait=off"]
        blocks = ({"driver": "qcow2", "file": {"driver": "file", "filename": self.disks[0],
                                               "cache": {"direct": True}}, "cache": {"direct": True}},
                  raw or {"driver": "raw", "file": {"driver": "file", "filename": self.disks[1],
                                                    "cache": {"direct": True}}})
        for number, block in enumerate(blocks):
            argv += ["-blockdev", json.dumps({"node-name": f"disk{number}", **block}),
                     "-device", f"virtio-blk-pci,drive=disk{number},werror=report,rerror=report"]
        for number in range(len(NETWORKS)):
            argv += ["-netdev", f"tap,id=net{number},ifname=tap-{self.name}{number},script=no,downscript=no",
                     "-device", f"virtio-net-pci,netdev=net{number},mac=52:54:00:fe:05:0{number}"]
        if memory:
            argv += ["-object", f"memory-backend-file,id=ram,size=256M,share=on,mem-path={memory}",
                     "-machine", "memory-backend=ram"]
        if incoming:
            argv += ["-incoming", f"exec:cat {incoming}"]
        self.process = self.namespace.popen(argv, stdin=subprocess.DEVNULL)
        if incoming:
            wait_until(lambda: os.path.exists(f"{self.folder}/{self.name}.qmp") and
                       self.qmp("query-migrate").get("status") == "completed", TIMEOUT,
                       "the state to be loaded")
            self.qmp("cont")  # it was saved while stopped, and so it wakes up

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()

    def qmp(self, command, **arguments):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(f"{self.folder}/{self.name}.qmp")
            s.settimeout(TIMEOUT)
            with s.makefile("rw") as stream:
                stream.readline()
                for request in ({"execute": "qmp_capabilities"},
                                {"execute": command, "arguments": arguments}):
                    stream.write(json.dumps(request) + "\n")
                    stream.flush()
                    answer = {}
                    while not {"return", "error"} & answer.keys():
                        answer = json.loads(stream.readline())
        if "error" in answer:
            raise AssertionError(answer["error"]["desc"])
        return answer["return"]

    def save(self, path, twin):
        """Stop, and leave memory and state in path and the disks with the machine twin."""
        self.qmp("stop")
        self.qmp("migrate", uri=f"exec:cat >{path}")
        wait_until(lambda: self.qmp("query-migrate")["status"] == "completed", TIMEOUT, "the state to be saved")
        for ours, theirs in zip(self.disks, twin.disks):
            shutil.copy(ours, theirs)

    def said(self):
        if not os.path.exists(self.serial):
            return ""
        with open(self.serial, encoding="utf-8", errors="replace") as file:
            return file.read()
