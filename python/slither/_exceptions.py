"""Every exception of the SDK.

SlitherError
├── NotInSession         (also RuntimeError)
├── NotInWorker          (also RuntimeError)
├── NotThreadSafe        (also TypeError)
├── ProtocolError
├── UnknownTool          (also LookupError)
├── ValueNotSupported    (also TypeError)
│   └── TooLarge
└── ViewError
    ├── UnknownView      (also LookupError)
    ├── ViewFailed
    ├── ViewRefused
    └── ViewTimeout      (also TimeoutError)

A base class is there where somebody would want to catch it: `SlitherError` for all, `ViewError` for whatever
may go wrong in asking the host, `ValueNotSupported` for a value that cannot travel.
"""

from __future__ import annotations


class SlitherError(Exception):
    """The base of every exception that the SDK raises."""


class NotInSession(SlitherError, RuntimeError):
    """The call that is running belongs to no opened session, so that Python keeps nothing for it.

    Every run has a session id, which scopes its views; only a session that was opened lives in one worker.
    """


class NotInWorker(SlitherError, RuntimeError):
    """Something was asked that only the thread running a call in a Slither worker can have.

    Raised outside a worker, in a process forked from one, in another thread, and between two calls.
    """


class NotThreadSafe(SlitherError, TypeError):
    """A strict `ThreadSafetyChecker` refuses an adapter whose class does not say `__thread_safe__`."""


class ProtocolError(SlitherError):
    """The host sent bytes that break the protocol; the worker exits with code 70."""


class UnknownTool(SlitherError, LookupError):
    """An adapter has no tool of that name."""


class ValueNotSupported(SlitherError, TypeError):
    """A value has no place in the table of values, so it cannot be sent to the host.

    The message names the type, the path to the value inside what was sent, and what to send instead.
    """


class TooLarge(ValueNotSupported):
    """A value is larger, encoded, than the pool's `max_frame` (256 MiB unless configured)."""


class ViewError(SlitherError):
    """A view did not answer with a value."""


class UnknownView(ViewError, LookupError):
    """No view of that name is declared, or none that this call may use."""


class ViewFailed(ViewError):
    """The view's handler failed, refused the call, or could not be reached."""


class ViewRefused(ViewError):
    """The view called into the pool that waits for it, where no other worker was free: it would wait for itself."""


class ViewTimeout(ViewError, TimeoutError):
    """The view did not answer within the timeout that was declared for it."""
