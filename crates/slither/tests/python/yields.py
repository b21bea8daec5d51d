"""What the tests of generators ask of Python: results one by one, and every end that a batch can have."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import slither


def one_by_one(items: list[Any]) -> Iterator[Any]:
    """Yields each item, after it has done what the item says."""
    for item in items:
        yield _done(item)


async def one_by_one_async(items: list[Any]) -> AsyncIterator[Any]:
    """The same, asynchronously."""
    for item in items:
        await asyncio.sleep(0)
        yield _done(item)


def noted(items: list[Any]) -> Iterator[int]:
    """Writes each `[path, item]` down before it is run, and yields the attempt that it came with."""
    for path, item in items:
        with open(path, "a") as file:
            file.write(f"{item} {slither.context().attempt}\n")
        if slither.context().attempt < 3:
            _done(item)
        yield (
            slither.Retry("once more", after=0.01)
            if item == "again" and slither.context().attempt < 2
            else (slither.context().attempt)
        )


def too_many(items: list[Any]) -> Iterator[Any]:
    """Yields one result more than there are items."""
    yield from items
    yield "more"


def too_few(items: list[Any]) -> Iterator[Any]:
    """Yields no result for the last item."""
    yield from items[:-1]


def _done(item: Any) -> Any:
    match item:
        case "raise":
            raise ValueError("as asked")
        case "segfault":
            ctypes.string_at(0)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(300)  # sleep: to be killed at the deadline
        case "failed":
            return slither.Failed("not this one")
        case "set":
            return {1, 2}
        case str() if item.startswith("/") and not os.path.exists(item):
            open(item + ".begun", "w").close()
            while not os.path.exists(item):
                time.sleep(0.002)  # sleep: polls for the test's own event
    return item


def reports(items: list[str]) -> Iterator[tuple[float, float]]:
    """Says how far it is before each item, which may be a file to wait for.

    Yields how long before it said so last, at least and at most, in seconds.
    """
    before = after = time.monotonic()
    for done, item in enumerate(items):
        begun = time.monotonic()
        slither.progress(done, len(items))
        ended = time.monotonic()
        apart = (begun - after, ended - before)
        before, after = begun, ended
        _done(item)
        yield apart
    slither.progress(len(items), len(items))
