"""Code that thinks only of itself costs nobody else: it cancels all tasks, returns from forks, waits in destructors."""

from __future__ import annotations

import struct
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from fakehost import FakeNursery, FakeWorker, pack
from test_threads import FREE, answers, results, slot_of, view

from slither import _blackbox, _wire
from slither._lane import Lane
from slither._outbox import Outbox
from slither._refs import TABLE
from slither._release import Release
from slither._several import Several
from slither._yields import Yields

SLOTS = 4
PROCESS = {"kind": "process"}
THREADS = {"kind": "thread", "threads": SLOTS, "io_bound": True}
LOOP = {"kind": "async", "concurrency": SLOTS}

Make = Callable[[dict[str, Any]], FakeWorker]


@pytest.fixture
def make() -> Iterator[Make]:
    nurseries: list[FakeNursery] = []

    def make_one(profile: dict[str, Any]) -> FakeWorker:
        nurseries.append(FakeNursery(profile=profile))
        nurseries[-1].ready()
        return nurseries[-1].worker()

    yield make_one
    for nursery in nurseries:
        nursery.close()


def call(worker: FakeWorker, function: str, items: list[Any], flags: int = 0) -> int:
    return worker.send(_wire.CALL, pack([function, None, items]), flags=flags)


def at_once(worker: FakeWorker, *bodies: bytes) -> list[int]:
    """Send calls in one write, so that the worker reads all of them before its loop comes to the first."""
    frames, idents = b"", []
    for body in bodies:
        worker.next_id += 1
        idents.append(worker.next_id)
        frames += struct.pack("<IBBHQ", len(body), _wire.CALL, 0, 0, worker.next_id) + body
    worker.sock.sendall(frames)
    return idents


def test_a_task_that_is_cancelled_before_its_first_step_runs_all_the_same(make: Make) -> None:
    worker = make(LOOP)
    for function in ("cancels_all", "same"):
        worker.bind(f"careless:{function}")
    for _ in range(5):
        idents = at_once(
            worker, *(pack([f"careless:{name}", None, [name]]) for name in ("cancels_all", "same", "same"))
        )
        assert results(worker, *idents) == [["cancels_all"], ["same"], ["same"]]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="no tasks that run at once")
def test_tasks_that_run_at_once_are_answered_and_cancelled(make: Make) -> None:
    worker = make(LOOP)
    for function in ("careless:runs_tasks_at_once", "careless:same", "waiting:wait"):
        worker.bind(function)
    results(worker, call(worker, "careless:runs_tasks_at_once", [True]))
    idents = at_once(worker, *(pack(["careless:same", None, [number]]) for number in range(SLOTS * 4)))
    assert results(worker, *idents) == [[number] for number in range(SLOTS * 4)]
    waits = call(worker, "waiting:wait", ["never"])
    slot_of(worker, waits, _blackbox.AWAIT, SLOTS + 1)
    worker.send(_wire.CANCEL, ident=waits)
    assert answers(worker, waits)[waits][2]["kind"] == "cancelled"


@pytest.mark.parametrize("profile", [THREADS, LOOP], ids=lambda each: each["kind"])
def test_a_stream_that_is_cancelled_while_its_function_is_imported_ends(make: Make, profile: dict[str, Any]) -> None:
    worker = make(profile)
    opens = "parallel:open_gate"
    if profile is LOOP:  # its only lane imports: the gate has to be opened in the loop
        opens = "careless:opens_a_thread_gate"
    assert worker.bind(opens)[0] == _wire.BOUND
    stream = worker.send(_wire.EXECUTE, pack(["imports_late:numbers", None, None]), flags=_wire.STREAM)
    slot_of(worker, stream, _blackbox.IMPORT)
    worker.send(_wire.CANCEL, ident=stream)
    opened = call(worker, opens, ["import"])
    found = answers(worker, opened, stream)
    assert found[stream][2]["kind"] == "cancelled"
    if profile is THREADS:  # in the loop it had not begun
        results(worker, call(worker, "parallel:wait", ["closed"]))


