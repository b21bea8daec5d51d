"""Functions that keep something for a session, for tests."""

from __future__ import annotations

from typing import Any

import slither


def put(items: list[Any]) -> list[int]:
    """Keeps the items; says how many it keeps."""
    kept = slither.session().setdefault("kept", [])
    kept.extend(items)
    return [len(kept)] * len(items)


def error(items: list[Any]) -> list[str]:
    """Says how `session()` fails."""
    try:
        slither.session()
    except slither.NotInSession as raised:
        return [str(raised)] * len(items)
    return ["it did not"] * len(items)


def hooks(items: list[str]) -> list[str]:
    """Adds hooks that write what they see to the file that the last item names."""
    path = items[-1]

    def note(name: str) -> None:
        with open(path, "a") as file:
            file.write(f"{name} {slither.context().session_id} {slither.session()['kept']}\n")

    def first() -> None:
        note("first")

    def broken() -> None:
        raise SystemExit("a hook that fails")

    def last() -> None:
        note("last")
        slither.on_session_end(lambda: note("added"))

    slither.session()["kept"] = 1
    for hook in (first, first, broken, last):
        slither.on_session_end(hook)
    return items
