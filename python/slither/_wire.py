"""Frames: the header, its limits, and the connection that reads and writes them (docs/PROTOCOL.md).

What is *not* here: what a body means. A connection hands bodies on as bytes.

Two promises shape the reading. A claimed length is compared with the cap before anything else is done with it, and
even then memory grows only as bytes arrive, so that a header that lies costs nothing. And the ordinary frame, one
that fits the buffer, costs one `recv` and no allocation.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Final, NoReturn, Protocol

from slither._exceptions import ProtocolError
from slither._withheld import NOTHING, Nothing, Withheld

HEADER: Final = struct.Struct("<IBBHQ")
HEADER_SIZE: Final = 16
_unpack: Final = HEADER.unpack_from
_pack: Final = HEADER.pack_into
MAX_FRAME_DEFAULT: Final = 256 << 20
MAX_FRAME_LIMIT: Final = 1 << 30
EXIT_PROTOCOL: Final = 70
EXIT_UNFIT: Final = 71

CALL: Final = 1
EXECUTE: Final = 2
BIND: Final = 3
VIEW_REPLY: Final = 4
STOP: Final = 5
OPEN_SESSION: Final = 6
END_SESSION: Final = 7
KEEP_REFS: Final = 8
DROP_REFS: Final = 9
CANCEL: Final = 10
DUMP: Final = 11
MORE: Final = 12

HELLO: Final = 32
RESULT: Final = 33
ERROR: Final = 34
VIEW: Final = 35
LOG: Final = 36
BOUND: Final = 37
SKIPPED: Final = 38
PARTIAL: Final = 39
PROGRESS: Final = 40
CAPACITY: Final = 41

CLAIM: Final = 1  # on CALL, EXECUTE, OPEN_SESSION and END_SESSION
STREAM: Final = 2  # on CALL and EXECUTE
CHAOS: Final = 4  # on CALL
VIEW_FAILED: Final = 1  # on VIEW_REPLY, where the page calls it ERROR
FAILED: Final = 1  # on RESULT and PARTIAL
REFS: Final = 2  # on RESULT
MANY: Final = 1  # on VIEW

# Flags that each kind may carry, of what a worker receives; a kind that is absent is not for a worker.
_FLAGS: Final = {
    CALL: CLAIM | STREAM | CHAOS,
    EXECUTE: CLAIM | STREAM,
    BIND: 0,
    VIEW_REPLY: VIEW_FAILED,
    STOP: 0,
    OPEN_SESSION: CLAIM,
    END_SESSION: CLAIM,
    KEEP_REFS: 0,
    DROP_REFS: 0,
    CANCEL: 0,
    DUMP: 0,
    MORE: 0,
}
_EMPTY: Final = {STOP: "STOP", CANCEL: "CANCEL", DUMP: "DUMP"}

# What `Connection.next` says.
WHOLE: Final = 0
LARGE: Final = 1
PART: Final = 2

_BUFFER: Final = 256 << 10
_FIRST_STEP: Final = 1 << 20
_NOSIGNAL: Final = int(socket.MSG_NOSIGNAL)  # an enum's member is converted at each call, an int is not

Frame = tuple[int, int, int, memoryview]
"""Kind, flags, id and body. The body is good until the next read, unless it is larger than the buffer."""


class Closed(Exception):
    """The other side is gone."""


class NoRoom(MemoryError):
    """A frame was received, and there was no memory to keep it in."""

    def __init__(self, ident: int, length: int) -> None:
        super().__init__(f"there is no memory for a frame of {length} bytes")
        self.ident = ident


def check_header(length: int, kind: int, flags: int, segments: int, max_frame: int) -> None:
    """Raise `ProtocolError` if a header that a worker receives breaks a rule."""
    if length > max_frame:
        raise ProtocolError(f"a frame claims {length} bytes, more than the {max_frame} that the pool allows")
    allowed = _FLAGS.get(kind)
    if allowed is None:
        raise ProtocolError(f"a frame of kind {kind}, which no worker receives")
    if flags & ~allowed:
        raise ProtocolError(f"flags {flags:#x} on a frame of kind {kind}, which may have {allowed:#x}")
    if segments:
        raise ProtocolError(f"{segments} out-of-band segments; version 1 has none")
    if length and kind in _EMPTY:
        raise ProtocolError(f"a {_EMPTY[kind]} frame with a body of {length} bytes")


def head(frame: bytearray, kind: int, flags: int, ident: int) -> None:
    """Write the header of a frame into the room that it has for it."""
    _pack(frame, 0, len(frame) - HEADER_SIZE, kind, flags, 0, ident)


class Outgoing(Protocol):
    """The sending side of a connection."""

    max_frame: int

    def send(self, kind: int, flags: int, ident: int, frame: bytearray) -> None:
        """Send `frame`, whose first 16 bytes are room for the header. Raises `Closed`."""

    def answer(self, kind: int, flags: int, ident: int, frame: bytearray) -> None:
        """Send like `send`, now or with what comes next, if that is not long after."""

    def try_send(self, kind: int, ident: int, frame: bytearray, timeout: float) -> bool:
        """Send like `send`, but give up (False) if the socket is not free within `timeout` seconds."""


class Connection:
    """One work socket: frames in, by one thread; frames out, by any."""

    def __init__(self, sock: socket.socket, max_frame: int = MAX_FRAME_DEFAULT) -> None:
        sock.setblocking(True)
        self._take(sock)
        self.max_frame = min(max_frame, MAX_FRAME_LIMIT)
        self._view = memoryview(bytearray(_BUFFER))
        self._start = 0
        self._end = 0
        self._lock = threading.Lock()
        self._withheld: Withheld | Nothing = NOTHING

    def withhold(self, withheld: Withheld) -> None:
        """Let short answers wait there for the next send, from now on."""
        self._withheld = withheld

    def read(self) -> Frame:
        """Return the next frame; block until it is there.

        Raises `Closed` when the stream ends, in the middle of a frame too, and `ProtocolError`.
        """
        start, end, view = self._start, self._end, self._view
        if start == end:
            start, end = 0, self._receive(view)
        while end - start < HEADER_SIZE:
            start, end = self._more(start, end)
        length, kind, flags, segments, ident = _unpack(view, start)
        if kind != CALL or flags or segments or length > self.max_frame:
            check_header(length, kind, flags, segments, self.max_frame)
        body = start + HEADER_SIZE
        stop = body + length
        if stop > end:
            if length > _BUFFER - HEADER_SIZE:
                self._start = self._end = 0
                return kind, flags, ident, self._read_large(view[body:end], length, ident)
            while end - start < HEADER_SIZE + length:
                start, end = self._more(start, end)
            body = start + HEADER_SIZE
            stop = body + length
        self._start, self._end = stop, end
        return kind, flags, ident, view[body:stop]

    def batches(self, token: int) -> Iterator[tuple[int, memoryview]]:
        """Yield id and body of each frame that is a plain CALL, claimed; end before one that is not. Raise like `read`.

        Whatever else is to be known of that frame, `read` finds out. What was sent ahead and taken back is answered.
        """
        view, most = self._view, self.max_frame
        while True:
            start, end = self._start, self._end
            if start == end:
                start, end = self._start, self._end = 0, self._receive(view)
            if end - start < HEADER_SIZE:
                return
            length, kind, flags, segments, ident = _unpack(view, start)
            body = start + HEADER_SIZE
            stop = body + length
            if kind != CALL or flags > CLAIM or segments or length > most or stop > end:
                return
            self._start = stop
            if not flags or claim(token):
                yield ident, view[body:stop]
            else:
                skip(self, ident)

    def _more(self, start: int, end: int) -> tuple[int, int]:
        """Receive behind what is in the buffer, moving it to the front first where room runs out."""
        view = self._view
        if start and _BUFFER - end < 4096 + (_BUFFER >> 1):
            view[: end - start] = bytes(view[start:end])
            start, end = 0, end - start
        return start, end + self._receive(view[end:])

    def _read_large(self, have: memoryview, length: int, ident: int) -> memoryview:
        """Read a body larger than the buffer into memory of its own, which whatever is decoded from it may keep.

        Anonymous private memory is neither zeroed nor copied as it grows, unlike a bytearray. Where there is none to
        be had, the rest is received and dropped, and `NoRoom` raised.
        """
        size = min(length, _FIRST_STEP)
        done = len(have)
        try:
            body = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            body[:done] = bytes(have)
        except (MemoryError, OSError):
            self._drop(length - done)
            raise NoRoom(ident, length) from None
        while done < length:
            if done == size:
                size = min(length, size * 2)
                try:
                    body.resize(size)
                except (MemoryError, OSError):
                    body.close()
                    self._drop(length - done)
                    raise NoRoom(ident, length) from None
            with memoryview(body) as whole, whole[done:size] as rest:
                done += self._receive(rest)
        return memoryview(body)

    def _drop(self, left: int) -> None:
        """Receive so many bytes, and keep none of them."""
        view = self._view
        while left:
            left -= self._receive(view[:left])

    def _receive(self, into: memoryview) -> int:
        if self._withheld.count:
            self.flush()
        try:
            count = self._recv_into(into)
        except ConnectionError as error:
            raise Closed(str(error)) from None
        if not count:
            raise Closed("the host closed the connection")
        return count

    def send(self, kind: int, flags: int, ident: int, frame: bytearray) -> None:
        """Send `frame`, whose first 16 bytes are room for the header. Raises `Closed`."""
        _pack(frame, 0, len(frame) - HEADER_SIZE, kind, flags, 0, ident)
        try:
            with self._lock:
                if self._withheld.count:
                    self._push(frame)
                else:
                    self._sendall(frame, _NOSIGNAL)
        except ConnectionError as error:
            raise Closed(str(error)) from None

    def answer(self, kind: int, flags: int, ident: int, frame: bytearray) -> None:
        """Send the answer to a short call; or withhold it until the next send, if another call is here already."""
        if self._start != self._end and self._withheld is not NOTHING:
            _pack(frame, 0, len(frame) - HEADER_SIZE, kind, flags, 0, ident)
            with self._lock:
                if self._withheld.add(frame):
                    return
        self.send(kind, flags, ident, frame)

    def flush(self) -> None:
        """Send what is withheld. Raises `Closed`."""
        if self._withheld.count:
            self.send_raw(b"")

    def _push(self, data: bytes | bytearray) -> None:
        """Send what is withheld, and this behind it; for whoever has the lock."""
        self._sendall(b"".join((self._withheld.frames(), data)), _NOSIGNAL)
        self._withheld.clear()

    def send_raw(self, data: bytes | bytearray) -> None:
        """Send bytes that are no frame. Raises `Closed`."""
        try:
            with self._lock:
                self._push(data)
        except ConnectionError as error:
            raise Closed(str(error)) from None

    def try_send(self, kind: int, ident: int, frame: bytearray, timeout: float) -> bool:
        """Send like `send`, but give up (False) if the socket is not free within `timeout` seconds.

        For logging, which may be called from anywhere, a signal handler in the middle of a `send` included.
        """
        if not self._lock.acquire(timeout=timeout):
            return False
        try:
            poller = select.poll()
            poller.register(self._sock, select.POLLOUT)
            if not poller.poll(timeout * 1000):
                return False
            _pack(frame, 0, len(frame) - HEADER_SIZE, kind, 0, 0, ident)
            self._push(frame)
        except OSError:
            return False
        finally:
            self._lock.release()
        return True

    # For an event loop, which must not block

    def fileno(self) -> int:
        """Return the descriptor, for polling."""
        return self._sock.fileno()

    def fill(self) -> None:
        """Receive once what is there; called when the socket is readable, and no frame is whole. Raises like `read`."""
        if self._start == self._end:
            self._start, self._end = 0, self._receive(self._view)
        else:
            self._start, self._end = self._more(self._start, self._end)

    def next(self) -> int:
        """Say what `read` would do now: return a frame, block for the rest of a large one, or block for a small one."""
        have = self._end - self._start
        if have < HEADER_SIZE:
            return PART
        length = int(_unpack(self._view, self._start)[0])
        if length > self.max_frame or have >= HEADER_SIZE + length:
            return WHOLE  # too long a frame is refused at once
        return LARGE if length > _BUFFER - HEADER_SIZE else PART

    def send_some(self, frame: bytearray) -> int:
        """Send what the socket takes at once of a frame with its header; return how many bytes that were.

        If some but not all, the connection stays locked until `send_rest` has sent the rest. Raises `Closed`.
        """
        if not self._lock.acquire(blocking=False):
            return 0
        sent = 0
        try:
            sent = self._sock.send(frame, _NOSIGNAL | socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass
        except ConnectionError as error:
            raise Closed(str(error)) from None
        finally:
            if not 0 < sent < len(frame):
                self._lock.release()
        return sent

    def send_rest(self, frame: bytearray, sent: int) -> None:
        """Send a frame of which `send_some` has sent so many bytes; block until it is gone. Raises `Closed`."""
        if not sent:
            self._lock.acquire()
        try:
            with memoryview(frame)[sent:] as rest:
                self._sendall(rest, _NOSIGNAL)
        except ConnectionError as error:
            raise Closed(str(error)) from None
        finally:
            self._lock.release()

    def stop_reading(self) -> None:
        """Have the thread that reads hear that the stream has ended. What is sent still arrives."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def disown(self) -> None:
        """Be a connection that nobody may use: in a process forked from the worker, whose stream it is."""
        self._sock.close()
        self._withheld = NOTHING
        self._take(_Disowned())
        self._lock = threading.Lock()  # a thread that is not here may have held the other

    def _take(self, sock: socket.socket | _Disowned) -> None:
        self._sock = sock
        self._sendall: Callable[..., object] = sock.sendall
        self._recv_into: Callable[..., int] = sock.recv_into


class _Disowned:
    """The socket of a worker in a process forked from it. Who comes back there to answer its call ends instead."""

    def send(self, *_: object) -> NoReturn:
        """Say why, and end."""
        text = (
            f"slither: process {os.getpid()}, forked from the worker {os.getppid()}, came back from the function that "
            "forked it, and was ended: the worker alone answers\nhint: end such a process with os._exit()\n"
        )
        with contextlib.suppress(OSError):
            os.write(2, text.encode())
        os._exit(1)

    sendall = recv_into = send

    def fileno(self) -> NoReturn:
        """There is none: nothing that may be lost is sent either."""
        raise OSError(errno.EBADF, "the socket is the worker's")

    def shutdown(self, _how: int) -> None:
        """Do nothing: it would end the worker's stream."""

    def close(self) -> None:
        """Do nothing."""


def skip(connection: Outgoing, ident: int) -> None:
    """Say that a frame sent ahead was taken back, and is forgotten. Raises `Closed`."""
    connection.send(SKIPPED, 0, ident, bytearray(HEADER_SIZE))


def claim(token: int) -> bool:
    """Take the token of a frame that was sent ahead. False says that the host has taken the frame back."""
    try:
        os.read(token, 8)
    except BlockingIOError:
        return False
    return True
