"""Adapters: locks, values of threads, counts of requests, and what a log says of them."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import slither
from slither import ThreadSafeAdapter, thread_safe_method, tool
from slither._kit.tools import describe_tools


class Forgetful(ThreadSafeAdapter):
    """Does not call `super().__init__()`."""

    __thread_safe__ = True

    def __init__(self) -> None:
        self.count = 0
        self.inside = threading.Barrier(2)

    @thread_safe_method
    def outer(self) -> int:
        return self.inner()

    @thread_safe_method
    def inner(self) -> int:
        request = slither.current_request()
        assert request is not None
        return request.number

    @thread_safe_method
    def meet(self) -> Any:
        self.inside.wait(20)
        try:
            return self.get_stats()
        finally:
            self.inside.wait(20)

    @thread_safe_method
    def steps(self, count: int) -> Iterator[int | None]:
        for _ in range(count):
            request = slither.current_request()
            yield request.number if request else None

    @thread_safe_method
    async def later(self) -> int:
        await asyncio.sleep(0)
        return self.inner()

    @thread_safe_method
    async def later_steps(self) -> AsyncIterator[int]:
        await asyncio.sleep(0)
        yield self.inner()
        yield self.inner()

    @thread_safe_method
    def count_up(self, times: int) -> None:
        for _ in range(times):
            with self.acquire_lock(), self.acquire_lock():
                self.count += 1


def run_threads(count: int, work: Callable[[int], object]) -> None:
    """Have `work` done by threads that are all there before the first begins."""
    ready = threading.Barrier(count)

    def run(number: int) -> None:
        ready.wait(20)
        work(number)

    with ThreadPoolExecutor(count) as threads:
        for done in [threads.submit(run, number) for number in range(count)]:
            done.result(40)


def test_locked_counts_are_never_lost() -> None:
    adapter = Forgetful()
    run_threads(8, lambda _: adapter.count_up(2000))
    assert adapter.count == 16_000


def test_each_name_is_a_lock_of_its_own_and_always_the_same() -> None:
    adapter = Forgetful()
    assert adapter.acquire_lock("a") is adapter.acquire_lock("a")
    assert adapter.acquire_lock("a") is not adapter.acquire_lock()
    assert adapter.acquire_lock() is not Forgetful().acquire_lock()
    for number in range(1022):
        adapter.acquire_lock(f"n{number}")
    with pytest.raises(ValueError, match="1024 locks have been named"):
        adapter.acquire_lock("one more")
    with adapter.acquire_lock("a"):
        assert True


def test_a_thread_keeps_its_own_values() -> None:
    adapter = Forgetful()

    def work(number: int) -> None:
        assert adapter.get_thread_local("cache") is None
        assert adapter.get_thread_local("cache", {}) == {}
        adapter.set_thread_local("cache", number)
        adapter.set_thread_local("other", -number)
        assert adapter.get_thread_local("cache", {}) == number
        adapter.clear_thread_local("cache")
        assert (adapter.get_thread_local("cache"), adapter.get_thread_local("other")) == (None, -number)
        adapter.clear_thread_local()
        adapter.clear_thread_local("never set")
        assert adapter.get_thread_local("other") is None

    run_threads(4, work)


def test_requests_are_numbered_and_counted_by_thread() -> None:
    adapter = Forgetful()
    with ThreadPoolExecutor(2, thread_name_prefix="pool") as threads:
        first, second = threads.map(lambda _: adapter.meet(), range(2))
    assert first["total_requests"] == 2
    assert first["active_requests"] == 2
    assert first["max_workers"] is None
    assert set(first["thread_utilization"]) == {"pool_0", "pool_1"}
    assert second["thread_utilization"]["pool_0"] == {"requests": 1, "active": 1}
    after = adapter.get_stats()
    assert (after["total_requests"], after["active_requests"]) == (2, 0)
    assert after["thread_utilization"]["pool_1"] == {"requests": 1, "active": 0}


def test_a_method_called_by_another_belongs_to_its_request() -> None:
    adapter = Forgetful()
    assert [adapter.outer(), adapter.outer()] == [1, 2]
    assert Forgetful().outer() == 1
    assert slither.current_request() is None


def test_a_generators_request_lasts_until_it_is_closed_and_runs_in_its_steps_only() -> None:
    adapter = Forgetful()
    steps = adapter.steps(3)
    assert adapter.get_stats()["total_requests"] == 0
    assert next(steps) == 1
    assert slither.current_request() is None
    assert adapter.outer() == 2, "a request between two steps is one of its own"
    assert next(steps) == 1
    assert adapter.get_stats()["active_requests"] == 1
    steps.close()  # type: ignore[attr-defined]
    assert adapter.get_stats()["active_requests"] == 0


def test_coroutines_and_async_generators_are_requests_too() -> None:
    adapter = Forgetful()

    async def main() -> list[Any]:
        both = await asyncio.gather(adapter.later(), adapter.later())
        return [*both, *[each async for each in adapter.later_steps()]]

    assert asyncio.run(main()) == [1, 2, 3, 3]
    assert (adapter.get_stats()["total_requests"], adapter.get_stats()["active_requests"]) == (3, 0)


def test_a_request_that_fails_ends() -> None:
    class Failing(ThreadSafeAdapter):
        @thread_safe_method
        def fail(self) -> None:
            raise ValueError("no")

    adapter = Failing()
    with pytest.raises(ValueError, match="no"):
        adapter.fail()
    assert adapter.get_stats()["active_requests"] == 0


def test_threads_beyond_a_bound_are_counted_together() -> None:
    adapter = Forgetful()
    for number in range(300):
        thread = threading.Thread(target=adapter.outer, name=f"t{number}")
        thread.start()
        thread.join()
    use = adapter.get_stats()["thread_utilization"]
    assert len(use) == 257
    assert use["others"] == {"requests": 44, "active": 0}


def test_log_records_carry_thread_and_request(caplog: pytest.LogCaptureFixture) -> None:
    class Logging(ThreadSafeAdapter):
        @thread_safe_method
        def say(self) -> None:
            logging.getLogger("model").warning("said")

    caplog.handler.addFilter(slither.RequestFilter())
    caplog.set_level(logging.INFO, "slither.adapter")
    adapter = Logging()
    adapter.say()
    thread = threading.Thread(target=adapter.say, name="worker-7")
    thread.start()
    thread.join()
    logging.getLogger("model").warning("outside")
    said: list[Any] = [(r.threadName, vars(r)["request"], r.getMessage()) for r in caplog.records]
    assert said[3:6] == [
        ("worker-7", 2, "[worker-7] request #2 started: say"),
        ("worker-7", 2, "said"),
        ("worker-7", 2, "[worker-7] request #2 finished: say"),
    ]
    assert said[6][1] == "-"
    caplog.handler.removeFilter(caplog.handler.filters[0])


class Tools(ThreadSafeAdapter):
    @tool(description="Adds")
    def add(self, a: int, b: int = 2, *more: int, sign: bool = True, **rest: float) -> int:  # noqa: ARG002
        return a + b

    @thread_safe_method
    @tool(name="each")
    def yields(self, count: int) -> Iterator[int]:
        """Counts, and says
        every number.

        At length.
        """  # noqa: D205
        yield from range(count)

    @tool
    async def waits(self) -> None: ...

    @tool(description="Streams in its own way", supports_streaming=True, required_variables=["key"])
    def makes(self, unknown: NotDefinedAnywhere) -> Any:  # type: ignore[name-defined]  # noqa: F821
        return iter([unknown])

    def no_tool(self) -> None: ...

    @tool
    def hidden(self) -> None: ...


class Fewer(Tools):
    def hidden(self) -> None: ...


def test_a_host_can_ask_what_tools_there_are() -> None:
    add, each, waits, makes = describe_tools(Fewer)
    assert (add["name"], add["description"], add["returns"], add["streaming"]) == ("add", "Adds", "int", False)
    assert add["signature"] == "(a: 'int', b: 'int' = 2, *more: 'int', sign: 'bool' = True, **rest: 'float') -> 'int'"
    assert [(p["name"], p["kind"], p["type"], p["required"], p["default"]) for p in add["parameters"]] == [
        ("a", "positional", "int", True, None),
        ("b", "positional", "int", False, "2"),
        ("more", "variadic", "int", False, None),
        ("sign", "keyword", "bool", False, "True"),
        ("rest", "variadic keyword", "float", False, None),
    ]
    assert (each["name"], each["description"], each["streaming"]) == ("each", "Counts, and says every number.", True)
    assert (waits["asynchronous"], waits["streaming"]) == (True, False)
    assert (makes["streaming"], makes["required_variables"]) == (True, ["key"])
    assert makes["parameters"][0]["type"] == "NotDefinedAnywhere"
    assert [each["name"] for each in describe_tools(Tools)][-1] == "hidden"
