"""The black box: a page that says what the worker is doing, and outlives it.

The order of the stores is part of the protocol: `started` before `call`, so that whoever sees the new call sees its
start as well. Each store is one aligned word, which x86-64 and aarch64 write in one piece.
"""

from __future__ import annotations

import contextlib
import faulthandler
import mmap
import signal
from time import monotonic_ns
from typing import Final

# The words of a slot.
STARTED: Final = 0
CALL: Final = 1
PHASE: Final = 2

# What PHASE says.
IDLE: Final = 0
DECODE: Final = 1
USER: Final = 2
ENCODE: Final = 3
VIEW: Final = 4
IMPORT: Final = 5

_PAGE: Final = 4096
# Where it stands what VIEW and IMPORT are about, and the most bytes that are kept of it.
_SUBJECT: Final = 2048
_SUBJECT_LIMIT: Final = 256


class BlackBox:
    """The first slot of a worker's black box. `words` is the slot itself, for whoever cannot afford a method call."""

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, _PAGE)
        self.words = memoryview(self._map).cast("Q")  # native order: little-endian on all that Slither runs on

    def begin(self, call: int) -> None:
        """Say that `call` begins, with decoding."""
        words = self.words
        words[STARTED] = monotonic_ns()
        words[CALL] = call
        words[PHASE] = DECODE

    def enter(self, phase: int) -> None:
        """Say what the running call does now."""
        self.words[PHASE] = phase

    def enter_with(self, phase: int, subject: str) -> None:
        """Say that the running call is in a phase that is about something: a view by name, a function."""
        data = subject.encode("utf-8", "replace")[:_SUBJECT_LIMIT]
        size = len(data)
        self._map[_SUBJECT : _SUBJECT + 2 + size] = size.to_bytes(2, "little") + data
        self.words[PHASE] = phase

    def end(self) -> None:
        """Say that the worker is idle."""
        words = self.words
        words[PHASE] = IDLE
        words[CALL] = 0


def watch_faults(fd: int) -> None:
    """Have `faulthandler` write to the black box: at fatal signals, and at SIGUSR2, even while the GIL is held.

    The host has positioned the descriptor behind the page, and its seal stops writing at the end.
    """
    with contextlib.suppress(OSError, ValueError, AttributeError):
        faulthandler.enable(file=fd, all_threads=True)
        faulthandler.register(signal.SIGUSR2, file=fd, all_threads=True, chain=False)
