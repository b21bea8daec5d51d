"""Which worker this process is, if it is one, and which of its calls is asking: the global state of the SDK.

The public functions reach their worker through `current()`, so that they need neither msgspec nor a socket to be
imported, and so that a process that was *forked from* a worker is told that it is not one: it holds a copy of the
socket, and a single byte from it would ruin the stream.

A worker that runs several calls at once gives each a `Ticket`, which travels in a context variable: into the tasks that
the call creates, and into the threads that it starts where threads inherit their context.
"""

from __future__ import annotations

import os
from contextvars import ContextVar
from typing import Protocol

from slither._exceptions import NotInWorker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from slither._sessions import Sessions

    Args = Mapping[str, Any] | Sequence[Mapping[str, Any]]


class Runner(Protocol):
    """What the public functions ask of who runs a call: a worker, or one of the several that a worker has."""

    call: int
    sessions: Sessions
    # When the next report of progress may be sent, and the call that has said that it is done.
    report_due: float
    reported_done: int

    def check_thread(self, what: str) -> None:
        """Raise `NotInWorker` if this thread must not block on the host."""

    def raw_context(self) -> bytes | None:
        """Return the running call's context, still encoded."""

    def report(self, call: int, done: int, total: int | None) -> None:
        """Send how far a call is, if the socket takes it."""

    def ask(self, name: str, args: Args, many: bool) -> Any:
        """Send a view call and wait for its answer."""

    async def ask_async(self, name: str, args: Args, many: bool) -> Any:
        """Like `ask`, and let the event loop go on meanwhile, where it has something else to do."""


class Ticket:
    """One call of a worker that runs several: it is good as long as that call runs."""

    __slots__ = ("call", "runner")

    def __init__(self, runner: Runner, call: int) -> None:
        self.runner = runner
        self.call = call


TICKET: ContextVar[Ticket | None] = ContextVar("slither_call", default=None)

_pid = 0  # of the worker; 0 where there is none
_runner: Runner | None = None
_several = False


def install(runner: Runner | None) -> None:
    """Make `runner` the worker of this process, or with None have it be a worker no more."""
    global _pid, _runner, _several
    _pid = 0 if runner is None else os.getpid()
    _runner = runner
    _several = False


def install_several() -> None:
    """Make this process a worker in which each call has a ticket."""
    global _pid, _runner, _several
    _pid = os.getpid()
    _runner = None
    _several = True


def find() -> Runner | None:
    """Return who may run a call here, without asking whether it does."""
    if not _several:
        return _runner
    ticket = TICKET.get()
    return None if ticket is None else ticket.runner


def running(what: str) -> Runner | None:
    """Return this process's worker if it runs a call here. In a process forked from one, raise `NotInWorker`."""
    if _several:
        return current(what) if running_call() else None
    runner = _runner
    if runner is None or not runner.call:
        return None
    return current(what)


def running_call() -> int:
    """Return the id of the call that is running here, or 0."""
    if not _several:
        return 0 if _runner is None else _runner.call
    ticket = TICKET.get()
    return ticket.call if ticket is not None and ticket.runner.call == ticket.call else 0


def current(what: str) -> Runner:
    """Return who runs the call that is running here, or raise `NotInWorker` saying why `what` has none."""
    if not _pid:
        raise NotInWorker(f"{what} works in a function that a Slither worker runs; this process is no worker")
    if _pid != os.getpid():
        raise NotInWorker(
            f"{what} was called in process {os.getpid()}, forked from the worker {_pid}; "
            "only the worker itself may talk to the host"
        )
    runner = _runner
    if runner is None:
        return _of_ticket(what)
    if not runner.call:
        raise NotInWorker(f"{what} was called while the worker runs no call")
    return runner


def _of_ticket(what: str) -> Runner:
    ticket = TICKET.get()
    if ticket is None:
        raise NotInWorker(
            f"{what} was called where no call runs, in a worker that runs several\n"
            "hint: a thread that a function starts belongs to its call if it runs in its context: "
            "target=contextvars.copy_context().run"
        )
    if ticket.runner.call != ticket.call:
        raise NotInWorker(f"{what} was called after the call that it belongs to had ended")
    return ticket.runner


def current_to_block(what: str) -> Runner:
    """Like `current`, for what has the thread wait for the host, and so only some threads may do."""
    runner = current(what)
    runner.check_thread(what)
    return runner
