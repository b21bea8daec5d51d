"""The answer to a view: its value, or the error that a caller meets."""

from __future__ import annotations

from typing import Any, Final

from slither import _values, _wire
from slither._exceptions import (
    ProtocolError,
    UnknownView,
    ViewError,
    ViewFailed,
    ViewRefused,
    ViewTimeout,
)

_ERRORS: Final[dict[str, type[ViewError]]] = {
    "unknown": UnknownView,
    "timeout": ViewTimeout,
    "refused": ViewRefused,
}


def open_reply(name: str, flags: int, body: memoryview) -> Any:
    """Return what a view gave, or raise what it failed with."""
    try:
        value = _values.decode_value(body)
    except _values.Undecodable as error:
        raise ViewFailed(f"view {name!r} answered with {error}") from None
    if not flags & _wire.VIEW_FAILED:
        return value
    if not isinstance(value, dict):
        raise ProtocolError("a VIEW_REPLY with ERROR that is no map")
    raise _ERRORS.get(str(value.get("kind")), ViewFailed)(str(value.get("message", f"view {name!r} failed")))
