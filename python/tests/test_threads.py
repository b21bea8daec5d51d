"""The thread profile: calls at once in one process, each as if it were alone."""

from __future__ import annotations

import os
import signal
import struct
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fakehost import PATIENCE, FakeNursery, FakeWorker, Gone, pack, post

from slither import _blackbox, _wire

FREE = not getattr(sys, "_is_gil_enabled", lambda: True)()
SLOTS = 4
ANSWERS = (_wire.RESULT, _wire.ERROR, _wire.BOUND, _wire.SKIPPED)


def threads(count: int = SLOTS, io_bound: bool = True) -> dict[str, Any]:
    # Where there is a GIL, calls that wait are what shows that they run beside each other.
    return {"kind": "thread", "threads": count, "io_bound": io_bound}


def context(session: str | None = None, run: str | None = None) -> list[Any]:
    return [run, None, None, session, 1, None]


def call(worker: FakeWorker, function: str, items: list[Any], about: Any = None, flags: int = 0) -> int:
    return worker.send(_wire.CALL, pack([f"parallel:{function}", about, items]), flags=flags)


def answers(worker: FakeWorker, *idents: int) -> dict[int, tuple[int, int, Any]]:
    """The answers to these calls, in the order in which they came; what else came is kept in `meanwhile`."""
    found: dict[int, tuple[int, int, Any]] = {}
    before, worker.meanwhile = worker.meanwhile, []
    while len(found) < len(idents):
        kind, flags, ident, body = before.pop(0) if before else worker.recv()
        if kind in ANSWERS:
            assert ident in idents, (kind, ident, body)
            assert ident not in found, "answered twice"
            found[ident] = (kind, flags, body)
        else:
            worker.meanwhile.append((kind, flags, ident, body))
    worker.meanwhile += before
    return found


def results(worker: FakeWorker, *idents: int) -> list[Any]:
    found = answers(worker, *idents)
    assert all(kind == _wire.RESULT for kind, _, _ in found.values()), found
    return [found[ident][2] for ident in idents]


