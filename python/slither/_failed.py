"""`Failed`: how a function fails one item and delivers the rest."""

from __future__ import annotations


class Failed:
    """A result that says "this item failed", without failing its batch.

    Returned in the place of an item's result, at the top level of the list of results. The item takes the path
    of its stage's error policy, with `reason` as the error's message (text beyond 8 KiB is cut); the other items
    are delivered.

    `reason` is turned into text with `str`.
    """

    __slots__ = ("reason",)

    def __init__(self, reason: object = "failed") -> None:
        self.reason = str(reason)

    def __repr__(self) -> str:
        return f"Failed({self.reason!r})"

    def __eq__(self, other: object) -> bool:
        return self.reason == other.reason if isinstance(other, Failed) else NotImplemented

    def __hash__(self) -> int:
        return hash((Failed, self.reason))
