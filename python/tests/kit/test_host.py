"""The host: an adapter is built once, and its tools are called by name."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from crowd import at_once

import slither
from slither import AdapterHost, ThreadSafeAdapter, ThreadSafetyChecker, thread_safe_method, tool
from slither.adapters import ThreadedShowcaseAdapter


class Full(ThreadSafeAdapter):
    __thread_safe__ = True

    def __init__(self, scale: int = 1) -> None:
        super().__init__()
        self.scale = scale
        self.events: list[str] = ["built"]

    async def initialize(self) -> None:
        await asyncio.sleep(0)
        self.events.append("initialized")

    def cleanup(self) -> None:
        self.events.append("cleaned")

    @tool
    def add(self, a: int, b: int = 1) -> int:
        return (a + b) * self.scale

    @thread_safe_method
    @tool
    def counted(self) -> int:
        request = slither.current_request()
        return request.number if request else 0

    @tool
    async def later(self, value: int) -> int:
        await asyncio.sleep(0)
        return value

    @tool
    def stream(self, count: int) -> Iterator[int]:
        try:
            yield from range(count)
        finally:
            self.events.append("stream closed")

    @tool
    async def stream_later(self, count: int) -> AsyncIterator[int]:
        try:
            for each in range(count):
                await asyncio.sleep(0)
                yield each
        finally:
            self.events.append("async stream closed")

    @tool
    def all_events(self) -> list[str]:
        return self.events

    def get_stats(self) -> dict[str, Any]:
        return {"mine": True}


class Bare:
    """No adapter, but a class with tools."""

    @tool
    def one(self) -> int:
        return 1


def test_it_calls_by_name_with_a_list_or_a_map() -> None:
    host = AdapterHost(Full, max_workers=4, args=[10])
    with pytest.raises(RuntimeError, match="has not been started"):
        host.call("add", [1])
    host.start()
    assert host.call("add", [1]) == 20
    assert host.call("add", [1, 2]) == 30
    assert host.call("add", {"a": 1, "b": 4}) == 50
    assert host.call("later", [7]) == 7
    assert host.call("all_events") == ["built", "initialized"]
    host.close()
    host.close()
    with pytest.raises(RuntimeError, match="is closed"):
        host.call("add", [1])


def test_hooks_run_once_and_streams_are_closed() -> None:
    with AdapterHost(Full) as host:
        adapter = host.adapter
        assert list(host.call("stream", [3])) == [0, 1, 2]
        assert list(host.call("stream_later", {"count": 2})) == [0, 1]
        for name in ("stream", "stream_later"):
            stream = host.call(name, [10])
            assert next(stream) == 0
            stream.close()
    assert adapter.events == [
        *("built", "initialized", "stream closed", "async stream closed"),
        *("stream closed", "async stream closed", "cleaned"),
    ]
    assert host.stats()["active_requests"] == 0


def test_it_counts_each_call_once_whoever_counts_it() -> None:
    with AdapterHost(Full, max_workers=3) as host:
        assert host.call("counted") == 1
        host.call("add", [1])
        assert host.call("counted") == 3
        list(host.call("stream", [2]))
        stats = host.stats()
    assert stats["total_requests"] == 4
    assert stats["max_workers"] == 3
    assert set(stats) == {"total_requests", "active_requests", "max_workers", "thread_utilization"}
    assert host.owner is Full, "whose get_stats is another"


def test_the_declaration_decides_the_slots() -> None:
    class Silent(ThreadSafeAdapter):
        pass

    class Denying(ThreadSafeAdapter):
        __thread_safe__ = False

    assert (AdapterHost(Full, max_workers=8).slots, AdapterHost(Full, max_workers=8).why_one_slot) == (8, None)
    assert (AdapterHost(Bare, max_workers=8).slots, AdapterHost(Bare).why_one_slot) == (1, None)
    assert AdapterHost(Silent, max_workers=8).slots == 1
    assert "Silent does not say" in str(AdapterHost(Silent, max_workers=8).why_one_slot)
    assert "Denying denies" in str(AdapterHost(Denying, max_workers=8).why_one_slot)
    with AdapterHost(Bare, max_workers=8) as host:
        assert host.call("one") == 1
        assert (host.stats()["total_requests"], host.stats()["max_workers"]) == (1, 1)
    with pytest.raises(ValueError, match="at least one"):
        AdapterHost(Full, max_workers=0)


def test_an_unknown_tool_or_class_is_said_with_what_there_is() -> None:
    asked = r"no tool 'ad'; it has add, .*\nhint: did you mean 'add'"
    with AdapterHost(Full) as host, pytest.raises(slither.UnknownTool, match=asked):
        host.call("ad")
    with AdapterHost(Bare) as host, pytest.raises(slither.UnknownTool, match=r"; it has one$"):
        host.call("something")
    assert AdapterHost("slither.adapters.ThreadedShowcaseAdapter").owner is ThreadedShowcaseAdapter
    assert AdapterHost("slither.adapters:ThreadedShowcaseAdapter").owner is ThreadedShowcaseAdapter
    for name, said in [
        ("slither.adapters:ThreadedShowcase", "did you mean 'ThreadedShowcaseAdapter'"),
        ("no_such_module.Class", "no module named 'no_such_module'"),
        ("slither:tool", "no class"),
        ("Class", "does not name"),
    ]:
        with pytest.raises(ImportError, match=said):
            AdapterHost(name)


def test_what_a_tool_raises_comes_out_and_its_request_ends() -> None:
    with AdapterHost(Full) as host:
        with pytest.raises(TypeError):
            host.call("add", ["a", 1])
        assert host.stats()["active_requests"] == 0


def test_tools_are_listed_in_their_order() -> None:
    names = [(each["name"], each["streaming"]) for each in AdapterHost(ThreadedShowcaseAdapter).tools()]
    assert names == [
        ("predict", False),
        ("multiply", False),
        ("compute", False),
        ("predict_each", True),
        ("summary", False),
    ]


def test_while_a_checker_watches_results_are_plain() -> None:
    with ThreadSafetyChecker(), AdapterHost(Full) as host:
        assert type(host.adapter.events) is not list
        assert type(host.call("all_events")) is list


def test_the_showcase_keeps_its_three_promises() -> None:
    with ThreadSafetyChecker(strict_mode=True) as checker, AdapterHost(ThreadedShowcaseAdapter, max_workers=6) as host:
        seen: list[bool] = []
        guard = threading.Lock()

        def work() -> None:
            answers = [host.call("predict", ["a good day"]), host.call("predict", {"text": "a good day"})]
            assert [each["score"] for each in answers] == [1.0, 1.0]
            assert host.call("multiply", [[[1, 2], [3, 4]], [[5], [6]]]) == [[17], [39]]
            assert len(host.call("compute", ["x", 10])) == 64
            assert [each["score"] for each in host.call("predict_each", [["bad", "fine", ""]])] == [-1.0, 0.5, 0.0]
            with guard:
                seen.extend(each["cached"] for each in answers)

        at_once(6, work)
        summary = host.call("summary")
    assert sorted(seen) == [False] * 6 + [True] * 6, "each thread has a cache of its own"
    assert (summary["scored"], summary["logged"]) == (30, 30)
    assert summary["threads"]["max_workers"] == 6
    assert checker.get_report()["warnings"] == []
