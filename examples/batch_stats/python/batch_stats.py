"""Descriptive statistics for the workers of the `batch_stats` example.

`describe_batch` describes each dataset of its batch, and adds all their values to one running figure of this worker
(Welford's online algorithm): a plain global of four numbers that belong together. Threads that shared it would mix
the four of one with those of another; here every worker is a process with its own.

A dataset that makes no sense raises, and fails its batch. One whose values lie at an address that is not there kills
the process, as a bug in an extension module does.
"""

import ctypes
import math
import os
from dataclasses import dataclass, replace
from statistics import median
from typing import TypedDict


class Dataset(TypedDict):
    """One item of a batch. With an `address` the values are not sent: they lie there, in this process's memory."""

    number: int
    name: str
    group: str
    values: list[float | str | None] | None
    address: int | None


class Described(TypedDict):
    """What one dataset came to, by whom. `stdev` is of the sample, and 0 for a single value."""

    number: int
    pid: int
    count: int
    mean: float
    stdev: float
    median: float
    least: float
    greatest: float


class WorkerStats(TypedDict):
    """What one worker has accumulated over all the datasets of its finished batches."""

    pid: int
    datasets: int
    count: int
    mean: float
    m2: float


@dataclass(slots=True)
class Running:
    """Welford's figures: `mean` of `count` values, and `m2`, the sum of their squared distances from it."""

    datasets: int = 0
    count: int = 0
    mean: float = 0.0
    m2: float = 0.0

    def add(self, value: float) -> None:
        """Take in one value: three figures change, one by the other."""
        self.count += 1
        delta = value - self.mean
        self.mean += delta / self.count
        self.m2 += delta * (value - self.mean)


_running = Running()

POINTS_AT = 16
"""Values that an address is said to hold."""


def describe_batch(items: list[Dataset]) -> list[Described]:
    """Describe a batch: `list[Dataset]` to `list[Described]`, one result an item, in order.

    The worker's figures are committed by the last statement, and what is returned then (numbers, one object an item)
    cannot fail on its way: a batch that raises or dies counts nothing, and its parts, run again, count once.
    """
    global _running
    _announce(items)
    running = replace(_running)
    results = [describe(item, running) for item in items]
    _running = running
    return results


def describe(item: Dataset, running: Running) -> Described:
    """Describe one dataset, and add its values to `running`. Raises ValueError if they are no numbers, or none."""
    values = numbers(item)
    own = Running()
    for value in values:
        own.add(value)
        running.add(value)
    running.datasets += 1
    return {
        "number": item["number"],
        "pid": os.getpid(),
        "count": own.count,
        "mean": own.mean,
        "stdev": math.sqrt(own.m2 / (own.count - 1)) if own.count > 1 else 0.0,
        "median": median(values),
        "least": min(values),
        "greatest": max(values),
    }


def numbers(item: Dataset) -> list[float]:
    """The values of a dataset, all of them finite numbers, at least one."""
    if item["address"] is not None:
        return _native(item["address"])
    values = item["values"]
    if values is None:
        raise ValueError(f"{item['name']} has no values: nil")
    if not values:
        raise ValueError(f"{item['name']} has no values: it is empty")
    found: list[float] = []
    for place, value in enumerate(values, start=1):
        if value is None:
            raise ValueError(f"value {place} of {item['name']} is missing: nil")
        if isinstance(value, str):
            raise ValueError(f"value {place} of {item['name']} is no number: {value[:40]!r}")
        if not math.isfinite(value):
            raise ValueError(f"value {place} of {item['name']} is not finite: {value}")
        found.append(float(value))
    return found


def worker_stats() -> WorkerStats:
    """This worker's figures since it started or since `reset`."""
    running = _running
    return {
        "pid": os.getpid(),
        "datasets": running.datasets,
        "count": running.count,
        "mean": running.mean,
        "m2": running.m2,
    }


def reset() -> None:
    """Set this worker's figures to zero."""
    global _running
    _running = Running()


def _native(address: int) -> list[float]:
    """Read values where another part of the program said that they are, as an extension module does."""
    return list((ctypes.c_double * POINTS_AT).from_address(address))


def _announce(items: list[Dataset]) -> None:
    """Tell Rust which batch begins: its record survives this process, whatever the batch does to it."""
    import slither  # type: ignore[import-not-found, unused-ignore]  # on the path of a worker only

    slither.view("batch_begins", numbers=[item["number"] for item in items])
