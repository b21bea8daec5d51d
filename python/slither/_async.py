"""The profile `async`: calls of coroutine functions are tasks of one event loop; the others have a lane beside it.

The loop itself reads the socket, whole frames at a time. A frame that is larger than the buffer is read by a thread,
and what the host does not take at once is sent by one (`_outbox`), so that the loop waits for neither.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from slither import _blackbox, _daemon, _values, _wire
from slither._backlog import Job
from slither._exceptions import ProtocolError, ViewFailed
from slither._lane import Lane
from slither._outbox import Outbox
from slither._resolve import Bound, CannotImport
from slither._several import Several
from slither._task import Task

if TYPE_CHECKING:
    from slither._hosted import Hosted
    from slither._setup import Setup

# Views of the lane have odd numbers, those of tasks even ones.
_STRIDE: Final = 2
_CALLS: Final = (_wire.CALL, _wire.EXECUTE)
Reply = tuple[int, memoryview]


class AsyncWorker(Several):
    """One process, one event loop in its main thread, and one lane."""

    def __init__(
        self,
        connection: _wire.Connection,
        box: _blackbox.BlackBox,
        token: int,
        setup: Setup,
        hosted: Hosted | None,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(connection, box, token, setup, hosted)
        self.loop = loop
        self.outbox = Outbox(connection, self.loop)
        self._thread = threading.get_ident()
        self._lane = Lane(self, 0, _STRIDE, self.jobs)
        self._idle = [Task(self, number) for number in range(setup.profile.concurrency, 0, -1)]
        self._waiting: deque[tuple[Job, Bound]] = deque()
        self._tasks: dict[int, Task] = {}
        self._replies: dict[int, asyncio.Future[Reply]] = {}
        self._views = 0

    def run(self) -> int:
        """Serve until STOP has been done or the connection ends. Return the exit code."""
        loop = self.loop
        try:
            self.begin([self._lane])
            loop.add_reader(self.connection.fileno(), self._readable)
            while not self.closed:
                # A task of the user's own may raise these; asyncio passes them on, and can go on.
                with contextlib.suppress(KeyboardInterrupt, SystemExit):
                    loop.run_forever()
        except _wire.Closed as error:
            self.fail(error)
        self.closed = True
        self._lane.end_replies()
        self.jobs.close()
        self._lane.join()
        self.release.close()
        self.outbox.flush()
        self._close()
        return self.code()

    # Reading

    def _readable(self) -> None:
        try:
            self.connection.fill()
            if not self._route_whole():
                self.loop.remove_reader(self.connection.fileno())
        except (_wire.Closed, ProtocolError) as error:
            self._end(error)

    def _route_whole(self) -> bool:
        """Route the frames that are there. False says that a thread reads the next one."""
        connection = self.connection
        while (there := connection.next()) == _wire.WHOLE:
            self.route(*connection.read())
        if there == _wire.LARGE and _daemon.start(self._read_large, "slither-large") is None:
            self._read_large()  # then the loop waits
        return there != _wire.LARGE

    def _read_large(self) -> None:
        try:
            frame = self.connection.read()
        except _wire.NoRoom as error:
            self.loop.call_soon_threadsafe(self._have_read, error)
        except (_wire.Closed, ProtocolError) as error:
            self.loop.call_soon_threadsafe(self._end, error)
        else:
            self.loop.call_soon_threadsafe(self._have_read, frame)

    def _have_read(self, frame: _wire.Frame | _wire.NoRoom) -> None:
        try:
            if isinstance(frame, _wire.NoRoom):
                self.refuse(frame)
            else:
                self.route(*frame)
            if self._route_whole():
                self.loop.add_reader(self.connection.fileno(), self._readable)
        except (_wire.Closed, ProtocolError) as error:
            self._end(error)

    def _end(self, error: BaseException) -> None:
        """Nothing is read any more."""
        self.fail(error)
        self.loop.remove_reader(self.connection.fileno())
        self.closed = True
        for future in self._replies.values():
            if not future.done():
                future.set_exception(ViewFailed("the connection has ended"))
        self.loop.stop()

    # Running

    def run_job(self, job: Job) -> None:
        """Have a job run as a task or in the lane, as its function asks for."""
        if threading.get_ident() != self._thread:
            self.loop.call_soon_threadsafe(self._run_freed, job)
            return
        bound = self.bound.get(_values.decode_head(job.body)[0]) if job.kind in _CALLS else None
        if bound is not None and bound.is_async:
            self._run_task(job, bound)
        else:
            self.jobs.put(job)

    def _run_freed(self, job: Job) -> None:
        try:
            self.run_job(job)
        except ProtocolError as error:
            self._end(error)

    def runs_apart(self, job: Job) -> bool:
        """See in the lane what a call's function is that was not imported when the call came."""
        if job.kind not in _CALLS:
            return False
        name = _values.decode_head(job.body)[0]
        bound = self.bound.get(name)
        if bound is None:
            if job.flags & _wire.CLAIM:
                if not _wire.claim(self.token):
                    return False  # the lane says so
                job.flags &= ~_wire.CLAIM
            try:
                bound = self._lane.resolve_for(job, name)
            except CannotImport:
                return False  # the lane says so
        if bound.is_async:
            self.loop.call_soon_threadsafe(self._run_task, job, bound)
        return bound.is_async

    def _run_task(self, job: Job, bound: Bound) -> None:
        if not self._idle:
            self._waiting.append((job, bound))  # the backlog bounds how many
            return
        task = self._tasks[job.ident] = self._idle.pop()
        task.start(job, bound)

    def freed(self, task: Task, job: Job) -> None:
        """A task has answered its call."""
        del self._tasks[job.ident]
        self._idle.append(task)
        try:
            self.done(job)
            if self._waiting and not self.closed:
                self._run_task(*self._waiting.popleft())
        except (_wire.Closed, ProtocolError) as error:
            self.fail(error)

    def cancel(self, ident: int) -> None:
        """Cancel the task of a call; what runs in the lane goes on, but a stream."""
        task = self._tasks.get(ident)
        if task is not None:
            task.cancel()
        self._lane.room.withdraw(ident)

    def give(self, ident: int, values: int) -> None:
        """The host has taken so many values of a stream."""
        task = self._tasks.get(ident)
        if task is not None:
            task.give(ident, values)
        self._lane.room.give(ident, values)

    def dump(self, ident: int) -> None:
        """Write into the black box where a task awaits."""
        task = self._tasks.get(ident)
        if task is not None:
            task.dump(self.box.fd)

    # Views

    async def ask(self, call: int, name: str, args: Any, many: bool) -> Reply:
        """Ask for a task, in the loop. Returns flags and body of the answer."""
        frame = bytearray(_wire.HEADER_SIZE)
        _values.encode_value([call, name, args], f"view {name!r}: call", frame, self.connection.max_frame)
        await self.outbox.room()
        if self.closed:
            raise ViewFailed(f"view {name!r}: the connection has ended")
        self._views += _STRIDE
        number = self._views
        future: asyncio.Future[Reply] = self.loop.create_future()
        self._replies[number] = future
        try:
            self.outbox.send(_wire.VIEW, _wire.MANY if many else 0, number, frame)
            return await future
        except _wire.Closed as error:
            raise ViewFailed(f"view {name!r}: {error}") from None
        finally:
            del self._replies[number]

    def take_reply(self, ident: int, flags: int, body: memoryview) -> None:
        """Hand the answer of a view to the task, or to the lane, that asked."""
        if ident % _STRIDE:
            self._lane.reply(ident, flags, body)
            return
        future = self._replies.get(ident)
        if future is not None and not future.done():
            future.set_result((flags, body if len(body) > _values.KEEP else memoryview(bytes(body))))

    # The end

    def _close(self) -> None:
        """Cancel what is left, tasks that the user has started included, and await it."""
        loop = self.loop
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        with contextlib.suppress(KeyboardInterrupt, SystemExit):
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            if self.hosted is not None:
                self.hosted.close(loop.run_until_complete)
            loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
