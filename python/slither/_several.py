"""Several calls at once: what a worker of threads and one of coroutines have in common.

    host ⇄ socket ⇄ reader ─▶ backlog ─▶ who runs the call ─▶ answer, whole and under the connection's lock
                       └─ replies to views, CANCEL ─────────▲

The reader never runs a call and never sends, so that it always comes to the next frame, whatever the calls do.
"""

from __future__ import annotations

import mmap
import sys
import threading
import traceback
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final

from slither import _blackbox, _current, _gil, _logging, _setup, _values, _vetting, _wire
from slither._adapter import Unfit, build_adapter
from slither._backlog import Backlog, Job
from slither._exceptions import ProtocolError
from slither._hello import hello
from slither._jobs import Jobs
from slither._profile import Profile
from slither._release import Release
from slither._resolve import Bound
from slither._sessions import Sessions
from slither._worker import Worker

if TYPE_CHECKING:
    from slither._hosted import Hosted
    from slither._lane import Lane

_WORK: Final = frozenset({_wire.CALL, _wire.EXECUTE, _wire.BIND, _wire.OPEN_SESSION, _wire.END_SESSION})
# Bytes of address space without which no thread can begin: its stack, and something to run with.
_THREAD: Final = 16 << 20
# How long a log record may hold up an event loop.
_LOOP_PATIENCE: Final = 0.005
# How long the news of the GIL wait for room in the socket in the thread that imports; else a later call tells them.
_NEWS_PATIENCE: Final = 0.05


class Several:
    """A worker of several calls, each of which has a runner of its own."""

    def __init__(
        self,
        connection: _wire.Connection,
        box: _blackbox.BlackBox,
        token: int,
        setup: _setup.Setup,
        hosted: Hosted | None,
    ) -> None:
        profile = setup.profile
        self.connection = connection
        self.box = box
        self.token = token
        self.path = setup.path
        self.memory_limit = setup.memory_limit
        self.profile = profile
        self.hosted = hosted
        self.slots = profile.slots() if hosted is None else min(profile.slots(), hosted.slots)
        self.sessions = Sessions()
        self.bound: dict[str, Bound] = {}
        self.backlog = Backlog(self.slots, lambda session: self.sessions.find(session) is not None)
        self.jobs = Jobs()
        self.release = Release(self.jobs.stir)
        self.closed = False
        self._failure: BaseException | None = None
        self._news = False
        self._lock = threading.Lock()
        _vetting.share()

    # What the two do each in its own way

    def run(self) -> int:
        """Serve until STOP or the end of the connection; return the exit code."""
        raise NotImplementedError

    def run_job(self, job: Job) -> None:
        """Have a job run, some time and somewhere."""
        raise NotImplementedError

    def take_reply(self, ident: int, flags: int, body: memoryview) -> None:
        """Hand the answer of a view to who asked."""
        raise NotImplementedError

    def runs_apart(self, job: Job) -> bool:
        """Tell a lane whether a job is none for it after all, and have it run where it belongs."""
        del job
        return False

    def clean_up(self) -> None:
        """Have the adapter clean up, where no call runs any more."""
        if self.hosted is not None:
            self.hosted.close(_alone)

    def ended(self) -> None:
        """Everything was answered and the sessions have ended, after a STOP."""
        self.connection.stop_reading()

    def cancel(self, ident: int) -> None:
        """Have a call end that has begun."""

    def give(self, ident: int, values: int) -> None:
        """The host has taken so many values of a stream."""

    def dump(self, ident: int) -> None:
        """Write into the black box where a call is."""

    # Reading

    def begin(self, lanes: Sequence[Lane]) -> None:
        """Start the lanes, say HELLO, and hear from now on what changes."""
        try:
            if self.memory_limit is not None:
                # A thread that finds no memory once it runs never says so, and its start would wait for ever.
                mmap.mmap(-1, len(lanes) * _THREAD, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=0).close()
            for lane in lanes:
                lane.start()
        except (OSError, RuntimeError) as error:
            room = "" if self.memory_limit is None else f" within a memory_limit of {self.memory_limit} bytes"
            sys.exit(f"slither: {len(lanes)} threads cannot be started{room}: {error}")
        frame = bytearray(_wire.HEADER_SIZE)
        _values.encode_trusted(hello(self.slots, self.hosted), frame)
        self.connection.send(_wire.HELLO, 0, 0, frame)
        _gil.WATCH.listen(self._hear)

    def route(self, kind: int, flags: int, ident: int, body: memoryview) -> None:
        """Pass a frame on. Raises `ProtocolError`."""
        if kind == _wire.CALL and flags & _wire.CHAOS:
            # A fault wraps what the calls share, and would befall others.
            raise ProtocolError("a CALL with CHAOS, to a worker that takes several calls")
        if kind in _WORK:
            job = Job(kind, flags, ident, body)
            if self.backlog.add(job):
                self.run_job(job)
        elif kind == _wire.VIEW_REPLY:
            self.take_reply(ident, flags, body)
        elif kind in (_wire.KEEP_REFS, _wire.DROP_REFS):
            if Worker.hear_refs(kind, ident, body):
                self.release.begin()
        elif kind == _wire.CANCEL:
            self.backlog.withdraw(ident)
            self.cancel(ident)
        elif kind == _wire.MORE:
            self.give(ident, _values.decode_count(body))
        elif kind == _wire.DUMP:
            self.dump(ident)
        elif kind == _wire.STOP:
            for job in self.backlog.stop(Job(kind, flags, ident, body)):
                self.run_job(job)

    def refuse(self, error: _wire.NoRoom) -> None:
        """A frame has come that there is no memory for: its call fails of it, where the calls run."""
        job = Job(_wire.BIND, 0, error.ident, memoryview(b""))
        job.refused = error
        if self.backlog.add(job):
            self.run_job(job)

    def done(self, job: Job) -> None:
        """A job was answered: have those run that waited for it."""
        self.tell_news()
        for freed in self.backlog.done(job):
            self.run_job(freed)

    def fail(self, error: BaseException) -> None:
        """What a call met ends the worker: a broken protocol, a host that is gone, a fault of its own."""
        if self._failure is None:
            self._failure = error
        self.connection.stop_reading()

    def code(self) -> int:
        """Return the exit code, and say what it stands for."""
        error = self._failure
        if error is None or isinstance(error, _wire.Closed):
            return 0
        if isinstance(error, ProtocolError):
            print(f"slither: protocol error: {error}", file=sys.stderr, flush=True)  # noqa: T201
            return _wire.EXIT_PROTOCOL
        traceback.print_exception(error)
        return 1

    # Capacity

    def _hear(self) -> None:
        """The GIL was turned on just now, in this thread."""
        if not self.connection.try_send(_wire.CAPACITY, 0, self._capacity(), _NEWS_PATIENCE):
            self._news = True

    def tell_news(self) -> None:
        """Look at the GIL, and tell what the host could not be told at once."""
        _gil.WATCH.look()
        with self._lock:
            news, self._news = self._news, False
        if news:
            self.connection.send(_wire.CAPACITY, 0, 0, self._capacity())

    def _capacity(self) -> bytearray:
        frame = bytearray(_wire.HEADER_SIZE)
        _values.encode_trusted((min(self.slots, self.profile.slots()), _gil.WATCH.on, _gil.WATCH.by), frame)
        return frame


