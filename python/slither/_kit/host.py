"""`AdapterHost`: what any host needs to offer an adapter's tools, and nothing of how calls reach it.

It builds the adapter once, calls its hooks, lists its tools, and calls one by name. It has no threads of its own:
whoever holds it calls it from as many as `slots` says.
"""

from __future__ import annotations

import asyncio
import difflib
import functools
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, Final

from slither import _errors, _resolve
from slither._exceptions import UnknownTool
from slither._kit import containers
from slither._kit.adapter import METHOD_MARK, ThreadSafeAdapter, declares_thread_safety, state_of, tracked
from slither._kit.requests import Requests, Stats
from slither._kit.tools import ToolDescription, describe, find_tools, is_streaming, own_dispatcher

Args = Sequence[Any] | Mapping[str, Any] | None
# How many tools a message lists.
_LISTED: Final = 32


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
    - `execute_tool(self, tool_name, arguments, context)` of its own, through which every call then goes: `arguments`
      is a map, `context` what `session_context` is. The tools need not be marked, and there may be any number of them.

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
        self.run = run or asyncio.run
        self._requests = Requests()
        self._dispatcher = own_dispatcher(self.owner)
        self._tools = {name: self._counted(name, function) for name, function in find_tools(self.owner)}
        self._descriptions = [describe(name, function) for name, function in find_tools(self.owner)]
        self._lock = threading.Lock()
        self._closed = False

    def start(self) -> None:
        """Build the adapter and call its `initialize`. What they raise goes to the caller."""
        self.build()
        try:
            self.initialize()
        except BaseException:
            self.adapter = None
            raise

    def build(self) -> None:
        """Build the adapter: the first half of `start`."""
        adapter = self.owner(*self._args, **self._kwargs)
        if isinstance(adapter, ThreadSafeAdapter):
            self._requests = state_of(adapter).requests
        if self._session_context is not None and hasattr(adapter, "set_session_context"):
            adapter.set_session_context(self._session_context)
        self.adapter = adapter

    def initialize(self) -> None:
        """Call the adapter's `initialize`: the second half of `start`."""
        self._requests.max_workers = self.slots
        self._hook(self.adapter, "initialize")

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

    @property
    def takes_any_name(self) -> bool:
        """Whether the class calls its tools itself, so that there may be more of them than are listed."""
        return self._dispatcher is not None

    def function(self, name: str, plain: bool = True) -> tuple[Callable[..., Any], bool]:
        """Return a tool as a function of its arguments alone, and whether it is a streaming one.

        A coroutine or generator function is one still. With `plain` what a checker watches is replaced by plain
        containers on its way out. Raises `UnknownTool`.
        """
        function = self._tools.get(name)
        if self._dispatcher is not None:
            bound: Callable[..., Any] = self._dispatched(name, function, self._dispatcher)
        elif function is None:
            raise UnknownTool(self._unknown(name))
        else:
            bound = functools.partial(function, self._started())
        streaming = function is not None and is_streaming(function)
        if streaming and _resolve.kind_of(bound) != "generator":
            bound = _streamed(bound)
        return (_plainly(bound) if plain else bound), streaming

    def call(self, name: str, args: Args = None) -> Any:
        """Call a tool and return what it returns; of a streaming tool, an iterator of its values.

        A list holds positional arguments, a map keyword arguments. Raises `UnknownTool`, and whatever the tool
        raises. A coroutine is driven to its end by `run`. Whoever takes an iterator closes it when it stops early,
        so that the tool's `finally` runs.
        """
        function, streaming = self.function(name, plain=False)
        positional, named = ((), args) if isinstance(args, Mapping) else (args or (), {})
        made = function(*positional, **named)
        if inspect.iscoroutine(made):
            made = self.run(made)
        if streaming:
            return _values_of(made)
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

    def _started(self) -> Any:
        if self.adapter is None:
            raise RuntimeError(f"{self.owner.__name__} has not been started, or is closed")
        return self.adapter

    def _dispatched(
        self, name: str, function: Callable[..., Any] | None, dispatcher: Callable[..., Any]
    ) -> Callable[..., Any]:
        """A tool that the class calls itself."""
        adapter, own = self._started(), _takes_context(dispatcher)

        def arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
            if args and function is None:
                raise TypeError(f"{self.owner.__name__} takes the arguments of {name!r} by name, as a map")
            if args and function is not None:
                kwargs = dict(inspect.signature(function).bind(adapter, *args, **kwargs).arguments)
                kwargs.pop(next(iter(inspect.signature(function).parameters)))
            return (name, kwargs, self._session_context) if own else (name, kwargs)

        def through(self: Any, *args: Any, **kwargs: Any) -> Any:
            return dispatcher(self, *arguments(args, kwargs))

        async def through_async(self: Any, *args: Any, **kwargs: Any) -> Any:
            return await dispatcher(self, *arguments(args, kwargs))

        made = through_async if inspect.iscoroutinefunction(dispatcher) else through
        counted = dispatcher if getattr(dispatcher, METHOD_MARK, False) else None
        return functools.partial(made if counted else tracked(made, name, lambda _: self._requests), adapter)

    def _hook(self, adapter: Any, name: str) -> None:
        hook = getattr(adapter, name, None)
        if callable(hook):
            made = hook()
            if inspect.iscoroutine(made):
                self.run(made)

    def _unknown(self, name: str) -> str:
        text = f"{self.owner.__name__} has no tool {name!r}"
        if not self._tools:
            return f"{text}, and no other\nhint: mark its methods with @tool"
        names = list(self._tools)
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        near = difflib.get_close_matches(name, names, n=3)
        hint = f"\nhint: did you mean {' or '.join(map(repr, near))}?" if near else ""
        return f"{text}; it has {', '.join(names[:_LISTED])}{more}{hint}"


