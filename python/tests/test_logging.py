"""Logging: what cannot be sent is dropped, and the host is told how many, once."""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from slither import _logging, _wire


class Busy:
    """A connection that takes as many frames as it has room for."""

    def __init__(self) -> None:
        self.room = 0
        self.sent: list[Any] = []

    def try_send(self, kind: int, ident: int, frame: bytearray, timeout: float) -> bool:  # noqa: ARG002
        if not self.room:
            return False
        self.room -= 1
        self.sent.append(msgspec.msgpack.decode(frame[_wire.HEADER_SIZE :]))
        assert (kind, ident) == (_wire.LOG, 0)
        return True


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("model", logging.INFO, __file__, 1, text, None, None)


def test_dropped_records_are_counted_and_told_once() -> None:
    connection = Busy()
    handler = _logging.HostHandler(connection, lambda: 7)
    for _ in range(3):
        handler.emit(record("lost"))
    connection.room = 1
    handler.emit(record("no room for the count"))
    connection.room = 2
    handler.emit(record("heard"))
    connection.room = 9
    handler.emit(record("nothing to tell"))
    handler.report()
    texts = [text for _, _, text, _ in connection.sent]
    assert texts[0::3] == ["no room for the count", "nothing to tell"]
    assert texts[1] == "heard"
    level, logger, told, call = connection.sent[2]
    assert (level, logger, call) == (logging.WARNING, "slither", 7)
    assert told.startswith("3 log records were dropped")
    handler.emit(record("fine"))
    connection.room = 0
    handler.emit(record("lost"))
    connection.room = 1
    handler.report()
    assert connection.sent[-1][2].startswith("1 log record was dropped"), "also at the end"
