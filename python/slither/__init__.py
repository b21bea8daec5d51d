"""The Python side of Slither: what a function run by a Slither worker may ask of it.

    import slither

    def predict_batch(items: list[dict]) -> list:
        threshold = slither.view("threshold", model="m1")
        return [score(item) if item["ok"] else slither.Failed("not ok") for item in items]

Importing this package needs nothing but the standard library, so that user code can be tested without a
worker; what needs msgspec is imported by a worker only.
"""

from slither._context import Context, context
from slither._exceptions import (
    NotInSession,
    NotInWorker,
    ProtocolError,
    SlitherError,
    TooLarge,
    UnknownView,
    ValueNotSupported,
    ViewError,
    ViewFailed,
    ViewTimeout,
)
from slither._failed import Failed
from slither._progress import progress
from slither._ref import Ref, ref
from slither._retry import Retry
from slither._sessions import on_session_end, session
from slither._version import __version__
from slither._views import view, view_async, view_many, view_many_async

__all__ = [
    "Context",
    "Failed",
    "NotInSession",
    "NotInWorker",
    "ProtocolError",
    "Ref",
    "Retry",
    "SlitherError",
    "TooLarge",
    "UnknownView",
    "ValueNotSupported",
    "ViewError",
    "ViewFailed",
    "ViewTimeout",
    "__version__",
    "context",
    "on_session_end",
    "progress",
    "ref",
    "session",
    "view",
    "view_async",
    "view_many",
    "view_many_async",
]
