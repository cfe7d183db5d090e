# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bad input: one clear sentence with what to do, a status that is not 0, and the VM goes on where it was."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from ferrytest import SSD, STORAGE, SWITCHES, FerryCase, conf, pair, vm, wait_until  # noqa: E402
from ferrylab import accel  # noqa: E402

ASAN = True
IMAGES = "/var/lib/libvirt/images"


class Refusals(FerryCase):
    WITNESS = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.shared = None

    def guest(self):
        """One running VM for all tests that only look at it."""
        cls = type(self)
        if cls.shared is None:
            cls.shared = self.new_guest()
            self.guests.remove(cls.shared)
        return cls.shared

    def clean(self):
        for guest in self.guests:
            for host in (self.alpha, self.zulu):
                host.virsh_result("destroy", guest.name)
                host.virsh_result("undefine", guest.name)
            self.alpha.run(["sh", "-c", f"rm -f {IMAGES}/{guest.name}*"])
        self.zulu.run(["sh", "-c", f"rm -rf {SSD}/*"])

    def refuse(self, guest, *options, says, code=None, status=None, target="zulu", name=None, runs=True):
        """The move is refused with these words and this exit status, by migrate and by compare, and nothing
        has happened."""
        name = name or guest.name
        statuses = []
        for command in ("migrate", "compare"):
            result = self.alpha.ferry(command, name, target, *options, check=False)
            statuses.append(result.returncode)
            said = result.stdout + result.stderr
            self.assertNotIn("[FERRY-", said, "each is said once")
            for words in (says,) if isinstance(says, str) else says:
                self.assertIn(words, said, f"{command}: {self.story(result)}")
            if code:
                self.assertIn(code, said, command)
        self.assertNotEqual(statuses[0], 0)
        self.assertEqual(statuses[0], statuses[1])
        if status:
            self.assertEqual(statuses[0], status)
        if runs:
            self.assertEqual(guest.state(self.alpha), "running")
        for host in (self.alpha, self.zulu):
            wait_until(lambda h=host: not h.workers(), 30, f"the workers on {host.name} to end")
        self.assertEqual(self.zulu.out("sh", "-c", f"find {SSD} -name '*.qcow2' -o -name '*.raw'"),
                         getattr(self, "expected_files", ""))

    def test_unknown_vm(self):
        self.refuse(self.guest(), *SWITCHES, *STORAGE, name="nobody", status=3, code="FERRY-1001",
                    says=("no VM \"nobody\"", "virsh list --all"))

    def test_unknown_host(self):
        self.refuse(self.guest(), target="nowhere", says=("nowhere", "ferry pair nowhere"))

    def test_this_host(self):
        self.refuse(self.guest(), target="alpha", says=("this host", "another"), status=2)

    def test_unreachable_host(self):
        self.zulu.stop_ferryd()
        self.addCleanup(self.zulu.start_ferryd)
        self.refuse(self.guest(), *SWITCHES, *STORAGE, says=("zulu", "ferryd"))

    def test_vm_not_running(self):
        guest = self.new_guest("off01", start=False)
        self.refuse(guest, *SWITCHES, *STORAGE, says=("not running", "virsh start off01"), runs=False,
                    status=3, code="FERRY-1002")

    def test_paused_vm(self):
        guest = self.new_guest("paused01")
        self.alpha.virsh("suspend", guest.name)
        self.refuse(guest, *SWITCHES, *STORAGE, says=("paused", "virsh resume paused01"), runs=False)
        self.assertEqual(guest.state(self.alpha), "paused")

    def test_name_taken_at_target(self):
        guest = self.guest()
        self.lab.create_vm("zulu", vm.Vm(name=guest.name, number=240, disks=()))
        self.addCleanup(self.zulu.virsh, "undefine", guest.name)
        self.refuse(guest, *SWITCHES, *STORAGE, says=(guest.name, "already"))

    def test_uuid_taken_at_target(self):
        guest = self.guest()
        uuid = self.alpha.virsh("domuuid", guest.name)
        self.lab.create_vm("zulu", vm.Vm(name="other", number=241, disks=(), uuid=uuid))
        self.addCleanup(self.zulu.virsh, "undefine", "other")
        self.refuse(guest, *SWITCHES, *STORAGE, says=(uuid, "other"))

    def test_target_file_exists(self):
        guest = self.guest()
        path = f"{SSD}/{guest.name}.qcow2"
        self.zulu.write(path, "somebody else's")
        self.expected_files = path
        self.refuse(guest, *SWITCHES, *STORAGE, says=(path, "exists"))
        self.assertEqual(self.zulu.read(path), "somebody else's")

    def test_not_enough_space(self):
        self.zulu.run(["mkdir", "-p", "/srv/small"])
        self.zulu.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/srv/small"])
        self.addCleanup(self.zulu.run, ["umount", "/srv/small"])
        guest = self.new_guest("big01")
        self.alpha.run(["sh", "-c", f"head -c 8M /dev/urandom | dd of={IMAGES}/big01-data.raw "
                                    "bs=1M seek=64 conv=notrunc status=none"])
        self.refuse(guest, *SWITCHES, "--storage", f"{IMAGES}=/srv/small",
                    says=("/srv/small", "space"))

    def test_storage_directory_missing(self):
        self.refuse(self.guest(), *SWITCHES, "--storage", f"{IMAGES}=/srv/none", says="/srv/none")

    def test_storage_not_writable(self):
        self.zulu.run(["mkdir", "-p", "/srv/readonly"])
        self.zulu.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", "/srv/readonly"])
        self.addCleanup(self.zulu.run, ["umount", "/srv/readonly"])
        self.refuse(self.guest(), *SWITCHES, "--storage", f"{IMAGES}=/srv/readonly",
                    says=("/srv/readonly", "writ"))

    def test_source_directory_not_writable(self):
        self.alpha.run(["mkdir", "-p", "/srv/frozen"])
        guest = self.new_guest("frozen01", disks=(vm.Disk("/srv/frozen/frozen01.raw", "raw", 64),))
        self.alpha.run(["mount", "--bind", "/srv/frozen", "/srv/frozen"])
        self.alpha.run(["mount", "-o", "remount,ro,bind", "/srv/frozen"])
        self.addCleanup(self.alpha.run, ["umount", "/srv/frozen"])
        self.refuse(guest, *SWITCHES, "--storage", f"/srv/frozen={SSD}", says=("/srv/frozen", "writ"))

    def test_unknown_pool(self):
        self.refuse(self.guest(), *SWITCHES, "--storage", f"{IMAGES}=pool:none", says="none")

    def test_switch_without_counterpart(self):
        self.refuse(self.guest(), *STORAGE, code="FERRY-2",
                    says=("vSwitch-VLAN500", "Converged", "--switch vSwitch-VLAN500="))

    def test_switch_that_is_not_there(self):
        self.refuse(self.guest(), *STORAGE, "--switch", "vSwitch-VLAN500=Nope:500", "--switch",
                    "vSwitch-VLAN600=Converged:600", says="Nope")

    def test_vlan_on_a_switch_that_cannot_tag(self):
        self.refuse(self.guest(), *STORAGE, "--switch", "vSwitch-VLAN500=br-plain:500", "--switch",
                    "vSwitch-VLAN600=Converged:600", says=("br-plain", "VLAN"))

    def test_machine_type_unknown_to_target(self):
        """libvirt at the target knows a QEMU without this machine type: its record of QEMU is one."""
        guest = self.guest()
        emulator = vm.EMULATORS[accel()]
        self.zulu.virsh("domcapabilities", "--emulatorbin", emulator, "--virttype", accel())
        records = "/var/cache/libvirt/qemu/capabilities"
        self.zulu.run(["sh", "-c", f"cp -r {records} /run/records && sed -i /pc-q35-/d {records}/*.xml"])
        self.restart_libvirt(self.zulu)
        self.addCleanup(lambda: (self.zulu.run(["sh", "-c", f"cp /run/records/* {records}/"]),
                                 self.restart_libvirt(self.zulu)))
        self.refuse(guest, *SWITCHES, *STORAGE, says=("machine", "q35"))

    def test_cpu_model_unknown_to_target(self):
        """The target's libvirt has never heard of this CPU model."""
        maps = "/usr/share/libvirt/cpu_map"
        guest = self.new_guest("cpu01", cpu="<cpu mode='custom' match='exact' check='none'>"
                               "<model fallback='forbid'>core2duo</model></cpu>")
        self.zulu.run(["sh", "-c", f"cp -r {maps} /run/cpu_map && "
                                   "sed -i /core2duo/d /run/cpu_map/index.xml"])
        self.zulu.run(["mount", "--bind", "/run/cpu_map", maps])
        self.restart_libvirt(self.zulu)
        self.addCleanup(lambda: (self.zulu.run(["umount", maps]), self.restart_libvirt(self.zulu)))
        self.refuse(guest, *SWITCHES, *STORAGE, says=("CPU", "core2duo"))

    def restart_libvirt(self, host):
        host.stop_libvirt()
        host.start_libvirt()

    def test_disk_format_unknown(self):
        self.refuse(self.guest(), *SWITCHES, *STORAGE, "--format", "vda=vmdk", says=("--format", "vmdk"), status=2)

    def test_disk_that_the_vm_does_not_have(self):
        self.refuse(self.guest(), *SWITCHES, *STORAGE, "--format", "vdz=raw", says="vdz")

    def test_switch_that_the_vm_is_not_on(self):
        self.refuse(self.guest(), *SWITCHES, *STORAGE, "--switch", "vSwitch-VLAN700=Converged:700",
                    says="vSwitch-VLAN700")

    def test_directory_without_a_disk_of_the_vm(self):
        self.refuse(self.guest(), *SWITCHES, *STORAGE, "--storage", f"/srv/elsewhere={SSD}",
                    says="/srv/elsewhere")


