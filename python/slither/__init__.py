"""The Python side of Slither: what a function run by a Slither worker may ask of it.

    import slither

    def predict_batch(items: list[dict]) -> list:
        threshold = slither.view("threshold", model="m1")
        return [score(item) if item["ok"] else slither.Failed("not ok") for item in items    "NotThreadSafe",
    "Report",
    "Request",
    "RequestFilter",
    "ThreadSafeAdapter",
    "ThreadSafetyChecker",
    "UnknownTool",
    "current_request",
    "thread_safe_method",
    "tool",
]

Importing this package needs nothing but the standard library, so that user code can be tested without a
worker; what needs msgspec is imported by a worker only. The thread-safety kit, `ThreadSafeAdapter` and what belongs
to it, is imported when it is first asked for.
"""

import typing

from slither._context import Context, context
from slither._exceptions import (
    NotInSession,
    NotInWorker,
    NotThreadSafe,
    ProtocolError,
    SlitherError,
    TooLarge,
    UnknownTool,
    UnknownView,
    ValueNotSupported,
    ViewError,
    ViewFailed,
    ViewRefused,
    ViewTimeout,
)
from slither._failed import Failed
from slither._progress import progress
from slither._ref import Ref, ref
from slither._retry import Retry
from slither._sessions import on_session_end, session
from slither._traits import traits
from slither._version import __version__
from slither._views import view, view_async, view_many, view_many_async

if typing.TYPE_CHECKING:
    from slither._kit.adapter import ThreadSafeAdapter, thread_safe_method
    from slither._kit.checker import Report, ThreadSafetyChecker
    from slither._kit.host import AdapterHost
    from slither._kit.requests import Request, RequestFilter, current_request
    from slither._kit.tools import tool

__all__ = [
    "AdapterHost",
    "Context",
    "Failed",
    "NotInSession",
    "NotInWorker",
    "NotThreadSafe",
    "ProtocolError",
    "Ref",
    "Report",
    "Request",
    "RequestFilter",
    "Retry",
    "SlitherError",
    "ThreadSafeAdapter",
    "ThreadSafetyChecker",
    "TooLarge",
    "UnknownTool",
    "UnknownView",
    "ValueNotSupported",
    "ViewError",
    "ViewFailed",
    "ViewRefused",
    "ViewTimeout",
    "__version__",
    "context",
    "current_request",
    "on_session_end",
    "progress",
    "ref",
    "session",
    "thread_safe_method",
    "tool",
    "traits",
    "view",
    "view_async",
    "view_many",
    "view_many_async",
]

_KIT = {
    "AdapterHost": "host",
    "Report": "checker",
    "Request": "requests",
    "RequestFilter": "requests",
    "ThreadSafeAdapter": "adapter",
    "ThreadSafetyChecker": "checker",
    "current_request": "requests",
    "thread_safe_method": "adapter",
    "tool": "tools",
}


def __getattr__(name: str) -> object:
    """Import what belongs to the kit when it is asked for: a worker that hosts no adapter has no use for it."""
    module = _KIT.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found: object = getattr(import_module(f"slither._kit.{module}"), name)
    globals()[name] = found
    return found
