# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the target holds already is not sent to it, whoever says so, and nothing is trusted unread."""

import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from ferrytest import SSD, STORAGE, SWITCHES, FerryCase, conf, vm, wait_until  # noqa: E402
from ferrylab.paths import program  # noqa: E402

MIB = 1 << 20
EXTRA_MIB = 192  # of what no compression shortens, in a disk of its own
IMAGES = "/var/lib/libvirt/images"
EXTRA = f"{IMAGES}/web01-extra.raw"
LANDED = f"{SSD}/web01-extra.raw.ferry-landed"
TEMPLATES = "/srv/templates"


class Seeds(FerryCase):
    VM = {"memory_mib": 128, "cmdline": {"writes": 20}}

    def limit(self, rate):
        for name in ("mig0", "mig1"):
            self.lab.link(name).limit(rate)
            self.addCleanup(self.lab.link(name).unlimited)

    def guest_with(self, content="head -c 192M /dev/urandom", form="raw", name="web01"):
        """A guest with one disk more, of EXTRA_MIB, that holds what this shell command says."""
        extra = f"{IMAGES}/{name}-extra.{form}"
        guest = self.new_guest(name=name, start=False,
                               disks=(*vm.images(name), vm.Disk(extra, form, EXTRA_MIB)))
        self.alpha.run(["sh", "-c", f"{content} > /run/content && qemu-img convert -n -f raw -O {form} "
                                    f"/run/content {extra} && rm /run/content"])
        guest.start()
        self.witness.watch(guest)
        wait_until(lambda: self.records_or_none(guest), 180, "the guest to be heard")
        return guest

    def configure(self, host=None, **groups):
        host = host or self.zulu
        self.set_conf(host, conf(**groups))
        self.addCleanup(self.set_conf, host, conf())

    def set_conf(self, host, text):
        host.stop_ferryd()
        host.start_ferryd(conf_text=text)

    def extra_at(self, last):
        return next(disk["new_path"] for disk in last["changes"]["disks"] if disk["target"] == "vdc")

    def image(self, host, path, form="raw"):
        """The digest of what the guest has never written: all behind the records at the beginning."""
        host.run(["qemu-img", "convert", "-U", "-f", form, "-O", "raw", path, "/run/image"])
        self.addCleanup(host.run, ["rm", "-f", "/run/image"])
        return host.out("sh", "-c", f"tail -c +{16 * MIB + 1} /run/image | sha256sum")

    def allocated(self, host, path):
        return int(host.out("stat", "-c", "%b", path)) * 512

    def fail_late(self, guest, *options, path=f"{SSD}/web01-extra.raw"):
        """A move that is cancelled when most of the extra disk has landed; returns how much had."""
        self.limit("400mbit")
        move = self.start_move(guest, *SWITCHES, *STORAGE, *options)
        wait_until(lambda: self.zulu.exists(path) and self.allocated(self.zulu, path) > 150 * MIB, 120,
                   "most of the disk to land")
        self.alpha.ferry("cancel", move)
        self.assertEqual(self.wait_final(move)["phase"], "cancelled")
        self.assert_runs_at(guest, self.alpha)
        wait_until(lambda: not self.zulu.workers(), 30, "the landing to be tidied")
        for name in ("mig0", "mig1"):
            self.lab.link(name).unlimited()

    def retry(self, guest, *options):
        """Over a link that leaves the scan time to be ahead of the mirror."""
        self.limit("400mbit")
        before = self.image(self.alpha, guest.vm.disks[2].path, guest.vm.disks[2].format)
        _, last = self.migrate(guest, *SWITCHES, *STORAGE, *options)
        self.assertEqual(last["phase"], "completed")
        self.assert_runs_at(guest, self.zulu)
        form = next(d["new_format"] for d in last["changes"]["disks"] if d["target"] == "vdc")
        self.assertEqual(self.image(self.zulu, self.extra_at(last), form), before)
        return last

    def assert_found(self, last, mib):
        print(f"{last['found_bytes'] / MIB:.0f} MiB found, {last['wire_bytes'] / MIB:.0f} of "
              f"{last['logical_bytes'] / MIB:.0f} sent")
        self.assertGreater(last["found_bytes"], mib * MIB, last)
        # What crossed is what else there was: memory, the guest's other disks, and little more.
        self.assertLess(last["wire_bytes"], last["logical_bytes"] - last["found_bytes"] * 0.95)

    def assert_forgotten(self, path):
        """ferryd deletes within a minute or so what has served."""
        wait_until(lambda: not self.zulu.exists(path), 180, f"{path} to be deleted")

    def test_a_retry_sends_the_rest(self):
        guest = self.guest_with()
        self.fail_late(guest)
        self.assertGreater(self.allocated(self.zulu, LANDED), 140 * MIB)
        last = self.retry(guest)
        self.assert_found(last, 130)
        shown = self.alpha.ferry("status", last["id"]).stdout
        self.assertRegex(shown, r"found\s+1\d\d(\.\d)? MiB of that the target had already")
        self.assert_forgotten(LANDED)

    def test_a_retry_into_another_format(self):
        """Found in a raw image, written to a qcow2 one, and the other way round."""
        guest = self.guest_with(form="qcow2")
        self.fail_late(guest, "--format", "vdc=qcow2", path=f"{SSD}/web01-extra.qcow2")
        self.assert_found(self.retry(guest, "--format", "vdc=raw"), 130)

    def test_a_damaged_seed_harms_nothing(self):
        guest = self.guest_with()
        self.fail_late(guest)
        # Every eighth block of it is not what it was.
        self.zulu.run(["sh", "-c", f"for i in $(seq 20 8 2400); do printf x | dd of={LANDED} bs=1 count=1 "
                                   "seek=$((i * 65536 + 12345)) conv=notrunc status=none; done"])
        last = self.retry(guest)
        self.assert_found(last, 100)
        damaged = len(range(20, 2401, 8))
        self.assertLessEqual(last["found_bytes"], EXTRA_MIB * MIB - damaged * 65536)

    def test_a_second_failure_keeps_what_the_first_left(self):
        guest = self.guest_with()
        self.fail_late(guest)
        before = self.allocated(self.zulu, LANDED)
        self.limit("20mbit")
        move = self.start_move(guest, *SWITCHES, *STORAGE)
        self.wait_phase(move, "mirroring")
        self.alpha.ferry("cancel", move)
        self.wait_final(move)
        wait_until(lambda: not self.zulu.workers(), 30, "the landing to be tidied")
        self.assertEqual(self.allocated(self.zulu, LANDED), before)
        self.assert_found(self.retry(guest), 130)

    def test_keep_landed_of_zero_hours_keeps_nothing(self):
        self.configure(migrations={"keep-landed": "0"})
        guest = self.guest_with()
        self.fail_late(guest)
        self.assertEqual(self.zulu.out("find", SSD, "-type", "f"), "")
        self.assertEqual(self.retry(guest)["found_bytes"], 0)

    def test_landed_data_makes_room_for_the_move(self):
        self.zulu.run(["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", SSD])
        self.addCleanup(self.zulu.run, ["umount", "-l", SSD])
        guest = self.guest_with()
        self.fail_late(guest)
        self.zulu.run(["sh", "-c", f"head -c 60M /dev/zero > {SSD}/others"])
        last = self.retry(guest)
        self.assertEqual(last["found_bytes"], 0)
        self.assertFalse(self.zulu.exists(LANDED))

    def test_the_way_back_serves_the_return(self):
        guest = self.guest_with()
        self.limit("400mbit")
        _, last = self.migrate(guest, *SWITCHES, *STORAGE)
        self.assert_runs_at(guest, self.zulu)
        _, back = self.migrate(guest, "--switch", "Converged=vSwitch-VLAN500:untagged",
                               "--storage", f"{SSD}={IMAGES}", target="alpha", host=self.zulu)
        self.assertEqual(back["phase"], "completed")
        self.assert_runs_at(guest, self.alpha)
        self.assert_found(back, 120)
        # It is back: what was kept for that is of no use any more.
        for path in last["way_back"]["disks"]:
            wait_until(lambda p=path: not self.alpha.exists(p), 60, f"{path} to be deleted")

    def template(self, host, where):
        """An image at `where`, and the command that gives its content on alpha: both halves are its."""
        host.run(["mkdir", "-p", os.path.dirname(where)])
        self.addCleanup(host.run, ["rm", "-rf", os.path.dirname(where)])
        key = "openssl enc -aes-128-ctr -pass pass:seeds -nosalt -md sha256 2>/dev/null < /dev/zero"
        content = f"{key} | head -c {EXTRA_MIB}M"
        form = "qcow2" if where.endswith("qcow2") else "raw"
        host.run(["sh", "-c", f"{content} > /run/content && qemu-img convert -f raw -O {form} "
                              f"/run/content {where} && rm /run/content"])
        return content

    def test_templates_are_seeds_where_they_are_named(self):
        content = self.template(self.zulu, f"{TEMPLATES}/golden.qcow2")
        guest = self.guest_with(content)
        # There, but nobody has said so.
        self.limit("400mbit")
        _, last = self.migrate(guest, *SWITCHES, *STORAGE)
        self.assert_runs_at(guest, self.zulu)
        self.assertEqual(last["found_bytes"], 0)
        # Another VM, and a target that names it.
        self.configure(seeds={"templates": TEMPLATES})
        other = self.guest_with(content, name="web02")
        last = self.retry(other)
        self.assert_found(last, 120)

    def test_disks_of_vms_are_no_templates(self):
        """Though the directory is named: what a VM of this host writes to is that VM's."""
        self.configure(seeds={"templates": SSD})
        content = self.template(self.alpha, "/srv/made/content.raw")
        guest = self.guest_with(content)
        self.limit("400mbit")
        self.migrate(guest, *SWITCHES, *STORAGE)
        self.assert_runs_at(guest, self.zulu)
        other = self.guest_with(content, name="web02")
        self.assertEqual(self.retry(other)["found_bytes"], 0)

    def clone(self, base):
        """A VM of zulu's whose disk is a linked clone of this image."""
        disk = vm.Disk(f"{SSD}/clone01.qcow2", "qcow2", EXTRA_MIB)
        other = self.new_guest(name="clone01", host="zulu", start=False, disks=(disk,))
        form = base.rsplit(".", 1)[1]
        self.zulu.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", form, disk.path])
        return other

    def test_the_base_of_linked_clones(self):
        """It serves where the administrator has named it as shared, and nowhere else."""
        content = self.template(self.zulu, f"{TEMPLATES}/web01-extra.raw")
        self.clone(f"{TEMPLATES}/web01-extra.raw")
        self.configure(seeds={"same-name": TEMPLATES})
        guest = self.guest_with(content)
        self.assertEqual(self.retry(guest)["found_bytes"], 0)
        self.set_conf(self.zulu, conf(seeds={"templates": TEMPLATES}))
        other = self.guest_with(content, name="web02")
        self.assert_found(self.retry(other), 120)

    def test_an_image_of_the_same_name(self):
        content = self.template(self.zulu, "/srv/backups/web01-extra.raw")
        self.configure(seeds={"same-name": "/srv/backups"})
        other = self.guest_with(content, name="web02")
        self.assertEqual(self.retry(other)["found_bytes"], 0)
        guest = self.guest_with(content)
        self.assert_found(self.retry(guest), 120)

    def test_an_index_saves_the_reading(self):
        content = self.template(self.zulu, f"{TEMPLATES}/golden.raw")
        self.configure(seeds={"templates": TEMPLATES})
        index = wait_until(lambda: self.zulu.out("sh", "-c", "ls /var/lib/ferry/seeds/*.index || true"), 60,
                           "ferryd to have an index made")
        self.assertEqual(len(index.split()), 1)
        guest = self.guest_with(content)
        self.assert_found(self.retry(guest), 120)
        self.assertIn("golden.raw (template): known by its index", self.zulu.read("/var/log/ferry/ferryd.log"))
        # A template that has gone has no index for long.
        self.zulu.run(["rm", f"{TEMPLATES}/golden.raw"])
        self.zulu.run([program("src/worker/ferry-worker"), "--index"])
        self.assertFalse(self.zulu.exists(index))


if __name__ == "__main__":
    unittest.main()
