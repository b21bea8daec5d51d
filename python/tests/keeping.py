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


class Box:
    """Holds a name."""

    def __init__(self, name: str) -> None:
        self.name = name


def boxes(items: list[str]) -> list[slither.Ref]:
    return [slither.ref(Box(name)) for name in items]


def open_boxes(items: list[Box]) -> list[str]:
    return [box.name for box in items]


def box_and_set() -> list[Any]:
    return [slither.ref(Box("lost")), {1, 2}]


def boxes_and_sets(items: list[int]) -> list[Any]:
    return [box_and_set() for _ in items]


def many_boxes(items: list[int]) -> list[Any]:
    return [[slither.ref(None) for _ in range(count)] for count in items]


def ask_with_box(items: list[int]) -> list[Any]:
    return [slither.view("lookup", key=slither.ref(items))]


def held() -> int:
    from slither import _refs

    return len(_refs.TABLE._held)
