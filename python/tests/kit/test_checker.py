"""The checker: it finds what is written without a lock, whatever the schedule, and is silent about the rest."""

from __future__ import annotations

import functools
import gc
import logging
import queue
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from crowd import at_once, gil, in_turn

import slither
from slither import ThreadSafeAdapter, ThreadSafetyChecker, thread_safe_method, tool

ALL = pytest.mark.parametrize("run", [at_once, in_turn])
MODULE_LOCK = threading.Lock()


def line_of(text: str) -> int:
    """The line of this file that ends in a comment with this text."""
    with open(__file__, encoding="utf-8") as file:
        return next(number for number, line in enumerate(file, 1) if line.rstrip().endswith(f"# {text}"))


class Wrong(ThreadSafeAdapter):
    """What the guide shows as wrong."""

    __thread_safe__ = True

    def __init__(self) -> None:
        super().__init__()
        self.counter = 0
        self.results: list[int] = []

    @thread_safe_method
    def increment(self) -> None:
        self.counter += 1  # the unlocked counter

    @thread_safe_method
    def keep(self, value: int = 1) -> None:
        self.results.append(value)  # the unlocked append


class Right(ThreadSafeAdapter):
    """What the guide shows as right: each pattern, and each kind of lock."""

    __thread_safe__ = True
    _class_lock = threading.Lock()

    def __init__(self) -> None:
        super().__init__()
        self.config: dict[str, Any] = {"timeout": 30, "words": ["a", "b"]}
        self.log: list[dict[str, Any]] = []
        self.total = 0
        self.counter = 0
        self.counter_lock = threading.Lock()
        self.condition = threading.Condition()
        self.by_word: dict[str, list[int]] = {}
        self.of_class = 0
        self.of_module = 0
        self.queue: queue.Queue[int] = queue.Queue(1000)
        self.waited = 0

    @thread_safe_method
    @tool(description="All of it")
    def predict(self, text: str = "a") -> dict[str, Any]:
        cache = self.get_thread_local("cache", {})
        if text not in cache:
            cache[text] = len(self.config["words"]) + len(text)
            self.set_thread_local("cache", cache)
        with self.acquire_lock():
            self.log.append({"text": text})
            with self.acquire_lock():
                self.log[-1]["more"] = 1
            self.total += 1
        with self.acquire_lock("words"):
            self.by_word.setdefault(text, []).append(1)
            self.by_word[text].append(2)
        self.counter_lock.acquire()
        try:
            self.counter += 1
        finally:
            self.counter_lock.release()
        with self.condition:
            self.waited += 1
        with Right._class_lock:
            self.of_class += 1
        with MODULE_LOCK:
            self.of_module += 1
        self.queue.put(1)
        return {"value": cache[text]}

    @thread_safe_method
    def get_stats(self) -> dict[str, Any]:
        with self.acquire_lock():
            return {"total": self.total, "log": len(self.log)}


def subjects(report: slither.Report) -> list[str]:
    return [each["subject"] for each in report["violations"]]


@ALL
def test_the_unlocked_counter_is_found_with_attribute_line_and_threads(run: Any) -> None:
    checker = ThreadSafetyChecker(enabled=True, strict_mode=False)
    adapter = Wrong()
    run(5, lambda: [adapter.increment() for _ in range(50)])
    report = checker.get_report()
    (found,) = report["violations"]
    assert found["subject"] == "Wrong.counter"
    assert sorted(found["threads"]) == ["t1", "t2", "t3", "t4", "t5"]
    assert found["writes"] == 250
    (place,) = found["places"]
    assert (place["file"], place["line"]) == (__file__, line_of("the unlocked counter"))
    assert place["function"].endswith("increment")
    (warning,) = report["warnings"]
    assert warning.startswith("Wrong.counter is written (set) by 5 threads (t")
    assert f"{__file__}:{place['line']}" in str(report)


