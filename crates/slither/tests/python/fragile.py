"""Kills its worker as long as a file is there, and works when that is gone."""

from __future__ import annotations

import os
import signal
from typing import Any


def work(items: list[str]) -> list[Any]:
    """Gives the worker's process id for each item, if the file that it names is not there."""
    for path in items:
        if os.path.exists(path):
            os.kill(os.getpid(), signal.SIGKILL)
    return [os.getpid() for _ in items]
