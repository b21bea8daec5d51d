"""Calls: what a batch or a single call is answered with, and that the worker serves on afterwards."""

from __future__ import annotations

from typing import Any

import pytest
from fakehost import FakeNursery, FakeWorker, pack

import slither
from slither import _wire


def test_hello_says_who_is_there(shared_nursery: FakeNursery) -> None:
    worker = shared_nursery.start(epoch=77)
    body = worker.hello()
    assert body["protocol"] == 1
    assert body["pid"] == worker.pid
    assert set(body) == {"protocol", "sdk", "pid", "python", "implementation", "gil", "gil_build", "gil_by", "slots"}
    assert (body["slots"], body["gil_by"]) == (1, None)


@pytest.mark.parametrize("name", ["echo", "generate", "eventually", "returns_tuple", "Nested.echo"])
def test_a_batch_is_answered_item_by_item(worker: FakeWorker, name: str) -> None:
    items = [1, "two", None, 2.5, b"five", [6], {"seven": 7}]
    assert worker.result(f"sample:{name}", items) == items


def test_an_empty_batch_has_an_empty_answer(worker: FakeWorker) -> None:
    assert worker.result("sample:echo", []) == []


@pytest.mark.parametrize(
    ("args", "function", "expected"),
    [
        ({"a": 1}, "give", {"a": 1}),
        ([1, 2], "give_args", [1, 2]),
        (None, "give_args", []),
        ("one", "give_args", ["one"]),
    ],
)
def test_execute_spreads_its_arguments(worker: FakeWorker, args: Any, function: str, expected: Any) -> None:
    assert worker.execute(f"sample:{function}", args) == (_wire.RESULT, 0, expected)


@pytest.mark.parametrize(
    ("name", "kind"), [("echo", "function"), ("generate", "generator"), ("eventually", "coroutine")]
)
def test_bind_says_what_a_function_is(worker: FakeWorker, name: str, kind: str) -> None:
    assert worker.bind(f"sample:{name}") == (_wire.BOUND, 0, {"kind": kind})


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sample:ecko", ["'sample' has no 'ecko'", "did you mean 'echo'"]),
        ("sampel:echo", ["no module named 'sampel'", "did you mean 'sample'", "tests"]),
        ("sample:not_callable", ["of type int"]),
        ("sample", ["module:function"]),
        ("broken_import:f", ["importing 'broken_import' failed", "no_such_dependency", "hint: install it"]),
        ("broken_syntax:f", ["importing 'broken_syntax' failed: SyntaxError"]),
        ("broken_exit:f", ["importing 'broken_exit' failed: SystemExit"]),
    ],
)
def test_what_cannot_be_imported_is_explained(worker: FakeWorker, name: str, words: list[str]) -> None:
    kind, _, body = worker.bind(name)
    assert (kind, body["kind"]) == (_wire.ERROR, "import")
    for word in words:
        assert word in body["message"]
    assert worker.error(name, [1], "import")["message"]
    worker.alive()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("returns_none", "the function returned None; a list of 8 results was expected"),
        ("returns_dict", "the function returned a dict; a list of 8 results was expected"),
        ("returns_short", "the function returned a list of 7; a list of 8 results was expected"),
        ("returns_set", "the function returned a set; a list of 8 results was expected"),
    ],
)
def test_a_broken_contract_fails_the_batch_and_says_what_came(worker: FakeWorker, name: str, message: str) -> None:
    assert worker.error(f"sample:{name}", list(range(8)), "contract")["message"].startswith(message)
    worker.alive()


def test_failed_items_do_not_fail_their_batch(worker: FakeWorker) -> None:
    kind, flags, (results, failures) = worker.call("sample:fails_some", [1, 2, 3, 4])
    assert (kind, flags) == (_wire.RESULT, _wire.FAILED)
    assert results == [None, 2, None, 4]
    assert [(index, error["kind"], error["message"]) for index, error in failures] == [
        (0, "failed", "item 1 is odd"),
        (2, "failed", "item 3 is odd"),
    ]


def test_what_can_succeed_later_says_so(worker: FakeWorker) -> None:
    kind, _, error = worker.call("sample:asks_again", ["all"])
    assert (kind, error["kind"], error["message"]) == (_wire.ERROR, "retry", "the service is busy")
    assert (error["retry_after"], error["exception"][0]) == (2.0, "slither._retry.Retry")
    assert "in asks_again" in error["traceback"]
    kind, flags, (results, failures) = worker.call("sample:asks_again", [1, "one"])
    assert (kind, flags, results) == (_wire.RESULT, _wire.FAILED, [1, None])
    [(index, error)] = failures
    assert (index, error["kind"], error["message"], error["retry_after"]) == (1, "retry", "one is", None)
    assert error["traceback"] is None


@pytest.mark.parametrize("after", [-1, float("nan"), float("inf")])
def test_a_wait_that_makes_no_sense_is_refused(after: float) -> None:
    with pytest.raises(ValueError, match="after must be"):
        slither.Retry("soon", after=after)


def test_an_exception_is_described_by_the_frames_of_the_user(worker: FakeWorker) -> None:
    error = worker.error("sample:fails", [1], "exception")
    assert error["message"] == "no good"
    assert error["exception"] == ["ValueError", "Exception", "BaseException"]
    assert "in fails" in error["traceback"]
    assert "_worker.py" not in error["traceback"]


