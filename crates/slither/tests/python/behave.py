"""What the integration tests ask of Python: to work, to fail, and to die in every way."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from typing import Any

import slither

_seen: list[Any] = []


def echo(items: list[Any]) -> list[Any]:
    """Gives back what it got."""
    return items


def pids(items: list[Any]) -> list[int]:
    """Gives the worker's process id for each item."""
    return [os.getpid() for _ in items]


def remember(items: list[Any]) -> list[Any]:
    """Keeps the items in the worker, and gives them back."""
    _seen.extend(items)
    return items


def remembered() -> list[Any]:
    """Gives what this worker keeps."""
    return _seen


def add(first: int, second: int = 10) -> int:
    """Adds two numbers."""
    return first + second


def who() -> int:
    """Gives the worker's process id."""
    return os.getpid()


def context(items: list[Any]) -> list[Any]:
    """Gives what the SDK says of the run."""
    here = slither.context()
    return [[here.run_id, here.pipe, here.stage, here.session_id, here.attempt] for _ in items]


def view(items: list[dict[str, Any]]) -> list[Any]:
    """Calls the view that each item names, and gives its answer or the exception's class and text."""
    answers: list[Any] = []
    for item in items:
        try:
            answers.append(slither.view(item["view"], **item["args"]))
        except slither.SlitherError as error:
            answers.append([type(error).__name__, str(error)])
    return answers


def views(items: list[dict[str, Any]]) -> list[Any]:
    """Calls one view many times at once."""
    return [slither.view_many(item["view"], item["calls"]) for item in items]


def act(items: list[Any]) -> list[Any]:
    """Does what the items say; a text names a deed, anything else is given back."""
    return [_deed(item) for item in items]


def _deed(item: Any) -> Any:
    match item:
        case "raise":
            raise ValueError("as asked")
        case "failed":
            return slither.Failed("not this one")
        case "set":
            return {1, 2}
        case "segfault":
            ctypes.string_at(0)
        case "exit":
            os._exit(0)
        case "libc-exit":
            ctypes.CDLL(None).exit(3)
        case "sys-exit":
            sys.exit(4)
        case "interrupt":
            raise KeyboardInterrupt
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "abort":
            os.abort()
        case "hang":
            while True:
                pass
        case "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                pass
        case "hold-gil":
            ctypes.PyDLL(None).sleep(60)
        case "print":
            print("hello from user code")
            os.write(1, b"raw bytes \x1b[31m\n")
        case "flood":
            for _ in range(100):
                os.write(2, b"x" * 999_999 + b"\n")
        case "grandchild":
            child = subprocess.Popen(["sleep", "300"], start_new_session=True)
            return child.pid
        case "fork":
            if os.fork() == 0:
                time.sleep(300)
                os._exit(0)
        case "big":
            return b"x" * (2 << 20)
    return item


def nothing(items: list[Any]) -> None:
    """Gives None where a list is due."""


def short(items: list[Any]) -> list[Any]:
    """Loses an item."""
    return items[1:]


def mapping(items: list[Any]) -> dict[str, Any]:
    """Gives a dict where a list is due."""
    return {"items": items}


def wait_for_file(items: list[str]) -> list[str]:
    """Makes a file `….begun` for each item, and returns when the files that the items name exist."""
    for path in items:
        open(path + ".begun", "w").close()
        while not os.path.exists(path):
            time.sleep(0.002)  # sleep: polls for the test's own event
    return items
