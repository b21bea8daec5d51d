"""`session()` and `on_session_end()`: what Python keeps for a session that lives in this worker.

The host opens a session in one worker and ends it there; the state exists from the one frame to the other. A call
belongs to it by the session id in its context. A run of its own, which has an id but was not opened, has no state.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any, Final

from slither._context import context
from slither._current import current
from slither._exceptions import NotInSession

Hook = Callable[[], object]

HOOK_LIMIT: Final = 1024


class Sessions:
    """The sessions that live in a worker."""

    def __init__(self) -> None:
        self._states: dict[str, tuple[dict[Any, Any], list[Hook]]] = {}

    def open(self, session: str) -> None:
        """Keep state for the session from now on: none, whatever there was."""
        self._states[session] = ({}, [])

    def find(self, session: str | None) -> tuple[dict[Any, Any], list[Hook]] | None:
        """Return state and hooks of a session that lives here."""
        return None if session is None else self._states.get(session)

    def end(self, session: str) -> int:
        """Run the session's hooks, the latest first, and forget its state. Return how many of them raised."""
        found = self._states.get(session)
        if found is None:
            return 0
        _, hooks = found
        failed = 0
        try:
            while hooks:  # a hook may add another
                hook = hooks.pop()
                try:
                    hook()
                except BaseException:  # SystemExit included: a hook ends no worker
                    failed += 1
                    name = getattr(hook, "__qualname__", type(hook).__qualname__)
                    log = logging.getLogger("slither.session")
                    log.exception("the end hook %s of session %s raised", name, session)
        finally:
            del self._states[session]
        return failed

    def ids(self) -> list[str]:
        """Return the ids of the sessions that live here."""
        return list(self._states)


def session() -> dict[Any, Any]:
    """Return what this session keeps in this worker: a dict, empty when the session was opened.

    It is the same dict in every call of the session, and is gone when the session ends or its worker dies. Raises
    `NotInSession` in a call that belongs to no opened session, and `NotInWorker` where no call is running.
    """
    return _found("slither.session()")[0]


def on_session_end(function: Hook) -> Hook:
    """Have `function()` called when the session ends while this worker lives; return it, so that this can decorate.

    Functions are called at most once, the latest first, in the worker, where `session()` and `context()` still
    work. What one raises is logged, and keeps no other from being called. A function that is there already is not
    added again. Raises what `session` raises, `TypeError` for what cannot be called without being awaited, and
    `RuntimeError` beyond 1024 functions a session.
    """
    _, hooks = _found("slither.on_session_end()")
    given: object = function
    if not callable(given) or inspect.iscoroutinefunction(given):
        raise TypeError("slither.on_session_end() takes a plain function without arguments")
    if function not in hooks:
        if len(hooks) >= HOOK_LIMIT:
            raise RuntimeError(f"a session has at most {HOOK_LIMIT} end hooks")
        hooks.append(function)
    return function


def _found(what: str) -> tuple[dict[Any, Any], list[Hook]]:
    ident = context().session_id if current(what).raw_context() is not None else None
    found = current(what).sessions.find(ident)
    if found is None:
        whose = "belongs to no session" if ident is None else f"belongs to {ident}, which keeps no state in this worker"
        raise NotInSession(
            f"{what} works in a call of an opened session; this call {whose}\n"
            "hint: open one in Rust with `slither.open_session(pool)`, with an affinity other than `Hint`, and call "
            "through its handle"
        )
    return found
