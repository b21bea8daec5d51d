"""What the tests of error policies ask of Python: poison that stays, and failures that pass."""

from __future__ import annotations

import ctypes
import os
import time
from typing import Any

import slither


class Busy(Exception):
    """A failure that passes."""


class VeryBusy(Busy):
    """A kind of Busy."""


def poison(items: list[Any]) -> list[Any]:
    """Segfaults at the text `poison`, raises at `bad`, gives back anything else."""
    for item in items:
        if item == "poison":
            ctypes.string_at(0)
        if item == "bad":
            raise ValueError("bad item")
    return items


def attempts(items: list[Any]) -> list[Any]:
    """Fails its first two attempts as the items say, then gives the attempt's number for each."""
    attempt = slither.context().attempt
    for item in items:
        if attempt < 3:
            match item:
                case "busy":
                    raise VeryBusy("come back")
                case "retry":
                    raise slither.Retry("not yet", after=0.01)
                case "die":
                    os.kill(os.getpid(), 9)
                case "hang":
                    time.sleep(60)  # sleep: hangs, for the deadline to end  # sleep: stands for a call that hangs
    return [slither.Retry("this one") if item == "alone" and attempt < 3 else attempt for item in items]


def fails_once(items: list[str]) -> list[str]:
    """Kills the worker the first time that it sees an item: the item is the file that remembers."""
    for item in items:
        if not os.path.exists(item):
            open(item, "w").close()
            os.kill(os.getpid(), 9)
    return items


def after_a_while(items: list[float]) -> list[int]:
    """Asks for another attempt after as many seconds as the first item says."""
    if slither.context().attempt == 1:
        raise slither.Retry("later", after=items[0])
    return [slither.context().attempt for _ in items]


def item_after_a_while(items: list[float]) -> list[Any]:
    """Asks for another attempt of each item, after as many seconds as it says."""
    attempt = slither.context().attempt
    return [slither.Retry("later", after=item) if attempt == 1 else attempt for item in items]
