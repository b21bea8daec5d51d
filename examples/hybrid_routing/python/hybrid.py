"""Three kinds of work: one that waits, one that computes, and one whose native code may crash."""

from __future__ import annotations

import ctypes
import time

import slither

WAIT = 0.02
ROUNDS = 60_000


@slither.traits("io_bound", "thread_safe")
def fetch(items: list[int]) -> list[int]:
    """Wait as for a service, once for each item."""
    for _ in items:
        time.sleep(WAIT)
    return [item * 2 for item in items]


@slither.traits("cpu_bound", "thread_safe")
def score(items: list[int]) -> list[int]:
    """Compute in nothing but Python, and share nothing."""
    return [_score(item) for item in items]


@slither.traits("unsafe_native")
def legacy(items: list[int]) -> list[int]:
    """Call native code, which crashes for an item below 0: it reads where nothing is."""
    return [ctypes.string_at(0)[0] if item < 0 else item + 1 for item in items]


def _score(seed: int) -> int:
    total = seed
    for number in range(ROUNDS):
        total = (total * 31 + number) % 1_000_003
    return total
