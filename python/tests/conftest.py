"""Fixtures, and the time limit that every test has."""

from __future__ import annotations

import faulthandler
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from fakehost import FakeNursery, FakeWorker  # noqa: E402

LIMIT = 60


@pytest.fixture(autouse=True)
def time_limit() -> Iterator[None]:
    """End the run, with every thread's stack, if one test takes more than a minute."""
    faulthandler.dump_traceback_later(LIMIT, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def nursery() -> Iterator[FakeNursery]:
    made = FakeNursery()
    made.ready()
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared_nursery() -> Iterator[FakeNursery]:
    made = FakeNursery(max_frame=8 << 20)
    made.ready()
    yield made
    made.close()


@pytest.fixture(scope="module")
def module_worker(shared_nursery: FakeNursery) -> FakeWorker:
    return shared_nursery.worker()


@pytest.fixture
def worker(module_worker: FakeWorker) -> FakeWorker:
    """A worker that the tests of a module share: each of them leaves it serving."""
    module_worker.meanwhile.clear()
    return module_worker
