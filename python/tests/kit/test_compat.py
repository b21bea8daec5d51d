"""Adapters that import `snakepit_bridge`: they run as they are."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from crowd import in_turn
from fakehost import SDK

import slither
from slither import AdapterHost, _current
from snakepit_bridge.adapters.threaded_showcase import ThreadedShowcaseAdapter
from snakepit_bridge.base_adapter import BaseAdapter, StreamChunk
from snakepit_bridge.base_adapter import tool as tool_of_one
from snakepit_bridge.base_adapter_threaded import ThreadSafeAdapter, thread_safe_method, tool
from snakepit_bridge.logging_config import configure_logging, get_logger
from snakepit_bridge.session_context import SessionContext
from snakepit_bridge.thread_safety_checker import ThreadSafetyChecker

logger = get_logger(__name__)


class Model:
    def predict(self, text: str) -> float:
        return len(text) / 2


class Threaded(ThreadSafeAdapter):
    __thread_safe__ = True

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.config = {"timeout": 30, "batch_size": 10}
        self.prediction_log: list[dict[str, Any]] = []
        self.total_predictions = 0

    @thread_safe_method
    @tool(description="Prediction by a shared model, kept for the thread")
    def predict(self, input_data: str) -> dict[str, Any]:
        cache = self.get_thread_local("cache", {})
        if input_data not in cache:
            cache[input_data] = self.model.predict(input_data)
            self.set_thread_local("cache", cache)
        logger.info("predicted")
        with self.acquire_lock():
            self.prediction_log.append({"prediction": cache[input_data]})
            self.total_predictions += 1
        return {"prediction": cache[input_data]}

    @thread_safe_method
    def get_stats(self) -> dict[str, Any]:
        with self.acquire_lock():
            return {"predictions": self.total_predictions}


class Single(BaseAdapter):
    def __init__(self) -> None:
        super().__init__()
        self.session_context = None

    def initialize(self) -> None:
        self.ready = True

    @tool_of_one(description="Streams", supports_streaming=True, required_variables=["key"])
    def stream(self, count: int = 2) -> Iterator[StreamChunk]:
        for index in range(count):
            yield StreamChunk(data={"index": index}, is_final=index == count - 1)

    @tool_of_one(description="Says where it is called from")
    def where(self) -> dict[str, Any]:
        assert self.session_context is not None
        assert "lookup" in self.session_context.elixir_tools
        return {
            "session": self.session_context.session_id,
            "metadata": self.session_context.request_metadata,
            "view": self.session_context.call_elixir_tool("lookup", key=1),
            "proxy": self.session_context.elixir_tools["lookup"](key=2),
        }


class Runner:
    """As much of a worker as a context asks for."""

    def __init__(self) -> None:
        self.call = 1

    def check_thread(self, what: str) -> None:
        assert what.startswith(("slither.", "view "))

    def raw_context(self) -> bytes:
        from slither import _values

        return _values.encode_context("session-1")

    def ask(self, name: str, args: Any, many: bool) -> Any:
        return [name, args, many]


@pytest.fixture
def worker() -> Iterator[None]:
    _current.install(Runner())  # type: ignore[arg-type]
    yield
    _current.install(None)


def test_a_threaded_adapter_runs_and_is_right() -> None:
    checker = ThreadSafetyChecker(enabled=True, strict_mode=True)
    with AdapterHost(Threaded, max_workers=4) as host:
        in_turn(4, lambda: host.call("predict", {"input_data": "four"}))
        assert host.call("predict", ["four"]) == {"prediction": 2.0}
        assert host.adapter.get_stats() == {"predictions": 5}
        assert host.stats()["total_requests"] == 6
        assert host.slots == 4
    report = checker.get_report()
    assert len(report["warnings"]) == 0


def test_a_plain_adapter_runs_in_one_slot_and_follows_its_call(worker: None) -> None:
    with AdapterHost(Single, max_workers=4, session_context=SessionContext()) as host:
        assert host.slots == 1
        assert host.adapter.ready
        assert [(each.data, each.is_final) for each in host.call("stream")] == [
            ({"index": 0}, False),
            ({"index": 1}, True),
        ]
        assert host.call("where") == {
            "session": "session-1",
            "metadata": {},
            "view": ["lookup", {"key": 1}, False],
            "proxy": ["lookup", {"key": 2}, False],
        }
        adapter = host.adapter
    assert [each["required_variables"] for each in adapter.get_tools()] == [["key"], []]
    given = SessionContext("mine", {"tenant": 7})
    found = adapter.execute_tool("where", {}, given)
    assert (found["session"], found["metadata"]) == ("mine", {"tenant": 7})
    with pytest.raises(slither.UnknownTool):
        adapter.execute_tool("missing", {})


def test_outside_a_call_the_context_says_so() -> None:
    with pytest.raises(slither.NotInWorker):
        _ = SessionContext().session_id
    assert list(SessionContext().elixir_tools) == []


def test_the_names_are_slithers_own() -> None:
    import slither.adapters

    assert ThreadedShowcaseAdapter is slither.adapters.ThreadedShowcaseAdapter
    assert ThreadSafeAdapter is slither.ThreadSafeAdapter
    assert tool is tool_of_one is slither.tool
    name = "snakepit_bridge.adapters.threaded_showcase.ThreadedShowcaseAdapter"
    assert AdapterHost(name).owner is ThreadedShowcaseAdapter


def test_logging_shows_thread_and_request_where_nobody_else_takes_it() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from snakepit_bridge.logging_config import configure_logging, get_logger\n"
        "from snakepit_bridge.base_adapter_threaded import ThreadSafeAdapter, thread_safe_method\n"
        "class A(ThreadSafeAdapter):\n"
        "    @thread_safe_method\n"
        "    def say(self): get_logger('mine').info('said')\n"
        "configure_logging(); configure_logging()\n"
        "A().say(); get_logger('mine').debug('never')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, SDK], capture_output=True, text=True, check=True, timeout=50)
    lines = [each.partition(" - ")[2] for each in done.stderr.splitlines()]
    assert lines == [
        "[MainThread] - INFO - slither.adapter - request 1 - [MainThread] request #1 started: say",
        "[MainThread] - INFO - mine - request 1 - said",
        "[MainThread] - INFO - slither.adapter - request 1 - [MainThread] request #1 finished: say",
    ]


@pytest.mark.parametrize(("level", "number"), [("warning", logging.WARNING), ("loud", logging.INFO), (10, 10)])
def test_the_level_is_the_one_that_is_asked_for(level: Any, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.RootLogger(logging.ERROR)
    real: Callable[..., logging.Logger] = logging.getLogger
    monkeypatch.setattr(logging, "getLogger", lambda name=None: real(name) if name else root)
    configure_logging(level)
    assert root.level == number
    assert len(root.handlers) == 1
