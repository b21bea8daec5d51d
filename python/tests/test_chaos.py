"""Chaos: each fault happens for real, where it says, and only to its own call."""

from __future__ import annotations

import os
import signal
import struct
import time
from typing import Any

import pytest
from fakehost import PATIENCE, FakeNursery, FakeWorker, Gone, pack

from slither import _blackbox, _wire


@pytest.fixture
def fresh(nursery: FakeNursery) -> FakeWorker:
    """A worker that the test may lose."""
    return nursery.worker()


def strike(worker: FakeWorker, function: str, items: list[Any], fault: list[Any], flags: int = 0) -> int:
    return worker.send(_wire.CALL, pack([f"sample:{function}", None, items, fault]), _wire.CHAOS | flags)


@pytest.mark.parametrize("point", ["before", "during", "after", "reply"])
def test_a_kill_comes_where_it_says(fresh: FakeWorker, point: str) -> None:
    ident = strike(fresh, "log" if point != "reply" else "echo", ["ran"], ["kill", point, 0.5])
    received: list[Any] = []
    data = bytearray()
    while piece := _read(fresh):
        data += piece
    fresh.gone()
    while len(data) >= 16:
        length, kind, _, _, about = struct.unpack_from("<IBBHQ", data)
        if len(data) < 16 + length:
            break
        received.append((kind, about))
        del data[: 16 + length]
    _, call, phase = fresh.black_box()
    assert call == ident, "the host can see which call it was"
    logged = any(kind == _wire.LOG for kind, _ in received)
    assert (_wire.RESULT, ident) not in received
    if point == "before":
        assert not logged
        assert phase in (_blackbox.DECODE, _blackbox.USER)
    if point in ("during", "after"):
        assert phase == _blackbox.USER
    if point == "after":
        assert logged, "the function had run"
    if point == "reply":
        assert 0 < len(data) < 16 + len(pack(["ran"])), "half of the answer was written"


def _read(worker: FakeWorker) -> bytes:
    try:
        return worker.sock.recv(65536)
    except ConnectionError:
        return b""


@pytest.mark.parametrize("point", ["gil", "sleep"])
def test_a_hang_never_ends_and_its_stack_can_be_had(fresh: FakeWorker, point: str) -> None:
    strike(fresh, "echo", [1], ["hang", point, 0.0])
    while fresh.black_box()[2] != _blackbox.USER:
        time.sleep(0.001)  # sleep: polls for the worker's own word
    deadline = time.monotonic() + PATIENCE
    while "_hang" not in fresh.fault_text() and time.monotonic() < deadline:
        os.kill(fresh.pid, signal.SIGUSR2)
        time.sleep(0.01)  # sleep: polls for the stack
    assert "_hang" in fresh.fault_text()
    os.kill(fresh.pid, signal.SIGKILL)
    fresh.gone()


@pytest.mark.parametrize("function", ["echo", "generate", "generate_async", "eventually"])
def test_a_slow_call_answers_later_and_right(worker: FakeWorker, function: str) -> None:
    plain = worker.call(f"sample:{function}", [1, 2])
    begun = time.monotonic()
    assert worker.answer(strike(worker, function, [1, 2], ["slow", "before", 0.05])) == plain
    assert time.monotonic() - begun >= 0.05
    worker.alive()


@pytest.mark.parametrize("function", ["echo", "generate", "eventually"])
@pytest.mark.parametrize("flags", [0, _wire.STREAM])
def test_what_is_raised_fails_the_call_alone(worker: FakeWorker, function: str, flags: int) -> None:
    for _ in range(3):
        kind, _, error = worker.answer(strike(worker, function, [1], ["raise", "before", 0.0], flags))
        assert (kind, error["kind"]) == (_wire.ERROR, "exception")
        assert error["exception"][0] == "slither.ChaosError"
        worker.alive()
        assert worker.call(f"sample:{function}", [1])[0] == _wire.RESULT, "the next call is as ever"


@pytest.mark.parametrize("point", ["length", "kind", "body"])
def test_garbage_takes_the_place_of_the_answer(fresh: FakeWorker, point: str) -> None:
    ident = strike(fresh, "echo", [1], ["garbage", point, 0.0])
    data = b""
    while len(data) < 17:
        data += fresh.sock.recv(100)
    length, kind, flags, segments, about = struct.unpack_from("<IBBHQ", data)
    assert (flags, segments, about) == (0, 0, ident)
    assert (length == 0xFFFF_FFFF) == (point == "length")
    assert (kind == 0xEE) == (point == "kind")
    assert data[16:] == b"\xc1"
    fresh.alive()


def test_a_generator_that_is_killed_has_yielded_some(fresh: FakeWorker) -> None:
    ident = strike(fresh, "generate", [1, 2, 3, 4], ["kill", "after", 0.0], _wire.STREAM)
    with pytest.raises(Gone):
        fresh.answer(ident)
    fresh.gone()


def test_a_function_that_cannot_be_imported_fails_by_itself(worker: FakeWorker) -> None:
    kind, _, error = worker.answer(strike(worker, "no_such", [1], ["kill", "before", 0.0]))
    assert (kind, error["kind"]) == (_wire.ERROR, "import")
    worker.alive()


def test_a_fault_without_its_form_breaks_the_protocol(fresh: FakeWorker) -> None:
    fresh.send(_wire.CALL, pack(["sample:echo", None, [1]]), _wire.CHAOS)
    with pytest.raises(Gone):
        fresh.recv()
    assert "CALL with CHAOS that is not" in fresh.stderr()


def test_nothing_of_it_is_loaded_before_it_is_asked_for(fresh: FakeWorker) -> None:
    assert fresh.execute("sample:loaded", ["_chaos"]) == (_wire.RESULT, 0, [])
    fresh.answer(strike(fresh, "echo", [1], ["slow", "before", 0.0]))
    assert fresh.execute("sample:loaded", ["_chaos"]) == (_wire.RESULT, 0, ["slither._chaos"])