class HostSays(FerryCase):
    """What the hosts' own settings refuse."""

    WITNESS = False

    def with_conf(self, host, text):
        host.stop_ferryd()
        host.start_ferryd(conf_text=text)
        self.addCleanup(lambda: (host.stop_ferryd(), host.start_ferryd(conf_text=conf())))

    def refuse(self, guest, *says):
        result = self.alpha.ferry("migrate", guest.name, "zulu", *SWITCHES, *STORAGE, check=False)
        self.assertNotEqual(result.returncode, 0)
        for words in says:
            self.assertIn(words, result.stdout + result.stderr, self.story(result))
        self.assertEqual(guest.state(self.alpha), "running")
        self.assertIsNone(guest.state(self.zulu))
        self.assertEqual(self.zulu.out("sh", "-c", f"ls {SSD}"), "")

    def test_incoming_off(self):
        self.with_conf(self.zulu, conf(migrations={"incoming": "no"}))
        self.refuse(self.new_guest(), "incoming", "zulu")

    def test_outgoing_off(self):
        self.with_conf(self.alpha, conf(migrations={"outgoing": "no"}))
        self.refuse(self.new_guest(), "outgoing")

    def test_not_enough_memory(self):
        self.with_conf(self.zulu, conf(host={"memory-reserve": "900G"}))
        self.refuse(self.new_guest(), "memory", "kept for the host")

    def test_directory_that_the_target_does_not_give(self):
        self.with_conf(self.zulu, conf(host={"storage-directories": "/srv/other"}))
        self.refuse(self.new_guest(), SSD, "storage-directories")

    def test_no_migration_network(self):
        self.with_conf(self.zulu, conf(networks={"migration": None}))
        self.refuse(self.new_guest(), "network", "ferryd.conf")

    def test_no_migration_network_here(self):
        self.with_conf(self.alpha, conf(networks={"migration": None}))
        self.refuse(self.new_guest(), "This host has no network", "[networks]")

    def test_no_common_migration_network(self):
        self.with_conf(self.alpha, conf(networks={"migration": "10.80.0.0/24"}))
        self.with_conf(self.zulu, conf(networks={"migration": "10.71.0.0/24"}))
        self.refuse(self.new_guest(), "network")

    def test_untrusted_certificate(self):
        self.addCleanup(pair, self.alpha, self.zulu)
        self.zulu.ferry("unpair", "alpha")
        self.refuse(self.new_guest(), "ferry pair")

    def test_another_certificate_than_the_paired_one(self):
        """The target has been installed anew, or somebody stands in for it."""
        self.addCleanup(self.pair_again)
        self.zulu.stop_ferryd()
        self.zulu.run(["sh", "-c", "rm -rf /etc/ferry/pki"])
        self.zulu.start_ferryd()
        self.refuse(self.new_guest(), "zulu", "ferry pair zulu")

    def pair_again(self):
        for host, other in ((self.alpha, "zulu"), (self.zulu, "alpha")):
            host.ferry("unpair", other, check=False)
        pair(self.alpha, self.zulu)

    def test_expired_certificate(self):
        guest = self.new_guest()
        self.addCleanup(self.pair_again)
        self.zulu.stop_ferryd()
        # A certificate that has ended, made with the same key, pinned as it is: only its date is wrong.
        self.zulu.write("/run/expired.tmpl", "cn = zulu\ndns_name = zulu\n"
                        "activation_date = \"2020-01-01 00:00:00\"\n"
                        "expiration_date = \"2020-02-01 00:00:00\"\ntls_www_server\ntls_www_client\n")
        self.zulu.run(["certtool", "--generate-self-signed", "--load-privkey", "/etc/ferry/pki/host.key",
                       "--template", "/run/expired.tmpl", "--outfile", "/run/expired.crt"])
        self.alpha.write("/etc/ferry/peers/zulu.crt", self.zulu.read("/run/expired.crt"))
        good = self.zulu.read("/etc/ferry/pki/host.crt")
        self.zulu.write("/etc/ferry/pki/host.crt", self.zulu.read("/run/expired.crt"))
        self.addCleanup(lambda: (self.zulu.write("/etc/ferry/pki/host.crt", good),
                                 self.zulu.start_ferryd()))
        # ferryd itself refuses to show such a certificate, and says which file.
        with self.assertRaisesRegex(Exception, "expired"):
            self.zulu.start_ferryd(timeout=10)
        self.zulu.ferryd = None
        self.refuse(guest, "zulu")


if __name__ == "__main__":
    unittest.main()
