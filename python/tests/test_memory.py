"""Memory: what of it a worker may have, what happens when it runs out, and what is reported at the worker's death."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fakehost import FakeNursery, FakeWorker, pack

from slither import _wire

MIB = 1 << 20


@pytest.fixture(params=["fork", "spawn"])
def limited(request: pytest.FixtureRequest) -> Iterator[FakeWorker]:
    nursery = FakeNursery(start=request.param, memory_limit=256 * MIB)
    nursery.ready()
    yield nursery.worker()
    nursery.close()


def test_the_least_that_a_pool_may_allow_is_enough_to_work() -> None:
    nursery = FakeNursery(memory_limit=128 * MIB)
    nursery.ready()
    nursery.worker().alive()
    nursery.close()


def test_a_call_that_takes_more_than_its_worker_may_have_fails_alone(limited: FakeWorker) -> None:
    for _ in range(3):
        error = limited.error("sample:large", [512 * MIB], "out_of_memory")
        assert error["exception"][0] == "MemoryError"
        assert "in large" in error["traceback"]
        assert error["message"].startswith("python ran out of memory\nhint: ")
        limited.alive()


def test_a_frame_that_there_is_no_room_for_fails_alone(limited: FakeWorker) -> None:
    body = pack(["sample:echo", None, [b"x" * (250 * MIB)]])
    kind, _, error = limited.answer(limited.send(_wire.CALL, body))
    assert (kind, error["kind"]) == (_wire.ERROR, "out_of_memory")
    assert error["message"] == f"there is no memory for a frame of {len(body)} bytes"
    limited.alive()


def test_the_most_that_a_worker_occupied_is_reported_with_its_death(nursery: FakeNursery) -> None:
    worker = nursery.worker()
    worker.result("sample:large", [96 * MIB])
    worker.send(_wire.STOP, ident=0)
    packet = nursery.hear()
    assert packet["op"] == "exited"
    assert 96 * MIB < packet["max_rss"] < 1024 * MIB


def test_what_is_imported_is_named_in_the_black_box(worker: FakeWorker) -> None:
    worker.bind("sample:echo")
    assert worker.subject() == "sample:echo"
    worker.bind("nowhere:" + "ü" * 200)
    assert len(worker.subject().encode()) <= 256


@pytest.mark.parametrize(
    "profile", [{"kind": "thread", "threads": 2, "io_bound": True}, {"kind": "async", "concurrency": 4}]
)
def test_a_frame_without_room_fails_alone_where_several_calls_run(profile: dict[str, object]) -> None:
    nursery = FakeNursery(profile=profile, memory_limit=512 * MIB, max_frame=1 << 30)
    nursery.ready()
    worker = nursery.worker()
    worker.alive()
    body = pack(["sample:echo", None, [b"x" * (600 * MIB)]])
    for _ in range(2):
        kind, _, error = worker.answer(worker.send(_wire.CALL, body))
        assert (kind, error["kind"]) == (_wire.ERROR, "out_of_memory")
        assert error["message"] == f"there is no memory for a frame of {len(body)} bytes"
        worker.alive()
    nursery.close()
