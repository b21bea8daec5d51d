"""The GIL: its being turned on is seen, and laid at the door of the extension module that did it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from extensions import build
from fakehost import HERE, FakeNursery, FakeWorker, pack
from test_threads import answers, context, threads

from slither import _wire
from slither._gil import Watch

FREE = not getattr(sys, "_is_gil_enabled", lambda: True)()
needs_no_gil = pytest.mark.skipif(not FREE, reason="the GIL is on in this Python")


class Machine:
    """An interpreter of which a test says when its GIL is on."""

    def __init__(self) -> None:
        self.gil = False
        self.now = 0.0
        self.heard: list[str | None] = []
        self.watch = Watch(lambda: self.gil, lambda: self.now)
        self.watch.listen(lambda: self.heard.append(self.watch.by))

    def load(self, name: str, inside: Callable[[], None] = lambda: None, turns_on: bool = False) -> None:
        """Load an extension: the GIL is on while that lasts, and stays on if it asks for that."""
        before = self.watch.begin()
        was, self.gil = self.gil, True
        inside()
        self.gil = was or turns_on or self.watch.on
        self.watch.end(name, before)


def test_a_module_that_turns_it_on_is_named_and_told_once() -> None:
    machine = Machine()
    machine.load("good")
    assert (machine.watch.on, machine.heard) == (False, [])
    machine.load("bad", turns_on=True)
    assert (machine.watch.on, machine.watch.by, machine.heard) == (True, "bad", ["bad"])
    machine.load("worse", turns_on=True)
    assert machine.watch.look()
    assert (machine.watch.by, machine.heard) == ("bad", ["bad"])


def test_of_nested_modules_the_one_that_does_it_is_named() -> None:
    machine = Machine()
    machine.load("outer", lambda: machine.load("inner"))
    assert not machine.watch.on
    machine.load("outer", lambda: machine.load("inner"), turns_on=True)
    assert machine.watch.by == "outer"


def test_a_module_beside_one_in_loading_is_not_blamed_for_the_moment() -> None:
    machine = Machine()
    first = machine.watch.begin()
    second = machine.watch.begin()
    machine.gil = True  # for one of them
    machine.watch.end("second", second)
    assert not machine.watch.on
    assert not machine.watch.look(), "while something is being loaded it proves nothing"
    machine.gil = False
    machine.watch.end("first", first)
    assert not machine.watch.on


def test_what_no_import_did_is_seen_when_it_stays() -> None:
    machine = Machine()
    machine.gil = True
    assert not machine.watch.look()
    machine.now = 0.05
    machine.gil = False
    assert not machine.watch.look()
    machine.gil = True
    assert not machine.watch.look(), "counted anew"
    machine.now = 0.2
    assert machine.watch.look()
    assert machine.heard == [None]


def test_where_it_is_on_from_the_start_nothing_is_watched() -> None:
    from importlib.machinery import ExtensionFileLoader

    before = ExtensionFileLoader.create_module
    watch = Watch(lambda: True)
    watch.start()
    assert ExtensionFileLoader.create_module is before
    assert (watch.on, watch.by) == (True, None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Modules that need the GIL, at several depths, and one that does not."""
    made = tmp_path_factory.mktemp("extensions")
    build(made, "gentle", declares=True)
    build(made, "package.greedy", declares=False)
    build(made, "outer_shell", declares=True, imports="package.greedy")
    (made / "harmless.py").write_text("import gentle\n\ndef echo(items):\n    return [gentle.answer for _ in items]\n")
    (made / "deep.py").write_text("import middle\nfrom sample import echo\n")
    (made / "middle.py").write_text("import gentle, package.greedy\n")
    (made / "in_c.py").write_text("import outer_shell\nfrom sample import echo\n")
    (made / "lazy.py").write_text(
        "def echo(items):\n    import package.greedy\n    import slither\n    slither.view('go')\n    return items\n"
    )
    return made


@pytest.fixture
def made(folder: Path, request: pytest.FixtureRequest) -> Iterator[FakeNursery]:
    nursery = FakeNursery(path=[HERE, str(folder)], **request.param)
    assert nursery.ready()["gil_build"]
    yield nursery
    nursery.close()


plain = pytest.mark.parametrize("made", [{"profile": threads(4, False)}], indirect=True)


def bind(worker: FakeWorker, name: str) -> Any:
    ident = worker.send(_wire.BIND, pack(f"{name}:echo"))
    kind, _, body = answers(worker, ident)[ident]
    assert kind == _wire.BOUND
    return body


def capacities(worker: FakeWorker) -> list[tuple[int, Any]]:
    return [(ident, body) for kind, _, ident, body in worker.meanwhile if kind == _wire.CAPACITY]


@needs_no_gil
@plain
@pytest.mark.parametrize("name", ["deep", "in_c"])
def test_an_import_that_turns_it_on_is_named_and_leaves_one_slot(made: FakeNursery, name: str) -> None:
    worker = made.start()
    assert worker.hello()["slots"] == 4
    assert bind(worker, "harmless") == {"kind": "function"}
    assert not capacities(worker)
    assert bind(worker, name) == {"kind": "function", "gil": True, "gil_by": "package.greedy"}
    assert capacities(worker) == [(0, [1, True, "package.greedy"])], "ahead of BOUND"
    assert worker.result("harmless:echo", [1]) == [42]
    worker.alive()
    assert len(capacities(worker)) == 1


@needs_no_gil
@plain
def test_an_import_in_a_call_is_told_while_the_call_runs(made: FakeNursery) -> None:
    worker = made.worker()
    ident = worker.send(_wire.CALL, pack(["lazy:echo", context(), [1]]))
    first, second = worker.recv(), worker.recv()
    assert (first[0], first[3]) == (_wire.CAPACITY, [1, True, "package.greedy"])
    assert second[0] == _wire.VIEW
    worker.send(_wire.VIEW_REPLY, pack(1), ident=second[2])
    assert answers(worker, ident)[ident] == (_wire.RESULT, 0, [1])


@needs_no_gil
@pytest.mark.parametrize(
    ("made", "slots"),
    [({"profile": threads(4, True)}, 4), ({"profile": {"kind": "async", "concurrency": 9}}, 9)],
    indirect=["made"],
)
def test_calls_that_wait_keep_their_slots(made: FakeNursery, slots: int) -> None:
    worker = made.start()
    assert worker.hello()["slots"] == slots
    bind(worker, "deep")
    assert capacities(worker) == [(0, [slots, True, "package.greedy"])]


@needs_no_gil
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_preload_is_told_by_the_nursery_and_every_worker(folder: Path, start: str) -> None:
    nursery = FakeNursery(path=[HERE, str(folder)], profile=threads(4, False), preload=["deep"], start=start)
    ready = nursery.ready()
    if start == "fork":  # a nursery that spawns imports nothing itself
        assert (ready["gil"], ready["gil_by"]) == (True, "package.greedy")
    hello = nursery.start().hello()
    assert (hello["gil"], hello["gil_by"], hello["slots"]) == (True, "package.greedy", 1)
    nursery.close()


@needs_no_gil
@pytest.mark.parametrize("made", [{}], indirect=True)
def test_a_worker_of_one_call_says_it_with_bound_only(made: FakeNursery) -> None:
    worker = made.worker()
    assert bind(worker, "harmless") == {"kind": "function"}
    assert bind(worker, "deep") == {"kind": "function", "gil": True, "gil_by": "package.greedy"}
    worker.alive()
    assert not worker.meanwhile
