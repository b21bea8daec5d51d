"""The profile `thread`: calls run in a fixed set of threads, and the main thread reads.

Without the GIL they run at the same time. With it they take turns, which is worth it only for calls that mostly wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from slither import _blackbox, _wire
from slither._backlog import Job
from slither._exceptions import ProtocolError
from slither._lane import Lane
from slither._several import Several

if TYPE_CHECKING:
    from slither._hosted import Hosted
    from slither._setup import Setup


class ThreadWorker(Several):
    """One process, as many lanes as it has slots."""

    def __init__(
        self,
        connection: _wire.Connection,
        box: _blackbox.BlackBox,
        token: int,
        setup: Setup,
        hosted: Hosted | None = None,
    ) -> None:
        super().__init__(connection, box, token, setup, hosted)
        self._lanes = [Lane(self, number, self.slots, self.jobs) for number in range(self.slots)]

    def run(self) -> int:
        """Read until STOP has been done or the connection ends; then wait for what runs. Return the exit code."""
        read, route = self.connection.read, self.route
        try:
            self.begin(self._lanes)
            while True:
                try:
                    route(*read())
                except _wire.NoRoom as error:
                    self.refuse(error)
        except (_wire.Closed, ProtocolError) as error:
            self.fail(error)
        self.closed = True
        for lane in self._lanes:
            lane.end_replies()
        self.jobs.close()
        for lane in self._lanes:
            lane.join()
        self.release.close()
        self.clean_up()
        return self.code()

    def run_job(self, job: Job) -> None:
        """Have the next lane that is free run a job."""
        self.jobs.put(job)

    def cancel(self, ident: int) -> None:
        """Have a stream end at its next value; no other call can be made to."""
        for lane in self._lanes:
            lane.room.withdraw(ident)

    def give(self, ident: int, values: int) -> None:
        """The host has taken so many values of a stream."""
        for lane in self._lanes:
            lane.room.give(ident, values)

    def take_reply(self, ident: int, flags: int, body: memoryview) -> None:
        """Hand the answer of a view to the lane that asked; one that nobody awaits any more is dropped there."""
        self._lanes[(ident - 1) % self.slots].reply(ident, flags, body)
