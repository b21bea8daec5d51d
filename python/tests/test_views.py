"""Views: asked by Python, answered by the host, with other frames in between."""

from __future__ import annotations

from fakehost import FakeWorker, pack

from slither import _blackbox, _wire


def test_views_are_asked_and_answered(worker: FakeWorker) -> None:
    call = worker.send(_wire.CALL, pack(["sample:look_up", ["r", None, None, None, 1, {}], ["a", "b", "c", "d"]]))
    answers = [
        (0, "value a"),
        (1, {"kind": "unknown", "message": "no such view"}),
        (1, {"kind": "timeout", "message": "too slow"}),
        (1, {"kind": "panic", "message": "handler failed"}),
    ]
    for key, (flags, answer) in zip("abcd", answers, strict=True):
        kind, many, ident, body = worker.recv()
        assert (kind, many) == (_wire.VIEW, 0)
        assert body == [call, "lookup", {"key": key}]
        assert (worker.black_box()[1:], worker.subject()) == ((call, _blackbox.VIEW), "lookup")
        worker.send(_wire.VIEW_REPLY, pack("late, and ignored"), ident=ident + 1000)
        worker.send(_wire.VIEW_REPLY, pack(answer), flags=flags, ident=ident)
    assert worker.answer(call)[2] == [
        "value a",
        ["UnknownView", "no such view"],
        ["ViewTimeout", "too slow"],
        ["ViewFailed", "handler failed"],
    ]


def test_many_calls_are_one_exchange(worker: FakeWorker) -> None:
    call = worker.send(_wire.CALL, pack(["sample:look_up_many", None, [1, 2]]))
    kind, flags, ident, body = worker.recv()
    assert (kind, flags) == (_wire.VIEW, _wire.MANY)
    assert body == [call, "lookup", [{"key": 1}, {"key": 2}]]
    worker.send(_wire.VIEW_REPLY, pack(["one", "two"]), ident=ident)
    assert worker.answer(call) == (_wire.RESULT, 0, ["one", "two"])


def test_an_argument_that_cannot_travel_is_the_users_error(worker: FakeWorker) -> None:
    error = worker.error("sample:look_up_odd", [1], "exception")
    assert error["exception"][0] == "slither._exceptions.ValueNotSupported"
    assert "'key'" in error["message"]
    worker.alive()


def test_a_call_that_comes_while_a_view_is_awaited_runs_after(worker: FakeWorker) -> None:
    first = worker.send(_wire.CALL, pack(["sample:look_up", None, ["a"]]))
    _, _, ident, _ = worker.recv()
    second = worker.send(_wire.CALL, pack(["sample:echo", None, [1]]))
    third = worker.send(_wire.CALL, pack(["sample:echo", None, [2]]), flags=_wire.CLAIM)
    worker.send(_wire.VIEW_REPLY, pack("answer"), ident=ident)
    assert worker.answer(first) == (_wire.RESULT, 0, ["answer"])
    assert worker.answer(second) == (_wire.RESULT, 0, [1])
    assert worker.answer(third) == (_wire.SKIPPED, 0, None)
