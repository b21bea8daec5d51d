"""What is called before and after a kill."""

from __future__ import annotations

import os
import time


def who() -> int:
    """Gives the process id."""
    return os.getpid()


def hang() -> int:
    """Says that it has begun, and waits to be killed."""
    import slither

    slither.progress(0)
    time.sleep(300)  # sleep: to be killed
    return 0
