# SPDX-License-Identifier: LGPL-2.1-or-later
"""Several virtualization hosts, their switches and cables on one machine, for tests and demos."""

from . import topology
from .certificates import libvirt_tls
from .host import CommandFailed, Host
from .kvm import accel
from .lab import Lab, names
from .stock import stock_migrate, stock_prepare, stock_run
from .virthost import VirtHost, modular_missing
from .vm import Disk, Guest, Nic, Vm, images
from .wait import LabError, wait_until

__all__ = ["CommandFailed", "Disk", "Guest", "Host", "Lab", "LabError", "Nic", "VirtHost", "Vm",
           "accel", "images", "libvirt_tls", "modular_missing", "names", "stock_migrate",
           "stock_prepare", "stock_run", "topology", "wait_until"]
