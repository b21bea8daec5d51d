"""Progress: how a function that takes its time says how far it is.

Reports are rare for the host however often they are made: one each 100 ms is sent of what runs in one slot, and the
one that says that everything is done. The others cost a look at the clock. A report that the socket does not take at
once is dropped.
"""

from __future__ import annotations

from time import monotonic
from typing import Final

from slither import _current

EVERY: Final = 0.1
_LARGEST: Final = 2**63 - 1


def progress(done: int, total: int | None = None) -> None:
    """Tell the host that `done` of `total` are done, in units of the caller's choice; None if there is no saying.

    It shows in the pool's statistics, as a telemetry event, and to who has asked the host for progress. At most one
    report each 100 ms is sent, and the first of a call with `done` equal to `total`. It may be called from any
    thread of the call. It does not extend the deadline of the call.

    Where no call is running it does nothing: a function that reports can be tested as it is. In a process forked
    from a worker it raises `NotInWorker`. A number that is negative or beyond 63 bits raises `ValueError`, and what
    is no int `TypeError`.
    """
    for name, value in (("done", done), ("total", total)):
        if type(value) is not int:
            if value is None and name == "total":
                continue
            raise TypeError(f"slither.progress() takes ints, and {name} is of type {type(value).__name__}")
        if not 0 <= value <= _LARGEST:
            raise ValueError(f"slither.progress() takes numbers from 0 to 2**63 - 1, and {name} is {value}")
    here = _current.find()
    now = monotonic()
    if here is None or (now < here.report_due and done != total):
        return
    runner = _current.running("slither.progress()")
    if runner is None:
        return
    call = runner.call
    if done == total:
        if runner.reported_done == call:
            return
        runner.reported_done = call
    runner.report_due = now + EVERY
    runner.report(call, done, total)
