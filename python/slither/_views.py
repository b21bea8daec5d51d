"""Views: how Python reads the state that Rust holds.

A view is declared by a store of the host, with a name, a scope and a timeout; only declared views exist. A call
blocks until the host has answered, which it does within the view's timeout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slither._current import current_thread


def view(name: str, /, **kwargs: Any) -> Any:
    """Ask the view `name` and return its answer.

    The arguments may be anything of the table of values: None, bool, int (64 bits), float, str, bytes, list,
    tuple, dict with str or int keys, an aware datetime, a numpy array.

    Raises `UnknownView`, `ViewTimeout`, `ViewRefused` or `ViewFailed` for what went wrong at the host,
    `ValueNotSupported` (or `TooLarge`) for an argument that cannot travel, and `NotInWorker` where no call is running.
    """
    return current_thread(f"slither.view({name!r})").ask(name, kwargs, many=False)


def view_many(name: str, calls: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Ask the view `name` once for each mapping of arguments in `calls`, in a single exchange.

    Returns as many answers as there are calls, in their order. Raises what `view` raises; one call that fails
    fails them all.
    """
    runner = current_thread(f"slither.view_many({name!r})")
    if isinstance(calls, Mapping) or not all(isinstance(call, Mapping) for call in calls):
        raise TypeError(f"slither.view_many({name!r}) takes a sequence of mappings, one a call")
    if not calls:
        return []
    answer = runner.ask(name, [dict(call) for call in calls], many=True)
    return answer if isinstance(answer, list) else [answer]
