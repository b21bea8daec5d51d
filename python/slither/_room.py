"""Room: how many values of a stream may be on their way to a host that takes them one by one.

A worker sends so many ahead, and then its generator waits until the host has taken some (`MORE`), so that a slow reader
bounds what is in memory between the two. Values of a batch need none of this: there are as many as items.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

# The values that may be on their way, and how many bytes they may have together before the next one waits.
VALUES: Final = 32
BYTES: Final = 1 << 20
# More results than any stream has.
ENDLESS: Final = 1 << 62


class Withdrawn(BaseException):
    """The host takes no more values: the generator is closed."""


class Room:
    """The room of one stream at a time. Its thread takes it up and waits; any thread may give some back."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ident = 0
        self._sizes: deque[int] = deque()
        self._bytes = 0
        # Values that the host has taken before their thread came to say that they go.
        self._early = 0
        self._withdrawn = False
        self._closed = False

    def begin(self, ident: int) -> None:
        """Be the room of this call; if it is so already, go on with what was heard since."""
        with self._changed:
            if ident == self._ident:
                return
            self._ident = ident
            self._sizes.clear()
            self._bytes = 0
            self._early = 0
            self._withdrawn = False

    def end(self) -> None:
        """Be the room of no call."""
        with self._changed:
            self._ident = 0

    def take(self, size: int) -> bool:
        """A value of so many bytes goes. Tell whether another may follow it; raise `Withdrawn` if none is wanted."""
        with self._changed:
            if self._early:
                self._early -= 1
            else:
                self._sizes.append(size)
                self._bytes += size
            return self._free()

    def is_free(self) -> bool:
        """Tell whether another value may go; raise `Withdrawn` if none is wanted."""
        with self._changed:
            return self._free()

    def wait(self) -> None:
        """Wait until another value may go. Raises `Withdrawn`."""
        with self._changed:
            while not self._free():
                self._changed.wait()

    def give(self, ident: int, values: int) -> None:
        """The host has taken so many values of this call. Of another call than the running one it means nothing."""
        with self._changed:
            if ident == self._ident:
                gone = min(values, len(self._sizes))
                for _ in range(gone):
                    self._bytes -= self._sizes.popleft()
                self._early += values - gone
                self._changed.notify_all()

    def withdraw(self, ident: int) -> None:
        """The host takes no more values of this call."""
        with self._changed:
            if ident == self._ident:
                self._withdrawn = True
                self._changed.notify_all()

    def close(self) -> None:
        """There will be no more room: the connection has ended."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _free(self) -> bool:
        if self._withdrawn or self._closed:
            raise Withdrawn
        return len(self._sizes) < VALUES and self._bytes < BYTES
