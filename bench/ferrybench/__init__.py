# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ferry measured against `virsh migrate --copy-storage-all` in one lab; see docs/bench.md."""

import os
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(SOURCE, "lab"), os.path.join(SOURCE, "tests/lib")]
