#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host of the lab loses its power, and comes back with what was flushed."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../lab"))
from ferrylab import Lab, LabError, Vm  # noqa: E402

WRITE = """
import os
for name, flush in (("kept", True), ("lost", False)):
    with open("/srv/" + name, "r+b") as file:
        file.write(b"new")
        file.flush()
        if flush:
            os.fsync(file.fileno())
"""


class Power(unittest.TestCase):
    def test_what_was_not_flushed_is_gone(self):
        with Lab("power", tie_to_parent=True, lossy={"alpha": 0}) as lab:
            alpha = lab.alpha
            alpha.run(["sh", "-c", "echo old >/srv/kept; echo old >/srv/lost; sync"])
            alpha.run(["/usr/bin/python3", "-c", WRITE])
            lab.power_cut("alpha")
            lab.power_on("alpha")
            self.assertEqual("new\n", alpha.read("/srv/kept"))
            self.assertEqual("old\n", alpha.read("/srv/lost"))

    def test_cables_switches_and_libvirt_are_back(self):
        with Lab("power-2", tie_to_parent=True, lossy={"alpha": 0, "zulu": 0}) as lab:
            lab.create_vm("alpha", Vm())
            lab.alpha.run(["sync"])
            lab.link("mig1").unplug()
            lab.power_cut("alpha", "zulu")
            lab.power_on("alpha")
            lab.power_on("zulu")
            lab.alpha.run(["ping", "-c1", "-W5", lab.zulu.address("mig0")])
            lost = lab.alpha.run(["ping", "-c1", "-W1", lab.zulu.address("mig1")], check=False)
            self.assertNotEqual(0, lost.returncode, "an unplugged cable stays unplugged")
            guest = lab.create_vm("zulu", Vm(name="web02", number=2, nics=(), disks=()))
            guest.start().wait_up()
            self.assertIn("web01", lab.alpha.virsh("list", "--all"))

    def test_only_a_host_with_such_a_disk_can_lose_its_power(self):
        with Lab("power-3", tie_to_parent=True) as lab:
            with self.assertRaisesRegex(LabError, "lossy"):
                lab.power_cut("alpha")


if __name__ == "__main__":
    unittest.main()
