"""The ledger: what is a violation depends on who wrote under which locks, and never on when."""

from __future__ import annotations

import random

from slither._kit.ledger import Ledger, Place, Thread

ONE, TWO, THREE = (Thread(number, f"t{number}") for number in (1, 2, 3))
HERE, THERE = Place("a.py", 1, "f"), Place("a.py", 9, "g")


def verdicts(writes: list[tuple[Thread, set[int]]]) -> list[str]:
    ledger = Ledger()
    for thread, locks in writes:
        ledger.wrote("A.x", "set", thread, frozenset(locks), HERE)
    return [each.subject for each in ledger.violations()]


def test_the_verdict_is_that_of_the_locks() -> None:
    assert verdicts([(ONE, set()), (ONE, set())]) == [], "one thread"
    assert verdicts([(ONE, {7}), (TWO, {7, 8}), (THREE, {7, 9})]) == [], "a common lock"
    assert verdicts([(ONE, set()), (TWO, set())]) == ["A.x"], "no lock"
    assert verdicts([(ONE, {7}), (TWO, set())]) == ["A.x"], "only one holds it"
    assert verdicts([(ONE, {7}), (TWO, {8})]) == ["A.x"], "each its own"
    assert verdicts([(ONE, set()), (ONE, {7}), (TWO, {7})]) == ["A.x"], "the first write had none"


def test_the_order_of_the_writes_makes_no_difference() -> None:
    rng = random.Random(5)
    for _ in range(200):
        writes = [(rng.choice([ONE, TWO, THREE]), set(rng.sample([1, 2, 3], rng.randrange(3)))) for _ in range(6)]
        first = verdicts(writes)
        for _ in range(5):
            rng.shuffle(writes)
            assert verdicts(writes) == first


def test_a_violation_shows_the_lines_without_a_lock_and_is_told_once() -> None:
    ledger = Ledger()
    assert not ledger.wrote("A.x", "set", ONE, frozenset({7}), HERE)
    assert ledger.wrote("A.x", "append", TWO, frozenset(), THERE)
    assert not ledger.wrote("A.x", "append", TWO, frozenset(), THERE)
    (found,) = ledger.violations()
    assert (found.places, found.threads, found.writes, found.actions) == ((THERE,), ("t1", "t2"), 3, ("set", "append"))
    assert str(found) == (
        "A.x is written (set/append) by 2 threads (t1, t2), not always under a lock:\n"
        "  at a.py:9 in g\n"
        "  hint: write it under `with self.acquire_lock():`, or keep it with set_thread_local"
    )


def test_it_is_bounded() -> None:
    ledger = Ledger()
    for number in range(5000):
        ledger.wrote(f"A.x{number}", "set", ONE, frozenset(), HERE)
    assert ledger.left_out == 5000 - 4096
    for number in range(5000):
        ledger.wrote("A.x1", "set", Thread(number, f"t{number}"), frozenset(), Place("a.py", number, "f"))
    (found,) = ledger.violations()
    assert (found.writes, len(found.threads), len(found.places)) == (5001, 4096, 16)
