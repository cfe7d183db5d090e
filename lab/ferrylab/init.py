# SPDX-License-Identifier: LGPL-2.1-or-later
"""Process 1 of a lab host: builds the host's file system, then reaps until it is told to die.

Started by host.py as a script, already alone in a new pid namespace. When it dies the kernel kills
every process of the host and, with them, frees its mounts, interfaces and sockets: nothing of a
host can outlive this process. argv[1] is a JSON object, argv[2] the number of a socket to the
lab's owner: "ready" (or a sentence on what failed) goes out; "detach" comes in when the host shall
outlive its owner. End of file before that means that the owner is gone.
"""

import json
import os
import select
import signal
import socket
import stat
import subprocess
import sys
import time

import kernel  # the folder of this file comes first in sys.path

# Private to each host; all else of /etc is the machine's, through symbolic links.
OWN_ETC = ("ferry", "hostname", "hosts", "libvirt", "machine-id", "openvswitch", "pki")
OWN_VAR = ("cache/libvirt", "lib/libvirt/boot", "lib/libvirt/images",
           "lib/libvirt/qemu", "log/ferry", "log/libvirt/qemu", "log/openvswitch", "tmp")


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def mount_disk(spec):
    """Put the host's state on a disk that forgets what was not flushed, by lab/lossy and a loop
    device; see there. All of it ends with this process."""
    disk, state = spec["disk"], spec["state"]
    fuse = f"{state}.fuse"
    os.makedirs(fuse, exist_ok=True)
    lossy = subprocess.Popen([disk["program"], disk["backing"], fuse], stdin=subprocess.DEVNULL,
                             env={"LOSSY_SEED": str(disk["seed"])})
    while not os.path.exists(f"{fuse}/disk"):
        if lossy.poll() is not None:
            raise OSError(f"{disk['program']} ended with {lossy.returncode}")
        time.sleep(0.01)
    subprocess.run(["mount", "-o", "loop,noatime", f"{fuse}/disk", state], check=True,
                   stdin=subprocess.DEVNULL)


def build_etc(spec, folder, machine_etc):
    os.makedirs(folder)
    for name in os.listdir(machine_etc):
        if name not in OWN_ETC:
            os.symlink(f"/run/host/etc/{name}", f"{folder}/{name}")
    for name in ("ferry", "libvirt", "openvswitch", "pki"):
        os.mkdir(f"{folder}/{name}")
    write(f"{folder}/hostname", spec["host"] + "\n")
    write(f"{folder}/hosts", spec["hosts_file"])
    write(f"{folder}/machine-id", spec["uuid"].replace("-", "") + "\n")


def build_var(folder):
    for name in OWN_VAR:
        os.makedirs(f"{folder}/{name}")
    os.symlink("/run", f"{folder}/run")
    os.symlink("/run/lock", f"{folder}/lock")


def build_dev(folder, hidden):
    """The machine's devices but for the hidden ones, and shared memory of the host's own."""
    kernel.mount("tmpfs", folder, "tmpfs", kernel.MS_NOSUID, "mode=755")
    for entry in os.scandir("/dev"):
        here = f"{folder}/{entry.name}"
        info = entry.stat(follow_symlinks=False)
        if entry.name in hidden:
            continue
        if stat.S_ISLNK(info.st_mode):
            os.symlink(os.readlink(entry.path), here)
        elif stat.S_ISDIR(info.st_mode):
            os.mkdir(here)
            if entry.name != "shm":
                kernel.bind(entry.path, here)
        elif stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
            try:
                os.mknod(here, info.st_mode, info.st_rdev)
                os.chmod(here, stat.S_IMODE(info.st_mode))
                os.chown(here, info.st_uid, info.st_gid)
            except PermissionError:  # a container whose device nodes are a given set
                write(here, "")
                kernel.bind(entry.path, here)
    safe = kernel.MS_NOSUID | kernel.MS_NODEV
    kernel.mount("tmpfs", f"{folder}/shm", "tmpfs", safe, "mode=1777")


def build_root(spec):
    """Mount the host's own /dev, /etc, /proc, /run, /srv, /sys and /var; all else is shared."""
    kernel.mount(None, "/", flags=kernel.MS_REC | kernel.MS_SLAVE)
    state, root = spec["state"], spec["root"]
    visible = [(path, os.open(path, os.O_PATH)) for path in spec["visible"]]
    if root:
        kernel.bind(root, root)
        kernel.bind("/tmp", f"{root}/tmp")

    if "disk" in spec:
        mount_disk(spec)
    if not os.path.exists(f"{state}/srv"):  # else this host was up before, and lost its power
        build_etc(spec, f"{state}/etc", f"{root}/etc")
        build_var(f"{state}/var")
        os.mkdir(f"{state}/srv")
        if "disk" in spec:
            kernel.syncfs(state)  # this alone: another one of the machine may be slow, or hang
    # Paths may be covered in what follows, open folders are not.
    own = {name: os.open(f"{state}/{name}", os.O_PATH) for name in ("etc", "var", "srv")}

    kernel.mount("tmpfs", f"{root}/run", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755")
    for name in ("host/etc", "lock", "libvirt", "openvswitch", "ferry", "dev"):
        os.makedirs(f"{root}/run/{name}")
    build_dev(f"{root}/run/dev", spec["hidden_devices"])
    kernel.mount(f"{root}/run/dev", f"{root}/dev", flags=kernel.MS_MOVE)
    os.rmdir(f"{root}/run/dev")
    kernel.bind(f"{root}/etc", f"{root}/run/host/etc")
    for name, fd in own.items():
        kernel.bind(f"/proc/self/fd/{fd}", f"{root}/{name}")
        os.close(fd)
    safe = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount("proc", f"{root}/proc", "proc", safe)
    kernel.mount("sysfs", f"{root}/sys", "sysfs", safe)

    # The source and the state folder keep their paths, also below something just covered.
    for path, fd in visible:
        here = root + path
        if not os.path.exists(here) or not os.path.samestat(os.stat(here), os.fstat(fd)):
            os.makedirs(here, exist_ok=True)
            kernel.bind(f"/proc/self/fd/{fd}", here)
        os.close(fd)
    if root:
        kernel.pivot_root(root)
    os.chdir("/")


def reap():
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return


def serve(owner):
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(wake_write)
    owner.sendall(b"ready")
    sources = [wake_read, owner]
    while True:
        for source in select.select(sources, [], [])[0]:
            if source is owner:
                if owner.recv(16) != b"detach":
                    return
                sources.remove(owner)
                owner.close()
            else:
                os.read(wake_read, 4096)
                reap()


def main():
    spec = json.loads(sys.argv[1])
    owner = socket.socket(fileno=int(sys.argv[2]))
    owner.set_inheritable(False)
    os.setsid()
    try:
        kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWUTS
                       | kernel.CLONE_NEWIPC)
        socket.sethostname(spec["host"])
        build_root(spec)
    except (OSError, KeyError, subprocess.CalledProcessError) as error:
        owner.sendall(f"{error}".encode())
        return 1
    serve(owner)
    return 0


if __name__ == "__main__":
    sys.exit(main())
