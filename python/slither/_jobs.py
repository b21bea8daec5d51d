"""The jobs of a worker's lanes: a lane that is free takes the one that has waited longest, or waits to be given one.

Of the lanes that wait, the last to come is given the next job: what it ran is still in its core's caches.
"""

from __future__ import annotations

import threading
from collections import deque

from slither._backlog import Job


class Inbox:
    """Where a lane waits. It is listed as idle then, and off the list when somebody puts in the one thing it holds."""

    def __init__(self) -> None:
        self._given: Job | None = None
        self._full = threading.Lock()  # free when something was put in
        self._full.acquire()

    def put(self, job: Job | None) -> None:
        """Give the lane a job, or with None have it look again."""
        self._given = job
        self._full.release()

    def wait(self) -> Job | None:
        """Wait for what is put in."""
        self._full.acquire()
        given, self._given = self._given, None
        return given


class Jobs:
    """Jobs that wait for lanes, or lanes that wait for jobs. How many there may be, the backlog bounds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Job] = deque()
        self._idle: list[Inbox] = []
        self._closed = False

    def put(self, job: Job) -> None:
        """Give a job to a lane that waits, or have it wait for one."""
        with self._lock:
            if not self._idle:
                self._waiting.append(job)
                return
            inbox = self._idle.pop()
        inbox.put(job)

    def take(self, inbox: Inbox) -> Job | None:
        """Wait for a job, in the thread of a lane. None says that there will be none."""
        while True:
            with self._lock:
                if self._closed:
                    return None
                if self._waiting:
                    return self._waiting.popleft()
                self._idle.append(inbox)
            job = inbox.wait()
            if job is not None:
                return job

    def stir(self) -> None:
        """Have the lanes that wait run for a moment.

        Without the GIL an object whose last reference goes in another thread is freed by the one that made it, when
        that runs the next time.
        """
        with self._lock:
            idle, self._idle = self._idle, []
        for inbox in idle:
            inbox.put(None)

    def close(self) -> None:
        """There is nothing to take any more, whatever still waits."""
        self._closed = True
        self.stir()
