"""The async profile: many coroutines in one worker, each call with its own answer, deadline and cancellation."""

from __future__ import annotations

import os
import signal
import struct
import time
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest
from fakehost import PATIENCE, FakeNursery, FakeWorker, Gone, pack
from test_threads import answers, context, results, session, slot_of, view

from slither import _blackbox, _wire

SLOTS = 8


def call(worker: FakeWorker, function: str, items: list[Any], about: Any = None, flags: int = 0) -> int:
    return worker.send(_wire.CALL, pack([f"waiting:{function}", about, items]), flags=flags)


def slot(worker: FakeWorker, ident: int, phase: int) -> int:
    return slot_of(worker, ident, phase, SLOTS + 1)


@pytest.fixture(scope="module")
def nursery() -> Iterator[FakeNursery]:
    made = FakeNursery(profile={"kind": "async", "concurrency": SLOTS}, max_frame=8 << 20)
    made.ready()
    yield made
    made.close()


def started(nursery: FakeNursery, epoch: int = 1) -> FakeWorker:
    made = nursery.start(epoch)
    assert made.hello()["slots"] == SLOTS
    for function in ("wait", "hears", "nap", "lets_plain_go"):
        assert made.bind(f"waiting:{function}") == (_wire.BOUND, 0, {"kind": "coroutine"})
    return made


@pytest.fixture
def worker(nursery: FakeNursery) -> Iterator[FakeWorker]:
    made = started(nursery)
    yield made
    made.sock.close()
    packet = nursery.hear()
    assert (packet["op"], packet["code"]) == ("exited", 0)


def test_two_hundred_calls_of_a_tenth_of_a_second_take_four_of_them() -> None:
    nursery = FakeNursery(profile={"kind": "async", "concurrency": 50})
    nursery.ready()
    worker = nursery.worker()
    worker.bind("waiting:nap")
    begun = time.monotonic()
    out = [call(worker, "nap", [0.1]) for _ in range(50)]
    left = 150
    while out:
        kind, _, ident, body = worker.recv()
        assert (kind, body) == (_wire.RESULT, [0.1])
        out.remove(ident)
        if left:
            left -= 1
            out.append(call(worker, "nap", [0.1]))
    took = time.monotonic() - begun
    print(f"200 calls of 100 ms, 50 at once: {took:.3f} s")
    assert 0.4 <= took < 15, "one after the other they take 20 s"
    nursery.close()


def test_answers_come_as_calls_end_each_with_what_became_of_it(worker: FakeWorker) -> None:
    slow, fails, other = call(worker, "wait", ["a"]), call(worker, "fails", ["b"]), call(worker, "wait", ["c"])
    opened = call(worker, "open_gate", ["b"])
    found = answers(worker, opened, fails)
    assert found[fails][2]["message"] == "no b"
    assert "in fails" in found[fails][2]["traceback"]
    assert "_task.py" not in found[fails][2]["traceback"]
    opened = call(worker, "open_gate", ["c"])
    results(worker, opened, other)
    opened = call(worker, "open_gate", ["a"])
    results(worker, opened, slow)
    assert worker.execute("waiting:add", {"a": 1, "b": 2}) == (_wire.RESULT, 0, 3)
    assert worker.execute("waiting:model.predict", [4]) == (_wire.RESULT, 0, 5)
    odd = worker.execute("waiting:add", {"c": 1})
    assert odd[2]["exception"][0] == "TypeError"
    worker.alive()


@pytest.mark.parametrize("function", ["exits", "cancels_itself"])
def test_what_asyncio_lets_through_is_that_calls_error_and_no_other(worker: FakeWorker, function: str) -> None:
    waits = call(worker, "wait", ["through"])
    leaves = call(worker, function, ["x"])
    kind, _, error = answers(worker, leaves)[leaves]
    assert (kind, error["kind"]) == (_wire.ERROR, "exception")
    assert error["exception"][0] in {"KeyboardInterrupt", "asyncio.exceptions.CancelledError"}
    results(worker, call(worker, "open_gate", ["through"]), waits)


def test_a_cancelled_call_is_awaited_and_says_where_it_was(worker: FakeWorker) -> None:
    waits, other = call(worker, "cleans_up", ["never"]), call(worker, "wait", ["other"])
    slot(worker, waits, _blackbox.AWAIT)
    slot(worker, other, _blackbox.AWAIT)
    worker.send(_wire.CANCEL, ident=waits)
    while results(worker, call(worker, "hears", [1])) != [["cleaning never"]]:
        pass
    cleaned = call(worker, "open_gate", ["clean"])
    found = answers(worker, waits, cleaned)
    kind, _, error = found[waits]
    assert (kind, error["kind"]) == (_wire.ERROR, "cancelled")
    assert error["message"]
    assert error["exception"][0] == "asyncio.exceptions.CancelledError"
    assert "in wait" in error["traceback"]
    assert results(worker, call(worker, "hears", [1])) == [["cleaned never"]]
    results(worker, call(worker, "open_gate", ["other"]), other)
    worker.send(_wire.CANCEL, ident=waits)  # it has ended: nothing comes of it
    worker.alive()


