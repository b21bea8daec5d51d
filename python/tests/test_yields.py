"""Generators: results travel as they come, are final, and are as many as there are items."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fakehost import FakeNursery, FakeWorker, Gone, pack

from slither import _wire

EPOCHS = itertools.count(10)


@pytest.fixture
def patient(shared_nursery: FakeNursery) -> Iterator[FakeWorker]:
    """A worker whose last result waits for the end for as long as that takes: the machine may hold it up there."""
    made = shared_nursery.worker(epoch=next(EPOCHS))
    made.execute("sample:yields_wait", [1000.0])
    yield made
    made.sock.close()
    assert shared_nursery.hear()["op"] == "exited"


def stream(worker: FakeWorker, function: str, items: list[Any], flags: int = _wire.STREAM) -> int:
    return worker.send(_wire.CALL, pack([f"sample:{function}", None, items]), flags)


def partials(worker: FakeWorker, ident: int) -> list[Any]:
    """What has come before the answer to `ident`, frame by frame."""
    return [body for kind, _, about, body in worker.meanwhile if (kind, about) == (_wire.PARTIAL, ident)]


def go(worker: FakeWorker, answer: Any = None) -> list[tuple[int, int, Any]]:
    """The frames up to the next view call, which is then answered."""
    frames: list[tuple[int, int, Any]] = []
    while True:
        kind, flags, ident, body = worker.recv()
        if kind == _wire.VIEW:
            worker.send(_wire.VIEW_REPLY, pack(answer), ident=ident)
            return frames
        frames.append((kind, flags, body))


def test_a_result_comes_before_the_next_one_is_made(worker: FakeWorker) -> None:
    ident = stream(worker, "step_by_step", [1, 2, 3])
    assert go(worker) == [(_wire.PARTIAL, 0, [1])]
    assert go(worker) == [(_wire.PARTIAL, 0, [2])]
    # The last waits a moment for the end, and then no longer: no answer is needed for it to come.
    frames = [worker.recv(), worker.recv()]
    assert (_wire.PARTIAL, 0, ident, [3]) in frames
    [asked] = [number for kind, _, number, _ in frames if kind == _wire.VIEW]
    worker.send(_wire.VIEW_REPLY, pack(None), ident=asked)
    assert worker.answer(ident) == (_wire.RESULT, 0, [])


@pytest.mark.parametrize("function", ["generate", "generate_async"])
def test_quick_results_are_gathered_and_none_is_lost(worker: FakeWorker, function: str) -> None:
    items = list(range(10_000))
    begun = time.monotonic()
    ident = stream(worker, function, items)
    kind, flags, rest = worker.answer(ident)
    milliseconds = 1000 * (time.monotonic() - begun)
    came = partials(worker, ident)
    assert (kind, flags) == (_wire.RESULT, 0)
    assert [each for part in came for each in part] + rest == items
    # One each millisecond, and what has waited is sent each 2.5 at most.
    assert len(came) < 50 + 1.5 * milliseconds, "quick results share their frames"


@pytest.mark.parametrize("function", ["generate", "generate_async"])
def test_the_last_result_travels_with_the_answer(patient: FakeWorker, function: str) -> None:
    items = list(range(10_000))
    ident = stream(patient, function, items)
    kind, flags, rest = patient.answer(ident)
    assert (kind, flags) == (_wire.RESULT, 0)
    assert [each for part in partials(patient, ident) for each in part] + rest == items
    assert rest


def test_an_error_fails_only_the_rest(worker: FakeWorker) -> None:
    ident = stream(worker, "step_by_step", ["a", "fails", "a set", "d", "e"])
    frames = go(worker) + go(worker) + go(worker) + go(worker, "raise")
    kind, _, error = worker.answer(ident)
    frames += [(_wire.PARTIAL, flags, body) for _, flags, _, body in worker.meanwhile]
    assert (kind, error["kind"], error["message"]) == (_wire.ERROR, "exception", "no more")
    results: list[Any] = []
    failures = {}
    for _, flags, body in frames:
        if flags:
            failures.update({len(results) + at: failure for at, failure in body[1]})
        results += body[0] if flags else body
    assert results == ["a", None, None, "d"]
    assert [failures[at]["kind"] for at in (1, 2)] == ["failed", "value"]
    assert failures[1]["message"] == "an odd one"
    assert "result[2]" in failures[2]["message"]
    worker.alive()


def test_too_few_results_are_an_error_that_names_both_counts(worker: FakeWorker) -> None:
    ident = stream(worker, "step_by_step", [1, 2, 3])
    go(worker)
    go(worker, "stop")
    kind, _, error = worker.answer(ident)
    assert (kind, error["kind"]) == (_wire.ERROR, "contract")
    assert "2 results for 3 items" in error["message"]
    worker.alive()


def test_too_many_results_fail_what_was_not_sent(patient: FakeWorker) -> None:
    ident = stream(patient, "twice", [1, 2])
    kind, _, error = patient.answer(ident)
    assert (kind, error["kind"]) == (_wire.ERROR, "contract")
    assert "at least 3 results for 2 items" in error["message"]
    assert partials(patient, ident) == [[1]], "the second result waits for the end, and fails of what comes instead"
    patient.alive()


def test_what_was_sent_stays_when_the_process_dies(shared_nursery: FakeNursery) -> None:
    worker = shared_nursery.worker(epoch=9)
    stream(worker, "step_by_step", [1, 2, 3])
    assert go(worker) == [(_wire.PARTIAL, 0, [1])]
    assert go(worker, "exit") == [(_wire.PARTIAL, 0, [2])]
    with pytest.raises(Gone):
        worker.recv()
    assert shared_nursery.hear()["op"] == "exited"


def test_a_host_that_does_not_ask_for_them_gets_all_at_once(worker: FakeWorker) -> None:
    assert worker.result("sample:generate", [1, 2, 3]) == [1, 2, 3]
    assert worker.result("sample:generate_async", [1, 2, 3]) == [1, 2, 3]
    assert not worker.meanwhile


def test_other_functions_answer_as_ever(worker: FakeWorker) -> None:
    for function in ("echo", "eventually"):
        assert worker.answer(stream(worker, function, [1, 2])) == (_wire.RESULT, 0, [1, 2])
    assert worker.answer(stream(worker, "generate", [])) == (_wire.RESULT, 0, [])


def test_a_generator_may_use_its_objects_again(worker: FakeWorker) -> None:
    ident = stream(worker, "same_list", [1, 2, 3])
    _, _, rest = worker.answer(ident)
    assert [each for part in partials(worker, ident) for each in part] + rest == [[1], [1, 2], [1, 2, 3]]


def test_a_reference_that_is_yielded_fails_its_item_and_no_other(worker: FakeWorker) -> None:
    ident = stream(worker, "refers", ["a", "ref", "c"])
    kind, flags, rest = worker.answer(ident)
    frames = [(flag, body) for name, flag, _, body in worker.meanwhile if name == _wire.PARTIAL] + [(flags, rest)]
    results = [each for flag, body in frames for each in (body[0] if flag else body)]
    failures = [failure for flag, body in frames if flag for _, failure in body[1]]
    assert (kind, results) == (_wire.RESULT, ["a", None, "c"])
    assert [(failure["kind"], "slither.Ref" in failure["message"]) for failure in failures] == [("value", True)]
