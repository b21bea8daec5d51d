"""Functions that say what they are, for calls that leave the choice of the pool to Slither."""

from __future__ import annotations

import os
from typing import Any

import slither

if os.environ.get("IMPORTED"):
    with open(os.environ["IMPORTED"], "a", encoding="utf-8") as log:
        log.write(f"{os.getpid()}\n")


@slither.traits("cpu_bound", "thread_safe")
def safe(items: list[Any]) -> list[int]:
    """Gives the worker's process id for each item."""
    return [os.getpid() for _ in items]


@slither.traits("stateful")
def stateful(items: list[Any]) -> list[int]:
    """Gives the worker's process id for each item."""
    return safe(items)


def fragile(items: list[str]) -> list[int]:
    """Gives the worker's process id for each item, and dies for `kill`."""
    if "kill" in items:
        os.kill(os.getpid(), 9)
    return safe(items)


def pid() -> int:
    """Gives the worker's process id."""
    return os.getpid()
