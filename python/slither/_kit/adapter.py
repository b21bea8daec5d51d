"""`ThreadSafeAdapter`: the base of classes whose methods many threads call at once.

Three ways to keep state, and no fourth: what never changes is shared; what is a thread's own is kept by
`set_thread_local`; what changes and is shared is written under `acquire_lock`.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Final, TypeVar, cast

from slither._kit import watching
from slither._kit.requests import Observer, Requests, Stats, resumed

METHOD_MARK: Final = "__slither_thread_safe_method__"
_LOCKS: Final = 1024
_STATE: Final = "_slither_state"

Adapter = TypeVar("Adapter", bound="ThreadSafeAdapter")
Method = TypeVar("Method", bound=Callable[..., Any])


class State:
    """What the kit itself keeps for an adapter: its locks, its threads' own values, its counts."""

    def __init__(self, observer: Observer | None, watched: bool) -> None:
        self.requests = Requests(observer)
        self.local = threading.local()
        self._watched = watched
        self._guard = threading.Lock()
        self._locks: dict[str | None, AbstractContextManager[Any]] = {}

    def lock(self, name: str | None) -> AbstractContextManager[Any]:
        """Return the lock of this name, always the same one."""
        found = self._locks.get(name)
        if found is not None:
            return found
        with self._guard:
            if len(self._locks) >= _LOCKS and name not in self._locks:
                raise ValueError(
                    f"{_LOCKS} locks have been named, and {name!r} would be one more\n"
                    "hint: name a lock for each kind of thing it protects, and not for each thing"
                )
            return self._locks.setdefault(name, watching.new_lock(self._watched))

    @property
    def values(self) -> dict[str, Any]:
        """The running thread's own values."""
        found: dict[str, Any] = self.local.__dict__
        return found


class ThreadSafeAdapter:
    """The base of an adapter: a class that a host builds once, and whose tools several threads call at once.

        class Scorer(ThreadSafeAdapter):
            __thread_safe__ = True

            def __init__(self) -> None:
                super().__init__()
                self.weights = load()      # shared, and never changed again
                self.scored = 0            # shared and changed: under the lock

            @thread_safe_method
            @tool(description="The score of one text")
            def score(self, text: str) -> float:
                made = self.weights.score(text)
                with self.acquire_lock():
                    self.scored += 1
                return made

    A class says `__thread_safe__ = True` if many threads may use one instance. Without it a host gives the adapter
    one slot, and `ThreadSafetyChecker` says so.
    """

    __thread_safe__: ClassVar[bool]

    def __new__(cls: type[Adapter], *_args: Any, **_kwargs: Any) -> Adapter:
        """Make an instance, a watched one while a `ThreadSafetyChecker` is enabled."""
        adapter, observer = watching.construct(cls)
        adapter.__dict__[_STATE] = State(observer, observer is not None)
        return cast("Adapter", adapter)

    def acquire_lock(self, name: str | None = None) -> AbstractContextManager[Any]:
        """Return the adapter's lock, for `with`. The thread that holds it may take it again.

        With a name it is another lock, one for each name (at most 1024), so that what is independent does not
        wait for each other. Take several in the same order everywhere.
        """
        return state_of(self).lock(name)

    def get_thread_local(self, key: str, default: Any = None) -> Any:
        """Return what this thread has set under `key`, or `default`, which is not kept."""
        return state_of(self).values.get(key, default)

    def set_thread_local(self, key: str, value: Any) -> None:
        """Keep `value` under `key` for this thread, as long as the thread lives."""
        state_of(self).values[key] = value

    def clear_thread_local(self, key: str | None = None) -> None:
        """Forget what this thread has set under `key`, or all that it has set."""
        values = state_of(self).values
        if key is None:
            values.clear()
        else:
            values.pop(key, None)

    def get_stats(self) -> Stats | dict[str, Any]:
        """Return `total_requests`, `active_requests`, `max_workers` and `thread_utilization`.

        Requests are the calls of methods marked with `@thread_safe_method`, and those that a host makes.
        `thread_utilization` has for each thread's name how many `requests` it had, and how many are `active`.
        A class may override this; a host still gets these counts.
        """
        return state_of(self).requests.stats()


def state_of(adapter: ThreadSafeAdapter) -> State:
    """Return what the kit keeps for an adapter, past whatever its class makes of attributes."""
    state: State = object.__getattribute__(adapter, "__dict__")[_STATE]
    return state


def declares_thread_safety(owner: type) -> bool | None:
    """Return what the class says of itself with `__thread_safe__`, None if it says nothing."""
    said = getattr(owner, "__thread_safe__", None)
    return None if said is None else bool(said)


def thread_safe_method(method: Method) -> Method:
    """Count the calls of a method of a `ThreadSafeAdapter` as requests, with a number and a log event each.

    It takes no lock: what is shared and changed is the method's to protect. Generators and `async def` may be
    marked, too; their request lasts until they are exhausted or closed.
    """
    wrapped = tracked(method, getattr(method, "__name__", "a method"), lambda adapter: state_of(adapter).requests)
    setattr(wrapped, METHOD_MARK, True)
    return cast("Method", wrapped)


def tracked(method: Callable[..., Any], name: str, requests_of: Callable[[Any], Requests]) -> Callable[..., Any]:
    """Return the method, of the same kind, with each call counted among the requests of its adapter."""
    if inspect.isasyncgenfunction(method):

        async def each_async(self: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            requests = requests_of(self)
            request = requests.begin(name)
            made = method(self, *args, **kwargs)
            try:
                while True:
                    with resumed(request):
                        try:
                            value = await made.__anext__()
                        except StopAsyncIteration:
                            return
                    yield value
            finally:
                await made.aclose()
                requests.end(request)

        wrapped: Callable[..., Any] = each_async
    elif inspect.isgeneratorfunction(method):

        def each(self: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
            requests = requests_of(self)
            request = requests.begin(name)
            made = method(self, *args, **kwargs)
            try:
                while True:
                    with resumed(request):
                        try:
                            value = next(made)
                        except StopIteration:
                            return
                    yield value
            finally:
                made.close()
                requests.end(request)

        wrapped = each
    elif inspect.iscoroutinefunction(method):

        async def awaited(self: Any, *args: Any, **kwargs: Any) -> Any:
            requests = requests_of(self)
            entry = requests.enter(name)
            try:
                return await method(self, *args, **kwargs)
            finally:
                requests.leave(entry)

        wrapped = awaited
    else:

        def called(self: Any, *args: Any, **kwargs: Any) -> Any:
            requests = requests_of(self)
            entry = requests.enter(name)
            try:
                return method(self, *args, **kwargs)
            finally:
                requests.leave(entry)

        wrapped = called
    functools.update_wrapper(wrapped, method)
    return wrapped
