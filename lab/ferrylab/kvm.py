# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether KVM really works here. That /dev/kvm opens proves nothing: only a booted kernel does."""

import os
import subprocess
import threading

from . import kernel
from .paths import base_folder, guest_file
from .wait import LabError

DEADLINE = 10  # seconds for a kernel to boot until it misses a root file system; takes about one


def _boots():
    """Boot the lab guest's kernel under KVM without anything to run."""
    argv = ["qemu-system-x86_64", "-accel", "kvm", "-cpu", "host", "-m", "128", "-nodefaults",
            "-no-reboot", "-display", "none", "-serial", "stdio", "-kernel", guest_file("vmlinuz"),
            "-append", "console=ttyS0 earlyprintk=ttyS0 panic=-1 root=none"]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
    timer = threading.Timer(DEADLINE, process.kill)
    timer.start()
    try:
        return b"Kernel panic" in process.stdout.read()
    finally:
        timer.cancel()
        process.kill()
        process.wait()
        process.stdout.close()


def _cache():
    return os.path.join(base_folder(), ".cache", "accel")


def known():
    """"kvm" or "qemu" where that was found out since the machine started, else None."""
    try:
        with open(_cache(), encoding="ascii") as file:
            boot, answer = file.read().split()
    except (OSError, ValueError):
        answer = boot = None
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "qemu"
    return answer if boot == kernel.boot_id() else None


def accel():
    """The type a <domain> can have here: "kvm" or "qemu"; tried once after each start."""
    answer = known()
    if not answer:
        answer = "kvm" if _boots() else "qemu"
        os.makedirs(os.path.dirname(_cache()), exist_ok=True)
        fresh = f"{_cache()}.{os.getpid()}"
        with open(fresh, "w", encoding="ascii") as file:
            file.write(f"{kernel.boot_id()} {answer}\n")
        os.rename(fresh, _cache())
    return answer


def settle():
    """Find it out now if the lab guest's kernel is there; otherwise a later accel() will."""
    try:
        accel()
    except LabError:
        pass
