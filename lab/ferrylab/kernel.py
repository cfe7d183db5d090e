# SPDX-License-Identifier: LGPL-2.1-or-later
"""The few kernel calls the lab needs and Python (3.10) does not offer.

Everything here acts on the calling *thread*; nothing allocates or keeps state.
"""

import ctypes
import os

CLONE_FS = 0x00000200
CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_BIND = 0x1000
MS_MOVE = 0x2000
MS_REC = 0x4000
MS_SLAVE = 0x80000

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result, what):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def unshare(flags):
    _checked(_libc.unshare(flags), "unshare")


def setns(fd, kind=0):
    _checked(_libc.setns(fd, kind), "setns")


def mount(source, target, fstype=None, flags=0, data=None):
    def text(value):
        return None if value is None else os.fsencode(value)
    _checked(_libc.mount(text(source), text(target), text(fstype), ctypes.c_ulong(flags),
                         text(data)), f"mount {source} on {target}")


def bind(source, target):
    mount(source, target, flags=MS_BIND | MS_REC)


def syncfs(folder):
    """Flush the file system that folder is on."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _checked(_libc.syncfs(fd), f"syncfs {folder}")
    finally:
        os.close(fd)


def pivot_root(new_root):
    """Make new_root, a mount point, the root; the old root is detached."""
    os.chdir(new_root)
    SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}[os.uname().machine]
    _checked(_libc.syscall(SYS_PIVOT_ROOT, b".", b"."), f"pivot_root to {new_root}")
    MNT_DETACH = 2
    _checked(_libc.umount2(b".", MNT_DETACH), "umount of the old root")
    os.chdir("/")


def start_time(pid):
    """Clock ticks after boot at which pid started, or None if it is gone (a zombie is gone).

    With the boot id this names one process for ever: pids come round again, this pair does not.
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            fields = stat.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def boot_id():
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
