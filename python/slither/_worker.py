"""The worker: reads frames, runs functions, answers.

One thread, one call at a time. Whatever user code raises, `SystemExit` and `KeyboardInterrupt` included, becomes the
answer to its call; only a broken protocol and the end of the connection end the loop.

The way of an ordinary batch through `_work` is kept short on purpose: one step of a loop, one decode, one lookup, the
call, one look at the types of its results, one encode, and one `recv` and one `send` for all that came together.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping, Sequence
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Final

import msgspec

from slither import _blackbox, _current, _errors, _gil, _logging, _refs, _values, _wire, _withheld
from slither._adapter import Unfit, build_adapter
from slither._answers import answer_batch, answer_rest, wrong_count
from slither._blackbox import DECODE, ENCODE, USER
from slither._exceptions import (
    NotInWorker,
    ProtocolError,
    TooLarge,
    ValueNotSupported,
    ViewFailed,
)
from slither._hello import hello
from slither._resolve import Bound, CannotImport, resolve, spread
from slither._room import ENDLESS, Room, Withdrawn
from slither._sessions import Sessions
from slither._values import KEEP, decode_call, encode_plain
from slither._view_reply import open_reply
from slither._wire import CALL, RESULT
from slither._yields import TooMany, Yields

if TYPE_CHECKING:
    import asyncio

    from slither import _setup
    from slither._hosted import Hosted

_NIL: Final = b"\xc0"
# How many frames may wait while the running call awaits a view: those sent ahead, and imports beside them.
_WAITING_LIMIT: Final = 64

# The answer to a call that takes less, in nanoseconds, may wait for that to the next.
_SHORT: Final = 200_000

# How long a report of progress waits for room in the socket, before it is dropped.
_REPORT_PATIENCE: Final = 0.05


class Worker:
    """One worker on one connection. `_current.install` makes it the process's worker."""

    def __init__(
        self, connection: _wire.Connection, box: _blackbox.Slot, token: int, user_path: list[str] | None = None
    ) -> None:
        self.thread = threading.get_ident()
        self.call = 0
        self.sessions = Sessions()
        self._incoming = connection
        self._connection: _wire.Outgoing = connection
        self._box = box
        self._words = box.words
        self._token = token
        self._user_path = user_path or []
        self._bound: dict[str, Bound] = {}
        self._calls: dict[str, Callable[[Any], Any]] = {}
        self._raw_context: msgspec.Raw | bytes | None = None
        self._frame = bytearray(_wire.HEADER_SIZE)
        self._waiting: deque[tuple[int, int, int, memoryview]] = deque()
        self._views = 0
        self._yields = Yields(connection)
        self.room = Room()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._gil_at_hello = _gil.WATCH.on
        self.report_due = 0.0
        self.reported_done = 0

    def run(self, hosted: Hosted | None = None) -> int:
        """Serve until STOP or the end of the connection; return the exit code."""
        waiting, incoming, serve = self._waiting, self._incoming, self._serve
        going = True
        try:
            self._send(_wire.HELLO, 0, 0, hello(adapter=hosted))
            while going:
                try:
                    while going:
                        if not waiting:
                            self._work(incoming.batches(self._token))
                        going = serve(*(waiting.popleft() if waiting else incoming.read()))
                except _wire.NoRoom as error:
                    self._fail(error.ident, error)
        except _wire.Closed:
            pass
        except ProtocolError as error:
            print(f"slither: protocol error: {error}", file=sys.stderr, flush=True)  # noqa: T201
            return _wire.EXIT_PROTOCOL
        finally:
            if hosted is not None:
                hosted.close(self.drive)
            self._close_loop()
        return 0

    def _serve(self, kind: int, flags: int, ident: int, body: memoryview) -> bool:
        """Handle one frame; False says that it was the last."""
        if kind != CALL:
            self._incoming.flush()  # what is no call may take long, and the host would not know
        if flags & _wire.CLAIM and kind != _wire.VIEW_REPLY and not _wire.claim(self._token):
            _wire.skip(self._connection, ident)
            return True
        if kind == CALL:
            work: Callable[[int, memoryview], None] = self._stream if flags & _wire.STREAM else self._batch
            if flags & _wire.CHAOS:
                from slither import _chaos  # not before a pool asks for it

                work = _chaos.afflicted(self, work)
            work(ident, body)
        elif kind == _wire.EXECUTE:
            (self._execute_each if flags & _wire.STREAM else self._execute)(ident, body)
        elif kind == _wire.BIND:
            self._bind(ident, body)
        elif kind in (_wire.OPEN_SESSION, _wire.END_SESSION):
            self._turn_session(kind, ident, body)
        elif kind in (_wire.KEEP_REFS, _wire.DROP_REFS):
            self._turn_refs(kind, ident, body)
        elif kind == _wire.STOP:
            self._end_sessions(ident)
            return False
        elif kind == _wire.MORE:
            _values.decode_count(body)  # for a stream that has ended, as may be
        # A VIEW_REPLY that nobody awaits, a CANCEL for what has ended: of no use any more.
        return True

    # Calls

    def _batch(self, ident: int, body: memoryview) -> None:
        """Run one batch."""
        self._work([(ident, body)])

    def _work(self, batches: Iterable[tuple[int, memoryview]]) -> None:
        """Run batches, one after the other, until there is none or another frame waits."""
        words, frame, calls, connection = self._words, self._frame, self._calls, self._connection
        waiting, answer, limit = self._waiting, connection.answer, connection.max_frame
        for ident, body in batches:
            words[0] = begun = monotonic_ns()
            words[1] = ident
            words[2] = DECODE
            try:
                name, self._raw_context, items = decode_call(body)
                call = calls[name] if name in calls else self._bind_call(name)
                count = len(items)
                words[2] = USER
                self.call = ident
                try:
                    results = call(items)
                finally:
                    self.call = 0
                    self._raw_context = None
                    del items
                words[2] = ENCODE
                if type(results) is list and len(results) == count and encode_plain(results, frame, limit):
                    (answer if monotonic_ns() - begun < _SHORT else connection.send)(RESULT, 0, ident, frame)
                else:
                    _refs.TABLE.begin()
                    kind, flags = answer_batch(results, count, frame, limit)
                    if _refs.TABLE.finish(ident, kind == RESULT):
                        flags |= _wire.REFS
                    connection.send(kind, flags, ident, frame)
            except (_wire.Closed, ProtocolError):
                raise
            except BaseException as error:
                results = None
                self._fail(ident, error)
            finally:
                words[2] = 0
                words[1] = 0
                results = None  # which may be large, and the next batch far
                if len(frame) > KEEP:
                    frame = self._frame = bytearray(_wire.HEADER_SIZE)
            if waiting:
                return

    def _stream(self, ident: int, body: memoryview) -> None:
        """Run a batch whose results the host takes as they come, if the function is a generator."""
        box, yields = self._box, self._yields
        box.begin(ident)
        try:
            name, self._raw_context, items = _values.decode_call(body)
            bound = (self._bound.get(name) or self._resolve(name)).batch
            if bound.kind != "generator":
                self._batch(ident, body)
                return
            count = len(items)
            yields.begin(ident, count)
            box.enter(USER)
            self.call = ident
            try:
                self._each(bound.call(items), yields.add)
            finally:
                self.call = 0
                self._raw_context = None
                del items
            box.enter(ENCODE)
            if yields.yielded < count:
                yields.flush()
                self._send(_wire.ERROR, 0, ident, wrong_count(yields.yielded, count))
                return
            frame = bytearray(_wire.HEADER_SIZE)
            kind, flags = answer_rest(*yields.end(), frame)
            self._connection.send(kind, flags, ident, frame)
        except (_wire.Closed, ProtocolError):
            raise
        except BaseException as error:
            # What was yielded before is final, and goes ahead of the error.
            yields.flush()
            if isinstance(error, TooMany):
                self._send(_wire.ERROR, 0, ident, wrong_count(yields.yielded + 1, yields.yielded))
            else:
                self._fail(ident, error)
        finally:
            box.end()

    def _execute(self, ident: int, body: memoryview) -> None:
        """Run one call and answer with its one value."""
        box = self._box
        box.begin(ident)
        frame = bytearray(_wire.HEADER_SIZE)
        try:
            name, self._raw_context, args = _values.decode_execute(body)
            bound = self._bound.get(name) or self._resolve(name)
            box.enter(USER)
            self.call = ident
            try:
                result = self._finish(bound, spread(bound.call, args))
            finally:
                self.call = 0
                self._raw_context = None
                del args
            box.enter(ENCODE)
            _refs.TABLE.begin()
            _values.encode_value(result, "result", frame, self._connection.max_frame)
            flags = _wire.REFS if _refs.TABLE.finish(ident, True) else 0
            self._connection.send(RESULT, flags, ident, frame)
        except (_wire.Closed, ProtocolError):
            raise
        except BaseException as error:
            self._fail(ident, error)
        finally:
            box.end()

    def _execute_each(self, ident: int, body: memoryview) -> None:
        """Run one call whose values the host takes one by one; of what is no generator, the only one."""
        box, yields, room = self._box, self._yields, self.room
        box.begin(ident)
        try:
            name, self._raw_context, args = _values.decode_execute(body)
            bound = self._bound.get(name) or self._resolve(name)
            yields.begin(ident, ENDLESS)
            room.begin(ident)
            box.enter(USER)
            self.call = ident
            try:
                if bound.kind == "generator":
                    self._each(spread(bound.call, args), self._put)
                else:
                    self._put(self._finish(bound, spread(bound.call, args)))
            finally:
                self.call = 0
                self._raw_context = None
                room.end()
                del args
            box.enter(ENCODE)
            frame = bytearray(_wire.HEADER_SIZE)
            kind, flags = answer_rest(*yields.end(), frame)
            self._connection.send(kind, flags, ident, frame)
        except (_wire.Closed, ProtocolError):
            raise
        except Withdrawn:
            yields.end()
            self._send(_wire.ERROR, 0, ident, _errors.make("cancelled", "the host takes no more values"))
        except BaseException as error:
            yields.flush()  # what came before is good, and goes ahead of the error
            self._fail(ident, error)
        finally:
            box.end()

    def _put(self, value: Any) -> None:
        """Send a value of a stream, and wait until another may follow it."""
        if not self.room.take(self._yields.add(value)):
            self._yields.flush()
            self.wait_for_room()

    def wait_for_room(self) -> None:
        """Wait until the host takes more values of the running stream. Raises `Withdrawn`."""
        self.raw_context()  # the buffer that it lies in is about to be used again
        while not self.room.is_free():
            self._keep(self._incoming.read())

    def _bind(self, ident: int, body: memoryview) -> None:
        """Import a function and say what it is."""
        self._box.begin(ident)
        try:
            name = _values.decode_name(body)
            bound = self._resolve(name)
            said: dict[str, Any] = {"kind": bound.batch.kind}
            if _gil.WATCH.look() != self._gil_at_hello:
                said |= {"gil": _gil.WATCH.on, "gil_by": _gil.WATCH.by}
            self._send(_wire.BOUND, 0, ident, said)
        except (_wire.Closed, ProtocolError):
            raise
        except BaseException as error:
            self._fail(ident, error)
        finally:
            self._box.end()

    def _turn_refs(self, kind: int, ident: int, body: memoryview) -> None:
        if self.hear_refs(kind, ident, body):
            _refs.TABLE.free()

    @staticmethod
    def hear_refs(kind: int, ident: int, body: memoryview) -> bool:
        """Hear which references the host keeps of a result, or drops. Tell whether there are objects to free now."""
        try:
            ids = _refs.ids(body)
        except msgspec.DecodeError as error:
            raise ProtocolError(f"a body that is no array of references: {error}") from None
        if kind == _wire.KEEP_REFS:
            return _refs.TABLE.keep(ident, ids)
        return _refs.TABLE.forget(ids)

    # Sessions

    def _turn_session(self, kind: int, ident: int, body: memoryview) -> None:
        """Open or end a session, and say so."""
        raw = bytes(body)
        session = _values.decode_context(raw)[3]
        if session is None:
            raise ProtocolError("a session without an id")
        failed = 0
        self._box.begin(ident)
        try:
            if kind == _wire.OPEN_SESSION:
                self.sessions.open(session)
            else:
                self._box.enter(USER)
                failed = self._end_session(session, ident, raw)
            self._send(RESULT, 0, ident, failed)
        finally:
            self._box.end()

    def _end_session(self, session: str, ident: int, raw_context: bytes) -> int:
        self.call = ident
        self._raw_context = raw_context
        try:
            return self.sessions.end(session)
        finally:
            self.call = 0
            self._raw_context = None

    def _end_sessions(self, ident: int) -> None:
        """The worker stops: end what the host has not ended before."""
        for session in self.sessions.ids():
            self._end_session(session, ident or 1, _values.encode_context(session))

    def _resolve(self, name: str) -> Bound:
        box = self._box
        box.enter_with(_blackbox.IMPORT, name)
        bound = resolve(name, self._user_path)
        box.enter(_blackbox.DECODE)
        self._bound[name] = bound
        return bound

    def _bind_call(self, name: str) -> Callable[[Any], Any]:
        """Return what a batch calls: a plain function itself, others with what collects their results."""
        bound = (self._bound.get(name) or self._resolve(name)).batch
        call = bound.call
        if bound.kind != "function":
            inner = bound

            def call(items: Any) -> Any:
                return self._finish(inner, inner.call(items))

        self._calls[name] = call
        return call

    def _finish(self, bound: Bound, result: Any) -> Any:
        """Bring what a call returned to its value: run a coroutine, collect a generator."""
        if bound.kind == "coroutine":
            return self._event_loop().run_until_complete(result)
        if bound.kind == "generator":
            collected: list[Any] = []
            self._each(result, collected.append)
            return collected
        return result

    def _each(self, results: Any, take: Callable[[Any], object]) -> None:
        """Have `take` called with each result of a generator, which may be an async one, and close it."""
        if hasattr(results, "__aiter__"):
            self._event_loop().run_until_complete(each_of(results, take))
            return
        try:
            for result in results:
                take(result)
        finally:
            results.close()

    def drive(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine to its end in the loop in which calls run theirs."""
        return self._event_loop().run_until_complete(coroutine)

    def _event_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            import asyncio  # not before it is needed: it takes longer than all the rest to import

            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        return self._loop

    # Answers

    def _fail(self, ident: int, error: BaseException) -> None:
        made: _errors.Error
        _refs.TABLE.finish(ident, False)
        if isinstance(error, CannotImport):
            made = error.error
        elif isinstance(error, _values.Undecodable):
            made = _errors.make("decode", str(error))
        elif isinstance(error, ValueNotSupported) and error.__traceback__ and not _errors.raised_by_user(error):
            made = _errors.make("too_large" if isinstance(error, TooLarge) else "value", str(error))
        else:
            made = _errors.from_exception(error)
        del error
        self._send(_wire.ERROR, 0, ident, made)

    def _send(self, kind: int, flags: int, ident: int, value: Any) -> None:
        frame = bytearray(_wire.HEADER_SIZE)
        _values.encode_trusted(value, frame)
        self._connection.send(kind, flags, ident, frame)

    def _close_loop(self) -> None:
        if self._loop is not None:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()
            self._loop = None

    # What the public functions ask (_current.Runner)

    def check_thread(self, what: str) -> None:
        """Raise `NotInWorker` if this is not the thread that runs the call: only it may wait for the host."""
        if self.thread != threading.get_ident():
            raise NotInWorker(
                f"{what} was called in the thread {threading.current_thread().name!r}; "
                "only the thread that runs the call may use it"
            )

    def raw_context(self) -> bytes | None:
        """Return the running call's context, still encoded, in memory of its own."""
        raw = self._raw_context
        if raw is None:
            return None
        if not isinstance(raw, bytes):
            raw = self._raw_context = bytes(raw)
        return None if raw == _NIL else raw

    def report(self, call: int, done: int, total: int | None) -> None:
        """Send how far a call is, if the socket takes it."""
        frame = bytearray(_wire.HEADER_SIZE)
        _values.encode_trusted((done, total), frame)
        self._connection.try_send(_wire.PROGRESS, call, frame, _REPORT_PATIENCE)

    def ask(self, name: str, args: Mapping[str, Any] | Sequence[Mapping[str, Any]], many: bool) -> Any:
        """Send a view call and wait for its answer. Frames that come meanwhile are kept for later."""
        self.raw_context()  # the buffer that it lies in is about to be used again
        frame = bytearray(_wire.HEADER_SIZE)
        limit = self._connection.max_frame
        _values.encode_value([self.call, name, args], f"view {name!r}: call", frame, limit)
        self._views = number = self._views + 1
        self._box.enter_with(_blackbox.VIEW, name)
        try:
            self._connection.send(_wire.VIEW, _wire.MANY if many else 0, number, frame)
            while True:
                kind, flags, ident, body = frame_in = self._incoming.read()
                if kind == _wire.VIEW_REPLY and ident == number:
                    break
                self._keep(frame_in)
        except _wire.Closed as error:
            raise ViewFailed(f"view {name!r}: {error}") from None
        finally:
            self._box.enter(USER)
        return open_reply(name, flags, body)

    def _keep(self, frame: _wire.Frame) -> None:
        """Take in a frame that comes while a call waits for the host: at once, or when the call has ended."""
        kind, flags, ident, body = frame
        if kind in (_wire.KEEP_REFS, _wire.DROP_REFS):
            self._turn_refs(kind, ident, body)
        elif kind == _wire.MORE:
            self.room.give(ident, _values.decode_count(body))
        elif kind == _wire.CANCEL:
            self.room.withdraw(ident)
        elif kind != _wire.VIEW_REPLY:  # of a view that was given up
            if len(self._waiting) >= _WAITING_LIMIT:
                raise ProtocolError(f"{_WAITING_LIMIT} frames sent ahead of a worker that waits for its host")
            keep = body if len(body) > _values.KEEP else memoryview(bytes(body))
            self._waiting.append((kind, flags, ident, keep))

    async def ask_async(self, name: str, args: Mapping[str, Any] | Sequence[Mapping[str, Any]], many: bool) -> Any:
        """Send a view call and wait for its answer: there is one call, so that no other waits with it."""
        self.check_thread(f"view {name!r}")
        return self.ask(name, args, many)


async def each_of(results: AsyncGenerator[Any, None], take: Callable[[Any], object]) -> None:
    try:
        async for result in results:
            take(result)
    finally:
        await results.aclose()


def main(connection: _wire.Connection, box: _blackbox.BlackBox, token: int, setup: _setup.Setup) -> int:
    """Run the worker of this process; return its exit code."""
    connection.withhold(_withheld.Withheld(box.fd))
    worker = Worker(connection, box, token, setup.path)
    _current.install(worker)
    logs = _logging.HostHandler(connection, lambda: worker.call)
    _logging.install(logs, setup.log_level)
    try:
        return worker.run(build_adapter(connection, box, setup, worker.drive))
    except Unfit:
        return _wire.EXIT_UNFIT
    finally:
        logs.report()
        _current.install(None)
        connection.close()
