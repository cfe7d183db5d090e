# SPDX-License-Identifier: LGPL-2.1-or-later
"""The fault matrix: see ../README.md."""

import os
import sys

TESTS = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TESTS, "lib"))
