# SPDX-License-Identifier: LGPL-2.1-or-later
"""What moves have left behind is found when ferryd starts: adopted if the journal explains it, else shown; and no VM is
touched."""

import json
import os
import signal
import sqlite3
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from ferrytest import STORAGE, SWITCHES, FerryCase, wait_until  # noqa: E402

JOURNAL = "/var/lib/ferry/journal.db"
IMAGES = "/var/lib/libvirt/images"


class Orphans(FerryCase):
    def kept(self, sql):
        def ask():
            with sqlite3.connect(JOURNAL) as db:
                rows = db.execute(sql).fetchall()
            db.close()
            return rows
        return self.alpha.call(ask)

    def left_behind(self, host):
        found = json.loads(host.ferry("--json", "version").stdout)["left_behind"]
        return {(one["code"], one["subject"]) for one in found}

    def test_found_when_ferryd_starts(self):
        guest = self.new_guest()
        definition = self.alpha.virsh("dumpxml", "--inactive", guest.name)
        _, last = self.migrate(guest, *SWITCHES, *STORAGE)
        disks = last["way_back"]["disks"]
        # A job directory without a worker, a row lost, a stranger's file, the definition back again; a guest at zulu that
        # nobody has moved there.
        self.alpha.stop_ferryd(signal.SIGKILL)
        self.kept(f"DELETE FROM kept WHERE path = '{disks[0]}'")
        job = "/run/ferry/00000000-0000-4000-8000-000000000000"
        self.alpha.run(["mkdir", "-p", f"{job}/qemu"])
        stranger = f"{IMAGES}/other.raw.ferry-12345678"
        self.alpha.write(stranger, "mine\n")
        self.alpha.write("/run/back.xml", definition)
        self.alpha.virsh("define", "/run/back.xml")
        loose = self.new_guest("loose", host="zulu", start=False, nics=())
        self.zulu.write("/run/loose.xml", self.zulu.virsh("dumpxml", "--inactive", loose.name))
        self.zulu.virsh("undefine", loose.name)
        self.zulu.virsh("create", "/run/loose.xml", "--paused")
        self.zulu.stop_ferryd(signal.SIGKILL)
        self.alpha.start_ferryd()
        self.zulu.start_ferryd()

        expected = {("FERRY-1202", stranger), ("FERRY-1205", guest.name)}
        wait_until(lambda: self.left_behind(self.alpha) == expected, 60,
                   f"alpha to find what is left: {self.left_behind(self.alpha)}")
        wait_until(lambda: self.left_behind(self.zulu) == {("FERRY-1204", loose.name)}, 60,
                   f"zulu to find what is left: {self.left_behind(self.zulu)}")
        self.assertIn(guest.name, self.alpha.ferry("version").stdout)
        self.assertIn("left behind", self.alpha.read("/var/log/ferry/ferryd.log"))
        self.assertEqual(len(self.kept(f"SELECT * FROM kept WHERE path = '{disks[0]}'")), 1)
        self.assertFalse(self.alpha.exists(job))
        self.assertEqual(self.alpha.read(stranger), "mine\n")
        self.assertEqual(guest.state(self.alpha), "shut off")
        self.assertEqual(loose.state(self.zulu), "paused")
        self.alpha.virsh("undefine", guest.name)
        self.zulu.virsh("destroy", loose.name)
        self.assert_runs_at(guest, self.zulu)


if __name__ == "__main__":
    unittest.main()
