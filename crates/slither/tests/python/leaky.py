"""A worker that keeps what it is given: memory, and state."""

from __future__ import annotations

import os
from typing import Any

_kept: list[bytes] = []


def leak(megabytes: int) -> int:
    """Keeps so many megabytes for good, each page of them touched; gives the worker's process id."""
    _kept.append(os.urandom(4096) * (megabytes * 256))
    return os.getpid()


def leak_each(items: list[Any]) -> list[Any]:
    """Keeps a megabyte for each item, and gives the items back."""
    for _ in items:
        leak(1)
    return items