def test_what_the_function_makes_of_its_cancellation_is_the_answer(worker: FakeWorker) -> None:
    waits = call(worker, "makes_the_best_of_it", ["it"])
    slot(worker, waits, _blackbox.AWAIT)
    worker.send(_wire.CANCEL, ident=waits)
    assert results(worker, waits) == [["without it"]]


def test_one_that_will_not_end_stays_and_its_stack_can_be_had(worker: FakeWorker) -> None:
    stays = call(worker, "will_not_end", ["last"])
    slot(worker, stays, _blackbox.AWAIT)
    worker.send(_wire.CANCEL, ident=stays)
    while results(worker, call(worker, "hears", [1])) != [["still last"]]:
        pass
    for ident in (10**9, stays):
        worker.send(_wire.DUMP, ident=ident)
    results(worker, call(worker, "hears", [1]))
    before, *lines = worker.fault_text().splitlines()
    assert not before  # or it would belong to what faulthandler wrote there
    assert lines[0] == f"Task of call {stays} (most recent call first):"
    assert 'asyncio/locks.py", line' in lines[1]
    assert lines[2].endswith("in will_not_end")
    assert lines[2].startswith('  File "/')
    assert len(lines) == 4
    assert not lines[3]
    worker.send(_wire.CANCEL, ident=stays)  # each cancels once more, and this one it does not catch
    assert answers(worker, stays)[stays][2]["kind"] == "cancelled"


def test_a_call_cancelled_before_its_first_step_is_answered(worker: FakeWorker) -> None:
    # In one write, so that the worker reads both before its loop comes to the task.
    for _ in range(20):
        worker.next_id += 1
        body = pack(["waiting:wait", None, ["never"]])
        frames = struct.pack("<IBBHQ", len(body), _wire.CALL, 0, 0, worker.next_id) + body
        worker.sock.sendall(frames + struct.pack("<IBBHQ", 0, _wire.CANCEL, 0, 0, worker.next_id))
        kind, _, error = answers(worker, worker.next_id)[worker.next_id]
        assert (kind, error["kind"]) == (_wire.ERROR, "cancelled")


def test_calls_beyond_the_concurrency_wait_and_can_be_cancelled(worker: FakeWorker) -> None:
    busy = [call(worker, "wait", ["full"]) for _ in range(SLOTS)]
    waiting, never = call(worker, "wait", ["full"]), call(worker, "wait", ["nothing opens this"])
    worker.send(_wire.CANCEL, ident=never)
    for ident in busy:
        slot(worker, ident, _blackbox.AWAIT)
    worker.send(_wire.CANCEL, ident=busy[0])
    assert answers(worker, busy[0])[busy[0]][2]["kind"] == "cancelled"
    slot(worker, waiting, _blackbox.AWAIT)
    worker.send(_wire.CANCEL, ident=busy[1])
    found = answers(worker, busy[1], never)
    assert found[never][2]["message"] == "it was cancelled before it began"
    results(worker, call(worker, "open_gate", ["full"]), waiting, *busy[2:])


def test_views_are_awaited_together_and_answered_in_any_order(worker: FakeWorker) -> None:
    calls = [call(worker, "looks_up", [f"{each} 1", f"{each} 2"]) for each in range(3)]
    asked = [view(worker) for _ in range(6)]
    assert {about for _, about, _ in asked} == set(calls)
    assert len({number for number, _, _ in asked}) == 6
    worker.send(_wire.VIEW_REPLY, pack("of nobody"), ident=10**12)
    worker.send(_wire.VIEW_REPLY, pack("of nobody"), ident=10**12 + 1)
    for number, _, key in reversed(asked):
        worker.send(_wire.VIEW_REPLY, pack(f"answer {key}"), ident=number)
    assert results(worker, *calls) == [[f"answer {each} 1", f"answer {each} 2"] for each in range(3)]
    many = call(worker, "looks_up_many", [1, 2])
    kind, flags, number, body = worker.recv()
    assert (kind, flags, body) == (_wire.VIEW, _wire.MANY, [many, "lookup", [{"key": 1}, {"key": 2}]])
    worker.send(_wire.VIEW_REPLY, pack({"kind": "timeout", "message": "too slow"}), ident=number, flags=1)
    assert answers(worker, many)[many][2]["exception"][0] == "slither._exceptions.ViewTimeout"


