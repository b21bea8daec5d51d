"""Release: where a worker of several calls frees the objects whose last handle the host has dropped.

Not in the thread that reads: a destructor may wait for a lock whose holder waits for what is to be read next.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from slither import _daemon, _refs


class Release:
    """One thread, which is there from the first object on. How many may wait for it, the table of references bounds."""

    def __init__(self, then: Callable[[], None]) -> None:
        self._then = then
        self._wanted = threading.Semaphore(0)
        self._thread: threading.Thread | None = None
        self._closed = False

    def begin(self) -> None:
        """Have freed what was dropped by now. For the reader."""
        if self._thread is None:
            self._thread = _daemon.start(self._run, "slither-release")
        if self._thread is None:
            self._free()
        else:
            self._wanted.release()

    def close(self) -> None:
        """Wait until everything that was dropped is free."""
        self._closed = True
        if self._thread is not None:
            self._wanted.release()
            self._thread.join()

    def _run(self) -> None:
        while True:
            self._wanted.acquire()
            self._free()
            if self._closed:
                return

    def _free(self) -> None:
        _refs.TABLE.free()
        self._then()
