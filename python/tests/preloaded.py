"""A preload that says what its environment was, so that a test can see it from a worker."""

from __future__ import annotations

import os
from typing import Any

THEN = os.environ.get("OMP_NUM_THREADS")
PID = os.getpid()


def report(items: list[Any]) -> list[Any]:
    return [[THEN, os.environ.get("OMP_NUM_THREADS"), os.getpid() != PID] for _ in items]
