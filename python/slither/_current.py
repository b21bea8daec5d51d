"""Which worker this process is, if it is one: the one piece of global state of the SDK.

The public functions reach their worker through `current()`, so that they need neither msgspec nor a socket to be
imported, and so that a process that was *forked from* a worker is told that it is not one: it holds a copy of the
socket, and a single byte from it would ruin the stream.
"""

from __future__ import annotations

import os
import threading
from typing import Protocol

from slither._exceptions import NotInWorker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from slither._sessions import Sessions


class Runner(Protocol):
    """What the public functions ask of a worker."""

    pid: int
    thread: int
    call: int
    sessions: Sessions

    def raw_context(self) -> bytes | None:
        """Return the running call's context, still encoded."""

    def report(self, call: int, done: int, total: int | None) -> None:
        """Send how far a call is, if the socket takes it."""

    def ask(self, name: str, args: Mapping[str, Any] | Sequence[Mapping[str, Any]], many: bool) -> Any:
        """Send a view call and wait for its answer."""


_runner: Runner | None = None


def install(runner: Runner | None) -> None:
    """Make `runner` the worker of this process."""
    global _runner
    _runner = runner


def running(what: str) -> Runner | None:
    """Return this process's worker if it runs a call. In a process forked from one, raise `NotInWorker`."""
    runner = _runner
    if runner is None or not runner.call:
        return None
    return current(what)


def current(what: str) -> Runner:
    """Return this process's worker, or raise `NotInWorker` saying why `what` has none."""
    runner = _runner
    if runner is None:
        raise NotInWorker(f"{what} works in a function that a Slither worker runs; this process is no worker")
    if runner.pid != os.getpid():
        raise NotInWorker(
            f"{what} was called in process {os.getpid()}, forked from the worker {runner.pid}; "
            "only the worker itself may talk to the host"
        )
    if not runner.call:
        raise NotInWorker(f"{what} was called while the worker runs no call")
    return runner


def current_thread(what: str) -> Runner:
    """Like `current`, for what only the thread that runs the call may do."""
    runner = current(what)
    if runner.thread != threading.get_ident():
        raise NotInWorker(
            f"{what} was called in the thread {threading.current_thread().name!r}; "
            "only the thread that runs the call may use it"
        )
    return runner
