"""Progress: rare on the wire however often it is reported, never lost at the end, nothing where no call runs."""

from __future__ import annotations

import os
from typing import Any

import pytest
from fakehost import FakeWorker

import slither
from slither import _wire


def reports(worker: FakeWorker) -> list[tuple[int, Any]]:
    return [(about, body) for kind, _, about, body in worker.meanwhile if kind == _wire.PROGRESS]


def test_a_tight_loop_sends_little_and_always_the_end(worker: FakeWorker) -> None:
    ident = worker.next_id + 1
    assert worker.result("sample:counts", [20_000]) == [20_000]
    came = reports(worker)
    assert came[-1] == (ident, [20_000, 20_000])
    assert len(came) < 200, "one each 100 ms"
    assert [body[0] for _, body in came] == sorted({body[0] for _, body in came}), "each once, and in order"


def test_the_total_may_be_unknown_and_threads_may_report(worker: FakeWorker) -> None:
    assert worker.result("sample:counts_in_a_thread", [7]) == [7]
    assert reports(worker)[-1][1] == [7, 7]
    worker.meanwhile.clear()
    worker.execute("sample:counts_for_long", [0.25])
    came = [body for _, body in reports(worker)]
    assert came
    assert all(total is None for _, total in came)


@pytest.mark.parametrize(
    ("done", "total", "error"),
    [(-1, 2, ValueError), (1, -2, ValueError), (2**63, None, ValueError), (1.0, 2, TypeError), (True, 2, TypeError)],
)
def test_what_is_no_count_is_refused(done: Any, total: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="progress"):
        slither.progress(done, total)


def test_outside_a_call_it_does_nothing_and_in_a_forked_process_it_is_refused(worker: FakeWorker) -> None:
    slither.progress(1, 2)
    slither.progress(2, 2)
    kind, _, body = worker.execute("sample:progress_in_a_child")
    assert (kind, body) == (_wire.RESULT, "NotInWorker")
    assert os.getpid() != worker.pid
    worker.alive()
