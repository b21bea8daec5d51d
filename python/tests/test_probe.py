"""The probe sees what threads do to a function, and says nothing of one that they do nothing to."""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from slither import _probe
from slither._probe import serial, together

ITEMS = list(range(1, 9))
MODULE = """
import threading, time
lock, total, scratch = threading.Lock(), 0, {}

def pure(items):
    return [sum(each * n for each in range(50)) for n in items]

def shared(items):
    scratch["n"] = items[0]
    return [sum(scratch["n"] for _ in range(50))]

def unlocked(items):
    global total
    total += 1
    return [total]

def locked(items):
    global total
    with lock:
        total += 1
        return [total]

def raises(items):
    raise ValueError(items[0])

def half(items):
    return [1 // (n % 2) for n in items]

def single(n):
    return n * n

def bare(items):
    return items[0]

def dies(items):
    raise SystemExit(1)

async def awaits(items):
    return items

async def interleaved(items):
    import asyncio
    scratch["n"] = items[0]
    await asyncio.sleep(0)
    return [scratch["n"]]

def yields(items):
    yield from items
"""
PATIENCE = 60.0
_numbers = random.Random(0)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"probed_{_numbers.getrandbits(64):x}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def expected(function: str) -> list[str]:
    return serial(function, ITEMS, list(range(len(ITEMS))))["outputs"]


def test_a_function_of_its_input_is_left_alone(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Each look at this clock is 10 ms after the last one, so that it has the same time on each machine.
    steps = itertools.count()
    clock = SimpleNamespace(
        monotonic=lambda: 0.01 * next(steps),
        perf_counter=time.perf_counter,
        sleep=time.sleep,  # sleep: how the threads of a probe give way
    )
    outputs = expected(f"{module}:pure")
    monkeypatch.setattr(_probe, "time", clock)
    found = together(f"{module}:pure", ITEMS, outputs, 4, 5.0)
    assert 4 * 490 < found["calls"] < 4 * 510
    assert (found["differing"], found["differences"]) == (0, [])


def test_every_thread_makes_a_call_however_little_time_there_is(module: str) -> None:
    for of_each, repeat in [(expected(f"{module}:pure"), 1), (None, 100)]:
        assert together(f"{module}:pure", ITEMS, of_each, 4, 0.0, repeat)["calls"] == 4


def test_state_that_threads_share_shows_as_a_difference(module: str) -> None:
    found = together(f"{module}:shared", ITEMS, expected(f"{module}:shared"), 4, PATIENCE)
    assert found["differing"] > 0
    first = found["differences"][0]
    assert first["expected"] != first["got"]


def test_an_update_that_is_lost_shows_in_what_all_calls_gave_together(module: str) -> None:
    lost = together(f"{module}:unlocked", ITEMS, None, 4, PATIENCE, repeat=100)
    assert max(Counter(lost["outputs"]).values()) > 1


def test_a_call_that_is_held_up_does_not_decide_what_the_others_are() -> None:
    def share(*calls: tuple[float, float]) -> float:
        marks = [(0.0, 0.0)]
        for took, busy in calls:
            marks.append((marks[-1][0] + took, marks[-1][1] + busy))
        return _probe._share(marks)

    assert share((0.1, 0.1), (3.1, 0.1), (0.1, 0.1), (0.1, 0.1)) == pytest.approx(1.0)
    assert share((0.1, 0.0), (3.1, 3.0), (0.1, 0.0), (0.1, 0.0)) == pytest.approx(0.0)
    assert share((0.1, 0.1), (0.3, 0.0), (0.3, 0.0), (0.1, 0.1)) == pytest.approx(0.4)
    assert share((0.1, 0.1), (0.1, 0.0)) == pytest.approx(0.5)


def test_a_round_that_is_held_up_leaves_the_others_their_nudges(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(_probe, "time", SimpleNamespace(monotonic=lambda: now))
    crowd = _probe._Crowd(1, 100.0)
    nudged = []
    for took in [0.001, 3.0, *[0.001] * 50]:
        crowd.meet()
        nudged.append(crowd._nudging)
        now += took
    assert nudged[:2] == [True, False]
    assert 15 < sum(nudged) < 35, nudged


def test_an_update_under_a_lock_is_not_lost(module: str) -> None:
    found = together(f"{module}:locked", ITEMS, None, 4, PATIENCE, repeat=100)
    assert sorted(map(int, found["outputs"])) == list(range(1, found["calls"] + 1))


def test_outputs_are_in_the_order_of_the_calls_and_no_more_than_there_is_time_for(module: str) -> None:
    told = serial(f"{module}:unlocked", ITEMS, [3, 1], repeat=2)
    assert told["outputs"] == ["1", "2", "3", "4"]
    assert told["imported"]["kind"] == "function"
    assert len(serial(f"{module}:unlocked", ITEMS, [0] * 100, limit=0.0)["outputs"]) == 1


@pytest.mark.parametrize(("function", "output"), [("raises", "ValueError: 1"), ("awaits", "1"), ("yields", "1")])
def test_each_kind_of_function_has_an_output(module: str, function: str, output: str) -> None:
    assert expected(f"{module}:{function}")[0] == output
    assert together(f"{module}:{function}", ITEMS, expected(f"{module}:{function}"), 2, 0.1)["differing"] == 0


def test_coroutines_that_share_state_between_their_awaits_differ(module: str) -> None:
    function = f"{module}:interleaved"
    assert together(function, ITEMS, expected(function), 2, 0.1)["differing"] > 0
    assert together(function, ITEMS, None, 2, PATIENCE, repeat=2)["calls"] == 16


def test_what_ends_a_thread_ends_the_others_and_is_told(module: str) -> None:
    with pytest.raises(SystemExit):
        together(f"{module}:dies", ITEMS, [""] * len(ITEMS), 4, PATIENCE)


def test_calls_that_raise_or_break_the_contract_are_told_apart_from_results(module: str) -> None:
    def failed(function: str) -> tuple[list[int], str]:
        told = serial(f"{module}:{function}", ITEMS, list(range(len(ITEMS))))
        return told["failed"], told["outputs"][told["failed"][0]] if told["failed"] else ""

    everything = list(range(len(ITEMS)))
    assert failed("pure") == ([], "")
    assert failed("yields") == ([], "")
    found, text = failed("half")
    assert found == [1, 3, 5, 7]
    assert text.startswith("ZeroDivisionError: ")  # which Pythons put in different words
    assert failed("raises") == (everything, "ValueError: 1")
    assert failed("single")[0] == everything
    assert failed("bare") == (everything, "Contract: the function returned an int; a list of 1 result was expected")
