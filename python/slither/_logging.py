"""Logging: records of the `logging` module become LOG frames, which the host turns into events of its own.

A record is never worth more than the work: a message is cut at 8 KiB, and a record that cannot be sent at once,
because the socket is busy or full, is dropped and counted. The count is told with the next record that can be sent,
or at the end.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import Final, Protocol

from slither import _errors, _values, _wire

_LIMIT: Final = 8 << 10
PATIENCE: Final = 0.5


class Sender(Protocol):
    """What takes frames that may be dropped."""

    def try_send(self, kind: int, ident: int, frame: bytearray, timeout: float) -> bool:
        """Send a frame, or say that it could not be sent in time."""


class HostHandler(logging.Handler):
    """Sends records to the host, with the call that was running; `running` tells its id, or 0.

    With `several` calls at once the thread's name goes with them. `patience` is how long a record may hold its thread.
    """

    def __init__(
        self, connection: Sender, running: Callable[[], int], several: bool = False, patience: float = PATIENCE
    ) -> None:
        super().__init__()
        self._connection = connection
        self._running = running
        self._several = several
        self._patience = patience
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
        name = _errors.cut(record.name, 256)
        if not self._send(record.levelno, name, _errors.cut(text, _LIMIT), record.threadName):
            self.dropped += 1
        elif self.dropped:
            self.report()

    def report(self) -> None:
        """Tell the host how many records were dropped since it was last told, if any were and it can be told."""
        count = self.dropped
        if not count:
            return
        text = f"{count} log record{' was' if count == 1 else 's were'} dropped: the host did not take them in time"
        if self._send(logging.WARNING, "slither", text, threading.current_thread().name):
            self.dropped -= count

    def _send(self, level: int, logger: str, text: str, thread: str | None) -> bool:
        frame = bytearray(_wire.HEADER_SIZE)
        body = (level, logger, text, self._running() or None)
        if self._several:
            _values.encode_trusted((*body, _errors.cut(str(thread), 256)), frame)
        else:
            _values.encode_trusted(body, frame)
        return self._connection.try_send(_wire.LOG, 0, frame, self._patience)


def install(handler: HostHandler, level: str | int | None) -> None:
    """Put the handler on the root logger, at `level` (WARNING if it is absent or unknown)."""
    root = logging.getLogger()
    root.addHandler(handler)
    named = level.upper() if isinstance(level, str) else level
    try:
        root.setLevel(named if named is not None else logging.WARNING)
    except (ValueError, TypeError):
        root.setLevel(logging.WARNING)
