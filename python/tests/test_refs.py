"""References: objects that stay in the worker while the host holds them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from fakehost import FakeNursery, FakeWorker, pack
from msgspec.msgpack import Ext

from slither import _wire


@pytest.fixture
def holder(nursery: FakeNursery) -> FakeWorker:
    """A worker whose table is empty."""
    return nursery.worker()


def make(worker: FakeWorker, names: list[str]) -> tuple[int, list[Ext]]:
    call = worker.send(_wire.CALL, pack(["keeping:boxes", None, names]))
    kind, flags, body = worker.answer(call)
    assert (kind, flags) == (_wire.RESULT, _wire.REFS)
    return call, body


def number(ref: Ext) -> int:
    return int(msgspec.msgpack.decode(ref.data)[1])


def opened(worker: FakeWorker, ref: Any) -> Any:
    kind, _, body = worker.call("keeping:open_boxes", [ref])
    return body[0] if kind == _wire.RESULT else body["message"]


def test_the_host_says_which_it_keeps_and_what_it_drops(holder: FakeWorker) -> None:
    call, (a, b, c) = make(holder, ["a", "b", "c"])
    assert [opened(holder, each) for each in (a, b, c)] == ["a", "b", "c"]
    holder.send(_wire.KEEP_REFS, pack([number(a), number(c)]), ident=call)
    assert [opened(holder, each) for each in (a, b, c)] == ["a", "a reference to an object that was dropped", "c"]
    holder.send(_wire.DROP_REFS, pack([number(a), 999]), ident=0)
    assert opened(holder, a) == "a reference to an object that was dropped"
    other = Ext(2, pack([4, number(c)]))
    assert opened(holder, other) == "a reference to an object that another worker holds"
    assert opened(holder, Ext(2, b"\xc0")).startswith("a reference that cannot be read")
    assert opened(holder, c) == "c"


def test_a_result_that_fails_makes_no_references(holder: FakeWorker) -> None:
    call, _ = make(holder, ["a"])
    kind, flags, body = holder.execute("keeping:box_and_set")
    assert (kind, flags, body["kind"]) == (_wire.ERROR, 0, "value")
    assert holder.execute("keeping:held")[2] == 1
    kind, flags, (results, failures) = holder.call("keeping:boxes_and_sets", [1, 2])
    assert (kind, flags) == (_wire.RESULT, _wire.FAILED)
    assert len(failures) == 2
    assert results == [None, None]
    assert holder.execute("keeping:held")[2] == 1
    holder.send(_wire.KEEP_REFS, pack([]), ident=call)
    assert holder.execute("keeping:held")[2] == 0


def test_a_reference_travels_in_a_result_only(holder: FakeWorker) -> None:
    error = holder.error("keeping:ask_with_box", [1], "exception")
    assert error["exception"][0] == "slither._exceptions.ValueNotSupported"
    assert "is a slither.Ref, which travels in a result only" in error["message"]


def test_their_number_is_bounded(holder: FakeWorker) -> None:
    kind, flags, (results, failures) = holder.call("keeping:many_boxes", [65_530, 10])
    assert (kind, flags) == (_wire.RESULT, _wire.FAILED | _wire.REFS)
    assert len(results[0]) == 65_530
    ((index, error),) = failures
    assert (index, error["kind"]) == (1, "value")
    assert "one reference more than the 65536 that a worker holds" in error["message"]
    assert holder.execute("keeping:held")[2] == 65_530, "an item that fails holds none"


def test_while_a_view_is_awaited_references_are_dropped_at_once(holder: FakeWorker) -> None:
    call, (a,) = make(holder, ["a"])
    asking = holder.send(_wire.CALL, pack(["sample:look_up", None, ["k"]]))
    _, _, view, _ = holder.recv()
    holder.send(_wire.KEEP_REFS, pack([number(a)]), ident=call)
    for _ in range(200):
        holder.send(_wire.DROP_REFS, pack([number(a)]), ident=0)
    holder.send(_wire.VIEW_REPLY, pack("v"), ident=view)
    assert holder.answer(asking) == (_wire.RESULT, 0, ["v"])
    assert holder.execute("keeping:held")[2] == 0