def find_class(name: str, folders: Sequence[str] = ()) -> type:
    """Import a class by its name, `package.module:Class` or `package.module.Class`. Raises `_resolve.CannotImport`.

    `folders` are the user's on `sys.path`, which an error names.
    """
    module, colon, attribute = name.partition(":")
    if not colon:
        module, _, attribute = name.rpartition(".")
    if not module or not attribute:
        text = f"{name!r} does not name a class\nhint: write package.module:Class, or package.module.Class"
        raise _resolve.CannotImport(_errors.make("import", text))
    found = _resolve.resolve(f"{module}:{attribute}", list(folders)).call
    if not isinstance(found, type):
        text = f"{name!r} is of type {type(found).__name__}, and no class"
        raise _resolve.CannotImport(_errors.make("import", text))
    return found


def load(name: str, folders: Sequence[str] = ()) -> type:
    """Import a class as `find_class` does. Raises `ImportError`."""
    try:
        return find_class(name, folders)
    except _resolve.CannotImport as error:
        raise ImportError(str(error)) from error.__cause__


def _takes_context(dispatcher: Callable[..., Any]) -> bool:
    """Tell whether an `execute_tool` has a third argument, beside the name and the arguments."""
    try:
        inspect.signature(dispatcher).bind(None, "", {}, None)
    except TypeError:
        return False
    return True


def _streamed(call: Callable[..., Any]) -> Callable[..., Any]:
    """A generator function, of a function that only returns something to iterate over."""
    if _resolve.kind_of(call) == "coroutine":

        async def each_async(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            made = await call(*args, **kwargs)
            if hasattr(made, "__aiter__"):
                async for each in made:
                    yield each
            else:
                for each in made:
                    yield each

        return each_async

    def each(*args: Any, **kwargs: Any) -> Iterator[Any]:
        yield from _values_of(call(*args, **kwargs))

    return each


def _plainly(call: Callable[..., Any]) -> Callable[..., Any]:
    """A function of the same kind, whose results hold nothing that is watched."""
    kind = _resolve.kind_of(call)
    if kind == "coroutine":

        async def awaited(*args: Any, **kwargs: Any) -> Any:
            return containers.plain_throughout(await call(*args, **kwargs))

        return awaited
    if _resolve.is_async_generator(call):

        async def each_async(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            made = call(*args, **kwargs)
            try:
                async for each in made:
                    yield containers.plain_throughout(each)
            finally:
                await made.aclose()

        return each_async
    if kind == "generator":

        def each(*args: Any, **kwargs: Any) -> Iterator[Any]:
            yield from _values_of(call(*args, **kwargs))

        return each
    return lambda *args, **kwargs: containers.plain_throughout(call(*args, **kwargs))


def _values_of(made: Any) -> Iterator[Any]:
    """What a streaming tool gives, whatever it returned: any iterable, an async one too."""
    if hasattr(made, "__aiter__"):
        made = _each_of(made)
    try:
        for each in made:
            yield containers.plain_throughout(each)
    finally:
        if hasattr(made, "close"):
            made.close()


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
