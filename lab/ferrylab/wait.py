# SPDX-License-Identifier: LGPL-2.1-or-later
"""Waiting for a condition with a deadline: the only place of the lab that sleeps."""

import time


class LabError(Exception):
    """What went wrong, in one sentence, with what to do next where that is known."""


def wait_until(condition, timeout, what, interval=0.05):
    """Call condition() until it is true and return its value.

    timeout: seconds; interval: seconds between calls. After the timeout LabError names what.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise LabError(f"waited {timeout} s in vain for {what}")
        time.sleep(interval)
