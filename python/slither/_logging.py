"""Logging: records of the `logging` module become LOG frames, which the host turns into events of its own.

A record is never worth more than the work: a message is cut at 8 KiB, and a record that cannot be sent at once,
because the socket is busy or full, is dropped and counted. The count is told with the next record that can be sent,
or at the end.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Final

from slither import _errors, _values, _wire

_LIMIT: Final = 8 << 10
_PATIENCE: Final = 0.5


class HostHandler(logging.Handler):
    """Sends records to the host, with the call that was running."""

    def __init__(self, connection: _wire.Connection, running: Callable[[], int]) -> None:
        super().__init__()
        self._connection = connection
        self._running = running
        self._pid = os.getpid()
        self.dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record, or drop it. In a process forked from the worker, do nothing."""
        if os.getpid() != self._pid:
            return
        try:
            text = record.getMessage()
            if record.exc_info and record.exc_info[1] is not None:
                text += "\n" + _errors.render(record.exc_info[1])
        except BaseException as error:
            text = f"<a record of {record.pathname}:{record.lineno} that cannot be formatted: {type(error).__name__}>"
        frame = bytearray(_wire.HEADER_SIZE)
        name = _errors.cut(record.name, 256)
        _values.encode_trusted((record.levelno, name, _errors.cut(text, _LIMIT), self._running() or None), frame)
        if not self._connection.try_send(_wire.LOG, 0, frame, _PATIENCE):
            self.dropped += 1
        elif self.dropped:
            self.report()

    def report(self) -> None:
        """Tell the host how many records were dropped since it was last told, if any were and it can be told."""
        count = self.dropped
        if not count:
            return
        text = f"{count} log record{' was' if count == 1 else 's were'} dropped: the host did not take them in time"
        frame = bytearray(_wire.HEADER_SIZE)
        _values.encode_trusted((logging.WARNING, "slither", text, self._running() or None), frame)
        if self._connection.try_send(_wire.LOG, 0, frame, _PATIENCE):
            self.dropped -= count


def install(connection: _wire.Connection, running: Callable[[], int], level: str | int | None) -> HostHandler:
    """Put a handler on the root logger, at `level` (WARNING if it is absent or unknown).

    `running` tells the id of the running call, or 0.
    """
    handler = HostHandler(connection, running)
    root = logging.getLogger()
    root.addHandler(handler)
    named = level.upper() if isinstance(level, str) else level
    try:
        root.setLevel(named if named is not None else logging.WARNING)
    except (ValueError, TypeError):
        root.setLevel(logging.WARNING)
    return handler
