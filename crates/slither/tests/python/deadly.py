"""A module that tells when it is imported, and can be made to die or to hang of it."""

from __future__ import annotations

import os
import time
from typing import Any

_FILE = os.environ["DEADLY"]

with open(_FILE, "a") as file:
    file.write(f"{os.getpid()}\n")
if os.path.exists(_FILE + ".die"):
    os._exit(3)
if os.path.exists(_FILE + ".hang"):
    time.sleep(300)  # sleep: to be killed


def echo(items: list[Any]) -> list[Any]:
    """Gives back what it got."""
    return items
