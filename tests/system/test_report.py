# SPDX-License-Identifier: LGPL-2.1-or-later
"""A comparison that is kept, and executed later: exactly that move, or none."""

import json
import os
import sys

import jsonschema

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from ferrytest import SSD, STORAGE, SWITCHES, FerryCase, vm  # noqa: E402

SCHEMA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/compare.schema.json")
REPORT = "/root/report.json"


class Report(FerryCase):
    WITNESS = False

    def compare(self, *args, check=True):
        self.alpha.ferry("compare", *args, "zulu", *SWITCHES, *STORAGE, "--output", REPORT, check=check)
        report = json.loads(self.alpha.read(REPORT))
        with open(SCHEMA, encoding="utf-8") as file:
            jsonschema.Draft202012Validator(json.load(file)).validate(report)
        return report

    def test_executed(self):
        guest = self.new_guest()
        report = self.compare(guest.name)
        one, = report["comparisons"]
        self.assertEqual((one["source"], one["machine"]["vcpus"], one["vm_uuid"]),
                         ("alpha", guest.vm.vcpus, self.alpha.virsh("domuuid", guest.name)))
        result = self.alpha.ferry("migrate", "--report", REPORT, check=False)
        self.assertEqual(result.returncode, 0, self.story(result))
        self.assert_runs_at(guest, self.zulu)
        self.assertEqual({disk["new_path"] for disk in one["changes"]["disks"]},
                         set(self.zulu.out("sh", "-c", f"ls -d {SSD}/*").split()))

    def test_the_world_has_changed(self):
        """Another switch is meant, another disk is there, another VM has the name: each is said, and nothing is done."""
        guest = self.new_guest(disks=(vm.Disk("/var/lib/libvirt/images/web01.raw", "raw", 64),))
        report = self.compare(guest.name)
        changed = json.loads(json.dumps(report))
        one = changed["comparisons"][0]
        one["changes"]["disks"][0]["new_path"] = f"{SSD}/other.raw"
        one["changes"]["nics"][0]["vlans"] = [600]
        one["vm_uuid"] = "00000000-0000-4000-8000-000000000001"
        self.alpha.write(REPORT, json.dumps(changed))
        result = self.alpha.ferry("migrate", "--report", REPORT, check=False)
        self.assertEqual(result.returncode, 3, self.story(result))
        said = result.stdout + result.stderr
        for words in ("not the move of the report any more", "vm_uuid was 00000000",
                      f"new_path was {SSD}/other.raw and is {SSD}/web01.raw now",
                      "vlans was [600] and is [500] now"):
            self.assertIn(words, said)
        self.alpha.write(REPORT, json.dumps(report))
        self.alpha.run(["qemu-img", "create", "-q", "-f", "raw", "/var/lib/libvirt/images/more.raw", "8M"])
        self.alpha.virsh("attach-disk", guest.name, "/var/lib/libvirt/images/more.raw", "vdb", "--live")
        result = self.alpha.ferry("migrate", "--report", REPORT, check=False)
        self.assertEqual(result.returncode, 3, self.story(result))
        self.assertIn("disk vdb was not there", result.stdout + result.stderr)
        self.assertEqual(guest.state(self.alpha), "running")
        self.assert_tidy(guest, self.zulu)

    def test_all_vms_of_the_host(self):
        guest, off = self.new_guest(), self.new_guest("off01", start=False)
        report = self.compare("--all", check=False)
        found = {one["vm"]: one for one in report["comparisons"]}
        self.assertEqual(set(found), {guest.name, off.name})
        self.assertTrue(found[guest.name]["possible"])
        self.assertEqual([one["code"] for one in found[off.name]["findings"]], ["FERRY-1002"])
        result = self.alpha.ferry("migrate", "--report", REPORT, check=False)
        self.assertEqual(result.returncode, 2)
        self.assertIn("/possible: this move was not possible", result.stderr)
