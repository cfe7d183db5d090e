# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where things are on the machine: the source tree, what was built, the labs' state."""

import os

from .wait import LabError

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def base_folder():
    """Where all labs live: $FERRY_LAB_DIR or build/labs in the source tree."""
    return os.path.abspath(os.environ.get("FERRY_LAB_DIR") or os.path.join(SOURCE, "build/labs"))


def build_folder():
    """Where Ferry and the lab's programs were built: $FERRY_BUILD or build/release."""
    return os.path.abspath(os.environ.get("FERRY_BUILD") or os.path.join(SOURCE, "build/release"))


def program(path):
    """A program of the build, e.g. program("lab/wire")."""
    found = os.path.join(build_folder(), path)
    if not os.access(found, os.X_OK):
        raise LabError(f"{found} is not there: build first (make), or set FERRY_BUILD")
    return found


def guest_file(name):
    """vmlinuz or initrd.gz of the lab guest: in $FERRY_GUEST or build/guest."""
    folder = os.environ.get("FERRY_GUEST") or os.path.join(SOURCE, "build/guest")
    found = os.path.join(os.path.abspath(folder), name)
    if not os.path.exists(found):
        raise LabError(f"{found} is not there: build the lab guest first (see lab/guest/README.md)")
    return found
