"""`traits`: what a function says of itself, so that a pool can be chosen for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

MARK: Final = "__slither_traits__"
NAMES: Final = ("cpu_bound", "io_bound", "thread_safe", "not_thread_safe", "stateful", "unsafe_native")

Function = TypeVar("Function", bound=Callable[..., Any])


def traits(*names: str) -> Callable[[Function], Function]:
    """Say what a function is, for calls that leave the choice of the pool to Slither.

        @slither.traits("cpu_bound", "thread_safe")
        def score(items: list[dict]) -> list[float]: ...

    The names are `cpu_bound` (it computes) or `io_bound` (it waits more than it computes), `thread_safe` (several
    threads may run it at once) or `not_thread_safe`, `stateful` (it depends on what earlier calls have left in its
    process) and `unsafe_native` (its native code may crash). The host reads them from the source, before the module is
    imported: they have to be written out as literals. Raises `ValueError` for another name.
    """
    for name in names:
        if name not in NAMES:
            raise ValueError(f"{name!r} is no trait; the traits are {', '.join(NAMES)}")

    def mark(function: Function) -> Function:
        setattr(function, MARK, frozenset(names))
        return function

    return mark
