"""Python's own pool after a kill: it is broken and made anew; prints the seconds to the first good result, in lines.

The function is imported by the workers, as it would be with an executor that is made before any import.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any


def call(name: str) -> Any:
    """Imports `module:function` and calls it."""
    module, function = name.split(":")
    return getattr(importlib.import_module(module), function)()


def main() -> None:
    """Kills so many workers of an executor."""
    name, kills = sys.argv[1], int(sys.argv[2])
    executor = ProcessPoolExecutor(1)
    for _ in range(kills):
        victim = executor.submit(call, name).result()
        running = executor.submit(time.sleep, 300)
        while not running.running():
            time.sleep(0.001)  # sleep: polls for the start of the call
        os.kill(victim, signal.SIGKILL)
        killed = time.perf_counter()
        try:
            executor.submit(call, name).result()
            raise AssertionError("a broken executor has answered")
        except BrokenProcessPool:
            executor.shutdown(wait=False)
            executor = ProcessPoolExecutor(1)
            answered = executor.submit(call, name).result()
        took = time.perf_counter() - killed
        assert answered != victim
        sys.stdout.write(f"{took}\n")
    executor.shutdown()


if __name__ == "__main__":
    main()
