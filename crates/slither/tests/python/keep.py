"""What the tests of sessions ask of Python: to keep something, to say what is kept, and to note how it ends."""

from __future__ import annotations

import os
import time
from typing import Any

import slither


def put(items: list[Any]) -> list[list[int]]:
    """Keeps the items in the session; gives the worker's process id and how many are kept, for each."""
    kept = slither.session().setdefault("kept", [])
    kept.extend(items)
    return [[os.getpid(), len(kept)] for _ in items]


def kept() -> list[Any]:
    """Gives what the session keeps."""
    return list(slither.session().get("kept", []))


def note_end(path: str) -> int:
    """Has a line with pid, session and what is kept added to the file when the session ends; gives the pid."""

    def note() -> None:
        with open(path, "a") as file:
            file.write(f"{os.getpid()} {slither.context().session_id} {slither.session().get('kept')}\n")

    slither.on_session_end(note)
    return os.getpid()


def raise_at_end() -> None:
    """Has a hook raise when the session ends."""

    def broken() -> None:
        raise ValueError("as asked")

    slither.on_session_end(broken)


def hang_at_end() -> None:
    """Has a hook that does not return."""
    slither.on_session_end(lambda: time.sleep(300))  # sleep: to be killed


def ask(items: list[str]) -> list[Any]:
    """Asks the view that each item names; gives its answer, or the exception's class."""
    answers: list[Any] = []
    for name in items:
        try:
            answers.append(slither.view(name))
        except slither.SlitherError as error:
            answers.append(type(error).__name__)
    return answers


def state(items: list[Any]) -> list[str]:
    """Says whether there is state here, by the session's id or the exception's class."""
    try:
        slither.session()
    except slither.SlitherError as error:
        return [type(error).__name__ for _ in items]
    return [str(slither.context().session_id) for _ in items]
