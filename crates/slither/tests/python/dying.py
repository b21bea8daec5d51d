"""How a worker dies in each of its phases, in each of the ways that there are.

An item `"PHASE:DEED"` has the worker do the deed in that phase: the deeds are those of `behave`.
"""

from __future__ import annotations

import dataclasses
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

import slither
from behave import _deed as die
from slither import _current, _wire


def act(items: list[Any]) -> list[Any]:
    """Gives its items back, but for what they say."""
    sys.setprofile(_decoding)
    results = []
    for item in items:
        results.append(_act(item))
    return results


def arm() -> None:
    """Has this worker heed what it is to do while it decodes."""
    sys.setprofile(_decoding)


def stream(items: list[Any]) -> Iterator[Any]:
    """Yields its items; what one says to do, it does once the host has those before it."""
    for item in items:
        if isinstance(item, str) and ":" in item:
            time.sleep(0.05)  # sleep: the flusher sends what was yielded within 5 ms, and nobody tells
        yield _act(item)


def _act(item: Any) -> Any:
    phase, _, deed = item.partition(":") if isinstance(item, str) else ("", "", "")
    match phase:
        case "user":
            return die(deed)
        case "encode":
            return Bomb(deed)
        case "view":
            threading.Thread(target=_when_viewing, args=[_current.find(), deed], daemon=True).start()
            slither.view("gate")
        case "reply":
            worker: Any = _current.find()
            # The reply claims a hundred bytes, of which there are two.
            worker._connection._sock.sendall(_wire.HEADER.pack(100, _wire.RESULT, 0, 0, worker.call) + b"\x91\xa6")
            return die(deed)
        case "idle":
            threading.Thread(target=_when_idle, args=[_current.find(), deed], daemon=True).start()
    return item


@dataclasses.dataclass
class Bomb:
    """A result that does its deed when it is looked at."""

    deed: str

    def __getattribute__(self, name: str) -> Any:
        """Does what it is to do when its one field is read."""
        value = super().__getattribute__(name)
        return die(value) if name == "deed" else value


def _decoding(frame: FrameType, event: str, _: Any) -> None:
    """A profiler, which is user code that runs also in the SDK's own calls."""
    if event == "call" and frame.f_code.co_name == "decode_call":
        _, mark, rest = bytes(frame.f_locals["body"]).partition(b"decode:")
        if mark:
            deeds = ("segfault", "exit", "libc-exit", "abort", "raise", "kill")
            die(next(deed for deed in deeds if rest.startswith(deed.encode())))


def _when_viewing(worker: Any, deed: str) -> None:
    while worker._box.words[2] != 4:
        time.sleep(0.001)  # sleep: the box has nothing to wait for
    die(deed)


def _when_idle(worker: Any, deed: str) -> None:
    while worker._box.words[1]:
        time.sleep(0.001)  # sleep: the box has nothing to wait for
    die(deed)
