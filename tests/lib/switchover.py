# SPDX-License-Identifier: LGPL-2.1-or-later
"""A FerryCase's way into the switchover: the guest is stopped, and the target's libvirt does not answer Finish3 yet."""

from ferrytest import STORAGE, SWITCHES, wait_until


class Switchover:
    def links(self, action, *arguments):
        for name in ("alpha:mig0", "alpha:mig1"):
            getattr(self.lab.link(name), action)(*arguments)

    def mgmt(self):
        """alpha's way to zulu's control port; whole again when the test ends."""
        link = self.lab.link("alpha:mgmt")
        self.addCleanup(link.restore)
        return link

    def hold_before_the_reply(self, guest=None, storage=STORAGE):
        guest = guest or self.new_guest()
        self.links("limit", "100mbit")
        self.addCleanup(self.links, "unlimited")
        self.addCleanup(self.links, "restore")
        self.witness.guest(guest, "set dirty=200")
        move = self.start_move(guest, *SWITCHES, *storage)
        self.wait_phase(move, "synchronizing")
        go = self.stopped(self.zulu, "libvirtd")
        self.witness.guest(guest, "set dirty=0")
        self.wait_phase(move, "switching")
        # The call is there when it lies unread in the stopped daemon's socket.
        wait_until(self.unread, 60, "Finish3 to reach zulu's libvirtd")
        return guest, move, go

    def unread(self):
        lines = [line.split() for line in self.zulu.out("ss", "-xH").splitlines()]
        return any(words[2] != "0" and words[4].endswith("libvirt-sock") for words in lines)
