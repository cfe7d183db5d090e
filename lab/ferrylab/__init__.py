# SPDX-License-Identifier: LGPL-2.1-or-later
"""Several virtualization hosts, their switches and cables on one machine, for tests and demos."""

from .kvm import accel
from .host import CommandFailed, Host
from .lab import Lab, names
from .virthost import VirtHost
from .vm import Disk, Guest, Nic, Vm, images
from .wait import LabError, wait_until

__all__ = ["CommandFailed", "Disk", "Guest", "Host", "Lab", "LabError", "Nic", "VirtHost", "Vm",
           "accel", "images", "names", "wait_until"]
