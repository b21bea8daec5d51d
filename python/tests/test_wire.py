"""The wire: golden frames, and what a worker makes of bytes that break the rules."""

from __future__ import annotations

import json
import socket
import struct
import sys
from typing import Any

import golden
import msgspec
import pytest
from fakehost import FakeNursery, Gone, pack

from slither import _values, _wire
from slither._exceptions import ProtocolError

INDEX: dict[str, Any] = json.loads((golden.FOLDER / "frames.json").read_text())
FRAMES: dict[str, Any] = INDEX["frames"]
MALFORMED: dict[str, Any] = INDEX["malformed"]["frames"]


def test_the_files_are_what_golden_defines() -> None:
    assert golden.differences() == []


@pytest.mark.parametrize("name", FRAMES)
def test_a_golden_frame_is_what_its_description_says(name: str) -> None:
    entry = FRAMES[name]
    data = (golden.FOLDER / f"{name}.bin").read_bytes()
    length, kind, flags, segments, ident = struct.unpack("<IBBHQ", data[:16])
    assert (kind, flags, segments, ident) == (entry["kind"], entry["flags"], entry["segments"], entry["id"])
    assert length == len(data) - 16
    if "body" not in entry:
        assert length == 0
        return
    described = golden.from_notation(entry["body"])
    assert golden.same(msgspec.msgpack.decode(data[16:]), described)
    assert msgspec.msgpack.encode(described) == data[16:]


@pytest.mark.parametrize("name", [name for name in FRAMES if FRAMES[name]["direction"] == "to_worker"])
def test_a_connection_reads_it_whole_or_byte_by_byte(name: str) -> None:
    data = (golden.FOLDER / f"{name}.bin").read_bytes()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = _wire.Connection(theirs)
        ours.sendall(data + data)
        for _ in range(2):
            kind, flags, ident, body = connection.read()
            assert (kind, flags, ident) == tuple(FRAMES[name][key] for key in ("kind", "flags", "id"))
            assert bytes(body) == data[16:]
        ours.close()
        with pytest.raises(_wire.Closed):
            connection.read()


@pytest.mark.parametrize("name", [name for name in FRAMES if FRAMES[name]["direction"] == "to_host"])
def test_the_sdk_writes_it_as_it_is(name: str) -> None:
    entry = FRAMES[name]
    if entry["kind"] == _wire.RESULT and not entry["flags"]:
        described = golden.from_notation(entry["body"])
        if name == "result_tensors":
            described = [_values.decode_value(memoryview(pack(each))) for each in described]
        frame = bytearray(16)
        _values.encode_value(described, "result", frame, 1 << 20)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            _wire.Connection(theirs).send(entry["kind"], entry["flags"], entry["id"], frame)
            assert ours.recv(1 << 16) == (golden.FOLDER / f"{name}.bin").read_bytes()


@pytest.fixture(scope="module")
def capped() -> Any:
    nursery = FakeNursery(max_frame=INDEX["malformed"]["max_frame"])
    nursery.ready()
    yield nursery
    nursery.close()


@pytest.mark.parametrize("name", [name for name in MALFORMED if MALFORMED[name]["direction"] == "to_worker"])
def test_a_worker_makes_of_malformed_bytes_what_the_page_says(capped: FakeNursery, name: str) -> None:
    if name == "call_nested_10000" and sys.version_info >= (3, 14):
        print("not run: from 3.14 on Python counts the bytes of the stack, and 10,000 levels are few")
        pytest.skip("nesting is bounded by the stack, and not by its depth")
    worker = capped.worker()
    worker.sock.sendall((golden.FOLDER / "malformed" / f"{name}.bin").read_bytes())
    error = MALFORMED[name]["error"]
    if error == "decode":
        kind, _, body = worker.answer(1)
        assert (kind, body["kind"]) == (_wire.ERROR, "decode")
        worker.alive()
    worker.sock.shutdown(socket.SHUT_WR)
    if error != "decode":
        with pytest.raises(Gone):
            worker.recv()
    assert capped.hear()["code"] == (_wire.EXIT_PROTOCOL if error == "protocol" else 0)
    if error == "protocol":
        assert worker.stderr().startswith("slither: protocol error: ")


def test_a_claimed_length_is_never_allocated() -> None:
    """A header within the cap claims 1 GiB, and nothing follows: what is reserved stays at the first step."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = _wire.Connection(theirs, 1 << 30)
        ours.sendall(golden.header(1 << 30, _wire.CALL) + b"x" * 1000)
        ours.close()
        sizes: list[int] = []
        receive = connection._receive

        def watched(into: memoryview) -> int:
            sizes.append(len(into))
            return receive(into)

        connection._receive = watched  # type: ignore[method-assign]
        with pytest.raises(_wire.Closed):
            connection.read()
        assert max(sizes) <= 1 << 20


def test_frames_that_straddle_the_buffer_are_put_together() -> None:
    ours, theirs = socket.socketpair()
    bodies = [bytes([number % 256]) * (number * 7919 % 90_000) for number in range(60)]
    with ours, theirs:
        import threading

        data = b"".join(golden.header(len(body), _wire.CALL, ident=9) + body for body in bodies)
        thread = threading.Thread(target=ours.sendall, args=(data,))
        thread.start()
        connection = _wire.Connection(theirs)
        for body in bodies:
            assert bytes(connection.read()[3]) == body
        thread.join()


def test_a_body_larger_than_the_buffer_is_kept_apart() -> None:
    ours, theirs = socket.socketpair()
    body = bytes(range(256)) * 12_000
    with ours, theirs:
        import threading

        small = golden.header(1, _wire.CALL) + b"\xc0"
        data = small + golden.header(len(body), _wire.CALL) + body + small
        thread = threading.Thread(target=ours.sendall, args=(data,))
        thread.start()
        connection = _wire.Connection(theirs)
        assert bytes(connection.read()[3]) == b"\xc0"
        large = connection.read()[3]
        assert bytes(connection.read()[3]) == b"\xc0"
        thread.join()
        assert bytes(large) == body


def test_the_cap_on_frames_has_a_cap() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = _wire.Connection(theirs, 1 << 40)
        ours.sendall(golden.header((1 << 30) + 1, _wire.CALL))
        with pytest.raises(ProtocolError, match="1073741825"):
            connection.read()
