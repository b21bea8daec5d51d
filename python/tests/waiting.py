"""Coroutines for tests of workers that hold many calls in an event loop."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import slither

PATIENCE = 60.0
gates: dict[str, asyncio.Event] = {}
told: list[str] = []


def gate(name: str) -> asyncio.Event:
    return gates.setdefault(name, asyncio.Event())


async def wait(items: list[str]) -> list[str]:
    for item in items:
        await asyncio.wait_for(gate(item).wait(), PATIENCE)
    return items


async def open_gate(items: list[str]) -> list[str]:
    for item in items:
        gate(item).set()
    return items


async def nap(items: list[float]) -> list[float]:
    for item in items:
        await asyncio.sleep(item)
    return items


async def add(a: int, b: int = 0) -> int:
    await asyncio.sleep(0)
    return a + b


async def fails(items: list[str]) -> list[str]:
    await wait(items)
    raise ValueError(f"no {items[0]}")


async def exits(items: list[str]) -> list[str]:
    """Raises what asyncio does not keep in its tasks, in a task of its own and then itself."""

    async def leave() -> None:
        raise SystemExit(3)

    try:
        await asyncio.create_task(leave())
    except SystemExit:
        told.append("left")
    raise KeyboardInterrupt


async def cleans_up(items: list[str]) -> list[str]:
    try:
        await wait(items)
    except asyncio.CancelledError:
        told.append(f"cleaning {items[0]}")
        await asyncio.wait_for(gate("clean").wait(), PATIENCE)
        told.append(f"cleaned {items[0]}")
        raise
    return items


async def makes_the_best_of_it(items: list[str]) -> list[str]:
    try:
        await wait(items)
    except asyncio.CancelledError:
        return [f"without {item}" for item in items]
    return items


async def will_not_end(items: list[str]) -> list[str]:
    while not gate(items[0]).is_set():
        try:
            await asyncio.sleep(PATIENCE)
        except asyncio.CancelledError:
            told.append(f"still {items[0]}")
            await gate(items[0]).wait()
    return items


async def cancels_itself(items: list[str]) -> list[str]:
    raise asyncio.CancelledError("my own")


async def hears(items: list[Any]) -> list[str]:
    found = list(told)
    told.clear()
    return [" ".join(found) for _ in items]


async def steps(items: list[str]) -> AsyncIterator[str]:
    for item in items:
        await asyncio.wait_for(gate(item).wait(), PATIENCE)
        yield item


async def quick(items: list[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


async def quick_and_fails(items: list[Any]) -> AsyncIterator[Any]:
    for item in items[:-1]:
        yield item
    raise ValueError("not the last")


async def looks_up(items: list[Any]) -> list[Any]:
    return list(await asyncio.gather(*(slither.view_async("lookup", key=item) for item in items)))


async def looks_up_many(items: list[Any]) -> list[Any]:
    return await slither.view_many_async("lookup", [{"key": item} for item in items])


async def looks_up_blocking(items: list[Any]) -> list[Any]:
    return [slither.view("lookup", key=item) for item in items]


async def looks_up_in_a_thread(items: list[Any]) -> list[Any]:
    return [await asyncio.to_thread(slither.view, "lookup", key=item) for item in items]


async def tells(items: list[str]) -> list[str]:
    await wait(["tell"])
    for item in items:
        logging.getLogger("waiting").warning("about %s in %s", item, slither.context().run_id)
        slither.progress(1, 1)
        await asyncio.sleep(0)
    return items


async def leaves_a_task(items: list[str]) -> list[str]:
    async def late() -> None:
        await gate(items[0]).wait()
        try:
            slither.context()
        except slither.NotInWorker as error:
            told.append(str(error))

    kept.append(asyncio.create_task(late()))
    return items


kept: list[Any] = []


async def keeps(items: list[Any]) -> list[Any]:
    state = slither.session()
    seen = state.get("running", 0)
    state["running"] = seen + 1
    await asyncio.sleep(0.001)
    state["running"] -= 1
    return [seen]


async def holds_up(items: list[float]) -> list[float]:
    time.sleep(items[0])  # sleep: what a coroutine must not do is what is tested
    return items


async def spins(items: list[Any]) -> list[Any]:
    while True:
        pass


plain_gate = threading.Event()


def plain(items: list[Any]) -> list[Any]:
    return [[threading.current_thread().name, item] for item in items]


def plain_waits(items: list[Any]) -> list[Any]:
    assert plain_gate.wait(PATIENCE)
    return items


async def lets_plain_go(items: list[Any]) -> list[Any]:
    plain_gate.set()
    return items


def plain_looks_up(items: list[Any]) -> list[Any]:
    return [slither.view("lookup", key=item) for item in items]


SETTING: contextvars.ContextVar[str] = contextvars.ContextVar("setting", default="untouched")


async def sets(items: list[str]) -> list[str]:
    before = SETTING.get()
    SETTING.set(items[0])
    return [before]


async def large(items: list[int]) -> list[bytes]:
    return [b"x" * item for item in items]


async def many_large(items: list[int]) -> AsyncIterator[bytes]:
    for item in items:
        yield b"x" * item


class Model:
    async def predict(self, x: int) -> int:
        await asyncio.sleep(0)
        return x + 1


model = Model()
