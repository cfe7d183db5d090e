# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is measured and what is wanted of it. Only data."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Net:
    """The migration networks of a run. rate: of each of them in Mbit/s, 0 is unlimited; delay_ms: each way, by
    lab/wire, which then keeps the rate too."""
    rate: int = 0
    networks: tuple[str, ...] = ("mig0",)
    delay_ms: float = 0


@dataclasses.dataclass(frozen=True)
class Run:
    """One move as it is measured. Equal ones are run once a round, whatever cases they belong to.

    way: which of ways.WAYS. disk: which of disks.Disks. to: the disk's format at the target.
    """
    way: str
    disk: str
    net: Net
    to: str = "qcow2"


@dataclasses.dataclass(frozen=True)
class Case:
    """run is compared with against. time, wire: the ratios that are the goal, None: there is none.

    beside: run as well, to be looked at beside the two.
    """
    name: str
    title: str
    run: Run
    against: Run
    time: float | None = None
    wire: float | None = None
    beside: tuple[Run, ...] = ()

    @property
    def runs(self):
        return (self.against, self.run, *self.beside)


BLACKOUT_MORE_MS = 60  # than virsh's, in every case
WRITE_P99 = 1.5        # times that of the same guest before its move

GBIT = Net(1000)
HALF = Net(500)
BOTH = Net(500, ("mig0", "mig1"))
FAR = Net(500, delay_ms=25)
FREE = Net()

STOCK_DEBIAN = Run("virsh", "debian", GBIT)
STOCK_RANDOM = Run("virsh", "random", GBIT)


def cases(size):
    """All of them. size: MiB of incompressible data."""
    data = f"{size / 1024:g} GiB" if size >= 1024 else f"{size} MiB"
    half = f"{size / 2048:g} GiB" if size >= 2048 else f"{size // 2} MiB"
    return (
        Case("debian", "Debian + PostgreSQL, 4 GiB, 650 MiB used; 1 Gbit/s",
             Run("ferry", "debian", GBIT), STOCK_DEBIAN, 0.50, 0.42),
        Case("debian-back", "the same VM moved back, its old disk still there",
             Run("back", "debian", GBIT), STOCK_DEBIAN, 0.35, 0.10),
        Case("debian-template", "a VM from a template that the target has too",
             Run("template", "debian", GBIT), STOCK_DEBIAN, 0.35, 0.10),
        Case("random", f"{data} incompressible; 1 Gbit/s",
             Run("ferry", "random", GBIT), STOCK_RANDOM, 1.03, 1.02, (Run("tls", "random", GBIT),)),
        Case("random-retry", f"{data}, again after it was cut at 90 %; 1 Gbit/s",
             Run("retry", "random", GBIT), STOCK_RANDOM, 0.35, 0.12),
        Case("free-qcow2", f"{data} incompressible, no limit, to qcow2",
             Run("ferry", "random", FREE), Run("virsh", "random", FREE), 0.8, 1.02),
        Case("free-raw", f"{data} incompressible, no limit, to raw",
             Run("ferry", "random", FREE, "raw"), Run("virsh", "random", FREE, "raw"), 1.1, 1.02),
        Case("two-networks", f"{half} incompressible, 2 networks of 500 Mbit/s against one",
             Run("ferry", "half", BOTH), Run("ferry", "half", HALF), 0.55),
        Case("far", "Debian + PostgreSQL, 50 ms round trip, 500 Mbit/s",
             Run("ferry", "debian", FAR), Run("virsh", "debian", FAR), 0.50),
    )
