"""Withheld answers: what is sent when, and what the host finds in the black box."""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import time
from collections.abc import Iterator

import pytest
from fakehost import PATIENCE, FakeNursery, FakeWorker, Gone, pack, post

from slither import _wire, _withheld
from slither._withheld import Withheld


def frame(kind: int, ident: int, body: bytes = b"", flags: int = 0) -> bytes:
    return struct.pack("<IBBHQ", len(body), kind, flags, 0, ident) + body


def room(body: bytes) -> bytearray:
    return bytearray(_wire.HEADER_SIZE) + body


class Ends:
    """A connection that withholds, and the other end of it."""

    def __init__(self) -> None:
        self.host, theirs = socket.socketpair()
        self.host.settimeout(PATIENCE)
        self.box = os.memfd_create("box", os.MFD_CLOEXEC)
        os.ftruncate(self.box, _withheld.OFFSET + _withheld.SIZE)
        self.connection = _wire.Connection(theirs)
        self.connection.withhold(Withheld(self.box))

    def read(self, calls: int) -> None:
        """Have so many calls come together, and the worker read the first."""
        self.host.sendall(b"".join(frame(_wire.CALL, ident, b"body") for ident in range(1, calls + 1)))
        self.connection.read()

    def answer(self, ident: int, body: bytes = b"answer") -> bytes:
        self.connection.answer(_wire.RESULT, 0, ident, room(body))
        return frame(_wire.RESULT, ident, body)

    def there(self) -> bytes:
        length = int.from_bytes(os.pread(self.box, 8, _withheld.OFFSET), "little")
        return os.pread(self.box, length, _withheld.OFFSET + 8)

    def sent(self) -> bytes:
        self.host.setblocking(False)
        try:
            return self.host.recv(1 << 20)
        except BlockingIOError:
            return b""
        finally:
            self.host.settimeout(PATIENCE)


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    made.host.close()
    made.connection.close()
    os.close(made.box)


def test_an_answer_waits_while_another_call_is_here_and_goes_with_the_next(ends: Ends) -> None:
    ends.read(3)
    first = ends.answer(1)
    assert (ends.sent(), ends.there()) == (b"", first)
    ends.connection.read()
    second = ends.answer(2)
    assert (ends.sent(), ends.there()) == (b"", first + second)
    ends.connection.read()
    third = ends.answer(3)
    assert (ends.sent(), ends.there()) == (first + second + third, b""), "no call is here any more"


def test_whatever_else_is_sent_goes_behind_it(ends: Ends) -> None:
    ends.read(4)
    first = ends.answer(1)
    ends.connection.send(_wire.VIEW, 0, 7, room(b"view"))
    assert (ends.sent(), ends.there()) == (first + frame(_wire.VIEW, 7, b"view"), b"")
    second = ends.answer(2)
    assert ends.connection.try_send(_wire.LOG, 0, room(b"log"), PATIENCE)
    assert (ends.sent(), ends.there()) == (second + frame(_wire.LOG, 0, b"log"), b"")
    third = ends.answer(3)
    ends.connection.send_raw(b"raw")
    assert (ends.sent(), ends.there()) == (third + b"raw", b"")


def test_it_is_sent_before_the_worker_waits_for_a_frame_or_for_the_rest_of_one(ends: Ends) -> None:
    whole = frame(_wire.CALL, 2, b"body")
    ends.host.sendall(frame(_wire.CALL, 1, b"body") + whole[:18])
    ends.connection.read()
    first = ends.answer(1)
    ends.host.sendall(whole[18:])
    ends.connection.read()
    assert ends.sent() == first
    ends.host.sendall(frame(_wire.CALL, 3, b"body") + frame(_wire.CALL, 4, b"body"))
    ends.connection.read()
    second = ends.answer(3)
    ends.connection.read()
    ends.host.shutdown(socket.SHUT_WR)
    with pytest.raises(_wire.Closed):
        ends.connection.read()
    assert ends.sent() == second


def test_no_more_wait_than_there_is_room_for(ends: Ends) -> None:
    ends.read(100)
    sixteen = b"".join(ends.answer(ident) for ident in range(1, 17))
    assert (ends.sent(), ends.there()) == (b"", sixteen)
    next_one = ends.answer(17)
    assert (ends.sent(), ends.there()) == (sixteen + next_one, b"")
    long = ends.answer(18, b"x" * 5000)
    assert (ends.sent(), ends.there()) == (long, b"")
    four = b"".join(ends.answer(ident, b"x" * 4000) for ident in range(19, 23))
    assert (ends.sent(), ends.there()) == (b"", four)
    fifth = ends.answer(23, b"x" * 4000)
    assert (ends.sent(), ends.there()) == (four + fifth, b""), "16 KiB"


def ahead(worker: FakeWorker, *functions: str) -> list[int]:
    """Calls that come in one piece, all but the first ahead."""
    idents = list(range(worker.next_id + 1, worker.next_id + 1 + len(functions)))
    worker.next_id = idents[-1]
    for _ in idents[1:]:
        post(worker.token)
    flags = [0] + [_wire.CLAIM] * (len(idents) - 1)
    calls = zip(idents, functions, flags, strict=True)
    worker.sock.sendall(
        b"".join(frame(_wire.CALL, ident, pack([name, None, [ident]]), flag) for ident, name, flag in calls)
    )
    return idents


def test_short_calls_that_come_together_are_answered_in_order_and_each_once(worker: FakeWorker) -> None:
    idents = ahead(worker, *["sample:echo"] * 30)
    for ident in idents:
        assert worker.recv() == (_wire.RESULT, 0, ident, [ident])
    worker.alive()


def test_what_a_call_asks_of_the_host_comes_behind_the_answers_before_it(worker: FakeWorker) -> None:
    short, asks = ahead(worker, "sample:echo", "sample:look_up")
    assert worker.recv() == (_wire.RESULT, 0, short, [short])
    kind, _, view, _ = worker.recv()
    assert kind == _wire.VIEW
    worker.send(_wire.VIEW_REPLY, pack("there"), ident=view)
    assert worker.recv() == (_wire.RESULT, 0, asks, ["there"])


@pytest.mark.parametrize("next_call", ["sample:spin", "sample:crash"])
def test_an_answer_is_there_for_the_host_while_the_next_call_hangs_or_when_it_has_died(
    nursery: FakeNursery, next_call: str
) -> None:
    worker = nursery.worker()
    worker.call("sample:echo", [0])
    short, _ = ahead(worker, "sample:echo", next_call)
    limit = time.monotonic() + PATIENCE
    while not worker.withheld() and not is_readable(worker) and time.monotonic() < limit:
        time.sleep(0.001)  # sleep: until it has come so far
    # A call that the machine held up for 200 µs was answered at once.
    if worker.withheld():
        assert worker.withheld() == frame(_wire.RESULT, short, pack([short]))
    else:
        assert worker.recv() == (_wire.RESULT, 0, short, [short])
    if next_call == "sample:crash":
        with pytest.raises(Gone):
            worker.recv()
        assert nursery.hear()["signal"] == signal.SIGSEGV


def is_readable(worker: FakeWorker) -> bool:
    return bool(select.select([worker.sock], [], [], 0)[0])
