"""Adapters for the tests of workers that host one."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import slither
from slither import ThreadSafeAdapter, thread_safe_method, tool


class Everything(ThreadSafeAdapter):
    __thread_safe__ = True

    def __init__(self) -> None:
        super().__init__()
        self.events = ["built"]
        self.loop: asyncio.AbstractEventLoop | None = None
        logging.getLogger("here").warning("built in %d", os.getpid())

    async def initialize(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.events.append("initialized")

    def cleanup(self) -> None:
        print("cleaned up", flush=True)

    @thread_safe_method
    @tool(description="Add two numbers")
    def add(self, a: int, b: int = 1) -> int:
        return a + b

    @tool
    def said(self) -> list[str]:
        return self.events

    @tool(name="not-an identifier")
    def odd(self) -> str:
        return "odd"

    @tool
    async def later(self, value: int) -> int:
        await asyncio.sleep(0)
        return value

    @tool
    async def same_loop(self) -> bool:
        return asyncio.get_running_loop() is self.loop

    @tool
    def wrong(self, value: int) -> int:
        if value < 0:
            raise ValueError(f"{value} is negative")
        return value

    @tool
    def count(self, until: int, then: str = "end") -> Iterator[int]:
        try:
            yield from range(until)
            if then == "raise":
                raise ValueError("behind the last")
        finally:
            self.events.append("closed")

    @tool
    async def count_later(self, until: int) -> AsyncIterator[int]:
        try:
            for each in range(until):
                await asyncio.sleep(0)
                yield each
        finally:
            self.events.append("closed")

    @tool
    def gated(self, gate: str) -> Iterator[str]:
        yield "first"
        with open(gate) as opened:
            yield opened.read()

    @tool
    def large(self, values: int, size: int) -> Iterator[bytes]:
        for _ in range(values):
            yield b"x" * size

    @tool
    def asks(self, values: int) -> Iterator[Any]:
        for each in range(values):
            yield slither.view("echo", value=each)

    @tool(supports_streaming=True)
    def listed(self) -> list[int]:
        return [1, 2]

    @tool
    def odd_ones(self) -> Iterator[Any]:
        yield 1
        yield slither.Failed("not this one")
        yield {1, 2}
        yield 4

    @tool
    def thread(self) -> str:
        return threading.current_thread().name

    def get_stats(self) -> dict[str, Any]:
        return {"mine": True}


class Undeclared(ThreadSafeAdapter):
    @tool
    def one(self) -> int:
        return 1


class Racing(ThreadSafeAdapter):
    __thread_safe__ = True

    def __init__(self) -> None:
        super().__init__()
        self.counter = 0
        self.seen: list[int] = []

    @thread_safe_method
    @tool
    def increment(self) -> list[int]:
        self.counter += 1
        self.seen.append(self.counter)
        return self.seen


class Raises:
    def __init__(self) -> None:
        raise RuntimeError("there is no model")


class RaisesLate:
    async def initialize(self) -> None:
        await asyncio.sleep(0)
        raise RuntimeError("there is no model, either")


class Dispatching:
    """Calls its tools itself, as adapters for `snakepit_bridge` may."""

    def execute_tool(self, tool_name: str, arguments: dict[str, Any], context: Any) -> Any:
        return {"tool": tool_name, "arguments": arguments, "context": context is not None}


class DispatchingWithTwo:
    def execute_tool(self, tool_name: str, arguments: dict[str, Any]) -> Any:
        if tool_name == "known":
            return self.known(**arguments)
        raise KeyError(tool_name)

    @tool
    def known(self, a: int, b: int = 2) -> int:
        return a * b


not_a_class = Everything.add
