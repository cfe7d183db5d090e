# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs what the cases need, in rounds, each the other way round than the one before."""

import subprocess
import sys

from ferrylab import LabError

from .disks import Disks, Missing
from .meters import measure
from .stage import Stage
from .ways import WAYS


def tell(text):
    print(text, file=sys.stderr, flush=True)


def plan(cases):
    """Every run once, those of a case beside each other."""
    return list(dict.fromkeys(run for case in cases for run in case.runs))


def one(stage, disks, run):
    """The figures of one move of a fresh VM."""
    image = disks.path(run.disk)
    stage.settings(run.net.networks)
    stage.networks(None)
    guest = stage.guest(image)
    move = WAYS[run.way](stage, guest, run, image)
    stage.networks(run.net)
    figures = measure(stage, guest, disks.data_gib(run.disk), move)
    stage.verify(guest)
    return figures


def name_of(run):
    net = f"{run.net.rate} Mbit/s" if run.net.rate else "no limit"
    if len(run.net.networks) > 1:
        net = f"{len(run.net.networks)} × {net}"
    if run.net.delay_ms:
        net += f", {run.net.delay_ms * 2:g} ms"
    return f"{run.way}, {run.disk} to {run.to}, {net}"


def everything(cases, size, rounds):
    """Returns ({run: [figures]}, {run: why it is not there}). A run that failed is not tried again."""
    disks, results, failures = Disks(size), {}, {}
    runs = plan(cases)
    for run in runs:
        try:
            disks.path(run.disk)
        except (Missing, subprocess.SubprocessError, OSError) as error:
            failures[run] = f"skipped: the disk “{run.disk}” cannot be made: {error}"
    for run in failures:
        tell(f"{name_of(run)}: {failures[run]}")
    with Stage() as stage:
        for number in range(rounds):
            for run in (runs if number % 2 else runs[::-1]):
                if run in failures:
                    continue
                try:
                    figures = one(stage, disks, run)
                except (LabError, AssertionError) as error:
                    failures[run] = f"failed in round {number + 1}: {error}"
                    tell(f"round {number + 1}: {name_of(run)}: {failures[run]}")
                else:
                    results.setdefault(run, []).append(figures)
                    tell(f"round {number + 1}: {name_of(run)}: {figures['total_seconds']:.2f} s, "
                         f"{figures['wire_mib']:.0f} MiB")
                stage.clean()
    return results, failures
