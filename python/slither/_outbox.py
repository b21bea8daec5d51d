"""The outbox: how an event loop sends on a socket that blocks, without being held up by a host that reads slowly.

What the socket takes at once is sent by the loop itself. The rest, and what is to be sent behind it, is left to a
thread that lives until all of it is gone.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import Final

from slither import _daemon, _wire

# From how many bytes on a coroutine that has more to send waits until there are fewer.
_FULL: Final = 1 << 20


class Outbox:
    """The sending side of a connection, for what runs in the loop; other threads use the connection itself."""

    def __init__(self, connection: _wire.Connection, loop: asyncio.AbstractEventLoop) -> None:
        self.max_frame = connection.max_frame
        self._connection = connection
        self._loop = loop
        self._lock = threading.Lock()
        self._frames: deque[bytearray] = deque()
        self._sent = 0  # of the first of them; the connection is locked for it, if that is not 0
        self._bytes = 0
        self._sender: threading.Thread | None = None
        self._room: asyncio.Future[None] | None = None

    def send(self, kind: int, flags: int, ident: int, frame: bytearray) -> None:
        """Send `frame`, which is the outbox's from here on, or have it sent later. Raises `Closed`."""
        _wire.head(frame, kind, flags, ident)
        with self._lock:
            sent = 0
            if self._sender is None:
                sent = self._connection.send_some(frame)
                if sent == len(frame):
                    return
                self._sent = sent
                self._sender = _daemon.start(self._send_rest, "slither-outbox")
            if self._sender is None:  # then the loop waits
                self._sent = 0
                self._connection.send_rest(frame, sent)
                return
            self._frames.append(frame)
            self._bytes += len(frame)

    answer = send

    def try_send(self, kind: int, ident: int, frame: bytearray, timeout: float) -> bool:
        """Send, or give up within `timeout` seconds; for what may be lost."""
        return self._connection.try_send(kind, ident, frame, timeout)

    async def room(self) -> None:
        """Wait until what is to be sent is not too much for more."""
        while True:
            # Under the lock: the sender counts down under it, and looks for who waits afterwards.
            with self._lock:
                if self._bytes <= _FULL:
                    return
                if self._room is None:
                    self._room = self._loop.create_future()
                room = self._room
            await asyncio.shield(room)

    def flush(self) -> None:
        """Wait until everything is sent or the host is gone. Not in the loop, or after its end."""
        sender = self._sender
        if sender is not None:
            sender.join()

    def _send_rest(self) -> None:
        while True:
            with self._lock:
                if not self._frames:
                    self._sender = None
                    return
                frame, sent, self._sent = self._frames[0], self._sent, 0
            try:
                self._connection.send_rest(frame, sent)
            except _wire.Closed:  # the reader will hear of it, too
                with self._lock:
                    self._frames.clear()
                    self._bytes = 0
                self._tell()
                continue
            with self._lock:
                self._frames.popleft()
                self._bytes -= len(frame)
            if self._bytes <= _FULL:
                self._tell()

    def _tell(self) -> None:
        if self._room is not None:
            self._loop.call_soon_threadsafe(self._make_room)

    def _make_room(self) -> None:
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)