def test_a_view_that_would_block_the_loop_is_refused_and_in_a_thread_it_may(worker: FakeWorker) -> None:
    blocking = call(worker, "looks_up_blocking", [1])
    error = answers(worker, blocking)[blocking][2]
    assert error["exception"][0] == "slither._exceptions.NotInWorker"
    assert "await slither.view_async()" in error["message"]
    for function in ("looks_up_in_a_thread", "plain_looks_up"):
        worker.bind(f"waiting:{function}")
        ident = call(worker, function, ["key"])
        number, about, key = view(worker)
        assert (about, key) == (ident, "key")
        results(worker, call(worker, "hears", [1]))
        worker.send(_wire.VIEW_REPLY, pack("there"), ident=number)
        assert results(worker, ident) == [["there"]]


def test_records_reports_and_contexts_are_of_their_own_call(worker: FakeWorker) -> None:
    calls = {f"run {each}": call(worker, "tells", [each], context(run=f"run {each}")) for each in range(4)}
    results(worker, call(worker, "open_gate", ["tell"]), *calls.values())
    logs = {(body[3], body[2]) for kind, _, _, body in worker.meanwhile if kind == _wire.LOG}
    assert logs == {(ident, f"about {run[4:]} in {run}") for run, ident in calls.items()}
    assert {about for kind, _, about, _ in worker.meanwhile if kind == _wire.PROGRESS} == set(calls.values())
    for _ in range(SLOTS + 1):
        assert results(worker, call(worker, "sets", ["mine"])) == [["untouched"]]
    results(worker, call(worker, "leaves_a_task", ["leave"]))
    others = [call(worker, "wait", ["others"]) for _ in range(SLOTS - 1)]
    results(worker, call(worker, "open_gate", ["leave"]))
    assert "had ended" in results(worker, call(worker, "hears", [1]))[0][0]
    results(worker, call(worker, "open_gate", ["others"]), *others)


def test_plain_functions_run_one_at_a_time_beside_the_loop(worker: FakeWorker) -> None:
    worker.bind("waiting:plain_waits")
    waits, after = call(worker, "plain_waits", [1]), call(worker, "plain", [2])
    slot(worker, waits, _blackbox.USER)
    results(worker, call(worker, "hears", [1]))
    found = answers(worker, call(worker, "lets_plain_go", [1]), waits, after)
    assert [ident for ident in found if ident in (waits, after)] == [waits, after]
    assert found[after][2] == [["slither-0", 2]]


def test_an_async_generator_yields_as_it_goes(worker: FakeWorker) -> None:
    first = call(worker, "steps", ["1", "2", "3"], flags=_wire.STREAM)
    second = call(worker, "steps", ["b"], flags=_wire.STREAM)
    for name in ("1", "2"):
        results(worker, call(worker, "open_gate", [name]))
        kind, _, ident, body = worker.meanwhile.pop(0) if worker.meanwhile else worker.recv()
        assert (kind, ident, body) == (_wire.PARTIAL, first, [name])
    found = answers(worker, call(worker, "open_gate", ["3", "b"]), first, second)
    rest = [body for kind, _, ident, body in worker.meanwhile if kind == _wire.PARTIAL and ident == first]
    assert [*chain(*rest), *found[first][2]] == ["3"]
    worker.meanwhile.clear()
    ident = call(worker, "quick", list(range(5000)), flags=_wire.STREAM)
    _, _, last = answers(worker, ident)[ident]
    assert [*chain(*(body for *_, body in worker.meanwhile)), *last] == list(range(5000))
    worker.meanwhile.clear()
    collected = call(worker, "quick", [1, 2])
    assert results(worker, collected) == [[1, 2]]


def test_a_cancelled_generator_keeps_what_it_yielded(worker: FakeWorker) -> None:
    ident = call(worker, "steps", ["one", "never"], flags=_wire.STREAM)
    results(worker, call(worker, "open_gate", ["one"]))
    while not worker.meanwhile:
        worker.meanwhile.append(worker.recv())
    worker.send(_wire.CANCEL, ident=ident)
    _, _, error = answers(worker, ident)[ident]
    assert error["kind"] == "cancelled"
    assert [body for kind, _, _, body in worker.meanwhile if kind == _wire.PARTIAL] == [["one"]]
    worker.meanwhile.clear()
    ident = call(worker, "quick_and_fails", list(range(300)), flags=_wire.STREAM)
    assert answers(worker, ident)[ident][2]["message"] == "not the last"
    assert [*chain(*(body for *_, body in worker.meanwhile))] == list(range(299))


def test_calls_of_one_session_are_one_at_a_time_for_coroutines_too(worker: FakeWorker) -> None:
    worker.bind("waiting:keeps")
    opened = session(worker, _wire.OPEN_SESSION, "s-1")
    many = [call(worker, "keeps", [number], context("s-1")) for number in range(20)]
    ended = session(worker, _wire.END_SESSION, "s-1")
    found = answers(worker, opened, *many, ended)
    assert list(found) == [opened, *many, ended]
    assert all(found[ident][2] == [0] for ident in many)