def warm(profile: Profile) -> None:
    """Import what a worker of this profile needs."""
    if profile.kind == "async":
        from slither import _async  # noqa: F401 (asyncio takes longer to import than all the rest)
    else:
        from slither import _threads  # noqa: F401


def main(connection: _wire.Connection, box: _blackbox.BlackBox, token: int, setup: _setup.Setup) -> int:
    """Run the worker of this process; return its exit code."""
    make: Callable[[Hosted | None], Several]
    drive: Callable[[Coroutine[Any, Any, Any]], Any]
    if setup.profile.kind == "async":
        import asyncio  # here, because it takes longer to import than all the rest

        from slither._async import AsyncWorker

        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        drive, patience = loop.run_until_complete, _LOOP_PATIENCE
        make = lambda hosted: AsyncWorker(connection, box, token, setup, hosted, loop)  # noqa: E731
    else:
        from slither._threads import ThreadWorker

        drive, patience = _alone, _logging.PATIENCE
        make = lambda hosted: ThreadWorker(connection, box, token, setup, hosted)  # noqa: E731
    _current.install_several()
    logs = _logging.HostHandler(connection, _current.running_call, several=True, patience=patience)
    _logging.install(logs, setup.log_level)
    try:
        worker = make(build_adapter(connection, box.slot(0), setup, drive))
        return worker.run()
    except Unfit:
        return _wire.EXIT_UNFIT
    finally:
        logs.report()
        _current.install(None)
        connection.close()


def _alone(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end in a loop of its own: each thread has another."""
    import asyncio  # here, because a worker of threads may never need it

    return asyncio.run(coroutine)
