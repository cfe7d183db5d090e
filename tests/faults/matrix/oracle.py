# SPDX-License-Identifier: LGPL-2.1-or-later
"""What must be so when a fault is over, whatever it was: returns sentences about what is not."""

from ferrytest import FINAL, SSD, wait_until
from ferrylab import LabError

from .world import IMAGES, QEMU

LANDED = ("completed", "guest-died")


def judge(world, stops):
    """stops: sides ("source", "target") on which the fault may have ended the guest. (outcome, [sentence…])."""
    wrong = []
    source = world.new_moves(world.alpha)
    target = world.new_moves(world.zulu)
    if len(source) > 1 or len(target) > 1:
        wrong.append(f"{len(source)} moves on alpha and {len(target)} on zulu, where one was asked for")
    outcome = _outcome(source[0]) if source else "never began"
    # A guest that has died where it was started stays there, shut off (docs/design.md, "Proof of life").
    moved = outcome in LANDED
    said = _outcome(target[0]) if target else None
    if target and said != outcome and (moved or said in LANDED):
        wrong.append(f"alpha says {outcome}, zulu says {said}")
    if moved and not target:
        wrong.append(f"alpha says {outcome}, zulu knows no such move")
    if outcome in FINAL and outcome != "completed" and not (source[0]["error"] or {}).get("text"):
        wrong.append(f"alpha says {outcome} and not why")
    here, there = (world.zulu, world.alpha) if moved else (world.alpha, world.zulu)
    wrong += _runs(world, here, there, ("target" if moved else "source") in stops)
    wrong += _tidy(world, source[0] if source else None, moved)
    return outcome, wrong


def _outcome(move):
    return "guest-died" if (move["error"] or {}).get("code") == "guest-died" else move["phase"]


def _runs(world, here, there, may_be_off):
    """One copy, where the report says; it runs or, where its host was hit, can be started; it has lost nothing."""
    guest, wrong = world.guest, []
    guest.host = here
    state = guest.state(here)
    if guest.state(there) is not None:
        wrong.append(f"{guest.name} is known on {there.name} too: {guest.state(there)}")
    if state == "shut off" and may_be_off:
        if len(world.pids("source", "qemu") + world.pids("target", "qemu")):
            wrong.append("it is shut off, and a QEMU runs")
        guest.start()
        state = guest.state(here)
    if state != "running":
        return wrong + [f"{guest.name} is {state} on {here.name}, where it should run"]
    try:
        world.witness.wait_records(guest, 10, 120)
        wait_until(lambda: world.witness.stats(guest)["host"] == here.name, 10, f"{guest.name} to be heard from {here.name}")
    except LabError as error:
        return wrong + [str(error)]
    return wrong + world.witness.verify(guest)


def _tidy(world, move, moved):
    """Nothing is left of the move but what docs/design.md says, "What stays behind"."""
    wrong = []
    disks = {disk.path.rpartition("/")[2] for disk in world.guest.vm.disks}
    for host in world.hosts:
        left = host.out("sh", "-c", "ls -d /run/ferry/*-* 2>/dev/null; true").split()
        wrong += [f"{path} is left on {host.name}" for path in left]
        wanted = (host is world.zulu) == moved
        running = [argv for argv in host.processes().values()
                   if argv[0].endswith(QEMU) and "-name" in argv]
        if len(running) != wanted:
            wrong.append(f"{len(running)} QEMUs run on {host.name}")
        taps = [name for name in host.out("sh", "-c", "ls /sys/class/net").split() if name.startswith("vnet")]
        if len(taps) != (len(world.guest.vm.nics) if wanted else 0):
            wrong.append(f"{host.name} has the taps {taps}")
    at_target = set(world.zulu.out("sh", "-c", f"ls {SSD}").split())
    at_source = set(world.alpha.out("sh", "-c", f"ls {IMAGES}").split())
    if moved:
        expected = {path.rpartition("/")[2] for path in move["way_back"]["disks"]} if move["way_back"] else set()
        if at_target != disks:
            wrong.append(f"zulu holds {sorted(at_target)}, the VM has {sorted(disks)}")
        if at_source != expected:
            wrong.append(f"alpha holds {sorted(at_source)}, its way back says {sorted(expected)}")
        if not world.zulu.virsh("dominfo", world.guest.name).count("Persistent:     yes"):
            wrong.append("it is not defined on zulu")
    else:
        if at_source != disks:
            wrong.append(f"alpha holds {sorted(at_source)}, the VM has {sorted(disks)}")
        wrong += [f"{name} is left on zulu" for name in at_target if not name.endswith(".ferry-landed")]
    return wrong
