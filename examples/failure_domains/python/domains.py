"""Work that may crash, state of a session, and a model that takes memory."""

from __future__ import annotations

import ctypes
import os
import threading
import time

import slither

__thread_safe__ = True

_WORK = 0.01
_ALONE = -1
_COMPANY = 10.0
_changed = threading.Condition()
_working = 0
_model: bytearray | None = None
_ended = 0


def work(items: list[int]) -> list[int]:
    """Work for 10 ms an item; an item below 0 reads where nothing is: -1 at once, others beside another call."""
    global _working
    for item in items:
        if item < 0:
            _crash(item == _ALONE)
        with _changed:
            _working += 1
            _changed.notify_all()
        time.sleep(_WORK)
        with _changed:
            _working -= 1
    return items


def keep(value: int) -> int:
    """Keep something for the session, and count its end."""
    slither.session()["value"] = value
    slither.on_session_end(_count)
    return os.getpid()


def kept() -> int | None:
    """What the session has kept here."""
    return slither.session().get("value")


def ended() -> int:
    """How many sessions have ended in this worker."""
    return _ended


def load(mebibytes: int) -> int:
    """Hold a model of that size, once a process; write each page, so that it is really there."""
    global _model
    if _model is None:
        _model = bytearray(mebibytes << 20)
        _model[::4096] = b"m" * len(_model[::4096])
    return len(_model)


def _crash(alone: bool) -> None:
    with _changed:
        if not alone:
            _changed.wait_for(lambda: _working > 0, _COMPANY)
        # No call beside this one can end now: for that it takes the lock.
        ctypes.string_at(0)


def _count() -> None:
    global _ended
    _ended += 1