def test_a_large_frame_and_a_host_that_reads_slowly_hold_up_no_loop(worker: FakeWorker) -> None:
    body = pack(["waiting:wait", None, ["x" * (4 << 20)]])
    worker.next_id += 1
    ident = worker.next_id
    header = struct.pack("<IBBHQ", len(body), _wire.CALL, 0, 0, ident)
    waits = call(worker, "wait", ["free"])
    naps = call(worker, "nap", [0.3])
    worker.sock.sendall(header + body[: 1 << 20])
    results(worker, naps)  # with a frame of which the rest does not come
    worker.sock.sendall(body[1 << 20 :])
    slot(worker, ident, _blackbox.AWAIT)
    worker.send(_wire.CANCEL, ident=ident)
    answers(worker, ident)
    big = [call(worker, "large", [4 << 20]) for _ in range(2)]
    stream = call(worker, "many_large", [300_000] * 40, flags=_wire.STREAM)
    # 4 MB that nobody reads, and 12 MB of yields; the loop goes on, and its slots show it.
    again = call(worker, "wait", ["again"])
    slot(worker, again, _blackbox.AWAIT)
    worker.send(_wire.CANCEL, ident=again)
    slot_gone(worker, again)
    found = answers(worker, *big, stream, again)
    assert [len(found[ident][2][0]) for ident in big] == [4 << 20] * 2
    came = [len(each) for kind, _, about, body in worker.meanwhile if about == stream for each in body]
    assert came + [len(each) for each in found[stream][2]] == [300_000] * 40
    assert found[again][2]["kind"] == "cancelled"
    results(worker, call(worker, "open_gate", ["free"]), waits)


def slot_gone(worker: FakeWorker, ident: int) -> None:
    end = time.monotonic() + PATIENCE
    while any(struct.unpack("<Q", os.pread(worker.box, 8, 512 * each + 8))[0] == ident for each in range(SLOTS + 1)):
        assert time.monotonic() < end
        os.sched_yield()


def test_who_holds_up_the_loop_is_known(nursery: FakeNursery) -> None:
    worker = started(nursery, 5)
    waits = [call(worker, "wait", ["never"]) for _ in range(3)]
    for ident in waits:
        slot(worker, ident, _blackbox.AWAIT)
    guilty = call(worker, "spins", [1])
    slot(worker, guilty, _blackbox.USER)
    assert [slot(worker, ident, _blackbox.AWAIT) for ident in waits], "the others still await"
    while "in spins" not in worker.fault_text():
        os.kill(worker.pid, signal.SIGUSR2)
        time.sleep(0.01)  # sleep: so that a stack is written before it is asked for again
    os.kill(worker.pid, signal.SIGKILL)
    assert nursery.hear()["signal"] == signal.SIGKILL


def test_stop_lets_everything_end_and_a_lost_host_cancels(nursery: FakeNursery) -> None:
    worker = started(nursery, 6)
    asks = call(worker, "looks_up", ["key"])
    number, _, _ = view(worker)
    plain = call(worker, "plain", [1])
    worker.send(_wire.STOP, ident=0)
    worker.send(_wire.VIEW_REPLY, pack("still"), ident=number)
    assert answers(worker, asks, plain)[asks] == (_wire.RESULT, 0, ["still"])
    with pytest.raises(Gone):
        worker.recv()
    assert nursery.hear()["code"] == 0
    worker = started(nursery, 7)
    call(worker, "wait", ["never"])
    worker.sock.close()
    assert nursery.hear()["code"] == 0


def test_a_broken_frame_ends_the_worker(nursery: FakeNursery) -> None:
    worker = started(nursery, 8)
    call(worker, "wait", ["never"])
    worker.send(_wire.CALL, pack(["waiting:wait"]))
    with pytest.raises(Gone):
        worker.recv()
    assert nursery.hear()["code"] == _wire.EXIT_PROTOCOL
    assert "protocol error" in worker.stderr()


def test_a_call_that_was_not_bound_finds_its_place(worker: FakeWorker) -> None:
    waits = worker.send(_wire.CALL, pack(["waiting:Model.predict", None, [1]]))  # a coroutine function, called wrongly
    first, second = call(worker, "nap", [0.01]), call(worker, "nap", [0.01])
    found = answers(worker, waits, first, second)
    assert found[waits][2]["exception"][0] == "TypeError"
    assert found[first] == found[second] == (_wire.RESULT, 0, [0.01])
    missing = call(worker, "not_there", [1])
    assert answers(worker, missing)[missing][2]["kind"] == "import"
