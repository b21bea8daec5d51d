"""Sessions: state that lives from the frame that opens one to the frame that ends it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fakehost import FakeNursery, FakeWorker, pack

import slither
from slither import _wire


def context(session: str | None) -> list[Any]:
    return [None, None, None, session, 1, None]


def turn(worker: FakeWorker, kind: int, session: str) -> Any:
    kind, flags, body = worker.answer(worker.send(kind, pack(context(session))))
    assert (kind, flags) == (_wire.RESULT, 0)
    return body


def test_state_is_there_in_every_call_of_the_session_and_in_no_other(worker: FakeWorker) -> None:
    for session in ("s-a", "s-b"):
        assert turn(worker, _wire.OPEN_SESSION, session) == 0
    assert worker.result("keeping:put", [1, 2], context("s-a")) == [2, 2]
    assert worker.result("keeping:put", [3], context("s-b")) == [1]
    assert worker.result("keeping:put", [4], context("s-a")) == [3]
    assert turn(worker, _wire.END_SESSION, "s-a") == 0
    assert "s-a, which keeps no state" in worker.result("keeping:error", [1], context("s-a"))[0]
    assert worker.result("keeping:put", [5], context("s-b")) == [2]
    assert turn(worker, _wire.OPEN_SESSION, "s-a") == 0
    assert worker.result("keeping:put", [6], context("s-a")) == [1], "opened anew it is empty"
    for session in ("s-a", "s-b"):
        assert turn(worker, _wire.END_SESSION, session) == 0
    assert turn(worker, _wire.END_SESSION, "s-a") == 0, "what is not open has ended"


def test_a_call_of_no_session_is_told_what_to_do(worker: FakeWorker) -> None:
    (told,) = worker.result("keeping:error", [1])
    assert told.splitlines() == [
        "slither.session() works in a call of an opened session; this call belongs to no session",
        "hint: open one in Rust with `slither.open_session(pool)`, with an affinity other than `Hint`, and call "
        "through its handle",
    ]
    with pytest.raises(slither.NotInWorker):
        slither.session()
    with pytest.raises(slither.NotInWorker):
        slither.on_session_end(print)


def test_hooks_run_once_the_latest_first_and_what_they_raise_is_logged(worker: FakeWorker, tmp_path: Path) -> None:
    path = tmp_path / "notes"
    turn(worker, _wire.OPEN_SESSION, "s-1")
    worker.result("keeping:hooks", [str(path)], context("s-1"))
    assert turn(worker, _wire.END_SESSION, "s-1") == 1, "one raised"
    assert path.read_text().splitlines() == ["last s-1 1", "added s-1 1", "first s-1 1"]
    (log,) = [body for kind, _, _, body in worker.meanwhile if kind == _wire.LOG]
    level, logger, message, _ = log
    assert (level, logger) == (40, "slither.session")
    assert "broken of session s-1 raised\nTraceback" in message
    assert "SystemExit: a hook that fails" in message
    turn(worker, _wire.OPEN_SESSION, "s-1")
    assert turn(worker, _wire.END_SESSION, "s-1") == 0
    assert len(path.read_text().splitlines()) == 3
    worker.alive()


def test_a_worker_that_stops_ends_its_sessions_before(nursery: FakeNursery, tmp_path: Path) -> None:
    worker = nursery.worker()
    path = tmp_path / "notes"
    turn(worker, _wire.OPEN_SESSION, "s-2")
    worker.result("keeping:hooks", [str(path)], context("s-2"))
    worker.send(_wire.STOP, ident=0)
    assert nursery.hear()["code"] == 0
    assert path.read_text().splitlines() == ["last s-2 1", "added s-2 1", "first s-2 1"]
