"""A module whose import takes until a gate opens."""

from __future__ import annotations

from collections.abc import Iterator

import parallel

assert parallel.gate("import").wait(parallel.PATIENCE)


def numbers() -> Iterator[int]:
    try:
        yield from range(1_000_000)
    finally:
        parallel.gate("closed").set()
