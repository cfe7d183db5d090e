# SPDX-License-Identifier: LGPL-2.1-or-later
"""A fixed part of the fault matrix (tests/faults), and a Ferry that is broken on purpose: does the oracle see it?"""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../faults"))
import ferrytest  # noqa: E402, F401
from hooks import has_hooks  # noqa: E402
from matrix import case, faults  # noqa: E402
from matrix.world import World  # noqa: E402

ASAN = True  # the build that has hooks

CASES = (
    "comparing/source.libvirt:measure.before/kill-source-libvirtd",
    "landing/source.http:POST.landings.after/kill-target-worker",
    "mirroring/target.rpc:prepare.call.after/kill-source-ferryd",
    "synchronizing/source.journal:switching.before/kill-source-worker",
    "switching/target.rpc:finish.reply.before/kill-target-qemu",
    "committing/source.journal:given-up.after/kill-source-worker",
    "committing/target.journal:accepted.after/kill-target-worker",
    "committing/target.libvirt:resume.after/kill-target-libvirtd",
)


@unittest.skipUnless(has_hooks(), "needs a build with -Dtest-hooks=true")
class Faults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(f"t-faults-{os.getpid()}")
        cls.world.__enter__()
        cls.addClassCleanup(cls.world.__exit__)

    def setUp(self):
        self.addCleanup(self.world.drop_guest)

    def good(self, name):
        fault = faults.find(name.split("/")[2])
        result = case.run(self.world, name, fault)
        self.assertEqual((result["verdict"], result["wrong"]), ("good", []), result)

    def broken(self, point, fault, mutations, finds):
        """With these hooks done wrong the case is bad, and it is said why."""
        result = case.run(self.world, f"committing/{point}/{fault.name}", fault, mutations)
        self.assertEqual(result["verdict"], "bad", result)
        self.assertRegex("; ".join(result["wrong"]), finds)

    def test_a_message_is_lost(self):
        for name, fault in faults.lost_messages().items():
            if fault.name in ("lost-token-and-answer", "lost-finish-reply"):
                with self.subTest(name):
                    self.good(name)
                    self.world.drop_guest()

    def test_a_give_up_that_is_not_durable_is_found(self):
        self.broken("target.libvirt:resume.after", faults.Kill("source", "worker"), ["source wrong:given-up"],
                    "two copies|known on")

    def test_a_source_that_resumes_without_the_targets_word_is_found(self):
        self.broken("target.heard:commit.before", faults.Cut("both", 12), ["source wrong:handover.fence"],
                    "two copies|known on")

    def test_a_write_that_is_acknowledged_and_not_made_is_found(self):
        self.broken("target.journal:accepted.after", faults.Kill("target", "ferryd"), ["target wrong:sink.write"],
                    "lost|corrupt|missing|not heard|in vain")


def add(name):
    def test(self):
        self.good(name)
    setattr(Faults, "test_" + "_".join(name.split("/")), test)


for each in CASES:
    add(each)


if __name__ == "__main__":
    unittest.main()
