"""The backlog of a worker that runs several calls: which of those that have come may run.

All may at once, but for the frames of a session that is open here: they run one at a time, in the order in which they
came. Nothing here waits or sends; who runs the calls asks.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from slither import _values, _wire
from slither._exceptions import ProtocolError

# How many calls may come beyond the worker's slots.
AHEAD: Final = 64
_NIL: Final = b"\xc0"
_SESSIONS: Final = (_wire.OPEN_SESSION, _wire.END_SESSION)


class Job:
    """A frame that wants an answer, or the STOP that ends the sessions; with a body of its own."""

    __slots__ = ("begun", "body", "flags", "ident", "kind", "refused", "session", "withdrawn")

    def __init__(self, kind: int, flags: int, ident: int, body: memoryview) -> None:
        self.kind = kind
        self.flags = flags
        self.ident = ident
        self.body = body if len(body) > _values.KEEP else memoryview(bytes(body))
        self.session: str | None = None
        self.refused: BaseException | None = None
        self.begun = False
        self.withdrawn = False


class _Line:
    """A session's jobs: one that runs, and those that wait for it."""

    __slots__ = ("busy", "waiting")

    def __init__(self) -> None:
        self.busy = False
        self.waiting: deque[Job] = deque()


class Backlog:
    """What is outstanding, and the lines in which the jobs of sessions wait. Any thread may ask."""

    def __init__(self, slots: int, is_open: Callable[[str], bool]) -> None:
        self._slots = slots
        self._is_open = is_open
        self._outstanding: dict[int, Job] = {}
        self._lines: dict[str, _Line] = {}
        self._lock = threading.Lock()
        self._stop: Job | None = None

    def add(self, job: Job) -> bool:
        """A job has come. Tell whether it may run now; if not, `done` will name it. Raises `ProtocolError`."""
        session = self._session_of(job)
        with self._lock:
            if self._stop is not None:
                return False
            if len(self._outstanding) >= self._slots + AHEAD:
                raise ProtocolError(f"{len(self._outstanding) + 1} calls outstanding, and {self._slots} slots")
            self._outstanding[job.ident] = job
            if session is None:
                return True
            line = self._lines.get(session)
            if line is None:
                if job.kind != _wire.OPEN_SESSION:
                    return True
                line = self._lines[session] = _Line()
            job.session = session
            if line.busy:
                line.waiting.append(job)
                return False
            line.busy = True
            return True

    def begin(self, job: Job) -> bool:
        """Tell whether the job is still wanted; from now on it cannot be withdrawn."""
        with self._lock:
            job.begun = True
            return not job.withdrawn

    def withdraw(self, ident: int) -> None:
        """The host wants no more of this call, if it has not begun, than to be told so."""
        with self._lock:
            job = self._outstanding.get(ident)
            if job is not None and not job.begun:
                job.withdrawn = True

    def done(self, job: Job) -> list[Job]:
        """A job was answered. Return what may run now that could not before: the STOP, when nothing else is left."""
        with self._lock:
            self._outstanding.pop(job.ident, None)
            freed = [] if job.session is None else self._advance(job.session)
            if self._stop is not None and not self._outstanding and job is not self._stop:
                freed.append(self._stop)
            return freed

    def stop(self, job: Job) -> list[Job]:
        """Nothing more is taken. Return the STOP itself if nothing is outstanding; else the last `done` does."""
        with self._lock:
            if self._stop is not None:
                return []
            self._stop = job
            return [] if self._outstanding else [job]

    def _advance(self, session: str) -> list[Job]:
        line = self._lines[session]
        if line.waiting:
            return [line.waiting.popleft()]
        line.busy = False
        if not self._is_open(session):
            del self._lines[session]
        return []

    def _session_of(self, job: Job) -> str | None:
        if job.refused is not None:
            return None
        if job.kind in _SESSIONS:
            context = bytes(job.body)
        elif self._lines and job.kind != _wire.BIND:  # only this thread adds lines
            context = bytes(_values.decode_head(job.body)[1])
            if context == _NIL:
                return None
        else:
            return None
        return _values.decode_context(context)[3]
