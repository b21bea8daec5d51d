"""User code that does not want to end."""

from __future__ import annotations

import atexit
import os
import threading
from typing import Any


def at_exit(items: list[str]) -> list[Any]:
    atexit.register(os.write, 2, items[0].encode())
    return items


def thread(items: list[Any]) -> list[Any]:
    threading.Thread(target=threading.Event().wait).start()
    return items
