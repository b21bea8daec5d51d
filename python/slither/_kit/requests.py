"""Requests: each call of an adapter has a number, and is counted while it runs.

A method that is called by another one of the same adapter belongs to the request that is running already.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any, Final, Protocol, TypedDict

log: Final = logging.getLogger("slither.adapter")

# Threads are told apart by name up to this many; the requests of the others are added up under one.
_THREADS: Final = 256
_OTHERS: Final = "others"


class Request:
    """A call of an adapter that is running: its number (from 1), the method's name, the thread's name."""

    __slots__ = ("_owner", "done", "method", "number", "thread")

    def __init__(self, owner: Requests, number: int, method: str, thread: str) -> None:
        self._owner = owner
        self.number = number
        self.method = method
        self.thread = thread
        self.done = False

    def __repr__(self) -> str:
        return f"<request #{self.number}: {self.method} in {self.thread}>"

    def belongs_to(self, owner: Requests) -> bool:
        """Tell whether it is a request to this adapter, and still running."""
        return self._owner is owner and not self.done


_running: Final[ContextVar[Request | None]] = ContextVar("slither_request", default=None)


def current_request() -> Request | None:
    """Return the request that this thread or task is running, or None."""
    request = _running.get()
    # A thread may inherit the context of the request that started it, and outlive that.
    return None if request is None or request.done else request


Entry = tuple[Request, Token["Request | None"]]


class ThreadUtilization(TypedDict):
    """What one thread has done: how many requests, and how many of them are running."""

    requests: int
    active: int


class Stats(TypedDict):
    """What `get_stats` returns. `max_workers` is None as long as no host has said how many threads there are."""

    total_requests: int
    active_requests: int
    max_workers: int | None
    thread_utilization: dict[str, ThreadUtilization]


class Observer(Protocol):
    """Who is told which method is entered and left: the checker."""

    def entered(self, method: str) -> None:
        """A request to `method` begins in this thread."""

    def left(self, method: str) -> None:
        """A request to `method` ends in this thread."""


class Requests:
    """The requests of one adapter."""

    def __init__(self, observer: Observer | None = None) -> None:
        self.max_workers: int | None = None
        self._observer = observer
        self._lock = threading.Lock()
        self._total = 0
        self._active = 0
        self._threads: dict[str, ThreadUtilization] = {}

    def enter(self, method: str) -> Entry | None:
        """Begin a request and be in it, until `leave`; None if one is running here that this call belongs to."""
        running = _running.get()
        if running is not None and running.belongs_to(self):
            return None
        request = self.begin(method)
        return request, _running.set(request)

    def leave(self, entry: Entry | None) -> None:
        """End what `enter` has begun."""
        if entry is not None:
            _running.reset(entry[1])
            self.end(entry[0])

    def begin(self, method: str) -> Request:
        """Count a request as running."""
        thread = threading.current_thread().name
        with self._lock:
            self._total += 1
            self._active += 1
            number = self._total
            if thread not in self._threads and len(self._threads) >= _THREADS:
                thread = _OTHERS
            use = self._threads.get(thread)
            if use is None:
                use = self._threads[thread] = {"requests": 0, "active": 0}
            use["requests"] += 1
            use["active"] += 1
        request = Request(self, number, method, thread)
        _say("started", request)
        if self._observer is not None:
            self._observer.entered(method)
        return request

    def end(self, request: Request) -> None:
        """Count a request as done."""
        if self._observer is not None:
            self._observer.left(request.method)
        request.done = True
        with self._lock:
            self._active -= 1
            self._threads[request.thread]["active"] -= 1
        _say("finished", request)

    def stats(self) -> Stats:
        """Return the counts, all of one moment."""
        with self._lock:
            return {
                "total_requests": self._total,
                "active_requests": self._active,
                "max_workers": self.max_workers,
                "thread_utilization": {name: use.copy() for name, use in self._threads.items()},
            }


@contextmanager
def resumed(request: Request) -> Iterator[None]:
    """Be within a request that was begun before, for one step of a generator."""
    token = _running.set(request)
    try:
        yield
    finally:
        _running.reset(token)


class RequestFilter(logging.Filter):
    """Gives each log record the fields `request` (a number, `-` outside one) and `method`, for its format.

    handler.addFilter(slither.RequestFilter())
    handler.setFormatter(logging.Formatter("%(asctime)s [%(threadName)s] #%(request)s %(message)s"))
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the fields; every record passes."""
        request = current_request()
        fields: dict[str, Any] = record.__dict__
        fields.setdefault("request", "-" if request is None else request.number)
        fields.setdefault("method", "-" if request is None else request.method)
        return True


def _say(what: str, request: Request) -> None:
    if log.isEnabledFor(logging.INFO):
        fields = {"request": request.number, "method": request.method}
        thread = threading.current_thread().name
        log.info("[%s] request #%d %s: %s", thread, request.number, what, request.method, extra=fields)
