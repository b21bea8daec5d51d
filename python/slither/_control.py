"""The control channel: one msgpack map a packet, with descriptors beside it (docs/PROTOCOL.md, *Control*)."""

from __future__ import annotations

import array
import contextlib
import os
import socket
from typing import Any, Final

import msgspec

from slither._exceptions import ProtocolError

PACKET_LIMIT: Final = 60 << 10
_MAX_FDS: Final = 16
_ITEM: Final = array.array("i").itemsize
# Linux has it everywhere, Python's module does not name it on every version.
_CLOEXEC: Final = getattr(socket, "MSG_CMSG_CLOEXEC", 0x40000000)

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(dict[str, Any]).decode


class Control:
    """The nursery's end of the control channel."""

    def __init__(self, fd: int) -> None:
        self._sock = socket.socket(fileno=fd)

    def fileno(self) -> int:
        """Return the descriptor, for polling."""
        return self._sock.fileno()

    def receive(self) -> tuple[dict[str, Any], bytes, list[int]] | None:
        """Return the next packet, its bytes and its descriptors, all close-on-exec; None at the end.

        Python's `recv_fds` would leave the descriptors inheritable for a moment, and that is all a fork takes.
        """
        data, ancillary, flags, _ = self._sock.recvmsg(PACKET_LIMIT + 1, socket.CMSG_SPACE(_MAX_FDS * _ITEM), _CLOEXEC)
        fds = array.array("i")
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(content[: len(content) - len(content) % _ITEM])
        if not data and not fds:
            return None
        try:
            if len(data) > PACKET_LIMIT or flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
                raise ProtocolError(f"a control packet beyond {PACKET_LIMIT} bytes or {_MAX_FDS} descriptors")
            return _decode(data), data, list(fds)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            close_all(list(fds))
            raise ProtocolError(f"a control packet that is no map: {error}") from None
        except ProtocolError:
            close_all(list(fds))
            raise

    def send(self, op: str, fds: list[int] | None = None, **keys: Any) -> None:
        """Send one packet. Raises OSError when the host is gone."""
        data = _encode({"op": op, **keys})
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self._sock.sendmsg([data], rights, socket.MSG_NOSIGNAL)

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()


def close_all(fds: list[int]) -> None:
    """Close descriptors, those that are closed already included."""
    for fd in fds:
        with contextlib.suppress(OSError):
            os.close(fd)
