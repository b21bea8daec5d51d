"""Views: how Python reads the state that Rust holds.

A view is declared by a store of the host, with a name, a scope and a timeout; only declared views exist. A call
blocks until the host has answered, which it does within the view's timeout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slither._current import current, current_to_block


def view(name: str, /, **kwargs: Any) -> Any:
    """Ask the view `name` and return its answer.

    The arguments may be anything of the table of values: None, bool, int (64 bits), float, str, bytes, list,
    tuple, dict with str or int keys, an aware datetime, a numpy array.

    Raises `UnknownView`, `ViewTimeout`, `ViewRefused` or `ViewFailed` for what went wrong at the host,
    `ValueNotSupported` (or `TooLarge`) for an argument that cannot travel, and `NotInWorker` where no call is running.
    """
    return current_to_block(f"slither.view({name!r})").ask(name, kwargs, many=False)


def view_many(name: str, calls: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Ask the view `name` once for each mapping of arguments in `calls`, in a single exchange.

    Returns as many answers as there are calls, in their order. Raises what `view` raises; one call that fails
    fails them all.
    """
    what = f"slither.view_many({name!r})"
    runner = current_to_block(what)
    asked = _checked(what, calls)
    if not asked:
        return []
    answer = runner.ask(name, asked, many=True)
    return answer if isinstance(answer, list) else [answer]


async def view_async(name: str, /, **kwargs: Any) -> Any:
    """Ask the view `name` from a coroutine: like `view`, and other calls of the worker go on until the answer is there.

    In a worker that runs one call at a time it is the same as `view`. In an event loop of several calls `view` itself
    would hold up the others, and raises `NotInWorker`. Several may be awaited at once.
    """
    return await current(f"slither.view_async({name!r})").ask_async(name, kwargs, many=False)


async def view_many_async(name: str, calls: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Ask the view `name` once for each mapping, from a coroutine: to `view_many` what `view_async` is to `view`."""
    what = f"slither.view_many_async({name!r})"
    runner = current(what)
    asked = _checked(what, calls)
    if not asked:
        return []
    answer = await runner.ask_async(name, asked, many=True)
    return answer if isinstance(answer, list) else [answer]


def _checked(what: str, calls: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if isinstance(calls, Mapping) or not all(isinstance(call, Mapping) for call in calls):
        raise TypeError(f"{what} takes a sequence of mappings, one a call")
    return [dict(call) for call in calls]
