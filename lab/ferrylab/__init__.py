# SPDX-License-Identifier: LGPL-2.1-or-later
"""Several virtualization hosts, their switches and cables on one machine, for tests and demos."""

from .host import CommandFailed, Host
from .lab import Lab, names
from .virthost import VirtHost
from .wait import LabError, wait_until

__all__ = ["CommandFailed", "Host", "Lab", "LabError", "VirtHost", "names", "wait_until"]
