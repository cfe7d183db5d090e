# SPDX-License-Identifier: LGPL-2.1-or-later
"""A hypervisor of a lab: libvirt in a host, and the VMs in it."""

import os
import shutil
import subprocess

from . import topology
from .ferryd import FerryMixin
from .host import Host
from .paths import SOURCE
from .wait import LabError, wait_until

# The daemons of each way to run libvirt; the configuration of all is written in any case. virtproxyd
# has the socket that libvirtd has elsewhere, as on every host with modular daemons.
FLAVOURS = {
    "libvirtd": ("virtlogd", "libvirtd"),
    "modular": ("virtlogd", "virtqemud", "virtstoraged", "virtnetworkd", "virtproxyd"),
}
SHARED_KEYS = """\
host_uuid = "{uuid}"
unix_sock_group = "root"
auth_unix_ro = "none"
auth_unix_rw = "none"
log_outputs = "2:file:/var/log/libvirt/{daemon}.log"
"""
IP_KEYS = """\
listen_tls = 0
listen_tcp = {tcp}
auth_tcp = "none"
"""
QEMU_CONF = """\
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
remember_owner = 0
"""
BUILT = os.path.join(SOURCE, "build/modular/sbin")  # by lab/modular
CAPABILITIES = "var/cache/libvirt/qemu/capabilities"


def find_daemon(name):
    """Path of a daemon of libvirt's: the system's own or, of the modular ones, lab/modular's. Or None."""
    return shutil.which(name, path=f"/usr/sbin:/usr/bin:/sbin:{BUILT}")


def modular_missing():
    """Why this machine cannot have hosts of flavour "modular", in one sentence; None if it can."""
    for name in FLAVOURS["modular"]:
        path = find_daemon(name)
        if not path:
            return f"libvirt's daemon {name} is not there: run lab/modular, which builds it"
        if subprocess.run([path, "--version"], capture_output=True, check=False).returncode != 0:
            return f"{path} does not fit the installed libvirt: run lab/modular again"
    return None


class VirtHost(FerryMixin, Host):
    """A host that runs VMs. plan: its topology.HypervisorPlan."""

    def __init__(self, name, init, folder, plan, flavour="libvirtd"):
        super().__init__(name, init, folder)
        self.plan, self.flavour = plan, flavour

    def address(self, network=topology.MIGRATION_NETWORKS[0]):
        return self.plan.address(network)

    # libvirt

    def configure_libvirt(self, uuid):
        for daemon in {daemon for names in FLAVOURS.values() for daemon in names} - {"virtlogd"}:
            text = SHARED_KEYS.format(uuid=uuid, daemon=daemon)
            # libvirtd also has to be told on its command line, virtproxyd does not.
            ip = {"libvirtd": IP_KEYS.format(tcp=1), "virtproxyd": IP_KEYS.format(tcp=0)}
            self.write(f"/etc/libvirt/{daemon}.conf", text + ip.get(daemon, ""))
        self.write("/etc/libvirt/qemu.conf", QEMU_CONF)
        self.write("/etc/libvirt/virtlogd.conf", "")

    def start_libvirt(self, seed=None, listen_tcp=False):
        """Start the daemons and wait until libvirt answers.

        seed: folder that keeps what libvirt found out about QEMU, to start faster the next time.
        """
        own = os.path.join(self.folder, CAPABILITIES)
        if seed and os.path.isdir(seed) and not os.path.isdir(own):
            shutil.copytree(seed, own)
        for daemon in FLAVOURS[self.flavour]:
            listen = ["--listen"] if listen_tcp and daemon == "libvirtd" else []
            path = self.call(find_daemon, daemon)
            if not path:
                raise LabError(f"{self.name} has no {daemon}: ./setup installs libvirt, lab/modular "
                               "builds its modular daemons")
            self.run([path, "-d", *listen])
        self.virsh("capabilities")  # returns when libvirt has looked at every QEMU
        if seed and not os.path.isdir(seed) and os.path.isdir(own):
            fresh = f"{seed}.{os.getpid()}.{self.name}"
            shutil.copytree(own, fresh)
            try:
                os.rename(fresh, seed)
            except OSError:  # another host or lab was faster
                shutil.rmtree(fresh)

    def stop_libvirt(self):
        """Stop libvirt's daemons, as an upgrade does; VMs go on running."""
        wanted = FLAVOURS[self.flavour]
        running = {pid: argv[0] for pid, argv in self.processes().items()
                   if os.path.basename(argv[0]) in wanted}
        for pid in running:
            self.kill(pid, 15)
        wait_until(lambda: not running.keys() & self.processes().keys(), 30,
                   f"{', '.join(running.values())} on {self.name} to end")

    def libvirtd_listen_tcp(self):
        """Restart libvirt so that it also listens on plain TCP, in the lab's networks only.

        For the baseline of the benchmark; Ferry never uses it. It is virtproxyd that listens on a
        host with modular daemons.
        """
        proxy = "/etc/libvirt/virtproxyd.conf"
        self.write(proxy, self.read(proxy).replace("listen_tcp = 0", "listen_tcp = 1"))
        self.stop_libvirt()
        self.start_libvirt(listen_tcp=True)

    def virsh_result(self, *args, check=False, timeout=60):
        """CompletedProcess of a virsh command on this host."""
        return self.run(["virsh", "-q", "-c", "qemu:///system", *args], check=check,
                        timeout=timeout)

    def virsh(self, *args, check=True, timeout=60):
        """Standard output of a virsh command on this host, stripped."""
        return self.virsh_result(*args, check=check, timeout=timeout).stdout.strip()

    def define_pool(self, name, path):
        """Define and start a libvirt storage pool of kind "dir"."""
        self.call(os.makedirs, path, exist_ok=True)
        self.virsh("pool-define-as", name, "dir", "--target", path)
        self.virsh("pool-autostart", name)
        self.virsh("pool-start", name)
