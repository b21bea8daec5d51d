"""What the soak asks of Python: some work, every kind of answer, and every kind of mishap."""

from __future__ import annotations

import ctypes
import os
import sys
import time
import zlib
from collections.abc import Iterator
from typing import Any

import slither


def _work(seed: int) -> int:
    """Computes for some ten microseconds, without keeping anything."""
    value = seed
    for _ in range(100):
        value = (value * 1103515245 + 12345) & 0x7FFFFFFF
    return value


def numbers(items: list[int]) -> list[Any]:
    """Doubles, but fails some numbers alone and raises at others."""
    return [_number(item) for item in items]


def _number(item: int) -> Any:
    _work(item)
    if item % 997 == 5:
        return slither.Failed("not this one")
    if item % 1009 == 7:
        raise ValueError(f"no doubling of {item}")
    return item * 2


def words(items: list[str]) -> Iterator[str]:
    """Yields each text in capitals."""
    for item in items:
        _work(len(item))
        yield item.upper()


def checksums(items: list[bytes]) -> list[int]:
    """Gives a checksum of each."""
    return [zlib.crc32(item) for item in items]


_kept: list[bytes] = []


def leaky(items: list[int]) -> list[int]:
    """Gives the items back, and keeps some memory for ever."""
    _kept.append(bytes(bytearray(os.urandom(64)) * 512))
    return items


def features(items: list[int]) -> list[list[int]]:
    """Asks for three rows of one version, and gives the distinct values that came."""
    answers = []
    for item in items:
        rows = slither.view_many("row", [{"key": (item + shift) % 64} for shift in range(3)])
        answers.append(sorted(set(rows)))
    return answers


def echo(item: int) -> int:
    """Gives back the number."""
    return item


def count() -> int:
    """Counts within the session."""
    state = slither.session()
    state["count"] = state.get("count", 0) + 1
    return int(state["count"])


class Counter:
    """Something to hold a reference to."""

    def __init__(self) -> None:
        self.value = 0
        self.ballast = bytes(10_000)

    def add(self, number: int) -> int:
        """Adds; gives the sum."""
        self.value += number
        return self.value


def counter() -> slither.Ref:
    """Gives a counter."""
    return slither.ref(Counter())


def steps(total: int) -> int:
    """Says how far it is."""
    for done in range(total):
        slither.progress(done, total)
        time.sleep(0.02)  # sleep: the work that is reported on
    slither.progress(total, total)
    return total


def mishap(kind: str) -> str:
    """Ends badly."""
    match kind:
        case "segfault":
            ctypes.string_at(0)
        case "exit":
            os._exit(3)
        case "hang":
            while True:
                pass
        case "raise":
            raise RuntimeError("as asked")
        case "print":
            for _ in range(16):
                sys.stdout.write("x" * 32_767 + "\n")
                sys.stderr.write("y" * 32_767 + "\n")
        case "leave a child":
            if os.fork() == 0:
                time.sleep(300)  # sleep: to be killed with the worker
                os._exit(0)
            os._exit(4)
    return kind
