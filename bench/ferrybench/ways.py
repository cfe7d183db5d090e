# SPDX-License-Identifier: LGPL-2.1-or-later
"""The ways a VM gets from one host to the other: each prepares what it needs and returns what is timed."""

from ferrylab import LabError, stock_prepare, stock_run, wait_until
from ferrytest import FINAL, SSD, SWITCHES

from .cases import Net
from .stage import IMAGES

VLANS = {"vSwitch-VLAN500": ("Converged", 500), "vSwitch-VLAN600": ("Converged", 600)}
CUT_AT = 0.9       # of the disk
CUT_SECONDS = 20   # the try that is cut takes at least so long, so that it can be cut there


def there(run, *more):
    """Options of a move from alpha to zulu."""
    return (*SWITCHES, "--storage", f"{IMAGES}={SSD}", "--format", f"*={run.to}", *more)


def migrate(stage, guest, run, *more):
    stage.alpha.ferry("migrate", guest.name, "zulu", *there(run, *more))
    guest.host = stage.zulu


def ferry(stage, guest, run, image):
    return lambda: migrate(stage, guest, run, "--way-back", "0")


def template(stage, guest, run, image):
    stage.template(image)
    stage.settings(run.net.networks, templates=True)
    return ferry(stage, guest, run, image)


def back(stage, guest, run, image):
    """From zulu to alpha, where the disk is kept that it had before it went to zulu."""
    migrate(stage, guest, run, "--way-back", "24")
    stage.witness.wait_records(guest, 200)  # what it has written there has to come back too
    options = [f"--switch={guest.vm.mac(index)}={nic.switch}:untagged"
               for index, nic in enumerate(guest.vm.nics)]
    options += ["--storage", f"{SSD}={IMAGES}", "--way-back", "0"]

    def move():
        stage.zulu.ferry("migrate", guest.name, "alpha", *options)
        guest.host = stage.alpha
    return move


def retry(stage, guest, run, image):
    """A second try, after the first was cancelled when so much of the disk was there."""
    slow = max(image_bits(stage, guest) // (CUT_SECONDS * 10**6), 1)
    stage.networks(Net(min(slow, run.net.rate or slow)))
    stage.alpha.ferry("migrate", "--detach", guest.name, "zulu", *there(run, "--way-back", "0"))

    def status():
        return stage.alpha.api("GET", f"/v1/migrations/{guest.name}")[1]

    def far_enough():
        now = status()
        if now["phase"] in ("queued", "comparing", "landing"):
            return False
        if now["phase"] == "synchronizing":
            return True  # QEMU tells of 16 MiB at once: a small disk is seldom seen at 90 %
        if now["phase"] != "mirroring":
            raise LabError(f"the first try was {now['phase']} before it could be cut: {now['error']}")
        copied = now["progress"]
        return copied and copied["total"] and copied["done"] >= CUT_AT * copied["total"]
    wait_until(far_enough, 600, f"{CUT_AT:.0%} of the disk of {guest.name} to be copied", 0.02)
    stage.alpha.ferry("cancel", guest.name)
    wait_until(lambda: status()["phase"] in FINAL, 120, "the first try to end")
    if status()["phase"] == "completed":
        raise LabError("the first try was through before it was cut")
    return ferry(stage, guest, run, image)


def image_bits(stage, guest):
    blocks = stage.alpha.out("stat", "-c", "%b", guest.vm.disks[0].path)
    return int(blocks) * 512 * 8


def virsh(stage, guest, run, image, tls=False):
    path = stock_prepare(guest, stage.zulu, VLANS, SSD, run.to)
    return lambda: stock_run(guest, stage.zulu, path, tls=tls)


def tls(stage, guest, run, image):
    return virsh(stage, guest, run, image, tls=True)


WAYS = {"ferry": ferry, "back": back, "template": template, "retry": retry, "virsh": virsh, "tls": tls}