@ALL
def test_the_unlocked_append_is_found(run: Any) -> None:
    checker = ThreadSafetyChecker(enabled=True)
    adapter = Wrong()
    # A list is watched as soon as nobody else holds it: at the latest from the last of these.
    run(4, lambda: [adapter.keep() for _ in range(50)])
    run(4, adapter.keep)
    (found,) = checker.get_report()["violations"]
    assert (found["subject"], found["actions"]) == ("Wrong.results", ["append"])
    assert found["places"][0]["line"] == line_of("the unlocked append")


def test_a_race_that_is_real_and_what_the_lock_makes_of_it() -> None:
    """Without a GIL the unlocked counter does lose updates; the checker has said so without waiting for it."""
    rounds, times = 40, 20_000

    class Counter(ThreadSafeAdapter):
        __thread_safe__ = True

        def __init__(self) -> None:
            super().__init__()
            self.bare = 0
            self.locked = 0

        def count(self, times: int) -> None:
            for _ in range(times):
                self.bare += 1
            for _ in range(times // 10):
                with self.acquire_lock():
                    self.locked += 1

    checker = ThreadSafetyChecker()
    watched = Counter()
    in_turn(2, lambda: watched.count(10))
    checker.close()
    assert watched.bare == 20, "nothing was lost here"
    assert subjects(checker.get_report()) == ["Counter.bare"], "and it was found all the same"

    lost = False
    for _ in range(rounds):
        plain = Counter()
        assert type(plain) is Counter
        at_once(4, functools.partial(plain.count, times))
        assert plain.locked == 4 * (times // 10)
        lost = lost or plain.bare < 4 * times
        if lost or gil():
            break
    assert lost or gil()


@ALL
def test_nothing_is_said_of_what_is_right(run: Any) -> None:
    checker = ThreadSafetyChecker(enabled=True, strict_mode=True)
    adapter = Right()
    run(6, lambda: [adapter.predict(text) for text in "aabc"])
    run(3, adapter.get_stats)
    report = checker.get_report()
    assert report["warnings"] == []
    assert report["unwatched"] == {}
    assert (adapter.total, len(adapter.log), adapter.counter) == (24, 24, 24)
    assert adapter.of_class == adapter.of_module == adapter.waited == 24
    checker.close()
    assert type(MODULE_LOCK) is type(threading.Lock())
    assert type(Right._class_lock) is type(threading.Lock())


def test_many_in_one_method_is_a_line_and_no_warning() -> None:
    class Meeting(ThreadSafeAdapter):
        __thread_safe__ = True

        def __init__(self, parties: int) -> None:
            super().__init__()
            self.barrier = threading.Barrier(parties)
            self.seen = 0

        @thread_safe_method
        def meet(self, write: bool) -> None:
            self.barrier.wait(20)
            if write:
                self.seen = 1

    checker = ThreadSafetyChecker()
    adapter = Meeting(5)
    at_once(5, lambda: adapter.meet(False))
    report = checker.get_report()
    assert (report["warnings"], report["concurrent"]) == ([], {"Meeting.meet": 5})
    assert "note: Meeting.meet was run by up to 5 threads at once" in str(report)
    at_once(5, lambda: adapter.meet(True))
    (warning,) = checker.get_report()["warnings"]
    assert warning.endswith("note: Meeting.meet was run by up to 5 threads at once")


def test_writes_from_outside_are_found_and_so_are_their_locks() -> None:
    checker = ThreadSafetyChecker(enabled=True)
    adapter, other = Wrong(), Right()
    lock = threading.Lock()

    def increment() -> None:
        for _ in range(1000):
            adapter.counter += 1  # from the test's threads
            with lock:
                adapter.results.append(1)
            with other.acquire_lock():
                other.total += 1

    at_once(4, increment)
    report = checker.get_report()
    assert subjects(report) == ["Wrong.counter"]
    assert report["violations"][0]["places"][0]["line"] == line_of("from the test's threads")
    assert (len(adapter.results), other.total) == (4000, 4000)


def test_each_thread_under_a_lock_of_its_own_is_a_violation() -> None:
    checker = ThreadSafetyChecker()
    adapter = Wrong()

    def work() -> None:
        with adapter.acquire_lock(threading.current_thread().name):
            adapter.counter += 1

    in_turn(2, work)
    (found,) = checker.get_report()["violations"]
    assert found["locked"] is True
    assert "each under a lock of its own" in checker.get_report()["warnings"][0]


def test_a_lock_that_another_thread_holds_protects_nothing() -> None:
    checker = ThreadSafetyChecker()
    adapter = Wrong()
    with MODULE_LOCK:
        in_turn(2, adapter.increment)
    assert subjects(checker.get_report()) == ["Wrong.counter"]


def test_who_made_it_may_write_before_the_others_come_and_when_they_are_gone() -> None:
    checker = ThreadSafetyChecker()
    adapter = Right()
    adapter.total = 5
    at_once(3, adapter.predict)
    adapter.total = 0
    adapter.log.clear()
    assert checker.get_report()["warnings"] == []
    go, done = threading.Event(), threading.Event()

    def stay() -> None:
        adapter.get_stats()
        go.set()
        done.wait(20)

    thread = threading.Thread(target=stay)
    thread.start()
    go.wait(20)
    adapter.total = 0
    done.set()
    thread.join(20)
    assert subjects(checker.get_report()) == ["Right.total"], "but not while one of them is there"


def test_every_kind_of_write_is_one() -> None:
    class Own:
        def __init__(self) -> None:
            self.value = 0
            self.inner: dict[str, Any] = {}

    class All(ThreadSafeAdapter):
        __thread_safe__ = True
        shared: dict[str, int] = {}  # noqa: RUF012

        def __init__(self) -> None:
            super().__init__()
            self.own = Own()
            self.nested: dict[str, Any] = {"a": {"b": [1]}}
            self.gone = 1
            self.grown: defaultdict[str, int] = defaultdict(int)

        def write(self) -> None:
            self.own.value += 1
            self.own.inner["a"] = 1
            self.nested["a"]["b"].append(1)
            self.shared["x"] = 1
            self.gone = 1
            del self.gone
            self.grown[threading.current_thread().name]

    checker = ThreadSafetyChecker()
    adapter = All()
    in_turn(2, adapter.write)
    assert subjects(checker.get_report()) == [
        "All.own.value",
        "All.own.inner",
        "All.nested[…][…]",
        "All.shared",
        "All.gone",
        "All.grown",
    ]
    found = {each["subject"]: each for each in checker.get_report()["violations"]}
    assert found["All.gone"]["actions"] == ["set", "delete"]
    assert {place["file"] for each in found.values() for place in each["places"]} == {__file__}


def test_a_container_that_something_else_holds_is_left_as_it_is_and_named() -> None:
    class Sharing(ThreadSafeAdapter):
        __thread_safe__ = True

        def __init__(self, log: list[int]) -> None:
            super().__init__()
            self.log = log

    log: list[int] = []
    checker = ThreadSafetyChecker()
    adapter = Sharing(log)
    in_turn(2, lambda: adapter.log.append(1))
    assert log == [1, 1]
    assert adapter.log is log
    report = checker.get_report()
    assert report["unwatched"] == {"Sharing.log": "something else holds it, too"}
    assert "note: Sharing.log was not watched" in str(report)


def test_an_undeclared_class_is_warned_of_and_refused_when_strict(caplog: pytest.LogCaptureFixture) -> None:
    class Undeclared(ThreadSafeAdapter):
        pass

    class Denied(ThreadSafeAdapter):
        __thread_safe__ = False

    class Heir(Right):
        pass

    checker = ThreadSafetyChecker(enabled=True, strict_mode=False)
    for kind in (Undeclared, Undeclared, Heir, Denied):
        kind()
    (warning,) = checker.get_report()["warnings"]
    assert warning.startswith("Undeclared does not say whether several threads may use it")
    assert checker.get_report()["undeclared"] == ["Undeclared"]
    assert [r.getMessage() for r in caplog.records if r.name == "slither.checker"] == [warning]
    checker.close()
    with ThreadSafetyChecker(strict_mode=True):
        Heir()
        with pytest.raises(slither.NotThreadSafe, match="__thread_safe__ = True"):
            Undeclared()
    Undeclared()  # without a checker nobody asks


def test_a_disabled_checker_watches_nothing() -> None:
    factory = threading.Lock
    checker = ThreadSafetyChecker(enabled=False)
    adapter = Wrong()
    assert type(adapter) is Wrong
    assert type(adapter.results) is list
    assert type(adapter.acquire_lock()) is type(threading.RLock())
    assert threading.Lock is factory
    in_turn(2, adapter.increment)
    assert checker.get_report()["violations"] == []
    assert "disabled" in str(checker.get_report())


def test_it_ends_when_it_is_closed_or_nobody_holds_it() -> None:
    factory = threading.Lock
    checker = ThreadSafetyChecker()
    adapter = Wrong()
    assert threading.Lock is not factory
    in_turn(2, adapter.increment)
    checker.close()
    checker.close()
    assert threading.Lock is factory
    assert type(Wrong()) is Wrong
    in_turn(2, adapter.keep)
    assert subjects(checker.get_report()) == ["Wrong.counter"]
    second = ThreadSafetyChecker()
    assert type(Wrong()) is not Wrong
    del second
    gc.collect()
    assert threading.Lock is factory
    assert type(Wrong()) is Wrong


def test_two_checkers_see_what_was_made_while_both_were_there() -> None:
    with ThreadSafetyChecker() as outer:
        first = Wrong()
        with ThreadSafetyChecker() as inner:
            both = Wrong()
            in_turn(2, first.increment)
            in_turn(2, both.keep)
    assert subjects(outer.get_report()) == ["Wrong.counter", "Wrong.results"]
    assert subjects(inner.get_report()) == ["Wrong.results"]


def test_a_watched_adapter_is_still_what_it_was() -> None:
    made = []

    class Base(ThreadSafeAdapter):
        __thread_safe__ = True

        def __init_subclass__(cls, **kwargs: Any) -> None:
            super().__init_subclass__(**kwargs)
            made.append(cls.__name__)

        @property
        def doubled(self) -> int:
            return int(self.value) * 2

        def __getattr__(self, name: str) -> Any:
            if name.startswith("lazy_"):
                return name
            raise AttributeError(name)

    class Own(Base):
        def __init__(self, value: int, *, scale: int = 1) -> None:
            super().__init__()
            self.value = value * scale

    with ThreadSafetyChecker():
        own = Own(2, scale=3)
        assert made == ["Own"]
        assert isinstance(own, Own)
        assert own.__class__ is Own
        assert type(own).__name__ == "Own"
        assert (own.doubled, own.lazy_x) == (12, "lazy_x")
        with pytest.raises(AttributeError):
            own.missing  # noqa: B018
        assert "value" in vars(own)


def test_the_first_write_without_a_lock_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    checker = ThreadSafetyChecker()
    adapter = Wrong()
    in_turn(3, adapter.increment)
    (record,) = [each for each in caplog.records if each.name == "slither.checker"]
    assert record.threadName == "t2"
    assert record.getMessage().startswith("Wrong.counter is written by several threads without a common lock, now at ")
    assert checker.enabled


def test_the_guides_stress_test_through_an_executor() -> None:
    checker = ThreadSafetyChecker()
    adapter = Right()
    with ThreadPoolExecutor(max_workers=20) as executor:
        futures = [executor.submit(adapter.predict, f"input_{number}") for number in range(300)]
        results = [future.result(40) for future in futures]
    assert len(results) == 300
    assert checker.get_report()["warnings"] == []
