"""Answers that are withheld: they are sent with the one behind them, and nothing is lost if that never comes.

A short call whose successor has arrived already need not be answered alone. Its answer is put into the black box, from
where the host takes it if the worker dies, or if what runs next turns out to be long.
"""

from __future__ import annotations

import mmap
from typing import Final

# Where it lies in the black box of a worker of the profile `process`, and how long it is.
OFFSET: Final = 4096
SIZE: Final = 16 << 10
_HEAD: Final = 8
# So many wait at most, so that the host has something to do meanwhile.
_MOST: Final = 16
_LONGEST: Final = 4 << 10


class Withheld:
    """The part of the black box that holds them: how many bytes there are, then that many bytes of whole frames."""

    def __init__(self, fd: int) -> None:
        self._bytes = memoryview(mmap.mmap(fd, SIZE, offset=OFFSET))
        self._length = self._bytes[:_HEAD].cast("Q")
        self._end = _HEAD
        self.count = 0

    def add(self, frame: bytearray) -> bool:
        """Withhold a whole frame. False says that there is no room, and it has to be sent."""
        size = len(frame)
        end = self._end + size
        if self.count == _MOST or size > _LONGEST or end > SIZE:
            return False
        self._bytes[self._end : end] = frame
        # The host goes by the length alone, so that it comes last.
        self._length[0] = end - _HEAD
        self._end = end
        self.count += 1
        return True

    def frames(self) -> memoryview:
        """Return what is withheld; good until `clear`."""
        return self._bytes[_HEAD : self._end]

    def clear(self) -> None:
        """Forget what was sent."""
        self._length[0] = 0
        self._end = _HEAD
        self.count = 0


class Nothing:
    """What withholds nothing."""

    count: Final = 0

    def add(self, _frame: bytearray) -> bool:
        """Take nothing."""
        return False

    def frames(self) -> memoryview:
        """Return nothing."""
        return memoryview(b"")

    def clear(self) -> None:
        """Do nothing."""


NOTHING: Final = Nothing()
