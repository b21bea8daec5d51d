"""The bare loop: a length, a msgpack list, back again."""

from __future__ import annotations

import socket
import struct

import msgspec


def main() -> None:
    """Echoes until the end of the stream."""
    connection = socket.socket(fileno=0)
    decode, encode = msgspec.msgpack.Decoder().decode, msgspec.msgpack.Encoder().encode
    head = struct.Struct("<I")
    buffer = bytearray()
    while True:
        while len(buffer) < 4 or len(buffer) < 4 + head.unpack_from(buffer)[0]:
            data = connection.recv(65536)
            if not data:
                return
            buffer += data
        (length,) = head.unpack_from(buffer)
        items = decode(memoryview(buffer)[4 : 4 + length])
        del buffer[: 4 + length]
        reply = encode(items)
        connection.sendall(head.pack(len(reply)) + reply)


if __name__ == "__main__":
    main()
