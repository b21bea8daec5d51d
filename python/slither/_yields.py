"""Yields: what a generator yields, on its way to the host before the batch has ended.

A result is encoded when it is yielded, so that the function may use its objects again. It is sent at once, unless
more than a thousand come in a second: then results are gathered, for 5 ms or 32 KiB at most, and sent together. What
was sent is final; what is gathered when the process dies is lost with it, and was never claimed.

The last result waits, 5 ms at most, for the generator's end: most generators end there, and it then travels with the
answer. One that yields once more has broken the contract, and that result fails of it.
"""

from __future__ import annotations

import threading
from time import monotonic, sleep
from typing import Any, Final

import msgspec

from slither import _errors, _values, _wire
from slither._answers import encode_one

Failures = list[tuple[int, _errors.Error]]

WAIT: Final = 0.005
GATHER: Final = 32 << 10
# Frames that may be sent at once: so many in a row, and one more for each of these seconds.
_BURST: Final = 32
_EARN: Final = 0.001
_IDLE: Final = 400  # rounds of the flusher, half of WAIT each
_NIL: Final = msgspec.Raw(b"\xc0")
_ROOM: Final = 64  # what an array of one result adds to it, and more


class TooMany(Exception):
    """The generator yielded more results than there are items."""


class Yields:
    """The results of the running generator. One a worker; one call at a time."""

    def __init__(self, connection: _wire.Outgoing) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._flusher: threading.Thread | None = None
        self._ident = 0
        self._count = 0
        self._yielded = 0
        self._results: list[msgspec.Raw] = []
        self._failures: Failures = []
        self._size = 0
        self._broken: BaseException | None = None
        self._credit = float(_BURST)
        self._earned = monotonic()

    def begin(self, ident: int, count: int) -> None:
        """Results are from here on those of a batch of `count` items."""
        with self._lock:
            self._ident, self._count, self._yielded = ident, count, 0
            self._broken = None

    def add(self, item: Any) -> int:
        """Take the result of the next item; return its size. Raises `TooMany`, and `Closed` when the host is gone."""
        index = self._yielded
        if index >= self._count:
            with self._lock:
                self._drop_last()
            raise TooMany
        data, error = encode_one(item, f"result[{index}]", self._connection.max_frame - _ROOM)
        with self._lock:
            if self._broken is not None:
                raise self._broken
            size = len(data) if error is None else len(error["message"]) + len(error["traceback"] or "")
            if self._size + size > GATHER:
                self._flush()
            if error is not None:
                self._failures.append((len(self._results), error))
            self._results.append(_NIL if error is not None else msgspec.Raw(data))
            self._size += size
            self._yielded = index + 1
            if self._yielded < self._count and (self._size > GATHER or self._may_send()):
                self._flush()
            else:
                self._ripen()
        return size

    def end(self) -> tuple[list[msgspec.Raw], Failures]:
        """The generator has ended: return the results that were not sent, with their failures, for the answer."""
        with self._lock:
            if self._broken is not None:
                raise self._broken
            taken = self._results, self._failures
            self._empty()
            return taken

    def flush(self) -> None:
        """Send what is gathered, because the generator failed behind it."""
        with self._lock:
            self._flush()

    @property
    def yielded(self) -> int:
        """How many results the generator has yielded."""
        return self._yielded

    def _ripen(self) -> None:
        """See to it that what is gathered is sent in time."""
        if self._flusher is None:
            flusher = threading.Thread(target=self._keep_flushing, name="slither-yields", daemon=True)
            flusher.start()  # raises where the process may have no more threads
            self._flusher = flusher

    def _may_send(self) -> bool:
        now = monotonic()
        self._credit = min(_BURST, self._credit + (now - self._earned) / _EARN)
        self._earned = now
        if self._credit < 1:
            return False
        self._credit -= 1
        return True

    def _drop_last(self) -> None:
        """Have the last result fail with the rest, if it was not sent yet."""
        if self._results:
            self._results.pop()
            if self._failures and self._failures[-1][0] == len(self._results):
                self._failures.pop()

    def _flush(self) -> None:
        if not self._results:
            return
        frame = bytearray(_wire.HEADER_SIZE)
        flags = _wire.FAILED if self._failures else 0
        _values.encode_trusted((self._results, self._failures) if flags else self._results, frame)
        self._empty()
        self._connection.send(_wire.PARTIAL, flags, self._ident, frame)

    def _empty(self) -> None:
        self._results, self._failures, self._size = [], [], 0

    def _keep_flushing(self) -> None:
        """Send what has waited long enough, while the function is busy with the next result."""
        waited: list[msgspec.Raw] | None = None
        idle = 0
        while True:
            sleep(WAIT / 2)
            with self._lock:
                if not self._results:
                    idle += 1
                    if idle > _IDLE:
                        self._flusher = None
                        return
                    continue
                idle = 0
                # What was there a round ago is sent: it has waited for up to WAIT.
                ripe, waited = self._results is waited, self._results
                try:
                    if ripe:
                        self._flush()
                except BaseException as error:
                    self._broken = error
                    self._empty()
                    self._flusher = None
                    return
