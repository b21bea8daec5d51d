"""A lane: one thread of a worker that runs several calls, and all that a call in it has for itself.

It runs its calls as a worker of one call runs them, with a slot of the black box, an event loop and yields of its own.
What it shares with the others are the connection, the sessions, and the functions that were found.
"""

from __future__ import annotations

import threading
from contextvars import copy_context
from types import FunctionType
from typing import TYPE_CHECKING, Any

from slither import _blackbox, _current, _errors, _values, _wire
from slither._backlog import Job
from slither._exceptions import ViewFailed
from slither._jobs import Inbox, Jobs
from slither._resolve import Bound
from slither._view_reply import open_reply
from slither._worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from slither._several import Several


class _Asked:
    """A view that a lane awaits."""

    __slots__ = ("answered", "reply")

    def __init__(self) -> None:
        self.reply: tuple[int, memoryview] | None = None
        self.answered = threading.Lock()  # free when there is a reply to take, or none will come
        self.answered.acquire()


class Lane(Worker):
    """One thread, which takes jobs until it is told to end."""

    def __init__(self, home: Several, number: int, stride: int, jobs: Jobs) -> None:
        super().__init__(home.connection, home.box.slot(number), home.token, home.path)
        self._home = home
        self._jobs = jobs
        self._inbox = Inbox()
        self._bound = home.bound
        self.sessions = home.sessions
        # Numbers of views are dealt out in turn, so that no two lanes have the same and each is found by its own.
        self._views = number + 1
        self._stride = stride
        # By its number, as one may be given up for an exception that another thread throws into this one, and one may
        # be asked in the middle of another, by a destructor. The lock is one that a destructor may take once more.
        self._asked: dict[int, _Asked] = {}
        self._turn = threading.RLock()
        name = f"slither-{number}"
        self._thread = threading.Thread(target=_entry(number), args=(self,), name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self) -> None:
        """Wait until the thread has ended."""
        self._thread.join()

    def reply(self, ident: int, flags: int, body: memoryview) -> None:
        """Hand over the answer to a view that is awaited; any other is of one that was given up. For the reader."""
        with self._turn:
            asked = self._asked.pop(ident, None)
        if asked is not None:
            asked.reply = (flags, body if len(body) > _values.KEEP else memoryview(bytes(body)))
            asked.answered.release()

    def wait_for_room(self) -> None:
        """Wait until the host takes more values of the running stream, as the reader hears."""
        self.room.wait()

    def end_replies(self) -> None:
        """No answer comes any more: the connection has ended. For the reader, at its end."""
        self.room.close()
        with self._turn:
            left, self._asked = self._asked, {}
        for asked in left.values():
            asked.answered.release()

    def serve(self) -> None:
        """Run jobs, in the lane's thread."""
        home, jobs, inbox = self._home, self._jobs, self._inbox
        self.thread = threading.get_ident()
        self._box.belong(self.thread)
        try:
            while not home.closed:
                job = jobs.take(inbox)
                if job is None or home.closed:
                    break
                # A context of its own: what the function sets in it is gone with the call.
                if copy_context().run(self._run, job):
                    home.done(job)
        except BaseException as error:
            home.fail(error)
        finally:
            self._close_loop()

    def _run(self, job: Job) -> bool:
        """Run a job. False says that it is run elsewhere."""
        home = self._home
        if home.runs_apart(job):
            return False
        _current.TICKET.set(_current.Ticket(self, job.ident or 1))
        if job.kind == _wire.EXECUTE and job.flags & _wire.STREAM:
            # Before it can have begun: a CANCEL that comes from then on finds the room, whatever is imported first.
            self.room.begin(job.ident)
        if job.flags & _wire.CLAIM:
            # First of all: what the host has taken back is no more to be answered than to be run.
            if not _wire.claim(self._token):
                _wire.skip(self._connection, job.ident)
                return True
            job.flags &= ~_wire.CLAIM
        if not home.backlog.begin(job):
            self._send(_wire.ERROR, 0, job.ident, _errors.make("cancelled", "it was cancelled before it began"))
        elif job.refused is not None:
            self._fail(job.ident, job.refused)
        elif not self._serve(job.kind, job.flags, job.ident, job.body):
            home.ended()
        return True

    def resolve_for(self, job: Job, name: str) -> Bound:
        """Import the function of a job that may run elsewhere: with this it has begun, and has a deadline."""
        self._box.begin(job.ident)
        try:
            return self._resolve(name)
        finally:
            self._box.end()

    def _resolve(self, name: str) -> Bound:
        bound = super()._resolve(name)
        self._home.tell_news()
        return bound

    def ask(self, name: str, args: Any, many: bool) -> Any:
        """Send a view call and wait for its answer, which the reader hands over."""
        frame = bytearray(_wire.HEADER_SIZE)
        _values.encode_value([self.call, name, args], f"view {name!r}: call", frame, self._connection.max_frame)
        number = self._views
        self._views += self._stride
        asked = _Asked()
        self._box.enter_with(_blackbox.VIEW, name)
        try:
            with self._turn:
                if self._home.closed:
                    raise ViewFailed(f"view {name!r}: the connection has ended")
                self._asked[number] = asked
            self._connection.send(_wire.VIEW, _wire.MANY if many else 0, number, frame)
            asked.answered.acquire()
            if asked.reply is None:
                raise ViewFailed(f"view {name!r}: the connection has ended")
            return open_reply(name, *asked.reply)
        except _wire.Closed as error:
            raise ViewFailed(f"view {name!r}: {error}") from None
        finally:
            self._asked.pop(number, None)
            self._box.enter(_blackbox.USER)


def _entry(number: int) -> Callable[[Lane], None]:
    """Return a function named after the slot: so every stack that faulthandler writes says whose it is."""

    def slot(lane: Lane) -> None:
        lane.serve()

    return FunctionType(slot.__code__.replace(co_name=f"slot_{number}"), globals())
