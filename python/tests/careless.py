"""User code for tests that thinks only of itself: it shares a process with other calls all the same."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import parallel

import slither

PATIENCE = 60.0
lock = threading.Lock()


async def cancels_all(items: list[Any]) -> list[Any]:
    """Ends every other task of the loop, as programs that own theirs do at their end."""
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    return items


async def runs_tasks_at_once(items: list[bool]) -> list[bool]:
    """Has the loop take the first step of a task in its creation, or, with False, no more."""
    factory = asyncio.eager_task_factory if items[0] else None  # type: ignore[attr-defined]
    asyncio.get_running_loop().set_task_factory(factory)
    return items


async def opens_a_thread_gate(items: list[str]) -> list[str]:
    return parallel.open_gate(items)


async def same(items: list[Any]) -> list[Any]:
    await asyncio.sleep(0)
    return items


class TakesTheLock:
    """What its destructor does needs the lock."""

    def __del__(self) -> None:
        with lock:
            pass


def makes_one(_args: Any) -> Any:
    return slither.ref(TakesTheLock())


def asks_under_the_lock(items: list[str]) -> list[Any]:
    with lock:
        return [slither.view("lookup", key=item) for item in items]


def forks_and_returns(items: list[Any]) -> list[Any]:
    """The child comes back as well, and is done first."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        return [[os.getpid(), os.waitstatus_to_exitcode(status)] for _ in items]
    return [["child"] for _ in items]


def forks_and_raises(items: list[Any]) -> list[Any]:
    made = forks_and_returns(items)
    if made == [["child"]]:
        raise ValueError("in the child")
    return made


def forks_and_yields(items: list[Any]) -> Iterator[Any]:
    yield from forks_and_returns(items)


async def forks_in_the_loop(items: list[Any]) -> list[Any]:
    await asyncio.sleep(0)
    return forks_and_returns(items)


def waits_a_moment(items: list[Any]) -> list[Any]:
    time.sleep(0.001)  # sleep: for the calls to be in the process at the same time
    return items
