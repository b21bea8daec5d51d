"""A task: one call of a coroutine function or an async generator in an event loop with others.

Its slot of the black box says at each step whether it runs or awaits, so that of all the calls of a loop that hangs or
crashes the one can be told that did not let go.
"""

from __future__ import annotations

import asyncio
import os
import threading
import types
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final

from slither import _blackbox, _current, _errors, _refs, _values, _wire, _yields
from slither._answers import answer_batch, answer_rest, wrong_count
from slither._backlog import Job
from slither._exceptions import NotInWorker, ProtocolError
from slither._resolve import Bound, spread
from slither._room import ENDLESS
from slither._view_reply import open_reply
from slither._worker import Worker, each_of

if TYPE_CHECKING:
    from slither._async import AsyncWorker

_DEPTH: Final = 100  # as many as faulthandler shows


class Task(Worker):
    """A slot of the loop, and the call in it."""

    def __init__(self, home: AsyncWorker, number: int) -> None:
        super().__init__(home.connection, home.box.slot(number), home.token, home.path)
        self._home = home
        self._bound = home.bound
        self.sessions = home.sessions
        self._connection = home.outbox
        self._yields = _LoopYields(home.outbox, home.loop)
        self._task: asyncio.Task[None] | None = None
        self._entered = False
        self._cancelled = False
        self._coroutine: Any = None
        self._roomy: asyncio.Future[None] | None = None
        self._box.belong(self.thread)

    def start(self, job: Job, bound: Bound) -> None:
        """Run a call, some time soon; when it was answered, home is told."""
        self._entered = False
        self._cancelled = not self._home.backlog.begin(job)
        self._create(job, bound)

    def _create(self, job: Job, bound: Bound) -> None:
        task = self._home.loop.create_task(self._attend(job, bound))
        if task.done():  # a factory of the user's runs what it creates at once
            return
        self._task = task

        def ended(_: asyncio.Task[None]) -> None:
            # Cancelled before its first step, by a function that cancels all tasks there are: nobody has answered.
            if self._task is task and not self._home.closed:
                self._create(job, bound)

        task.add_done_callback(ended)

    def cancel(self) -> None:
        """Have the call end as asyncio does it. The answer comes when it has ended, whatever it makes of this."""
        self._cancelled = True
        if self._entered and self._task is not None:  # one that was not entered could not answer
            self._task.cancel()

    async def _attend(self, job: Job, bound: Bound) -> None:
        self._entered = True
        _current.TICKET.set(_current.Ticket(self, job.ident))
        try:
            await self._answer(job, bound)
        except BaseException as error:  # Closed, a broken protocol, a fault of our own
            self._home.fail(error)
        finally:
            self._task = None
            self._home.freed(self, job)

    async def _answer(self, job: Job, bound: Bound) -> None:
        ident = job.ident
        if job.flags & _wire.CLAIM and not _wire.claim(self._token):
            _wire.skip(self._connection, ident)
            return
        if self._cancelled:
            self._send(_wire.ERROR, 0, ident, _errors.make("cancelled", "it was cancelled before it began"))
            return
        self._box.begin(ident)
        try:
            if job.kind == _wire.EXECUTE and job.flags & _wire.STREAM:
                await self._execute_each_here(ident, job.body, bound)
            elif job.kind == _wire.EXECUTE:
                await self._execute_here(ident, job.body, bound)
            elif bound.batch.kind == "generator" and job.flags & _wire.STREAM:
                await self._stream_here(ident, job.body, bound)
            else:
                await self._work_here(ident, job.body, bound.batch)
        except (_wire.Closed, ProtocolError):
            raise
        except asyncio.CancelledError as error:
            if self._home.closed:
                return  # the worker ends, and the call with it
            if not self._cancelled:
                self._fail(ident, error)
                return
            made = _errors.from_exception(error, "cancelled")
            self._send(_wire.ERROR, 0, ident, made | {"message": made["message"] or "it was cancelled"})
        except BaseException as error:
            self._fail(ident, error)
        finally:
            self._box.end()

    async def _work_here(self, ident: int, body: memoryview, bound: Bound) -> None:
        _, self._raw_context, items = _values.decode_call(body)
        count = len(items)
        results = await self._run(ident, bound, lambda: bound.call(items))
        frame, limit = bytearray(_wire.HEADER_SIZE), self._connection.max_frame
        if type(results) is list and len(results) == count and _values.encode_plain(results, frame, limit):
            self._connection.send(_wire.RESULT, 0, ident, frame)
            return
        frame = bytearray(_wire.HEADER_SIZE)
        _refs.TABLE.begin()
        kind, flags = answer_batch(results, count, frame, limit)
        if _refs.TABLE.finish(ident, kind == _wire.RESULT):
            flags |= _wire.REFS
        self._connection.send(kind, flags, ident, frame)

    async def _execute_here(self, ident: int, body: memoryview, bound: Bound) -> None:
        _, self._raw_context, args = _values.decode_execute(body)
        result = await self._run(ident, bound, lambda: spread(bound.call, args))
        frame = bytearray(_wire.HEADER_SIZE)
        _refs.TABLE.begin()
        _values.encode_value(result, "result", frame, self._connection.max_frame)
        flags = _wire.REFS if _refs.TABLE.finish(ident, True) else 0
        self._connection.send(_wire.RESULT, flags, ident, frame)

    async def _execute_each_here(self, ident: int, body: memoryview, bound: Bound) -> None:
        _, self._raw_context, args = _values.decode_execute(body)
        yields, room = self._yields, self.room
        yields.begin(ident, ENDLESS)
        room.begin(ident)

        async def put(value: Any) -> None:
            if not room.take(yields.add(value)):
                yields.flush()
                while not room.is_free():
                    self._roomy = self._home.loop.create_future()
                    await self._roomy
            await self._home.outbox.room()

        async def deliver() -> None:
            made = spread(bound.call, args)
            if bound.kind != "generator":
                await put(await made)
                return
            try:
                async for value in made:
                    await put(value)
            finally:
                await made.aclose()

        try:
            await self._run(ident, None, deliver)
        except BaseException:
            yields.flush()  # what came before is good, and goes ahead of the error
            raise
        finally:
            room.end()
        frame = bytearray(_wire.HEADER_SIZE)
        kind, flags = answer_rest(*yields.end(), frame)
        self._connection.send(kind, flags, ident, frame)

    def give(self, ident: int, values: int) -> None:
        """The host has taken values of the running stream. In the loop's thread."""
        self.room.give(ident, values)
        if self._roomy is not None and not self._roomy.done():
            self._roomy.set_result(None)

    async def _stream_here(self, ident: int, body: memoryview, bound: Bound) -> None:
        _, self._raw_context, items = _values.decode_call(body)
        yields, count = self._yields, len(items)
        yields.begin(ident, count)

        async def deliver() -> None:
            results = bound.call(items)
            try:
                async for result in results:
                    yields.add(result)
                    await self._home.outbox.room()
            finally:
                await results.aclose()

        try:
            await self._run(ident, None, deliver)
        except _yields.TooMany:
            yields.flush()
            self._send(_wire.ERROR, 0, ident, wrong_count(yields.yielded + 1, yields.yielded))
            return
        except BaseException:
            yields.flush()  # what was yielded before is final, and goes ahead of the error
            raise
        if yields.yielded < count:
            yields.flush()
            self._send(_wire.ERROR, 0, ident, wrong_count(yields.yielded, count))
            return
        frame = bytearray(_wire.HEADER_SIZE)
        kind, flags = answer_rest(*yields.end(), frame)
        self._connection.send(kind, flags, ident, frame)

    async def _run(self, ident: int, bound: Bound | None, call: Any) -> Any:
        """Run the function step by step, with the slot saying when; return its value."""
        self.call = ident
        self._box.enter(_blackbox.USER)
        try:
            made = call()
            if bound is not None and bound.kind == "generator":
                collected: list[Any] = []
                await self._steps(each_of(made, collected.append))
                return collected
            return await self._steps(made if hasattr(made, "send") else _awaited(made))
        finally:
            self.call = 0
            self._raw_context = None
            self._coroutine = None
            self._box.enter(_blackbox.ENCODE)

    @types.coroutine
    def _steps(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        box = self._box
        self._coroutine = coroutine
        value: Any = None
        error: BaseException | None = None
        while True:
            box.enter(_blackbox.USER)
            try:
                awaited = coroutine.send(value) if error is None else coroutine.throw(error)
            except StopIteration as stop:
                return stop.value
            finally:
                box.enter(_blackbox.AWAIT)
            try:
                value, error = (yield awaited), None
            except BaseException as thrown:
                value, error = None, thrown

    def dump(self, fd: int) -> None:
        """Write where the call awaits, as faulthandler writes where a thread is."""
        if not self.call:
            return
        lines = [f'  File "{path}", line {line} in {name}' for path, line, name in _awaiting(self._coroutine)]
        # Behind an empty line: what faulthandler writes ends without one.
        text = "\n".join(["", f"Task of call {self.call} (most recent call first):", *lines, "", ""])
        os.write(fd, text.encode("utf-8", "backslashreplace"))

    # What the public functions ask (_current.Runner)

    def check_thread(self, what: str) -> None:
        """Raise `NotInWorker` in the loop's thread, which must not wait; another, as of `asyncio.to_thread`, may."""
        if threading.get_ident() == self.thread:
            raise NotInWorker(
                f"{what} would hold up the event loop, and all the other calls in it\n"
                "hint: await slither.view_async() or slither.view_many_async() instead"
            )

    def ask(self, name: str, args: Any, many: bool) -> Any:
        """Ask from a thread of the call's own, and wait there."""
        asking = self._home.ask(self.call, name, args, many)
        return open_reply(name, *asyncio.run_coroutine_threadsafe(asking, self._home.loop).result())

    async def ask_async(self, name: str, args: Any, many: bool) -> Any:
        """Ask, and let other calls run until the answer is there."""
        asking = self._home.ask(self.call, name, args, many)
        if threading.get_ident() == self.thread:
            return open_reply(name, *await asking)
        # From a loop of the user's, in a thread of the call.
        other = asyncio.run_coroutine_threadsafe(asking, self._home.loop)
        return open_reply(name, *await asyncio.wrap_future(other))


class _LoopYields(_yields.Yields):
    """Yields that the loop itself sends when they have waited long enough."""

    def __init__(self, outbox: _wire.Outgoing, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(outbox)
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    def _ripen(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(_yields.WAIT, self._ripe)

    def _ripe(self) -> None:
        self._timer = None
        try:
            self.flush()
        except _wire.Closed as error:
            self._broken = error


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


def _awaiting(awaited: Any) -> list[tuple[str, int, str]]:
    """Return where a coroutine and all that it awaits are suspended, the innermost first."""
    found: list[tuple[str, int, str]] = []
    while awaited is not None and len(found) < _DEPTH:
        for prefix, below in (("cr", "cr_await"), ("gi", "gi_yieldfrom"), ("ag", "ag_await")):
            frame = getattr(awaited, f"{prefix}_frame", None)
            if frame is not None:
                found.append((frame.f_code.co_filename, frame.f_lineno or 0, frame.f_code.co_name))
                awaited = getattr(awaited, below)
                break
        else:
            break
    return found[::-1]
