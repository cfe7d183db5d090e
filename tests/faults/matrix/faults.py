# SPDX-License-Identifier: LGPL-2.1-or-later
"""What can go wrong. Each fault has a name, strikes, lasts `seconds`, and is undone: by whatever undoes it in a data centre
(an init system that starts a daemon again, a cable that is put back).
"""

import signal

from ferrytest import SSD

from .world import FAULTY, IMAGES

SIDES = ("source", "target")
LINKS = ("alpha:mig0", "alpha:mig1", "alpha:mgmt")


class Fault:
    """world: the kind it needs (world.KINDS). stops: sides on which the guest may end. every: strikes at every point,
    else at one of each phase. link_timeout: of the move."""

    world, stops, every, seconds, link_timeout = "plain", (), True, 0, 10

    def __init__(self, name):
        self.name = name

    def possible(self, present):
        """Whether it can strike when these (side, kind) of processes are there."""
        return True

    def strike(self, world):
        raise NotImplementedError

    def undo(self, world):
        pass


class Kill(Fault):
    def __init__(self, side, kind):
        super().__init__(f"kill-{side}-{kind}")
        self.side, self.kind = side, kind
        self.stops = (side,) if kind == "qemu" else ()

    def possible(self, present):
        return (self.side, self.kind) in present

    def strike(self, world):
        for pid in world.pids(self.side, self.kind):
            world.host(self.side).run(["kill", "-9", str(pid)], check=False)

    def undo(self, world):
        host = world.host(self.side)
        if self.kind == "ferryd":
            host.ferryd.wait(10)
            world.start_ferryd(host)
        elif self.kind == "libvirtd":
            world.start_libvirtd(host)


class Stop(Fault):
    """SIGSTOP, and SIGCONT after a while: 8 s is beyond the time after which a silent peer is taken for dead."""

    def __init__(self, side, kind, seconds):
        super().__init__(f"stop-{side}-{kind}-{seconds}")
        self.side, self.kind, self.seconds = side, kind, seconds
        self.every = False
        self.stopped = []

    def possible(self, present):
        return (self.side, self.kind) in present

    def signal(self, world, number):
        for pid in self.stopped:
            world.host(self.side).run(["kill", f"-{int(number)}", str(pid)], check=False)

    def strike(self, world):
        self.stopped = world.pids(self.side, self.kind)
        self.signal(world, signal.SIGSTOP)

    def undo(self, world):
        self.signal(world, signal.SIGCONT)


class Power(Fault):
    """Every process of the hosts dies at the same moment; their disks keep what was flushed (lab/lossy)."""

    world = "power"

    def __init__(self, *sides):
        super().__init__("power-" + ("both" if len(sides) == 2 else sides[0]))
        self.stops = sides

    def strike(self, world):
        world.power_cut(*(world.host(side) for side in self.stops))

    def undo(self, world):
        for side in self.stops:
            world.boot(world.host(side))


class Cut(Fault):
    """Nothing crosses between the hosts: not at all, or only one way. Up to 31 s a move survives, 120 s it does not."""

    every, link_timeout = False, 40

    def __init__(self, direction, seconds):
        super().__init__(f"cut-{direction}-{seconds}")
        self.direction, self.seconds = direction, seconds

    def strike(self, world):
        for name in LINKS:
            world.lab.link(name).cut(self.direction)

    def undo(self, world):
        for name in LINKS:
            world.lab.link(name).restore()


class Faulty(Fault):
    """Disks that fail, a clock that jumps (lab/faulty): these lines are in force on these sides for a while."""

    every, seconds, world = False, 5, "faulty"

    def __init__(self, name, lines, *sides):
        super().__init__(name)
        self.lines, self.sides = lines, sides

    def strike(self, world):
        for side in self.sides:
            world.host(side).write(FAULTY, self.lines)

    def undo(self, world):
        for side in self.sides:
            world.host(side).run(["rm", FAULTY])


class Memory(Fault):
    """The target's libvirtd, worker and QEMU get no more memory than they have."""

    every, stops = False, ("target",)
    kinds = ("libvirtd", "worker", "qemu")

    def __init__(self):
        super().__init__("target-memory")

    def _limit(self, world, limit):
        for kind in self.kinds:
            for pid in world.pids("target", kind):
                size = limit or world.zulu.out("awk", "/^VmSize/ { print $2 * 1024 }", f"/proc/{pid}/status",
                                               check=False)
                world.zulu.run(["prlimit", "--pid", str(pid), f"--as={size}:unlimited"], check=False)

    def strike(self, world):
        self._limit(world, None)

    def undo(self, world):
        self._limit(world, "unlimited")
        if not world.pids("target", "libvirtd"):
            world.start_libvirtd(world.zulu)


class Lost(Fault):
    """A message is lost on its way: the hook of that name is told to do it wrong, every time it comes."""

    every = False

    def __init__(self, name, *wrong):
        super().__init__(name)
        self.wrong = wrong

    def strike(self, world):
        pass


def all_faults():
    kinds = ("worker", "ferryd", "libvirtd", "qemu")
    faults = [Kill(side, kind) for side in SIDES for kind in kinds]
    faults += [Power("source"), Power("target"), Power("source", "target")]
    faults += [Stop(side, kind, seconds) for side in SIDES for kind in kinds for seconds in (8, 40)]
    faults += [Cut(direction, seconds) for direction in ("both", "out", "in")
               for seconds in (1, 29, 31, 120)]
    faults += [Memory()]
    for error in ("ENOSPC", "EIO", "short"):
        faults += [Faulty(f"target-write-{error}", f"write {error} {SSD}/\n", "target")]
    faults += [Faulty("source-read-EIO", f"read EIO {IMAGES}/\n", "source")]
    for side in SIDES:
        faults += [Faulty(f"journal-ENOSPC-{side}", "write ENOSPC /var/lib/ferry/\n", side)]
        faults += [Faulty(f"clock-{side}{hours:+}h", f"clock {hours * 3600}\n", side) for hours in (1, -1)]
    # Those of the lab are good for ten years.
    faults += [Faulty("certificates-expire", f"clock {11 * 365 * 86400}\n", *SIDES)]
    return {fault.name: fault for fault in faults}


def find(name):
    """A fault by its name."""
    return {**all_faults(), **{fault.name: fault for fault in lost_messages().values()}}[name]


def lost_messages():
    """{case: fault}: they strike where the message is, nowhere else."""
    commit, started = "source wrong:send:commit", "target wrong:send:started"
    return {f"committing/{fault.wrong[0].replace(' wrong:', '.')}/{fault.name}": fault for fault in (
        Lost("lost-finish-reply", "target wrong:rpc:finish.reply"),
        Lost("lost-token", commit),
        Lost("lost-answer", started),
        Lost("lost-token-and-answer", commit, started),
        Lost("lost-http-answer", commit, "source wrong:http:POST.landings.ID.commit"))}
