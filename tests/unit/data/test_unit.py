#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The unit of ferryd: systemd takes it, and it keeps the promises that moves depend on."""

import os
import re
import shutil
import subprocess
import tempfile
import unittest

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
UNIT = os.path.join(SOURCE, "data/ferryd.service.in")
ANALYZE = shutil.which("systemd-analyze")
EXPOSURE_MAX = 4.9  # of 10; from 5 on systemd-analyze calls it medium


def settings():
    with open(UNIT, encoding="utf-8") as unit:
        lines = [line.strip() for line in unit if re.match(r"\w+=", line)]
    return dict(line.split("=", 1) for line in lines)


class Promises(unittest.TestCase):
    def test_workers_outlive_ferryd(self):
        unit = settings()
        self.assertEqual(unit["KillMode"], "process")
        self.assertEqual(unit["RuntimeDirectoryPreserve"], "yes")
        self.assertEqual(unit["OOMPolicy"], "continue")

    def test_a_reload_with_wrong_settings_fails(self):
        with open(UNIT, encoding="utf-8") as unit:
            steps = re.findall(r"^ExecReload=(.*)$", unit.read(), re.MULTILINE)
        self.assertRegex(steps[0], "kill -HUP")  # first, so that ferryd can tell what it keeps
        self.assertRegex(steps[-1], "ferryd --check-config$")

    def test_disks_may_lie_anywhere(self):
        hiding = {"ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices", "DevicePolicy", "DeviceAllow",
                  "ProtectClock", "ReadOnlyPaths", "InaccessiblePaths", "TemporaryFileSystem", "RootDirectory",
                  "DynamicUser", "PrivateUsers", "PrivateNetwork", "User"}
        self.assertEqual(hiding & set(settings()), set())


@unittest.skipUnless(ANALYZE, "there is no systemd-analyze here")
class Analyzed(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="ferry-unit-")
        self.addCleanup(shutil.rmtree, self.dir)
        self.unit = os.path.join(self.dir, "ferryd.service")
        shutil.copy(shutil.which("true"), os.path.join(self.dir, "ferryd"))
        with open(UNIT, encoding="utf-8") as template, open(self.unit, "w", encoding="utf-8") as unit:
            unit.write(template.read().replace("@sbindir@", self.dir))

    def analyze(self, *args):
        return subprocess.run([ANALYZE, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=60, check=False)

    def test_it_is_understood(self):
        told = self.analyze("verify", "--man=no", self.unit)
        # Other units of this machine are looked at on the way: what is said of them is not about ours.
        ours = [line for line in told.stdout.splitlines() if "ferryd" in line]
        self.assertEqual(ours, [], told.stdout)

    def test_it_takes_away_what_is_not_needed(self):
        told = self.analyze("security", "--offline=true", self.unit)
        if "unrecognized option" in told.stdout:
            self.skipTest("this systemd-analyze cannot look at files")
        exposure = re.search(r"exposure level for ferryd\.service: ([0-9.]+)", told.stdout)
        self.assertIsNotNone(exposure, told.stdout)
        self.assertLessEqual(float(exposure[1]), EXPOSURE_MAX, told.stdout)


if __name__ == "__main__":
    unittest.main()
