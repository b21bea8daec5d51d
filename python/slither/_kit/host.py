"""`AdapterHost`: what any host needs to offer an adapter's tools, and nothing of how calls reach it.

It builds the adapter once, calls its hooks, lists its tools, and calls one by name. It has no threads of its own:
whoever holds it calls it from as many as `slots` says.
"""

from __future__ import annotations

import asyncio
import difflib
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any

from slither import _resolve
from slither._exceptions import UnknownTool
from slither._kit import containers
from slither._kit.adapter import METHOD_MARK, ThreadSafeAdapter, declares_thread_safety, state_of, tracked
from slither._kit.requests import Requests, Stats
from slither._kit.tools import ToolDescription, describe, find_tools, is_streaming

Args = Sequence[Any] | Mapping[str, Any] | None


class AdapterHost:
    """An adapter, built once, with its tools by name.

        host = AdapterHost(MyAdapter, max_workers=16)
        host.start()
        host.call("predict", ["some text"])
        host.call("predict", {"text": "some text"})
        for chunk in host.call("stream", [3]):
            ...
        host.close()

    The class need not be a `ThreadSafeAdapter`: any class with methods that are marked as tools will do. What it may
    have besides:

    - `initialize(self)`, called by `start` after the class was built, and `cleanup(self)`, called by `close`, once.
      Either may be `async def`.
    - `set_session_context(self, context)`, which `start` calls with `session_context` if that is given.
    - `__thread_safe__ = True`, without which there is one slot, however many workers there are.

    `run` drives a coroutine to its end in the calling thread; the default is `asyncio.run`.
    """

    def __init__(
        self,
        adapter: type | str,
        *,
        max_workers: int = 1,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        session_context: Any = None,
        run: Callable[[Coroutine[Any, Any, Any]], Any] | None = None,
    ) -> None:
        """Take a class, or its name as `package.module.Class` or `package.module:Class`.

        Raises `ImportError` if the name leads to no class, and `ValueError` for fewer workers than one.
        """
        if max_workers < 1:
            raise ValueError(f"max_workers is {max_workers}; an adapter needs at least one")
        self.owner = load(adapter) if isinstance(adapter, str) else adapter
        self.max_workers = max_workers
        self.adapter: Any = None
        self._args = args
        self._kwargs = kwargs or {}
        self._session_context = session_context
        self._run = run or asyncio.run
        self._requests = Requests()
        self._tools = {name: self._counted(name, function) for name, function in find_tools(self.owner)}
        self._descriptions = [describe(name, function) for name, function in find_tools(self.owner)]
        self._lock = threading.Lock()
        self._closed = False

    def start(self) -> None:
        """Build the adapter and call its `initialize`. What they raise goes to the caller."""
        adapter = self.owner(*self._args, **self._kwargs)
        if isinstance(adapter, ThreadSafeAdapter):
            self._requests = state_of(adapter).requests
        self._requests.max_workers = self.slots
        if self._session_context is not None and hasattr(adapter, "set_session_context"):
            adapter.set_session_context(self._session_context)
        self._hook(adapter, "initialize")
        self.adapter = adapter

    @property
    def slots(self) -> int:
        """How many calls it takes at once: `max_workers` if the class says `__thread_safe__ = True`, else 1."""
        return self.max_workers if declares_thread_safety(self.owner) else 1

    @property
    def why_one_slot(self) -> str | None:
        """Why there is one slot although there are more workers; None if that is not so."""
        if self.slots == self.max_workers:
            return None
        said = "does not say" if declares_thread_safety(self.owner) is None else "denies"
        return f"{self.owner.__name__} {said} that several threads may use it (`__thread_safe__ = True`)"

    def tools(self) -> list[ToolDescription]:
        """Return what there is to know of each tool, in the order of their definition."""
        return list(self._descriptions)

    def call(self, name: str, args: Args = None) -> Any:
        """Call a tool and return what it returns; of a streaming tool, an iterator of its values.

        A list holds positional arguments, a map keyword arguments. Raises `UnknownTool`, and whatever the tool
        raises. A coroutine is driven to its end by `run`. Whoever takes an iterator closes it when it stops early,
        so that the tool's `finally` runs.
        """
        function = self._tools.get(name)
        if function is None:
            raise UnknownTool(self._unknown(name))
        if self.adapter is None:
            raise RuntimeError(f"{self.owner.__name__} has not been started, or is closed")
        positional, named = ((), args) if isinstance(args, Mapping) else (args or (), {})
        made = function(self.adapter, *positional, **named)
        if inspect.iscoroutine(made):
            made = self._run(made)
        if is_streaming(function):
            return self._stream(made)
        return containers.plain_throughout(made)

    def stats(self) -> Stats:
        """Return the counts of requests, also if the class has a `get_stats` of its own."""
        return self._requests.stats()

    def close(self) -> None:
        """Call the adapter's `cleanup`, once; after this no tool can be called."""
        with self._lock:
            adapter, self.adapter = self.adapter, None
        if adapter is not None:
            self._hook(adapter, "cleanup")

    def __enter__(self) -> AdapterHost:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _counted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A tool whose calls are counted, by itself or by us."""
        if getattr(function, METHOD_MARK, False):
            return function
        return tracked(function, name, lambda _: self._requests)

    def _stream(self, made: Any) -> Iterator[Any]:
        if hasattr(made, "__aiter__"):
            made = _each_of(made)
        try:
            for each in made:
                yield containers.plain_throughout(each)
        finally:
            if hasattr(made, "close"):
                made.close()

    def _hook(self, adapter: Any, name: str) -> None:
        hook = getattr(adapter, name, None)
        if callable(hook):
            made = hook()
            if inspect.iscoroutine(made):
                self._run(made)

    def _unknown(self, name: str) -> str:
        text = f"{self.owner.__name__} has no tool {name!r}"
        near = difflib.get_close_matches(name, self._tools, n=3)
        if near:
            return f"{text}\nhint: did you mean {' or '.join(map(repr, near))}?"
        if self._tools:
            return f"{text}\nhint: it has {', '.join(list(self._tools)[:12])}"
        return f"{text}, and no other\nhint: mark its methods with @tool"


def load(name: str) -> type:
    """Import a class by its name, `package.module:Class` or `package.module.Class`. Raises `ImportError`."""
    module, colon, attribute = name.partition(":")
    if not colon:
        module, _, attribute = name.rpartition(".")
    try:
        found = _resolve.resolve(f"{module}:{attribute}", []).call
    except _resolve.CannotImport as error:
        raise ImportError(str(error)) from error.__cause__
    if not isinstance(found, type):
        raise ImportError(f"{name!r} is of type {type(found).__name__}, and no class")
    return found


def _each_of(made: AsyncIterator[Any]) -> Iterator[Any]:
    """The values of an async generator, in an event loop that is there as long as they are taken."""
    loop = asyncio.new_event_loop()
    try:
        while True:
            try:
                value = loop.run_until_complete(_next(made))
            except StopAsyncIteration:
                return
            yield value
    finally:
        aclose = getattr(made, "aclose", None)
        if aclose is not None:
            loop.run_until_complete(aclose())
        loop.close()


async def _next(made: AsyncIterator[Any]) -> Any:
    return await made.__anext__()
