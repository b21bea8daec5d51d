"""Threads of the SDK's own, which no process has to wait for at its end."""

from __future__ import annotations

import threading
from collections.abc import Callable


def start(work: Callable[[], object], name: str) -> threading.Thread | None:
    """Start a thread, or return None where the process may have no more: what it was to do has to be done without."""
    thread = threading.Thread(target=work, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return None
    return thread
