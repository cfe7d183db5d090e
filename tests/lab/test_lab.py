#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The lab itself: hosts that share nothing, links that obey, nothing left behind."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import unittest.mock

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(SOURCE, "lab"))

from ferrylab import (CommandFailed, Guest, Lab, LabError, Nic, Vm, stock_migrate,  # noqa: E402
                      topology, wait_until)
from ferrylab.kernel import start_time  # noqa: E402

NAME = f"test-{os.getpid()}"
CLI = os.path.join(SOURCE, "lab/lab")


def machine():
    """What a lab must leave alone: interfaces, mounts and the folders it covers."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        mounts = sorted(line.split()[4] for line in file)
    interfaces = sorted(os.listdir("/sys/class/net"))
    folders = {path: sorted(os.listdir(path)) for path in
               ("/etc", "/run", "/srv", "/var/lib", "/var/log", "/etc/libvirt", "/var/lib/libvirt",
                "/etc/openvswitch") if os.path.isdir(path)}
    return mounts, interfaces, folders


def listen(host, address, port=7000):
    return host.call(socket.create_server, (address, port))


def connect(host, address, port=7000, timeout=20):
    return host.call(socket.create_connection, (address, port), timeout)


def transfer(lab, size):
    """Seconds that size bytes take from alpha to zulu over mig0, first byte to last."""
    address = lab.zulu.address("mig0")
    with listen(lab.zulu, address) as server, connect(lab.alpha, address) as sender:
        sender.setblocking(True)
        receiver, _ = server.accept()
        with receiver:
            argv = ["head", "-c", str(size), "/dev/zero"]
            head = lab.alpha.popen(argv, stdout=sender.fileno())
            sender.close()
            start, received = time.monotonic(), 0
            while chunk := receiver.recv(1 << 20):
                received += len(chunk)
            head.wait()
            assert received == size, f"{received} of {size} bytes came through"
            return time.monotonic() - start


def datagram(lab, sender, receiver, text):
    """Send text as UDP over mig0; returns nothing: it may well get lost."""
    with sender.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(text, (receiver.address("mig0"), 7001))


class OneLab(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.before = machine()
        cls.lab = Lab(NAME, tie_to_parent=True).up()

    @classmethod
    def tearDownClass(cls):
        cls.lab.down()

    def tearDown(self):
        for network in ("mig0", "mig1", "mgmt"):
            self.lab.link(network).restore()
            self.lab.link(network).unlimited()
            self.lab.link(network).unwire()

    def test_the_machine_is_left_alone(self):
        self.assertEqual(machine(), self.before)

    def test_hosts_have_their_own_files_names_and_libvirt(self):
        alpha, zulu = self.lab.alpha, self.lab.zulu
        for path in ("/etc/ferry/x", "/var/lib/x", "/srv/x", "/run/x", "/etc/pki/x"):
            alpha.write(path, "alpha")
            self.assertFalse(zulu.exists(path), path)
            self.assertFalse(os.path.exists(path), path)
        self.assertEqual(alpha.out("hostname"), "alpha")
        uuids = {re.search("<uuid>(.*)</uuid>", host.virsh("capabilities"))[1]
                 for host in (alpha, zulu)}
        self.assertEqual(len(uuids), 2)
        self.assertEqual(alpha.out("id", "-un"), "root")

    def test_names_resolve_to_the_management_network(self):
        for host in (self.lab.alpha, self.lab.zulu, self.lab.client):
            for name, address in (("alpha", "10.80.0.1"), ("zulu", "10.80.0.2"),
                                  ("client", "10.80.0.3")):
                self.assertEqual(host.out("getent", "ahostsv4", name).split()[0], address)
                host.run(["ping", "-c", "1", "-W", "5", name])

    def test_a_command_fails_with_what_it_said(self):
        with self.assertRaisesRegex(CommandFailed, "alpha: ls /nowhere ended with 2: .*No such"):
            self.lab.alpha.run(["ls", "/nowhere"])

    def test_the_tor_separates_vlans_and_marks_the_host_a_packet_comes_from(self):
        lab = self.lab
        lab.alpha.run(["ip", "addr", "add", "10.50.0.201/24", "dev", "vSwitch-VLAN500"])
        lab.zulu.run(["ovs-vsctl", "set", "port", "Converged", "tag=600"])
        lab.zulu.run(["ip", "addr", "add", "10.60.0.202/24", "dev", "Converged"])
        for host, client, tos in ((lab.alpha, "10.50.0.1", 0x10), (lab.zulu, "10.60.0.1", 0x20)):
            with lab.client.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM) as receiver, \
                    host.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM) as sender:
                receiver.settimeout(20)
                receiver.setsockopt(socket.IPPROTO_IP, 13, 1)  # IP_RECVTOS
                receiver.bind((client, 7002))
                sender.sendto(b"x", (client, 7002))
                ancillary = receiver.recvmsg(16, 64)[1]
                self.assertEqual([data[0] for _, _, data in ancillary], [tos], host.name)
        # 10.50.0.202 would be reached only if zulu's tag 600 were on VLAN 500: br-plain is, but it
        # shall not answer for another interface.
        lab.zulu.write("/proc/sys/net/ipv4/conf/all/arp_ignore", "1")
        lab.zulu.run(["ip", "addr", "add", "10.50.0.202/24", "dev", "Converged"])
        lost = lab.client.run(["ping", "-c", "2", "-i", "0.2", "-W", "1", "10.50.0.202"],
                              check=False)
        self.assertNotEqual(lost.returncode, 0)

    def test_a_limit_limits_and_can_be_lifted(self):
        size = 16 << 20
        free = transfer(self.lab, size)
        self.lab.link("mig0").limit("100mbit")
        self.assertGreater(transfer(self.lab, size), 4 * free)
        self.lab.link("mig0").unlimited()
        self.assertLess(transfer(self.lab, size), 0.5 * size * 8 / 100e6)

    def test_counters_count_each_direction(self):
        before = self.lab.link("mig0").counters()
        transfer(self.lab, 4 << 20)
        after = self.lab.link("mig0").counters()
        sent = after["alpha"][0] - before["alpha"][0]
        self.assertGreater(sent, 4 << 20)
        self.assertLess(sent, 5 << 20)
        self.assertGreater(after["zulu"][1] - before["zulu"][1], 4 << 20)
        self.assertLess(after["zulu"][0] - before["zulu"][0], 1 << 20)

    def test_a_cut_link_is_silent_until_restored(self):
        address = self.lab.zulu.address("mig0")
        with listen(self.lab.zulu, address):
            for cable in ("mig0", "alpha:mig0", "zulu:mig0"):
                self.lab.link(cable).cut()
                with self.assertRaises(TimeoutError):
                    connect(self.lab.alpha, address, timeout=0.5)
                self.lab.link(cable).restore()
                connect(self.lab.alpha, address).close()
            connect(self.lab.zulu, address).close()

    def test_a_connection_survives_a_cut(self):
        address = self.lab.zulu.address("mig0")
        with listen(self.lab.zulu, address) as server, connect(self.lab.alpha, address) as near:
            far, _ = server.accept()
            with far:
                far.settimeout(60)
                self.lab.link("mig0").cut()
                near.sendall(b"late")
                self.lab.link("mig0").restore()
                self.assertEqual(far.recv(16), b"late")

    def test_one_direction_can_be_cut(self):
        lab = self.lab
        with lab.alpha.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM) as alpha, \
                lab.zulu.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM) as zulu:
            for sock, host in ((alpha, lab.alpha), (zulu, lab.zulu)):
                sock.settimeout(20)
                sock.bind((host.address("mig0"), 7001))
                host.run(["ping", "-c", "1", "-W", "5", "10.70.0.1"])  # neighbours are known now
                host.run(["ping", "-c", "1", "-W", "5", "10.70.0.2"])
            for cable, direction in (("alpha:mig0", "out"), ("zulu:mig0", "in")):
                lab.link(cable).cut(direction)
                datagram(lab, lab.alpha, lab.zulu, b"lost")
                datagram(lab, lab.zulu, lab.alpha, b"back")
                self.assertEqual(alpha.recv(16), b"back")
                lab.link(cable).restore()
                datagram(lab, lab.alpha, lab.zulu, b"forth")
                self.assertEqual(zulu.recv(16), b"forth")

    def test_unplugging_takes_the_carrier_away(self):
        def carrier():
            shown = json.loads(self.lab.alpha.out("ip", "-j", "link", "show", "dev", "mig0"))
            return "NO-CARRIER" not in shown[0]["flags"]
        self.lab.link("alpha:mig0").unplug()
        wait_until(lambda: not carrier(), 10, "mig0 of alpha to lose its carrier")
        self.lab.link("alpha:mig0").restore()
        wait_until(carrier, 10, "mig0 of alpha to have a carrier again")

    def test_reset_aborts_connections_of_that_link_only(self):
        zulu, alpha = self.lab.zulu, self.lab.alpha
        with listen(zulu, "0.0.0.0") as server:
            doomed = connect(alpha, zulu.address("mig0"))
            doomed_far, _ = server.accept()
            other = connect(alpha, zulu.address("mig1"))
            other_far, _ = server.accept()
            doomed_far.settimeout(20)
            self.assertEqual(self.lab.link("mig0").reset(), 1)
            with self.assertRaises(ConnectionError):
                doomed.recv(1)
            with self.assertRaises(ConnectionError):
                doomed_far.recv(1)
            other.sendall(b"x")
            self.assertEqual(other_far.recv(1), b"x")
            for sock in (doomed, doomed_far, other, other_far):
                sock.close()
        connect_again = listen(zulu, zulu.address("mig0"), 7003)
        connect(alpha, zulu.address("mig0"), 7003).close()
        connect_again.close()

    def test_a_wire_delays_and_loses_and_can_be_taken_out(self):
        def fastest_ms():
            said = self.lab.alpha.out("ping", "-c", "3", "-i", "0.2", "-q", "10.70.0.2")
            return float(re.search(r"= ([0-9.]+)/", said)[1])
        link = self.lab.link("mig0")
        link.wire(delay_ms=50)
        self.assertGreaterEqual(fastest_ms(), 100)
        transfer(self.lab, 1 << 20)
        self.assertEqual(link.wire(loss_percent=100)["ok"], True)
        with self.assertRaises(TimeoutError):
            connect(self.lab.alpha, "10.70.0.2", timeout=0.5)
        self.lab.link("mig0").wire(rate_mbit=100)
        transfer(self.lab, 1 << 20)
        link.unwire()
        transfer(self.lab, 1 << 20)
        self.assertEqual(link.state()["alpha:mig0"].get("wire"), None)
        self.assertEqual(link.wire(delay_ms=1, queue=7)["ab"]["queue"], 7)
        transfer(self.lab, 1 << 20)
        self.assertEqual(link.wire_stats()["missed_a"], 0)
        link.unwire()
        with self.assertRaisesRegex(LabError, "not client:vlan500"):
            self.lab.link("client:vlan500").wire()

    def test_bad_links_and_rates_are_explained(self):
        with self.assertRaisesRegex(LabError, "no link mig9; there are .*mig0"):
            self.lab.link("mig9")
        with self.assertRaisesRegex(LabError, "is no rate: write e.g. 1gbit"):
            self.lab.link("mig0").limit("fast")

    def test_a_second_up_of_the_same_name_is_refused(self):
        with self.assertRaisesRegex(LabError, "is up already"):
            Lab(NAME).up()
        self.lab.alpha.run(["true"])

    def test_attach_finds_the_same_hosts(self):
        lab = Lab.attach(NAME)
        self.addCleanup(lab.close)
        self.lab.alpha.write("/run/mark", "here")
        self.assertEqual(lab.alpha.read("/run/mark"), "here")
        self.assertEqual(lab.alpha.plan, self.lab.alpha.plan)

    def test_libvirt_restarts_under_running_guests(self):
        alpha = self.lab.alpha
        guest = self.lab.create_vm("alpha", Vm("stay", number=9, disks=())).start()
        self.addCleanup(guest.stop)
        alpha.stop_libvirt()
        alpha.start_libvirt()
        self.assertEqual(guest.state(), "running")

    def test_a_guest_is_reached_on_both_vlans_and_on_a_plain_bridge(self):
        one = self.lab.create_vm("alpha", Vm("one", number=7)).start()
        self.addCleanup(one.stop)
        nic = Nic("br-plain", "10.50.0.8/24", openvswitch=False)
        two = self.lab.create_vm("zulu", Vm("two", number=8, nics=(nic,))).start()
        self.addCleanup(two.stop)
        for address in ("10.50.0.7", "10.60.0.7", "10.50.0.8"):
            wait_until(lambda: self.answers(address), 120, f"{address} to answer")
        with self.assertRaisesRegex(LabError, "to say “never” on its console; it said"):
            one.wait_serial("never", timeout=0)


    def test_stock_tools_can_move_a_guest_between_the_switches(self):
        zulu = self.lab.zulu
        guest = self.lab.create_vm("alpha", Vm("stock", number=11)).start()
        self.addCleanup(lambda: guest.stop())
        wait_until(lambda: self.answers("10.50.0.11"), 120, "the guest to answer")
        zulu.libvirtd_listen_tcp()
        before = self.lab.link("mig1").counters()["alpha"][0]
        stock_migrate(guest, zulu, {"vSwitch-VLAN500": ("Converged", 500),
                                    "vSwitch-VLAN600": ("Converged", 600)},
                      "/srv/ssd", network="mig1")
        self.assertEqual(guest.host, zulu)
        self.assertEqual(guest.state(), "running")
        self.assertEqual(guest.state(self.lab.alpha), "shut off")
        self.assertGreater(self.lab.link("mig1").counters()["alpha"][0] - before, 10 << 20)
        for address in ("10.50.0.11", "10.60.0.11"):
            wait_until(lambda: self.answers(address), 20, f"{address} to answer")
        info = zulu.out("qemu-img", "info", "-U", "--output=json", "/srv/ssd/stock.qcow2")
        self.assertEqual(json.loads(info)["format"], "qcow2")
        Guest(self.lab.alpha, guest.vm).stop()

    def answers(self, address):
        return self.lab.client.run(["ping", "-c", "1", "-W", "1", address],
                                   check=False).returncode == 0


class Side(unittest.TestCase):
    """Labs beside each other, their ends, and what others left."""

    def lab(self, suffix, **kwargs):
        lab = Lab(f"{NAME}-{suffix}", **kwargs)
        self.addCleanup(lab.down)
        return lab

    def test_two_labs_do_not_collide(self):
        labs = [self.lab("a", tie_to_parent=True).up(), self.lab("b", tie_to_parent=True).up()]
        servers = [listen(lab.zulu, lab.zulu.address("mig0")) for lab in labs]
        for lab, server in zip(labs, servers):
            near = connect(lab.alpha, lab.zulu.address("mig0"))
            near.sendall(lab.name.encode())
            far, _ = server.accept()
            self.assertEqual(far.recv(64), lab.name.encode())
            for sock in (near, far, server):
                sock.close()
        self.assertNotEqual(*(lab.alpha.virsh("capabilities") for lab in labs))
        labs[0].down()
        self.assertFalse(labs[0].is_alive())
        labs[1].zulu.run(["ovs-vsctl", "br-exists", "Converged"])
        self.assertEqual(labs[1].zulu.virsh("list", "--all"), "")

    def test_a_third_hypervisor_joins_every_network(self):
        plans = (topology.ALPHA, topology.ZULU, topology.another("kilo", 4))
        lab = self.lab("three", hypervisors=plans, tie_to_parent=True).up()
        for network in topology.NETWORKS:
            lab.kilo.run(["ping", "-c", "1", "-W", "5", lab.zulu.address(network)])
        lab.alpha.run(["ping", "-c", "1", "-W", "5", "kilo"])
        self.assertEqual(lab.kilo.virsh("list", "--all"), "")

    def test_the_state_folder_may_be_where_hosts_have_folders_of_their_own(self):
        for parent in ("/var/tmp", "/run"):
            with tempfile.TemporaryDirectory(dir=parent) as folder, \
                    unittest.mock.patch.dict(os.environ, FERRY_LAB_DIR=folder):
                with Lab("moved", tie_to_parent=True) as lab:
                    lab.alpha.write("/srv/x", "here")
                    self.assertTrue(lab.zulu.exists(f"{folder}/moved/alpha/srv/x"))
                self.assertFalse(os.path.exists(lab.folder))

    def test_down_leaves_nothing(self):
        before = machine()
        lab = self.lab("gone", tie_to_parent=True).up()
        guest = lab.create_vm("alpha", Vm()).start()
        pids = {}
        for host in lab.hosts.values():
            namespace = os.stat(f"/proc/{host.init.pid}/ns/pid").st_ino
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    if os.stat(f"/proc/{pid}/ns/pid").st_ino == namespace:
                        pids[pid] = start_time(pid)
                except (FileNotFoundError, PermissionError):
                    continue
        self.assertGreater(len(pids), 10)
        self.assertEqual(guest.state(), "running")
        lab.down()
        self.assertEqual([pid for pid, start in pids.items() if start_time(pid) == start], [])
        self.assertFalse(os.path.exists(lab.folder))
        self.assertEqual(machine(), before)

    def run_and_kill(self, name, ready, tie):
        """Bring a lab up in a process of its own and SIGKILL that once ready() is true."""
        script = (f"import sys; sys.path.insert(0, {SOURCE + '/lab'!r}); import ferrylab, signal; "
                  f"lab = ferrylab.Lab({name!r}, tie_to_parent={tie}).up(); "
                  "print('up', flush=True); signal.pause()")
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE,
                              text=True) as process:
            try:
                if ready:
                    wait_until(ready, 60, f"lab {name} to begin", interval=0.001)
                else:
                    self.assertEqual(process.stdout.readline(), "up\n")
            finally:
                process.send_signal(signal.SIGKILL)

    def test_a_tied_lab_ends_with_its_owner_and_the_next_lab_removes_its_folder(self):
        lab = self.lab("tied")
        self.run_and_kill(lab.name, None, tie=True)
        wait_until(lambda: not lab.is_alive(), 20, "the lab to end with its owner")
        self.assertTrue(os.path.exists(lab.folder))
        self.lab("next", tie_to_parent=True).up()
        self.assertFalse(os.path.exists(lab.folder))

    def test_leftovers_of_a_run_killed_on_the_way_up_are_cleared(self):
        lab = self.lab("half", tie_to_parent=True)
        database = "etc/openvswitch/conf.db"
        for stage in ("", "zulu/var", f"alpha/{database}", f"tor/{database}"):
            path = os.path.join(lab.folder, stage)
            self.run_and_kill(lab.name, lambda: os.path.exists(path), tie=False)
        lab.up()
        lab.alpha.run(["ping", "-c", "1", "-W", "5", "zulu"])

    def test_a_lab_that_lost_a_host_is_cleared(self):
        lab = self.lab("lame", tie_to_parent=True)
        self.run_and_kill(lab.name, None, tie=False)
        self.assertTrue(lab.is_alive())
        left = Lab.attach(lab.name)
        left.zulu.init.kill()
        wait_until(lambda: not left.zulu.init.alive(), 20, "zulu to die")
        left.close()
        with self.assertRaisesRegex(LabError, "has lost hosts: take it down"):
            Lab.attach(lab.name)
        lab.up()
        lab.alpha.run(["ping", "-c", "1", "-W", "5", "zulu"])


class CommandLine(unittest.TestCase):
    name = f"{NAME}-cli"

    def cli(self, *args):
        return subprocess.run([CLI, *args], capture_output=True, text=True, timeout=120,
                              check=False)

    def test_a_move_by_hand(self):
        """As README.md has it, up to the question whether it would work."""
        self.addCleanup(self.cli, "down", self.name)
        up = self.cli("up", self.name, "--ferry")
        self.assertEqual(up.returncode, 0, up.stderr)
        self.assertIn("web01 runs on alpha; ferryd runs there and on zulu", up.stdout)
        compare = ("ferry", self.name, "alpha", "compare", "web01", "zulu")
        refused = self.cli(*compare)
        self.assertEqual(refused.returncode, 3, refused.stderr)
        self.assertIn("--switch vSwitch-VLAN500=", refused.stdout)
        good = self.cli(*compare, "--switch", "vSwitch-VLAN500=Converged:500", "--switch",
                        "vSwitch-VLAN600=Converged:600", "--storage", "/var/lib/libvirt/images=/srv/ssd")
        self.assertEqual(good.returncode, 0, good.stdout + good.stderr)
        self.assertIn("web01 can move to zulu.", good.stdout)

    def test_the_whole_way(self):
        self.addCleanup(self.cli, "down", self.name)
        self.assertEqual(self.cli("up", self.name, "--set", "mig0=1gbit").returncode, 0)
        again = self.cli("up", self.name)
        self.assertEqual(again.returncode, 1)
        self.assertEqual(again.stderr.count("\n"), 1, again.stderr)
        done = self.cli("exec", self.name, "zulu", "--", "sh", "-c", "hostname; exit 7")
        self.assertEqual((done.returncode, done.stdout), (7, "zulu\n"))
        self.assertIn("1gbit", self.cli("link", self.name, "mig0", "show").stdout)
        self.assertEqual(self.cli("link", self.name, "zulu:mig0", "cut", "in").returncode, 0)
        status = self.cli("status").stdout
        self.assertIn(f"lab {self.name} is up", status)
        self.assertIn("cut_in", status)
        self.assertEqual(self.cli("down", self.name).returncode, 0)
        self.assertNotIn(self.name, self.cli("status").stdout)

    def test_mistakes_are_explained(self):
        for args, said in ((("exec", "nolab", "alpha", "--", "ls"), "lab nolab is not up"),
                           (("up", "No Name"), "cannot name a lab"),
                           (("up", "x", "--set", "mig0"), "--set wants LINK=RATE")):
            result = self.cli(*args)
            self.assertEqual(result.returncode, 1, args)
            self.assertIn(said, result.stderr)


if __name__ == "__main__":
    unittest.main()
