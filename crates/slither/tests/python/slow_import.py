"""A module that starts a process in a session of its own and whose import takes half a minute."""

from __future__ import annotations

import subprocess
import time

_child = subprocess.Popen(["sleep", "60"], start_new_session=True)
_end = time.monotonic() + 30
while time.monotonic() < _end:
    time.sleep(0.01)  # sleep: to take long


def echo(items: list[int]) -> list[int]:
    """Is never called."""
    return items
