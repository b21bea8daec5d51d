"""The same values, read in three ways and written in two; each function says how long its own loop took."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable

import slither

__thread_safe__ = True

_PARTS = 5


def by_view(key: int, times: int) -> float:
    """Ask the store for one value at a time."""
    return _timed(lambda: slither.view("value", key=key), times)


def by_view_many(key: int, times: int, together: int) -> float:
    """Ask for so many values in one exchange."""
    asked = [{"key": key}] * together
    return _timed(lambda: slither.view_many("value", asked), times)


def carried(items: list[str]) -> list[int]:
    """Take values as they come with the items."""
    return [len(item) for item in items]


def shared_reads(size: int, times: int, threads: int) -> float:
    """Read a value of a dict that threads share, under its lock."""
    table, lock = {0: "x" * size}, threading.Lock()

    def read() -> None:
        with lock:
            len(table[0])

    return _in_threads(read, times, threads)


def shared_writes(size: int, times: int, threads: int) -> float:
    """Write a value of that size into a dict that threads share, under its lock."""
    table: dict[int, str] = {}
    lock = threading.Lock()

    def write() -> None:
        made = "x" * size
        with lock:
            table[0] = made

    return _in_threads(write, times, threads)


def _timed(act: Callable[[], object], times: int) -> float:
    """How long so many take."""
    act()
    return _typical(lambda size: _loop(act, size), times)


def _in_threads(act: Callable[[], object], times: int, threads: int) -> float:
    """How long it takes until each of so many threads has done so many."""

    def together(size: int) -> None:
        crowd = [threading.Thread(target=_loop, args=(act, size)) for _ in range(threads)]
        for each in crowd:
            each.start()
        for each in crowd:
            each.join()

    return _typical(together, times)


def _loop(act: Callable[[], object], times: int) -> None:
    for _ in range(times):
        act()


def _typical(run: Callable[[int], None], times: int) -> float:
    """By the median of some parts, so that what holds the process up once spoils one of them."""
    each = []
    for part in range(_PARTS):
        if size := (times + part) // _PARTS:
            begun = time.perf_counter()
            run(size)
            each.append((time.perf_counter() - begun) / size)
    return statistics.median(each) * times
