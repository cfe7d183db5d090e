# SPDX-License-Identifier: LGPL-2.1-or-later
"""The contents of VMs' disks: made once, kept in build/bench-images under names that tell their recipes apart.

Each image is qcow2 and begins with FRONT MiB that are left to the lab guest's records; so what the guest
writes lands on the disk that is measured.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess

from ferrylab import LabError

from . import SOURCE

FOLDER = os.path.join(SOURCE, "build/bench-images")
FRONT = 64  # MiB
DEBIAN_MIB = 4096
DEBIAN_UUID = "6b1c9c3e-0a39-4d27-9d6e-2f2f6a6a1a01"
MMDEBSTRAP = ["mmdebstrap", "--quiet", "--variant=important",
              "--include=postgresql,linux-image-cloud-amd64,openssh-server,systemd-sysv", "bookworm"]
MKE2FS = ["mke2fs", "-q", "-t", "ext4", "-L", "debian", "-U", DEBIAN_UUID,
          "-E", f"offset={FRONT << 20},hash_seed={DEBIAN_UUID},lazy_itable_init=1"]


class Missing(Exception):
    """A disk cannot be made here: why, in one sentence. Its cases are skipped."""


def command(argv):
    try:
        result = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False)
    except FileNotFoundError:
        raise Missing(f"{argv[0]} is not there; ./setup --bench installs it") from None
    if result.returncode != 0:
        said = [line for line in result.stderr.splitlines() if line.strip()][-1:]
        raise Missing(f"{argv[0]} ended with {result.returncode}: {''.join(said)}")


@contextlib.contextmanager
def cached(name, recipe):
    """Path of an image and, unless it is there, where to make its raw form."""
    key = hashlib.sha256(repr(recipe).encode()).hexdigest()[:12]
    path = os.path.join(FOLDER, f"{name}-{key}.qcow2")
    os.makedirs(FOLDER, exist_ok=True)
    with open(os.path.join(FOLDER, ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(path):
            yield path, None
            return
        work = os.path.join(FOLDER, ".new")
        shutil.rmtree(work, ignore_errors=True)
        os.mkdir(work)
        raw = os.path.join(work, "disk.raw")
        try:
            yield path, raw
            command(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, f"{work}/disk.qcow2"])
            os.rename(f"{work}/disk.qcow2", path)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def random(mib):
    """Data that nothing can compress."""
    with cached(f"random-{mib}", ("random", mib, FRONT)) as (path, raw):
        if raw:
            with open(raw, "wb") as file:
                file.seek(FRONT << 20)
                for _ in range(mib):
                    file.write(os.urandom(1 << 20))
    return path


def debian():
    """An installed Debian with PostgreSQL in an ext4 file system."""
    with cached("debian", (MMDEBSTRAP, MKE2FS, DEBIAN_MIB)) as (path, raw):
        if raw:
            root = os.path.join(os.path.dirname(raw), "root")
            command([*MMDEBSTRAP, root])
            with open(raw, "wb") as file:
                file.truncate(DEBIAN_MIB << 20)
            command([*MKE2FS, "-d", root, raw, f"{DEBIAN_MIB - FRONT}M"])
    return path


class Disks:
    """The disks of one benchmark, by the names that cases.Run uses. size: MiB of incompressible data."""

    def __init__(self, size):
        self.makers = {"debian": debian, "random": lambda: random(size),
                       "half": lambda: random(max(size // 2, 1))}
        self.paths = {}

    def path(self, name):
        """The image; Missing if it cannot be had."""
        if name not in self.paths:
            self.paths[name] = self.makers[name]()
        return self.paths[name]

    def data_gib(self, name):
        """What is in it: the size of its image, which has nothing but data."""
        return os.stat(self.path(name)).st_blocks * 512 / 2**30

    @staticmethod
    def capacity_mib(path):
        info = subprocess.run(["qemu-img", "info", path], capture_output=True, text=True, check=True)
        for line in info.stdout.splitlines():
            if line.startswith("virtual size:"):
                return int(line.split("(")[1].split()[0]) >> 20
        raise LabError(f"qemu-img does not say how large {path} is")
