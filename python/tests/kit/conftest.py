"""Each test begins without the checkers of those before it, which end when they are collected."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from slither._kit import watching


@pytest.fixture(autouse=True)
def no_checker_of_others() -> Iterator[None]:
    """Collect what other threads were the last to let go of: without a GIL that takes a moment."""
    gc.collect()
    assert watching._active == []
    yield
    gc.collect()
