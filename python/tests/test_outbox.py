"""The outbox: who waits for room hears of it, also when it is made in the moment in which the waiting begins."""

from __future__ import annotations

import asyncio
import threading
from typing import cast

import pytest

from slither import _wire
from slither._outbox import Outbox


class Gated:
    """A connection that takes nothing at once, and the rest when the gate is open."""

    max_frame = 1 << 30

    def __init__(self) -> None:
        self.gate = threading.Event()

    def send_some(self, _frame: bytearray) -> int:
        return 0

    def send_rest(self, _frame: bytearray, _sent: int) -> None:
        assert self.gate.wait(30)


def test_room_that_is_made_while_somebody_begins_to_wait_is_heard_of(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = Gated()

    async def send() -> None:
        loop = asyncio.get_running_loop()
        outbox = Outbox(cast("_wire.Connection", connection), loop)
        make = loop.create_future

        def make_late() -> asyncio.Future[None]:
            # It was seen that there is no room: now there is, and nobody waits for it yet.
            sender = outbox._sender
            connection.gate.set()
            if sender is not None:
                sender.join(0.3)
            return make()

        outbox.send(_wire.PARTIAL, 0, 1, bytearray(_wire.HEADER_SIZE + (2 << 20)))

        async def wait() -> None:
            monkeypatch.setattr(loop, "create_future", make_late, raising=False)
            await outbox.room()

        waiting = asyncio.ensure_future(wait())
        await asyncio.wait([waiting], timeout=20)
        monkeypatch.undo()
        assert waiting.done(), "it waits for ever"

    asyncio.run(send())
