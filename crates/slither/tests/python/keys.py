"""What the tests of sticky keys ask of Python: to count by key in the worker."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

_seen: dict[int, int] = {}


def note(items: list[list[int]]) -> list[list[int]]:
    """Gives the worker's process id, key and number of each item, and how many of its key came before."""
    noted = []
    for key, number in items:
        noted.append([os.getpid(), key, number, _seen.get(key, 0)])
        _seen[key] = _seen.get(key, 0) + 1
    return noted


def die_once(items: list[list[int]]) -> list[list[int]]:
    """Like `note`, but the worker that has met key 0 before dies of its first item."""
    if items[0] == [0, 0] and 0 in _seen:
        os.kill(os.getpid(), signal.SIGKILL)
    return note(items)


def hold(items: list[list[Any]]) -> list[int]:
    """Gives the key of each item, when the file that it names exists; makes a file `….begun` before."""
    for _, path in items:
        if path:
            with open(path + ".begun", "w"):
                pass
        while path and not os.path.exists(path):
            time.sleep(0.002)  # sleep: polls for the test's own event
    return [key for key, _ in items]
