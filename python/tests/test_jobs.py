"""The jobs of lanes: who gets which, and that nobody is forgotten while waiting."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from slither import _wire
from slither._backlog import Job
from slither._jobs import Inbox, Jobs

PATIENCE = 60.0


def job(ident: int) -> Job:
    return Job(_wire.BIND, 0, ident, memoryview(b""))


@contextmanager
def lane(jobs: Jobs, taken: list[int], *, turns: int = 1) -> Iterator[threading.Thread]:
    """A lane that takes so many jobs, or fewer if there are to be none."""
    inbox = Inbox()

    def serve() -> None:
        for _ in range(turns):
            given = jobs.take(inbox)
            if given is None:
                taken.append(0)
                return
            taken.append(given.ident)

    before = len(jobs._idle)
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    while thread.is_alive() and len(jobs._idle) == before and not taken:
        thread.join(0.001)
    yield thread
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_jobs_that_wait_are_taken_in_their_order() -> None:
    jobs, taken = Jobs(), list[int]()
    for ident in (1, 2, 3):
        jobs.put(job(ident))
    with lane(jobs, taken, turns=3):
        pass
    assert taken == [1, 2, 3]


def test_the_last_lane_that_came_to_wait_is_given_the_next_job() -> None:
    jobs = Jobs()
    first, last = list[int](), list[int]()
    with lane(jobs, first), lane(jobs, last) as thread:
        jobs.put(job(1))
        thread.join(PATIENCE)
        assert (first, last) == ([], [1])
        jobs.put(job(2))
    assert first == [2]


def test_a_lane_that_is_stirred_waits_on() -> None:
    jobs, taken = Jobs(), list[int]()
    with lane(jobs, taken):
        for _ in range(100):
            jobs.stir()
        assert taken == []
        jobs.put(job(7))
    assert taken == [7]


def test_nothing_is_taken_after_the_end_whatever_waits() -> None:
    jobs = Jobs()
    waited, late = list[int](), list[int]()
    with lane(jobs, waited):
        jobs.close()
    jobs.put(job(1))
    with lane(jobs, late):
        pass
    assert (waited, late) == ([0], [0])


def test_no_job_is_lost_or_taken_twice_between_many_lanes() -> None:
    jobs = Jobs()
    taken: list[list[int]] = [[] for _ in range(8)]
    done = threading.Semaphore(0)

    def serve(into: list[int]) -> None:
        inbox = Inbox()
        while (given := jobs.take(inbox)) is not None:
            into.append(given.ident)
            done.release()

    lanes = [threading.Thread(target=serve, args=[into], daemon=True) for into in taken]
    for each in lanes:
        each.start()
    for ident in range(1, 2001):
        jobs.put(job(ident))
        if ident % 10 == 0:
            jobs.stir()
    for _ in range(2000):
        assert done.acquire(timeout=PATIENCE)
    jobs.close()
    for each in lanes:
        each.join(PATIENCE)
    assert sorted(ident for into in taken for ident in into) == list(range(1, 2001))
