"""A worker that keeps the memory it is given."""

from __future__ import annotations

import os
import time
from typing import Any

_kept: list[bytes] = []


def leak(megabytes: int) -> int:
    """Keeps so many megabytes for good, each page of them touched; gives the worker's process id."""
    _kept.append(os.urandom(4096) * (megabytes * 256))
    return os.getpid()


def leak_and_wait(megabytes: int, gate: str) -> int:
    """Keeps so many megabytes, and returns when the file is there."""
    leak(megabytes)
    while not os.path.exists(gate):
        time.sleep(0.002)  # sleep: polls for the test's own event
    return os.getpid()


def leak_each(items: list[Any]) -> list[Any]:
    """Keeps a megabyte for each item, and gives the items back."""
    for _ in items:
        leak(1)
    return items