def slot_of(worker: FakeWorker, ident: int, phase: int, slots: int = SLOTS) -> int:
    """Wait until a slot of the black box says that the call is in this phase; return its number."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for number in range(slots):
            _, about, there = struct.unpack("<QQI", os.pread(worker.box, 20, 512 * number))
            if (about, there) == (ident, phase):
                return number
        os.sched_yield()
    raise AssertionError(f"call {ident} never came to phase {phase}")


@pytest.fixture(scope="module")
def nursery() -> Iterator[FakeNursery]:
    made = FakeNursery(profile=threads(), max_frame=8 << 20)
    made.ready()
    yield made
    made.close()


@pytest.fixture
def worker(nursery: FakeNursery) -> Iterator[FakeWorker]:
    made = nursery.start()
    assert made.hello()["slots"] == SLOTS
    yield made
    made.sock.close()
    assert nursery.hear()["op"] == "exited"


@pytest.mark.parametrize("io_bound", [False, True])
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_slots_are_what_the_gil_allows(start: str, io_bound: bool) -> None:
    nursery = FakeNursery(profile=threads(3, io_bound), start=start)
    ready = nursery.ready()
    assert (ready["gil"], ready["gil_build"], ready["gil_by"]) == (not FREE, "t" in sys.abiflags, None)
    hello = nursery.start().hello()
    assert hello["slots"] == (3 if FREE or io_bound else 1)
    assert hello["gil"] == (not FREE)
    nursery.close()


def test_calls_run_at_once(worker: FakeWorker) -> None:
    idents = [call(worker, "meet", [number]) for number in range(2)]
    assert results(worker, *idents) == [[0], [1]]


@pytest.mark.skipif(not FREE, reason="the GIL is on in this Python")
def test_without_the_gil_busy_calls_run_at_once() -> None:
    nursery = FakeNursery(profile=threads(2, io_bound=False))
    nursery.ready()
    worker = nursery.worker()
    spins = call(worker, "spins_at", ["s"])
    meets = call(worker, "open_gate", ["s"])
    assert results(worker, spins, meets) == [["s"], ["s"]]
    nursery.close()


def test_answers_come_as_calls_end_and_an_exception_is_its_own_calls(worker: FakeWorker) -> None:
    slow, fails, other = call(worker, "wait", ["a"]), call(worker, "fails_at", ["b"]), call(worker, "wait", ["c"])
    opened = call(worker, "open_gate", ["b"])
    came = answers(worker, fails, opened)
    assert came[fails][2]["message"] == "no b"
    assert "in fails_at" in came[fails][2]["traceback"]
    assert "_lane.py" not in came[fails][2]["traceback"]
    assert list(answers(worker, call(worker, "open_gate", ["c", "a"]), slow, other))
    worker.alive()


def view(worker: FakeWorker) -> tuple[int, int, Any]:
    """The next VIEW: its number, the call, and the key that is asked for."""
    while True:
        kind, flags, number, body = worker.recv()
        if kind == _wire.VIEW:
            return number, body[0], body[2]["key"]
        worker.meanwhile.append((kind, flags, number, body))


def test_a_call_beyond_the_slots_waits_and_is_claimed_or_skipped(worker: FakeWorker) -> None:
    busy = [call(worker, "looks_up", [number]) for number in range(SLOTS)]
    asked = {about: number for number, about, _ in (view(worker) for _ in busy)}
    post(worker.token)
    ahead = call(worker, "thread_name", [1], flags=_wire.CLAIM)
    worker.send(_wire.VIEW_REPLY, pack("one"), ident=asked[busy[0]])
    came = answers(worker, busy[0], ahead)
    assert list(came) == [busy[0], ahead]
    assert came[ahead][2][0].startswith("slither-")
    again = call(worker, "looks_up", [9])
    number, _, _ = view(worker)
    ahead = call(worker, "thread_name", [1], flags=_wire.CLAIM)  # its token has been taken back
    worker.send(_wire.VIEW_REPLY, pack("two"), ident=number)
    assert list(answers(worker, again, ahead).items()) == [
        (again, (0x21, 0, ["two"])),
        (ahead, (_wire.SKIPPED, 0, None)),
    ]
    for each in busy[1:]:
        worker.send(_wire.VIEW_REPLY, pack("three"), ident=asked[each])
    assert results(worker, *busy[1:]) == [["three"]] * 3


def test_far_more_calls_than_slots_break_the_protocol() -> None:
    nursery = FakeNursery(profile=threads(1))
    nursery.ready()
    worker = nursery.worker()
    first = call(worker, "looks_up", [1])
    number, _, _ = view(worker)
    for _ in range(65):
        worker.send(_wire.CALL, pack(["sample:echo", None, [1]]))
    # What runs is finished first: its view fails, because nothing is read any more.
    error = answers(worker, first)[first][2]
    assert error["exception"][0] == "slither._exceptions.ViewFailed"
    with pytest.raises(Gone):
        worker.recv()
    assert nursery.hear()["code"] == _wire.EXIT_PROTOCOL
    assert "66 calls outstanding, and 1 slots" in worker.stderr()
    assert number > 0
    nursery.close()


@pytest.mark.parametrize("profile", [threads(2), {"kind": "async", "concurrency": 2}])
def test_a_fault_on_purpose_breaks_the_protocol_where_it_would_befall_other_calls(profile: dict[str, Any]) -> None:
    nursery = FakeNursery(profile=profile)
    nursery.ready()
    worker = nursery.worker()
    worker.send(_wire.CALL, pack(["sample:echo", None, [1], ["slow", "before", 0.0]]), _wire.CHAOS)
    with pytest.raises(Gone):
        worker.recv()
    assert nursery.hear()["code"] == _wire.EXIT_PROTOCOL
    assert "a CALL with CHAOS, to a worker that takes several calls" in worker.stderr()
    nursery.close()


def test_views_of_several_calls_are_answered_in_any_order(worker: FakeWorker) -> None:
    calls = [call(worker, "looks_up", [f"{each} 1", f"{each} 2"]) for each in range(SLOTS)]
    asked = [view(worker) for _ in calls]
    assert {about for _, about, _ in asked} == set(calls)
    assert len({number for number, _, _ in asked}) == SLOTS
    worker.send(_wire.VIEW_REPLY, pack("of nobody"), ident=10**12)
    for _, about, _ in asked:
        slot_of(worker, about, _blackbox.VIEW)
    for number, _, key in reversed(asked):
        worker.send(_wire.VIEW_REPLY, pack(f"answer {key}"), ident=number)
    for _ in calls:
        number, _, key = view(worker)
        worker.send(_wire.VIEW_REPLY, pack({"kind": "unknown", "message": f"no {key}"}), ident=number, flags=1)
    found = answers(worker, *calls)
    for each, ident in enumerate(calls):
        kind, _, error = found[ident]
        assert (kind, error["message"]) == (_wire.ERROR, f"no {each} 2")


def test_records_reports_and_contexts_are_of_their_own_call(worker: FakeWorker) -> None:
    first, second = call(worker, "tells", ["one"]), call(worker, "tells", ["two"])
    assert results(worker, first, second) == [["one"], ["two"]]
    logs = [body for kind, _, _, body in worker.meanwhile if kind == _wire.LOG]
    assert {(level, logger, text, about) for level, logger, text, about, _ in logs} == {
        (30, "parallel", "about one", first),
        (30, "parallel", "about two", second),
    }
    assert len({thread for *_, thread in logs}) == 2
    assert all(thread.startswith("slither-") for *_, thread in logs)
    reports = {about for kind, _, about, _ in worker.meanwhile if kind == _wire.PROGRESS}
    assert reports == {first, second}, "each call has its own 100 ms"
    idents = [call(worker, "who", [1], context(run=run)) for run in ("r-1", "r-2")]
    assert results(worker, *idents) == [[["r-1", "r-1"]], [["r-2", "r-2"]]]


def test_what_a_function_sets_in_its_context_is_gone_with_the_call(worker: FakeWorker) -> None:
    for _ in range(2 * SLOTS):
        (before,) = results(worker, call(worker, "sets", ["mine"]))
        assert before == ["untouched"]


def test_a_thread_of_a_call_belongs_to_it_as_long_as_the_call_runs(worker: FakeWorker) -> None:
    (told,) = results(worker, call(worker, "asks_in_a_thread", [1], context(run="r-3")))
    run, view, no_context, no_view = told[0]
    assert run == "r-3"
    assert view == (
        "slither.view('lookup') was called in the thread 'of the user'; only the thread that runs the call may use it"
    )
    for text in (no_context, no_view):
        assert "where no call runs" in text
        assert "copy_context().run" in text
    results(worker, call(worker, "leaves_a_thread", ["late"], context(run="r-4")))
    busy = [call(worker, "looks_up", [1], context(run="r-5")) for _ in range(SLOTS - 1)]
    asked = [view_number(worker) for _ in busy]
    results(worker, call(worker, "open_gate", ["late"]))
    (words,) = results(worker, call(worker, "late_words", ["late"]))
    assert words == ["slither.context() was called after the call that it belongs to had ended"]
    for number in asked:
        worker.send(_wire.VIEW_REPLY, pack(1), ident=number)
    results(worker, *busy)


def view_number(worker: FakeWorker) -> int:
    return view(worker)[0]


def session(worker: FakeWorker, kind: int, name: str) -> int:
    return worker.send(kind, pack(context(name)))


def test_calls_of_one_session_run_in_order_and_others_pass_them(worker: FakeWorker) -> None:
    # All at once: nothing is answered yet when the last is sent.
    opened = session(worker, _wire.OPEN_SESSION, "s-1")
    held = call(worker, "waits_in_session", ["s"], context("s-1"))
    many = [call(worker, "keeps", [number], context("s-1")) for number in range(30)]
    ended = session(worker, _wire.END_SESSION, "s-1")
    slot_of(worker, held, _blackbox.USER)
    others = [call(worker, "thread_name", [1], context("s-2")) for _ in range(8)]
    assert [kind for kind, _, _ in answers(worker, opened, *others).values()] == [_wire.RESULT] * 9
    last = call(worker, "order", [1], context("s-1"))
    opener = call(worker, "open_gate", ["s"])
    came = answers(worker, opener, held, *many, ended, last)
    assert [ident for ident in came if ident != opener] == [held, *many, ended, last]
    assert all(came[ident][2] == [0] for ident in many), "never two at once"
    assert came[ended] == (_wire.RESULT, 0, 0)
    assert came[last][2]["exception"][0] == "slither._exceptions.NotInSession"
    opened = session(worker, _wire.OPEN_SESSION, "s-1")
    fresh = call(worker, "keeps", ["new"], context("s-1"))
    seen = call(worker, "order", [1], context("s-1"))
    assert results(worker, opened, fresh, seen) == [0, [0], ["new"]]


def test_a_call_that_has_not_begun_can_be_cancelled_and_one_in_a_thread_goes_on(worker: FakeWorker) -> None:
    busy = [call(worker, "looks_up", [number]) for number in range(SLOTS)]
    asked = [view_number(worker) for _ in busy]
    waiting = call(worker, "looks_up", ["never"])
    for ident in (busy[0], waiting, 10**9):
        worker.send(_wire.CANCEL, ident=ident)
    for number in asked:
        worker.send(_wire.VIEW_REPLY, pack("there"), ident=number)
    found = answers(worker, *busy, waiting)
    assert [found[ident][2] for ident in busy] == [["there"]] * SLOTS
    kind, _, error = found[waiting]
    assert (kind, error["kind"], error["message"]) == (_wire.ERROR, "cancelled", "it was cancelled before it began")


def test_a_call_that_was_taken_back_is_skipped_though_it_is_cancelled_as_well(worker: FakeWorker) -> None:
    busy = [call(worker, "looks_up", [number]) for number in range(SLOTS)]
    asked = [view_number(worker) for _ in busy]
    ahead = call(worker, "looks_up", ["never"], flags=_wire.CLAIM)  # its token has been taken back
    worker.send(_wire.CANCEL, ident=ahead)
    for number in asked:
        worker.send(_wire.VIEW_REPLY, pack("there"), ident=number)
    assert answers(worker, *busy, ahead)[ahead] == (_wire.SKIPPED, 0, None)


def test_yields_of_several_generators_come_each_under_its_call(worker: FakeWorker) -> None:
    first, second = (call(worker, "steps", [f"{each} 1", f"{each} 2"], flags=_wire.STREAM) for each in "ab")
    partial: dict[int, list[str]] = {first: [], second: []}
    for name, ident in (("b 1", second), ("a 1", first)):
        results(worker, call(worker, "open_gate", [name]))
        while not partial[ident]:
            for kind, _, about, body in [*worker.meanwhile, *([] if worker.meanwhile else [worker.recv()])]:
                assert kind == _wire.PARTIAL
                partial[about] += body
            worker.meanwhile.clear()
    assert partial == {first: ["a 1"], second: ["b 1"]}
    gates = call(worker, "open_gate", ["a 2", "b 2"])
    found = answers(worker, gates, first, second)
    for kind, _, about, body in worker.meanwhile:
        assert kind == _wire.PARTIAL
        partial[about] += body
    assert [partial[ident] + found[ident][2] for ident in (first, second)] == [["a 1", "a 2"], ["b 1", "b 2"]]


def test_references_are_told_apart_under_load(worker: FakeWorker) -> None:
    idents = [call(worker, "refers", list(range(5))) for _ in range(40)]
    found = answers(worker, *idents)
    numbers: set[int] = set()
    import msgspec

    for kind, flags, refs in found.values():
        assert (kind, flags) == (_wire.RESULT, _wire.REFS)
        numbers |= {msgspec.msgpack.decode(each.data)[1] for each in refs}
    assert len(numbers) == 200
    for ident in idents:
        worker.send(_wire.KEEP_REFS, pack([]), ident=ident)
    ref = found[idents[0]][2][0]
    dropped = worker.execute("sample:give_args", [ref])
    assert (dropped[0], dropped[2]["kind"]) == (_wire.ERROR, "decode")


def test_nested_results_survive_many_threads(worker: FakeWorker) -> None:
    items = list(range(50))
    expected = [{"item": item, "more": [{"a": [item, None]}, ["x", {"y": 2.5}]]} for item in items]
    idents = [call(worker, "nested", items) for _ in range(60)]
    odd = worker.send(_wire.CALL, pack(["sample:odd", None, ["none key", "ok", "set"]]))
    found = answers(worker, *idents, odd)
    assert all(found[ident] == (_wire.RESULT, 0, expected) for ident in idents)
    assert [index for index, _ in found[odd][2][1]] == [0, 2]


def test_the_black_box_tells_the_calls_and_their_threads_apart(worker: FakeWorker) -> None:
    idents = [call(worker, "wait", ["box"]) for _ in range(2)] + [call(worker, "looks_up", [1])]
    number, _, _ = view(worker)
    slots = [slot_of(worker, ident, _blackbox.USER) for ident in idents[:2]]
    slots.append(slot_of(worker, idents[2], _blackbox.VIEW))
    assert len(set(slots)) == 3
    threads = [struct.unpack("<Q", os.pread(worker.box, 8, 512 * slot + 24))[0] for slot in slots]
    # The box says that the call is in user code a moment before it is in `wait`: asked again until it is.
    blocks: list[str] = []
    text = ""
    while not blocks or not all(f"hread 0x{thread:016x}" in text for thread in threads):
        os.kill(worker.pid, signal.SIGUSR2)
        time.sleep(0.01)  # sleep: so that a stack is written before it is asked for again
        text = worker.fault_text()
        told = [each.partition("\n\n")[0] for each in text.split(f"hread 0x{threads[0]:016x}")[1:]]
        blocks = [block for block in told if "in wait" in block and "_bootstrap_inner" in block]
    assert f"in slot_{slots[0]}\n" in blocks[0] + "\n"
    worker.send(_wire.VIEW_REPLY, pack(1), ident=number)
    results(worker, call(worker, "open_gate", ["box"]), *idents)
    for _ in range(SLOTS):
        slot_of(worker, 0, _blackbox.IDLE)


def test_a_crash_names_the_slot_of_its_call(nursery: FakeNursery) -> None:
    worker = nursery.start(7)
    worker.hello()
    others = [call(worker, "wait", ["never"]) for _ in range(2)]
    for ident in others:
        slot_of(worker, ident, _blackbox.USER)
    guilty = worker.send(_wire.CALL, pack(["sample:segfault", None, [1]]))
    assert nursery.hear()["signal"] == signal.SIGSEGV
    text = worker.fault_text()
    # Without the GIL faulthandler writes one stack, and names no thread; the slot does.
    block = text[text.index("Stack (most recent call first)" if FREE else "Current thread 0x") :]
    slot = int(block[: block.index("_bootstrap_inner")].rpartition("in slot_")[2].split()[0])
    _, about, phase = struct.unpack("<QQI", os.pread(worker.box, 20, 512 * slot))
    assert (about, phase) == (guilty, _blackbox.USER)


@pytest.mark.parametrize("stop", [True, False])
def test_the_end_waits_for_what_runs(nursery: FakeNursery, stop: bool, tmp_path: Any) -> None:
    worker = nursery.start(8)
    worker.hello()
    path = tmp_path / "notes"
    opened = session(worker, _wire.OPEN_SESSION, "s-9")
    hooks = worker.send(_wire.CALL, pack(["keeping:hooks", context("s-9"), [str(path)]]))
    answers(worker, opened, hooks)
    asks, waits = call(worker, "looks_up", [1]), call(worker, "looks_up", [2])
    numbers, about, _ = zip(*(view(worker) for _ in range(2)), strict=True)
    if stop:
        worker.send(_wire.STOP, ident=0)
        ignored = call(worker, "thread_name", [1])
        worker.send(_wire.VIEW_REPLY, pack("still"), ident=numbers[0])
        assert results(worker, asks if about[0] == asks else waits) == [["still"]]
        assert not path.exists(), "the sessions end when nothing else is left"
        worker.send(_wire.VIEW_REPLY, pack("still"), ident=numbers[1])
        assert results(worker, waits if about[0] == asks else asks) == [["still"]]
        while True:
            try:
                kind, _, ident, _ = worker.recv()
            except Gone:
                break
            assert (kind, ident) == (_wire.LOG, 0), "the call that came after STOP is not answered"
            assert ident != ignored
    else:
        worker.sock.shutdown(signal.SIGHUP)  # the writing side: what the worker reads has an end
        found = answers(worker, asks, waits)
        assert all(body["exception"][0] == "slither._exceptions.ViewFailed" for _, _, body in found.values())
    assert nursery.hear()["code"] == 0
    assert path.exists() == stop, "sessions end by STOP, not with the connection"


def test_a_host_that_does_not_read_holds_up_no_reading(worker: FakeWorker) -> None:
    # Answers of 1 MB each, which nobody reads, hold every lane in sending; replies are taken all the same.
    asks = call(worker, "looks_up", ["one"])
    number, _, _ = view(worker)
    big = [worker.send(_wire.CALL, pack(["sample:large", None, [1 << 20]])) for _ in range(SLOTS - 1)]
    done = threading.Event()

    def write() -> None:
        for _ in range(64):
            worker.send(_wire.VIEW_REPLY, pack(b"x" * 200_000), ident=10**12 + 1)
        worker.send(_wire.VIEW_REPLY, pack("two"), ident=number)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert done.wait(PATIENCE), "the worker does not read while its calls wait for room"
    writer.join()
    found = answers(worker, asks, *big)
    assert found[asks][2] == ["two"]
    assert all(len(found[ident][2][0]) == 1 << 20 for ident in big)


def test_what_makes_no_sense_is_refused() -> None:
    for profile in (threads(0), threads(257), {"kind": "fibre"}, {"kind": "async", "concurrency": 1025}):
        nursery = FakeNursery(profile=profile)
        with pytest.raises(Gone):
            nursery.hear()
        nursery.close()
