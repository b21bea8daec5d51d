"""Threads for tests: all at once, or strictly one after the other, as plain as the guide has them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable


def at_once(count: int, work: Callable[[], object]) -> None:
    """Have `work` done by threads that are all there before the first begins."""
    ready = threading.Barrier(count)

    def run() -> None:
        ready.wait(20)
        work()

    _run([threading.Thread(target=run, name=f"t{number}") for number in range(1, count + 1)], apart=False)


def in_turn(count: int, work: Callable[[], object]) -> None:
    """Have `work` done by threads of which each has ended before the next is there."""
    _run([threading.Thread(target=work, name=f"t{number}") for number in range(1, count + 1)], apart=True)


def gil() -> bool:
    """Tell whether threads take turns in this interpreter."""
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def _run(threads: list[threading.Thread], apart: bool) -> None:
    for thread in threads:
        thread.start()
        if apart:
            thread.join(20)
    for thread in threads:
        thread.join(40)
        assert not thread.is_alive()
