"""`context()`: where the running call comes from.

The worker keeps the context as the bytes that came; they are decoded when somebody asks, and the last decoded
context is kept, because the calls of one pipe all carry the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from slither._current import current


@dataclass(frozen=True)
class Context:
    """Where a call comes from. Immutable, except for what a user puts into `metadata`.

    `run_id`, `pipe`, `stage` and `session_id` are None where the call has none: a dispatch outside a pipe
    has no stage. `attempt` counts from 1. `metadata` is empty where none was given.
    """

    run_id: str | None = None
    pipe: str | None = None
    stage: str | None = None
    session_id: str | None = None
    attempt: int = 1
    metadata: dict[str, Any] = field(default_factory=dict)


_NONE = Context()
_last: tuple[bytes, Context] = (b"", _NONE)


def context() -> Context:
    """Return the context of the call that is running.

    Raises `NotInWorker` outside a worker, in a process forked from one, and between calls.
    """
    global _last
    raw = current("slither.context()").raw_context()
    if raw is None:
        return _NONE
    last = _last
    if raw == last[0] and not last[1].metadata:
        return last[1]
    from slither._values import decode_context

    made = Context(*decode_context(raw))
    _last = (raw, made)
    return made
