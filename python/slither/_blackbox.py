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

# What PHASE says.
IDLE: Final = 0
DECODE: Final = 1
USER: Final = 2
ENCODE: Final = 3
VIEW: Final = 4
IMPORT: Final = 5
AWAIT: Final = 6

_PAGE: Final = 4096
# Where it stands what VIEW and IMPORT are about, and the most bytes that are kept of it.
_SUBJECT: Final = 2048
_SUBJECT_LIMIT: Final = 256
# How far the slots are apart where there are several, and where behind its words each has its subject.
_STRIDE: Final = 512
_WORDS: Final = 32


class Slot:
    """What one of a worker's calls at a time says. `words` is for whoever cannot afford a method call."""

    def __init__(self, words: memoryview, subject: memoryview) -> None:
        self.words = words
        self._subject = subject

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

    def enter_with(self, phase: int, subject: str) -> None:
        """Say that the running call is in a phase that is about something: a view by name, a function."""
        data = subject.encode("utf-8", "replace")[:_SUBJECT_LIMIT]
        self._subject[: 2 + len(data)] = len(data).to_bytes(2, "little") + data
        self.words[PHASE] = phase

    def end(self) -> None:
        """Say that the worker is idle."""
        words = self.words
        words[PHASE] = IDLE
        words[CALL] = 0


class BlackBox(Slot):
    """A worker's black box: the slots of all its calls, and itself the only one of a worker of one call."""

    def __init__(self, fd: int, slots: int = 1) -> None:
        self.fd = fd
        self._map = mmap.mmap(fd, -(-slots * _STRIDE // _PAGE) * _PAGE)
        self._bytes = memoryview(self._map)
        # In native order: little-endian on all that Slither runs on.
        super().__init__(self._bytes.cast("Q"), self._bytes[_SUBJECT : _SUBJECT + 2 + _SUBJECT_LIMIT])

    def slot(self, number: int) -> Slot:
        """Return one slot of a worker that runs several calls, counted from 0."""
        whole = self._bytes[number * _STRIDE : (number + 1) * _STRIDE]
        return Slot(whole[:_WORDS].cast("Q"), whole[_WORDS : _WORDS + 2 + _SUBJECT_LIMIT])


def watch_faults(fd: int) -> None:
    """Have `faulthandler` write to the black box: at fatal signals, and at SIGUSR2, even while the GIL is held.

    The host has positioned the descriptor behind the page, and its seal stops writing at the end.
    """
    with contextlib.suppress(OSError, ValueError, AttributeError):
        faulthandler.enable(file=fd, all_threads=True)
        faulthandler.register(signal.SIGUSR2, file=fd, all_threads=True, chain=False)
