"""What the tests of references ask of Python: objects that stay here, and functions that are given them."""

from __future__ import annotations

import os
import sqlite3
from typing import Any

import slither


class Model:
    """Something that learns, and says when it is gone."""

    def __init__(self, path: str | None = None) -> None:
        self.seen: list[float] = []
        self.path = path

    def train(self, *numbers: float) -> int:
        """Learns; gives how much it has learned."""
        self.seen.extend(numbers)
        return len(self.seen)

    def predict(self, scale: float = 1.0) -> float:
        """Gives the mean."""
        return scale * sum(self.seen) / len(self.seen)

    def who(self) -> int:
        """Gives its worker's process id."""
        return os.getpid()

    def __del__(self) -> None:
        if self.path is not None:
            with open(self.path, "a") as file:
                file.write("gone\n")


def model(path: str | None = None) -> slither.Ref:
    """Gives a model."""
    return slither.ref(Model(path))


def models(items: list[str | None]) -> list[Any]:
    """Gives a model and its number for each item that is a path, and fails the others."""
    return [[slither.ref(Model(path)), at] if path else slither.Failed("no path") for at, path in enumerate(items)]


def wait_and_make(path: str, gate: str) -> slither.Ref:
    """Gives a model when the file exists."""
    with open(gate + ".begun", "w"):
        pass
    while not os.path.exists(gate):
        pass
    return slither.ref(Model(path))


def predict(model: Model, scale: float) -> list[Any]:
    """Is given the object itself."""
    return [type(model).__name__, model.predict(scale)]


def scores(items: list[list[Any]]) -> list[float]:
    """Scores with the models that the items hold."""
    return [model.predict(scale) for model, scale in items]


def cache() -> slither.Ref:
    """Gives a dict."""
    return slither.ref({"one": 1})


def connect(path: str) -> slither.Ref:
    """Gives an open connection."""
    connection = sqlite3.connect(path)
    connection.execute("create table numbers (n integer)")
    return slither.ref(connection)


def insert(connection: sqlite3.Connection, numbers: list[int]) -> int:
    """Adds rows, without committing them."""
    return connection.executemany("insert into numbers values (?)", [(n,) for n in numbers]).rowcount


def total(connection: sqlite3.Connection) -> int:
    """Adds them up."""
    return int(connection.execute("select sum(n) from numbers").fetchone()[0])


def held() -> int:
    """Gives how many objects the host holds."""
    from slither import _refs

    return len(_refs.TABLE._held)