def test_causes_are_shown(worker: FakeWorker) -> None:
    trace = worker.error("sample:fails_chained", [1], "exception")["traceback"]
    assert trace.index("KeyError") < trace.index("direct cause") < trace.index("RuntimeError: outer")


@pytest.mark.parametrize(
    ("what", "first", "message"),
    [
        ("exit", "SystemExit", "3"),
        ("interrupt", "KeyboardInterrupt", ""),
        ("generator exit", "GeneratorExit", ""),
        ("unspeakable", "sample.Unspeakable", "__str__ raised RuntimeError"),
        ("unpicklable", "sample.Unpicklable", "stays here"),
        ("huge", "ValueError", "[cut: 100000000 characters]"),
        ("surrogate", "ValueError", "\\ud800 lone"),
        ("memory", "MemoryError", "python ran out of memory"),
        ("recursion", "RecursionError", "maximum recursion depth"),
    ],
)
def test_whatever_is_raised_is_an_error_and_the_worker_survives(
    worker: FakeWorker, what: str, first: str, message: str
) -> None:
    error = worker.error("sample:raises", [what], "out_of_memory" if what == "memory" else "exception")
    assert error["exception"][0] == first
    assert message in error["message"]
    assert len(error["message"].encode()) <= 8 << 10
    assert len(error["traceback"].encode()) <= 32 << 10
    worker.alive()


def test_a_reply_beyond_the_cap_fails_the_item_that_is_too_large(worker: FakeWorker) -> None:
    _, flags, (results, failures) = worker.call("sample:large", [10, 9 << 20, 20])
    assert flags == _wire.FAILED
    assert (results[0], results[1], len(results[2])) == (b"x" * 10, None, 20)
    assert [(index, error["kind"]) for index, error in failures] == [(1, "too_large")]
    worker.alive()


def test_replies_that_are_too_large_together_fail_the_call(worker: FakeWorker) -> None:
    assert "batch_size" in worker.error("sample:large", [3 << 20] * 3, "too_large")["message"]
    worker.alive()


def test_a_large_frame_is_read_in_pieces(worker: FakeWorker) -> None:
    items = [b"x" * 100_000] * 30
    body = pack(["sample:echo", None, items])
    import threading

    # The worker reads while this side still writes; the answer is read beside it.
    thread = threading.Thread(target=worker.send, args=(_wire.CALL, body), kwargs={"ident": 10**9})
    thread.start()
    kind, _, results = worker.answer(10**9)
    thread.join()
    assert kind == _wire.RESULT
    assert results == items


def test_what_is_printed_never_meets_the_protocol(shared_nursery: FakeNursery) -> None:
    worker = shared_nursery.worker(epoch=5)
    assert worker.result("sample:talk", [1]) == [1]
    worker.send(_wire.STOP, ident=0)
    assert worker.stdout() == "printed\nwritten\nfrom C\n"
    assert shared_nursery.hear()["code"] == 0


def test_a_frame_sent_ahead_is_claimed_or_skipped(worker: FakeWorker) -> None:
    from fakehost import post

    body = pack(["sample:echo", None, [1]])
    post(worker.token)
    assert worker.answer(worker.send(_wire.CALL, body, flags=_wire.CLAIM)) == (_wire.RESULT, 0, [1])
    assert worker.answer(worker.send(_wire.CALL, body, flags=_wire.CLAIM)) == (_wire.SKIPPED, 0, None)
    assert worker.answer(worker.send(_wire.EXECUTE, body, flags=_wire.CLAIM)) == (_wire.SKIPPED, 0, None)
    worker.alive()


def test_results_are_let_go_when_they_are_sent_and_not_when_others_come(worker: FakeWorker) -> None:
    assert worker.result("sample:makes", [1, 2]) == [{"n": 1}, {"n": 2}]
    assert worker.result("sample:still_there", [0]) == [0]


def test_the_context_is_there_and_decoded_anew_for_each_call(worker: FakeWorker) -> None:
    context = ["run", "pipe", "stage", "session", 2, {"key": [1]}]
    assert worker.result("sample:where", [0], context) == [context]
    assert worker.result("sample:where", [0], [None, None, None, None, 1, None]) == [[None] * 4 + [1, {}]]
    assert worker.result("sample:where", [0]) == [[None] * 4 + [1, {}]]


def test_logging_becomes_frames(worker: FakeWorker) -> None:
    assert worker.result("sample:log", [7]) == [7]
    records = [body for kind, _, _, body in worker.meanwhile if kind == _wire.LOG]
    assert records[0] == [30, "sample", "warned about 7", worker.next_id]
    assert len(records[1][2].encode()) <= 8 << 10
    assert "cannot be formatted" in records[2][2]
    assert len(records) == 3


def test_an_sdk_call_in_a_forked_child_is_refused(worker: FakeWorker) -> None:
    [text] = worker.result("sample:fork_and_ask", [1])
    assert "forked from the worker" in text
    assert not worker.meanwhile
    worker.alive()


def test_the_black_box_is_idle_between_calls(worker: FakeWorker) -> None:
    worker.alive()
    assert worker.result("sample:echo", [1]) == [1]
    started, _, _ = worker.black_box()
    assert started > 0
