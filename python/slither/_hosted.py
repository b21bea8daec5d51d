"""The adapter of this worker: built once, before the worker says hello; its tools are functions that calls name.

The function of a tool is named by the tool alone, behind a colon: `:predict`. One call of it is one call of the tool,
with a map as keyword arguments and a list as positional ones; a batch of it is such a call for each item.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from slither import _errors
from slither._kit.adapter import declares_thread_safety
from slither._kit.checker import Report, ThreadSafetyChecker
from slither._kit.host import AdapterHost, find_class
from slither._resolve import Bound, CannotImport, is_async_generator, kind_of, spread

if TYPE_CHECKING:
    from slither._kit.requests import Stats
    from slither._setup import Adapter

    Run = Callable[[Coroutine[Any, Any, Any]], Any]

_log: Final = logging.getLogger("slither.adapter")


class Hosted:
    """An adapter that has been built, and what there is to know of it."""

    def __init__(self, name: str, host: AdapterHost, checker: ThreadSafetyChecker | None) -> None:
        self.name = name
        self._host = host
        self._checker = checker

    @property
    def slots(self) -> int:
        """How many calls it takes at once."""
        return self._host.slots

    def about(self) -> dict[str, Any]:
        """Return what HELLO says of it."""
        host = self._host
        return {
            "name": self.name,
            "tools": host.tools(),
            "any_tool": host.takes_any_name,
            "warning": self._warning(),
        }

    def _warning(self) -> str | None:
        """What there is to warn of: that there is one slot, or that the class says nothing where that is asked for."""
        owner = self._host.owner
        if self._host.why_one_slot is not None:
            return f"{self._host.why_one_slot}, and has one slot"
        if self._checker is not None and declares_thread_safety(owner) is None:
            return f"{owner.__name__} does not say whether several threads may use it (`__thread_safe__`)"
        return None

    def bound(self, tool: str) -> Bound:
        """Return a tool as a function. Raises `UnknownTool`."""
        name = f":{tool}"
        call, streaming = self._host.function(tool, plain=self._checker is not None)
        kind = kind_of(call)
        awaits = kind == "coroutine" or is_async_generator(call)
        if not awaits:
            each = Bound(name, _each(call, streaming), "function", False)
        else:
            each = Bound(name, _each_async(call, streaming), "coroutine", True)
        return Bound(name, call, kind, awaits, each)

    def stats(self) -> Stats:
        """Return the counts of requests, also where the class has a `get_stats` of its own."""
        return self._host.stats()

    def report(self) -> Report:
        """Return what the checker has seen; of one that is disabled where there is none."""
        return (self._checker or ThreadSafetyChecker(enabled=False)).get_report()

    def close(self, run: Run) -> None:
        """Call the adapter's `cleanup`; what it raises is logged."""
        try:
            self._host.run = run
            self._host.close()
        except BaseException as error:
            _log.error("cleanup of %s failed", self.name, exc_info=error)


_hosted: Hosted | None = None


def build(adapter: Adapter, folders: list[str], threads: Callable[[], int], run: Run) -> Hosted:
    """Import the class, build the adapter and have it initialized. Raises `CannotImport`.

    `folders` are the user's on `sys.path`, which an error names. `threads` says how many calls the worker could take
    at once, asked when the adapter has been built: what it imports may have turned the GIL on.
    """
    global _hosted
    name = adapter.name
    owner = find_class(name, folders)
    checker = None
    if adapter.check == "strict" and declares_thread_safety(owner) is None:
        raise CannotImport(
            _errors.make(
                "import",
                f"{name!r} does not say whether several threads may use it, and the pool's thread_safety_check is "
                f"strict\nhint: set `__thread_safe__` in {owner.__name__}: True if they may, False if not",
            )
        )
    if adapter.check != "off":
        checker = ThreadSafetyChecker(enabled=True, strict_mode=adapter.check == "strict")
    host = AdapterHost(owner, session_context=_session_context(), run=run)
    doing = "building"
    try:
        host.build()
        host.max_workers = threads()
        doing = "initializing"
        host.initialize()
    except BaseException as error:
        made = _errors.from_exception(error, "import")
        text = f"{doing} {name!r} failed: {_errors.class_name(type(error))}: {made['message']}"
        made["message"] = _errors.cut(text, _errors.MESSAGE_LIMIT)
        raise CannotImport(made) from None
    _hosted = Hosted(name, host, checker)
    return _hosted


def close(run: Run) -> None:
    """Have the adapter clean up, if there is one. For the end of the worker."""
    if _hosted is not None:
        _hosted.close(run)


def find(tool: str) -> Bound:
    """Return a tool of this worker's adapter. Raises `UnknownTool`, also where there is no adapter."""
    return _here().bound(tool)


def stats() -> Stats:
    """Return the counts of this worker's adapter. For the host, which calls it by its name."""
    return _here().stats()


def report() -> dict[str, Any]:
    """Return what the checker of this worker has seen. For the host, which calls it by its name."""
    return dict(_here().report())


def _here() -> Hosted:
    if _hosted is None:
        from slither._exceptions import UnknownTool

        raise UnknownTool("this pool has no adapter\nhint: give it one with `Pool::adapter`")
    return _hosted


def _session_context() -> Any:
    """The context that an adapter written for `snakepit_bridge` is given, if that package is ours and in use."""
    module = sys.modules.get("snakepit_bridge.session_context")
    made = getattr(module, "SessionContext", None)
    return made() if made is not None and getattr(module, "BY_SLITHER", False) else None


def _each(call: Callable[..., Any], streaming: bool) -> Callable[[list[Any]], list[Any]]:
    def each(items: list[Any]) -> list[Any]:
        made = (spread(call, item) for item in items)
        return [list(one) for one in made] if streaming else list(made)

    return each


def _each_async(call: Callable[..., Any], streaming: bool) -> Callable[[list[Any]], Coroutine[Any, Any, list[Any]]]:
    async def each(items: list[Any]) -> list[Any]:
        results = []
        for item in items:
            made = spread(call, item)
            results.append([value async for value in made] if streaming else await made)
        return results

    return each
