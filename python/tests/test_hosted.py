"""Workers with an adapter: built before hello, its tools called by name, its streams at the reader's pace."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakehost import PATIENCE, FakeNursery, FakeWorker, Gone, pack

from slither import _wire
from slither._room import VALUES

PROCESS: dict[str, Any] = {"kind": "process"}
THREADS = {"kind": "thread", "threads": 3, "io_bound": True}
ASYNC = {"kind": "async", "concurrency": 3}
PROFILES = [PROCESS, THREADS, ASYNC]

Make = Callable[..., FakeWorker]


@pytest.fixture
def make() -> Iterator[Make]:
    nurseries: list[FakeNursery] = []

    def made(
        name: str = "Everything", profile: dict[str, Any] = PROCESS, check: str = "off", **setup: Any
    ) -> FakeWorker:
        adapter = {"name": f"adapters_here:{name}", "check": check}
        nursery = FakeNursery(profile=profile, adapter=adapter, **setup)
        nurseries.append(nursery)
        nursery.ready()
        return nursery.start()

    yield made
    for nursery in nurseries:
        nursery.close()


def said(worker: FakeWorker) -> dict[str, Any]:
    """The hello, behind the log records of building."""
    while True:
        kind, _, _, body = worker.recv()
        if kind == _wire.HELLO:
            assert isinstance(body, dict)
            return body
        assert kind == _wire.LOG, body


def value(worker: FakeWorker, tool: str, args: Any = None) -> Any:
    kind, _, body = worker.execute(f":{tool}", args)
    assert kind == _wire.RESULT, body
    return body


def stream(worker: FakeWorker, tool: str, args: Any = None) -> int:
    return worker.send(_wire.EXECUTE, pack([f":{tool}", None, args]), flags=_wire.STREAM)


def parts(worker: FakeWorker, ident: int, give: bool = True) -> Iterator[tuple[int, int, Any]]:
    """The frames of a stream up to its answer, each of which the host takes as it comes."""
    while True:
        kind, flags, about, body = worker.recv()
        if kind == _wire.LOG:
            continue
        assert about == ident
        yield kind, flags, body
        if kind in (_wire.RESULT, _wire.ERROR):
            return
        if give:
            worker.send(_wire.MORE, pack(len(body[0] if flags & _wire.FAILED else body)), ident=ident)


def values(worker: FakeWorker, tool: str, args: Any = None) -> list[Any]:
    frames = list(parts(worker, stream(worker, tool, args)))
    assert frames[-1][0] == _wire.RESULT, frames[-1]
    return [each for _, _, body in frames for each in body]


@pytest.mark.parametrize("profile", PROFILES, ids=lambda each: each["kind"])
def test_it_is_built_before_hello_and_its_tools_are_called_by_name(make: Make, profile: dict[str, Any]) -> None:
    worker = make(profile=profile)
    kind, _, _, record = worker.recv()
    assert kind == _wire.LOG
    assert record[2] == f"built in {worker.pid}"
    adapter = said(worker)["adapter"]
    assert adapter["name"] == "adapters_here:Everything"
    assert set(adapter) == {"name", "tools", "any_tool", "warning"}
    assert (adapter["warning"], adapter["any_tool"]) == (None, False)
    assert [each["name"] for each in adapter["tools"]][:3] == ["add", "said", "not-an identifier"]
    assert adapter["tools"][0]["description"] == "Add two numbers"
    assert value(worker, "add", {"a": 2, "b": 3}) == 5
    assert value(worker, "add", [2]) == 3
    assert value(worker, "add", 4) == 5
    assert value(worker, "not-an identifier") == "odd"
    assert value(worker, "later", {"value": 7}) == 7
    assert value(worker, "count", [3]) == [0, 1, 2]
    assert value(worker, "count_later", [3]) == [0, 1, 2]
    assert value(worker, "said")[:2] == ["built", "initialized"]
    if profile["kind"] != "thread":
        assert value(worker, "same_loop") is True
    worker.send(_wire.STOP, ident=0)
    worker.gone()
    assert worker.stdout() == "cleaned up\n"


@pytest.mark.parametrize("profile", PROFILES, ids=lambda each: each["kind"])
def test_a_batch_is_a_call_for_each_item(make: Make, profile: dict[str, Any]) -> None:
    worker = make(profile=profile)
    said(worker)
    assert worker.result(":add", [{"a": 1}, [2, 3], 4]) == [2, 5, 5]
    assert worker.result(":later", [1, {"value": 2}]) == [1, 2]
    assert worker.result(":count", [[1], {"until": 2}]) == [[0], [0, 1]]
    assert worker.result(":count_later", [[1], {"until": 2}]) == [[0], [0, 1]]
    assert worker.error(":wrong", [1, -1], "exception")["message"] == "-1 is negative"
    kind, _, body = worker.bind(":add")
    assert (kind, body["kind"]) == (_wire.BOUND, "function")
    kind, _, body = worker.bind(":count")
    assert (kind, body["kind"]) == (_wire.BOUND, "function"), "of a batch each item has one result"


def test_an_unknown_tool_is_an_error_that_lists_those_that_there_are(make: Make) -> None:
    worker = make("Racing")
    said(worker)
    kind, _, body = worker.execute(":incremen")
    assert (kind, body["kind"]) == (_wire.ERROR, "import")
    assert body["message"] == "Racing has no tool 'incremen'; it has increment\nhint: did you mean 'increment'?"
    _, _, body = worker.execute(":zzz")
    assert body["message"] == "Racing has no tool 'zzz'; it has increment"


def test_without_an_adapter_a_tool_is_an_error(worker: FakeWorker) -> None:
    kind, _, body = worker.execute(":add")
    assert (kind, body["kind"]) == (_wire.ERROR, "import")
    assert body["message"] == "this pool has no adapter\nhint: give it one with `Pool::adapter`"


@pytest.mark.parametrize("profile", PROFILES, ids=lambda each: each["kind"])
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Everythin", "'adapters_here' has no 'Everythin'"),
        ("not_a_class", "'adapters_here:not_a_class' is of type function, and no class"),
        ("Raises", "building 'adapters_here:Raises' failed: RuntimeError: there is no model"),
        ("RaisesLate", "initializing 'adapters_here:RaisesLate' failed: RuntimeError: there is no model, either"),
    ],
)
def test_what_cannot_be_built_is_said_in_place_of_hello(
    make: Make, profile: dict[str, Any], name: str, says: str
) -> None:
    worker = make(name, profile)
    kind, _, ident, body = worker.recv()
    assert (kind, ident, body["kind"]) == (_wire.ERROR, 0, "import")
    assert says in body["message"]
    if "Raises" in name:
        assert "there is no model" in body["traceback"]
        assert "slither/_hosted.py" not in body["traceback"]
    worker.gone()
    with pytest.raises(Gone):
        worker.recv()


@pytest.mark.parametrize("profile", PROFILES, ids=lambda each: each["kind"])
def test_values_of_a_stream_come_as_they_are_made(make: Make, profile: dict[str, Any], tmp_path: Path) -> None:
    worker = make(profile=profile)
    said(worker)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    ident = stream(worker, "gated", [str(gate)])
    frames = parts(worker, ident)
    kind, _, body = next(frames)
    assert (kind, body) == (_wire.PARTIAL, ["first"]), "while the second waits for the gate"
    gate.write_text("second")
    assert [each for _, _, body in frames for each in body] == ["second"]
    assert values(worker, "count", [5]) == list(range(5))
    assert values(worker, "count_later", [5]) == list(range(5))
    assert values(worker, "count", [0]) == []
    assert values(worker, "listed") == [1, 2]
    assert values(worker, "add", [1]) == [2], "what is no stream has one value"
    assert values(worker, "later", [1]) == [1]
    assert values(worker, "count", [5000]) == list(range(5000))


@pytest.mark.parametrize("profile", PROFILES, ids=lambda each: each["kind"])
@pytest.mark.parametrize("tool", ["count", "count_later"])
def test_no_more_is_sent_than_the_host_has_room_for(make: Make, profile: dict[str, Any], tool: str) -> None:
    worker = make(profile=profile)
    said(worker)
    ident = stream(worker, tool, [1000])
    frames = parts(worker, ident, give=False)
    got: list[int] = []
    while len(got) < VALUES:
        got += next(frames)[2]
    assert got == list(range(VALUES))
    # It waits, and serves what does not need to wait: the next frame would be the 33rd value.
    worker.send(_wire.MORE, pack(1), ident=ident + 1000)
    worker.send(_wire.MORE, pack(1), ident=ident)
    kind, _, body = next(frames)
    assert (kind, body) == (_wire.PARTIAL, [VALUES])
    worker.send(_wire.CANCEL, ident=ident)
    kind, _, body = next(frames)
    assert (kind, body["kind"]) == (_wire.ERROR, "cancelled")
    assert value(worker, "said")[-1] == "closed", "the generator was"


@pytest.mark.parametrize("profile", PROFILES, ids=lambda each: each["kind"])
def test_large_values_wait_for_room_in_bytes(make: Make, profile: dict[str, Any]) -> None:
    worker = make(profile=profile)
    said(worker)
    ident = stream(worker, "large", [5, 1 << 20])
    frames = parts(worker, ident, give=False)
    sizes = []
    for _ in range(5):
        kind, _, body = next(frames)
        assert kind == _wire.PARTIAL
        sizes.append(len(body))
        worker.send(_wire.MORE, pack(1), ident=ident)
    assert sizes == [1] * 5
    assert next(frames)[0] == _wire.RESULT


@pytest.mark.parametrize("profile", PROFILES, ids=lambda each: each["kind"])
def test_a_stream_fails_behind_what_it_gave(make: Make, profile: dict[str, Any]) -> None:
    worker = make(profile=profile)
    said(worker)
    frames = list(parts(worker, stream(worker, "count", {"until": 2, "then": "raise"})))
    assert [each for kind, _, body in frames[:-1] for each in body] == [0, 1]
    kind, _, error = frames[-1]
    assert (kind, error["kind"], error["message"]) == (_wire.ERROR, "exception", "behind the last")
    frames = list(parts(worker, stream(worker, "odd_ones")))
    good: list[Any] = []
    bad: list[str] = []
    for _, flags, body in frames:
        results, failures = body if flags & _wire.FAILED else (body, [])
        good += results
        bad += [error["kind"] for _, error in failures]
    assert (good, bad) == ([1, None, None, 4], ["failed", "value"])


@pytest.mark.parametrize("profile", [PROCESS, THREADS], ids=lambda each: each["kind"])
def test_a_stream_may_ask_views(make: Make, profile: dict[str, Any]) -> None:
    worker = make(profile=profile)
    said(worker)
    ident = stream(worker, "asks", [100])
    got: list[int] = []
    while True:
        kind, _, about, body = worker.recv()
        if kind == _wire.VIEW:
            worker.send(_wire.VIEW_REPLY, pack(body[2]["value"]), ident=about)
            continue
        got += body
        if kind == _wire.RESULT:
            break
        # What comes while it waits for a view counts, too.
        worker.send(_wire.MORE, pack(len(body)), ident=ident)
    assert got == list(range(100))


def test_calls_run_beside_a_stream_that_waits(make: Make) -> None:
    worker = make(profile=THREADS)
    said(worker)
    streams = [stream(worker, "count", [1000]) for _ in range(2)]
    counts = dict.fromkeys(streams, 0)
    while min(counts.values()) < VALUES:
        kind, _, about, body = worker.recv()
        if kind == _wire.PARTIAL:
            counts[about] += len(body)
    assert value(worker, "add", [1]) == 2
    for ident in streams:
        worker.send(_wire.CANCEL, ident=ident)
        assert worker.answer(ident)[2]["kind"] == "cancelled"


@pytest.mark.parametrize("check", ["off", "warn"])
@pytest.mark.parametrize("profile", PROFILES, ids=lambda each: each["kind"])
def test_a_class_that_says_nothing_has_one_slot(make: Make, profile: dict[str, Any], check: str) -> None:
    worker = make("Undeclared", profile, check)
    hello = said(worker)
    assert hello["slots"] == 1
    expected = None
    if profile["kind"] != "process":
        expected = (
            "Undeclared does not say that several threads may use it (`__thread_safe__ = True`), and has one slot"
        )
    elif check == "warn":
        expected = "Undeclared does not say whether several threads may use it (`__thread_safe__`)"
    assert hello["adapter"]["warning"] == expected
    assert value(worker, "one") == 1


@pytest.mark.parametrize("profile", PROFILES, ids=lambda each: each["kind"])
def test_strict_refuses_a_class_that_says_nothing(make: Make, profile: dict[str, Any]) -> None:
    worker = make("Undeclared", profile, "strict")
    kind, _, ident, body = worker.recv()
    assert (kind, ident) == (_wire.ERROR, 0)
    assert body["message"] == (
        "'adapters_here:Undeclared' does not say whether several threads may use it, and the pool's "
        "thread_safety_check is strict\nhint: set `__thread_safe__` in Undeclared: True if they may, False if not"
    )
    worker = make(profile=profile, check="strict")
    assert said(worker)["slots"] == (1 if profile["kind"] == "process" else 3)


def test_what_the_threads_do_wrong_is_logged_and_reported(make: Make) -> None:
    worker = make("Racing", THREADS, "warn")
    said(worker)
    subjects: set[str] = set()
    until = time.monotonic() + PATIENCE
    # Which thread takes a call is for them to decide, and a list is watched from when nobody else holds it just then.
    while len(subjects) < 2 and time.monotonic() < until:
        left = {worker.send(_wire.EXECUTE, pack([":increment", None, None])) for _ in range(12)}
        while left:
            frame = kind, _, ident, body = worker.recv()
            if kind == _wire.RESULT:
                assert isinstance(body, list), "what is watched travels as what it is"
                left.remove(ident)
            else:
                worker.meanwhile.append(frame)
        kind, _, report = worker.execute("slither._hosted:report")
        assert kind == _wire.RESULT
        subjects = {each["subject"] for each in report["violations"]}
    assert subjects == {"Racing.counter", "Racing.seen"}
    records = [body for kind, _, _, body in worker.meanwhile if kind == _wire.LOG and body[1] == "slither.checker"]
    assert any("Racing.counter is written by several threads" in body[2] for body in records)


def test_its_counts_are_there_also_where_it_has_counts_of_its_own(make: Make) -> None:
    worker = make(profile=THREADS)
    said(worker)
    for _ in range(4):
        value(worker, "add", [1])
    kind, _, stats = worker.execute("slither._hosted:stats")
    assert kind == _wire.RESULT
    assert (stats["total_requests"], stats["active_requests"], stats["max_workers"]) == (4, 0, 3)
    assert sum(each["requests"] for each in stats["thread_utilization"].values()) == 4


def test_a_class_that_calls_its_tools_itself_is_asked_for_each(make: Make) -> None:
    worker = make("Dispatching")
    hello = said(worker)
    assert (hello["adapter"]["any_tool"], hello["adapter"]["tools"]) == (True, [])
    assert value(worker, "whatever", {"a": 1}) == {"tool": "whatever", "arguments": {"a": 1}, "context": False}
    kind, _, body = worker.execute(":whatever", [1])
    assert kind == _wire.ERROR
    assert body["message"] == "Dispatching takes the arguments of 'whatever' by name, as a map"
    worker = make("DispatchingWithTwo")
    assert [each["name"] for each in said(worker)["adapter"]["tools"]] == ["known"]
    assert value(worker, "known", {"a": 4}) == 8
    assert value(worker, "known", [4, 5]) == 20
    kind, _, body = worker.execute(":unknown", {})
    assert (kind, body["exception"][0]) == (_wire.ERROR, "KeyError")
    kind, _, stats = worker.execute("slither._hosted:stats")
    assert stats["total_requests"] == 3
