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
THREAD: Final = 3
WORDS: Final = 4

# What PHASE says.
IDLE: Final = 0
DECODE: Final = 1
USER: Final = 2
ENCODE: Final = 3
VIEW: Final = 4
AWAIT: Final = 5

_PAGE: Final = 4096


class Slot:
    """What one of a worker's calls at a time says. `words` is for whoever cannot afford a method call."""

    def __init__(self, words: memoryview) -> None:
        self.words = words

    def belong(self, thread: int) -> None:
        """Say which thread runs the slot's calls."""
        self.words[THREAD] = thread

    def begin(self, call: int) -> None:
        """Say that `call` begins, with decoding."""
        words = self.words
        words[STARTED] = monotonic_ns()
        words[CALL] = call
        words[PHASE] = DECODE

    def enter(self, phase: int) -> None:
        """Say what the running call does now."""
        self.words[PHASE] = phase

    def end(self) -> None:
        """Say that the worker is idle."""
        words = self.words
        words[PHASE] = IDLE
        words[CALL] = 0


class BlackBox(Slot):
    """A worker's black box: the slots of all its calls, and itself the first of them."""

    def __init__(self, fd: int, slots: int = 1) -> None:
        self.fd = fd
        self._map = mmap.mmap(fd, -(-slots * WORDS * 8 // _PAGE) * _PAGE)
        # In native order: little-endian on all that Slither runs on.
        super().__init__(memoryview(self._map).cast("Q"))

    def slot(self, number: int) -> Slot:
        """Return one slot, counted from 0."""
        return Slot(self.words[number * WORDS : (number + 1) * WORDS])


def watch_faults(fd: int) -> None:
    """Have `faulthandler` write to the black box: at fatal signals, and at SIGUSR2, even while the GIL is held.

    The host has positioned the descriptor behind the page, and its seal stops writing at the end.
    """
    with contextlib.suppress(OSError, ValueError, AttributeError):
        faulthandler.enable(file=fd, all_threads=True)
        faulthandler.register(signal.SIGUSR2, file=fd, all_threads=True, chain=False)