@pytest.mark.skipif(FREE, reason="without the GIL the thread that made an object may run its destructor")
@pytest.mark.parametrize("profile", [THREADS, LOOP], ids=lambda each: each["kind"])
def test_a_destructor_that_waits_holds_up_no_reading(make: Make, profile: dict[str, Any]) -> None:
    worker = make(profile)
    made = worker.send(_wire.EXECUTE, pack(["careless:makes_one", None, [None]]))
    kind, flags, _ = answers(worker, made)[made]
    assert (kind, flags) == (_wire.RESULT, _wire.REFS)
    asks = call(worker, "careless:asks_under_the_lock", ["a"])
    number, _, _ = view(worker)
    worker.send(_wire.KEEP_REFS, pack([]), ident=made)  # its destructor waits for who waits for the view
    worker.send(_wire.VIEW_REPLY, pack("there"), ident=number)
    assert results(worker, asks) == [["there"]]
    results(worker, call(worker, "careless:waits_a_moment", [1]))


@pytest.mark.parametrize("profile", [PROCESS, THREADS, LOOP], ids=lambda each: each["kind"])
@pytest.mark.parametrize("function", ["forks_and_returns", "forks_and_raises", "forks_and_yields", "forks_in_the_loop"])
def test_a_forked_process_that_comes_back_answers_nothing_and_ends(
    make: Make, profile: dict[str, Any], function: str
) -> None:
    worker = make(profile)
    flags = _wire.STREAM if function == "forks_and_yields" else 0
    for _ in range(3):
        ident = call(worker, f"careless:{function}", [1], flags)
        [(kind, _, body)] = answers(worker, ident).values()
        partial = [each for frame, _, _, each in worker.meanwhile if frame == _wire.PARTIAL]
        worker.meanwhile.clear()
        assert (kind, [*partial, body][0]) == (_wire.RESULT, [[worker.pid, 1]])
    # Whatever else had been sent, or read by another, would come to light here.
    for number in range(20):
        assert worker.result("careless:waits_a_moment", [number]) == [number]
    assert not worker.meanwhile
    worker.sock.close()
    worker.gone()
    assert "came back from the function that forked it, and was ended" in worker.stderr()


class Stop(Exception):
    """Thrown into a thread."""


def test_a_view_that_was_given_up_answers_no_other() -> None:
    class Home:
        """As much of a worker as a lane needs."""

        closed = False

    class Sending:
        """Is interrupted when the first view is on its way, and has the others answered."""

        max_frame = 1 << 20
        lane: Lane
        asked: list[int] = []  # noqa: RUF012 (one instance)

        def send(self, _kind: int, _flags: int, ident: int, _frame: bytearray) -> None:
            self.asked.append(ident)
            if len(self.asked) == 1:
                raise Stop
            self.answer(ident)

        def answer(self, number: int) -> None:
            self.lane.reply(number, 0, memoryview(pack(f"answer {number}")))

    class Box:
        """Says nothing."""

        words = memoryview(b"")

        def enter(self, _phase: int) -> None: ...

        def enter_with(self, _phase: int, _subject: str) -> None: ...

    sending = Sending()
    home: Any = Home()
    home.connection, home.token, home.path, home.bound, home.sessions = sending, 0, [], {}, None
    home.box = type("Boxes", (), {"slot": lambda _self, _number: Box()})()
    lane = sending.lane = Lane(cast("Several", home), 0, 1, cast("Any", None))
    with pytest.raises(Stop):
        lane.ask("lookup", {}, many=False)
    sending.answer(sending.asked[0])  # before the next one is asked
    for _ in range(3):
        assert lane.ask("lookup", {}, many=False) == f"answer {sending.asked[-1]}"


def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)


def test_without_a_thread_to_be_had_everything_is_sent_and_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        """A connection that takes half of a frame at once."""

        max_frame = 1 << 20

        def __init__(self) -> None:
            self.sent: list[int] = []

        def send_some(self, frame: bytearray) -> int:
            self.sent.append(len(frame) // 2)
            return len(frame) // 2

        def send_rest(self, frame: bytearray, sent: int) -> None:
            self.sent.append(len(frame) - sent)

        def send(self, _kind: int, _flags: int, _ident: int, frame: bytearray) -> None:
            self.sent.append(len(frame))

    no_threads(monkeypatch)
    slow = Slow()
    outbox = Outbox(cast("_wire.Connection", slow), cast("Any", None))
    for _ in range(2):
        outbox.send(_wire.RESULT, 0, 1, bytearray(100))
    assert slow.sent == [50, 50, 50, 50]

    yields = Yields(cast("_wire.Outgoing", slow))
    for _ in range(2):  # and again: the first failure is no thread that is there
        yields.begin(1, 1)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            yields.add(1)

    stirred: list[bool] = []
    release = Release(lambda: stirred.append(True))
    TABLE.forget([])
    release.begin()
    release.close()
    assert stirred == [True]
