"""Profiles: how a worker runs its calls (docs/PROTOCOL.md, *Several calls at once*)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from slither import _gil

THREADS_LIMIT = 256
CONCURRENCY_LIMIT = 1024


class Profile(msgspec.Struct, frozen=True):
    """One call at a time, several in threads, or several as coroutines of an event loop."""

    kind: Literal["process", "thread", "async"] = "process"
    threads: Annotated[int, msgspec.Meta(ge=1, le=THREADS_LIMIT)] = 1
    io_bound: bool = False
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=CONCURRENCY_LIMIT)] = 1

    def slots(self) -> int:
        """Return how many calls a worker takes at once, as the GIL is now."""
        if self.kind == "async":
            return self.concurrency
        if self.kind == "thread" and (self.io_bound or not _gil.WATCH.on):
            return self.threads
        return 1

    def boxes(self) -> int:
        """Return how many slots the black box has."""
        return {"process": 1, "thread": self.threads, "async": self.concurrency + 1}[self.kind]
