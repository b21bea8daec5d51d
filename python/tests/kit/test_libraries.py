"""Libraries that threads may not share: found where they are used without a lock, and nowhere else."""

from __future__ import annotations

import importlib.util
import sqlite3
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from crowd import in_turn

from slither import ThreadSafetyChecker

# Written like pandas where it matters to us, for where pandas itself is not installed.
STAND_IN = '''
"""A stand-in."""
class DataFrame:
    def __init__(self, data=None):
        self._data = dict(data or {})
    def __setattr__(self, name, value):
        object.__setattr__(self, name, value)
    def __setitem__(self, key, value):
        self._data[key] = value
    def __getitem__(self, key):
        return self._data[key]
    @property
    def loc(self):
        return self._data
    def drop(self, key, inplace=False):
        return self
    def copy(self):
        return DataFrame(self._data)
class Series(DataFrame):
    pass
'''

ADAPTERS = '''
"""Adapters that use pandas."""
import pandas as pd
from pandas import DataFrame
from slither import ThreadSafeAdapter, thread_safe_method

class Wrong(ThreadSafeAdapter):
    __thread_safe__ = True
    @thread_safe_method
    def process(self, data):
        df = pd.DataFrame(data)  # unlocked
        return df["a"]
    def also(self, data):
        return DataFrame(data)["a"]
    def imports(self, data):
        from pandas import Series as Rows
        return Rows(data)["a"]

class Right(ThreadSafeAdapter):
    __thread_safe__ = True
    @thread_safe_method
    def process(self, data: "pd.DataFrame"):
        with self.acquire_lock():
            df = pd.DataFrame(data)
            return df["a"]
    def also(self, data):
        with self.acquire_lock("frames"):
            return self.helper(data)
    def helper(self, data):
        return pd.DataFrame(data)["a"]
    def by_hand(self, data):
        lock = self.acquire_lock()
        lock.acquire()
        try:
            return pd.DataFrame(data)["a"]
        finally:
            lock.release()

class Holding(ThreadSafeAdapter):
    __thread_safe__ = True
    def __init__(self):
        super().__init__()
        self.df = pd.DataFrame({"a": [1, 2]})
    def set_item(self):
        self.df["b"] = [3, 4]
    def set_loc(self):
        self.df.loc["b"] = [5, 6]
    def set_attribute(self):
        self.df.a = 1
    def drop(self):
        self.df.drop("b", inplace=True)
    def locked(self):
        with self.acquire_lock():
            self.df["b"] = [3, 4]
'''


@pytest.fixture(params=["stand-in", "pandas"])
def adapters(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    if request.param == "stand-in":
        stand_in = types.ModuleType("pandas")
        exec(STAND_IN, vars(stand_in))
        for kind in (stand_in.DataFrame, stand_in.Series):
            kind.__module__ = "pandas.core"
        monkeypatch.setitem(sys.modules, "pandas", stand_in)
    else:
        pytest.importorskip("pandas")
    path = tmp_path / "uses_pandas.py"
    path.write_text(ADAPTERS)
    spec = importlib.util.spec_from_file_location("uses_pandas", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "uses_pandas", module)
    spec.loader.exec_module(module)
    return module


DATA = {"a": [1, 2]}


@pytest.mark.parametrize("name", ["process", "also", "imports"])
def test_a_frame_made_without_a_lock_is_found(adapters: Any, name: str) -> None:
    checker = ThreadSafetyChecker()
    adapter = adapters.Wrong()
    getattr(adapter, name)(DATA)
    call = getattr(adapter, name)
    in_turn(1, lambda: call(DATA))
    assert checker.get_report()["warnings"] == [], "one thread alone"
    in_turn(2, lambda: call(DATA))
    (warning,) = checker.get_report()["warnings"]
    assert warning.startswith(f"Wrong.{name} uses pandas, which threads may not use at once, and 3 threads called it")
    if name == "process":
        line = next(n for n, text in enumerate(ADAPTERS.splitlines(), 1) if text.endswith("# unlocked"))
        assert f"{adapters.__spec__.origin}:{line} in " in warning


@pytest.mark.parametrize("name", ["process", "also", "by_hand"])
def test_nothing_is_said_where_a_lock_is_held(adapters: Any, name: str) -> None:
    checker = ThreadSafetyChecker()
    adapter = adapters.Right()
    in_turn(3, lambda: getattr(adapter, name)(DATA))
    assert [each for each in checker.get_report()["warnings"] if f"Right.{name}" in each or name == "process"] == []


@pytest.mark.filterwarnings("ignore:The inplace keyword")
@pytest.mark.parametrize("name", ["set_item", "set_loc", "set_attribute", "drop"])
def test_writes_to_a_frame_that_is_held_are_found(adapters: Any, name: str) -> None:
    checker = ThreadSafetyChecker()
    adapter = adapters.Holding()
    if name in ("drop", "set_loc"):
        adapter.df["b"] = [0, 0]
    before = adapter.df
    adapter.set_item()
    work = getattr(adapter, name)
    if name == "drop" and hasattr(before, "columns"):
        work = lambda: adapter.df.drop(columns=[], inplace=True)  # noqa: E731
    in_turn(2, work)
    report = checker.get_report()
    assert adapter.df is before
    assert type(adapter.df.copy()) is not type(adapter.df)
    subject = "Holding.df.a" if name == "set_attribute" and "Holding.df.a" in str(report) else "Holding.df"
    assert subject in [each["subject"] for each in report["violations"]]
    assert any("Holding.df is an object of pandas" in each for each in report["warnings"])


def test_locked_writes_to_a_frame_are_fine(adapters: Any) -> None:
    checker = ThreadSafetyChecker()
    adapter = adapters.Holding()
    in_turn(3, adapter.locked)
    report = checker.get_report()
    assert report["violations"] == []
    assert report["warnings"] == []


def test_a_connection_is_each_threads_own() -> None:
    from slither import ThreadSafeAdapter

    class Database(ThreadSafeAdapter):
        __thread_safe__ = True

        def __init__(self) -> None:
            super().__init__()
            self.shared = sqlite3.connect(":memory:", check_same_thread=False)

        def wrong(self) -> Any:
            return self.shared.execute("select 1").fetchone()

        def locked(self) -> Any:
            with self.acquire_lock():
                return self.shared.execute("select 1").fetchone()

        def right(self) -> Any:
            own = self.get_thread_local("connection")
            if own is None:
                own = sqlite3.connect(":memory:")
                self.set_thread_local("connection", own)
            try:
                return own.execute("select 1").fetchone()
            finally:
                own.close()

    checker = ThreadSafetyChecker()
    adapter = Database()
    in_turn(3, adapter.right)
    in_turn(3, adapter.locked)
    assert checker.get_report()["warnings"] == []
    in_turn(2, adapter.wrong)
    (warning,) = checker.get_report()["warnings"]
    assert warning.startswith("Database.shared is an object of sqlite3")
    adapter.shared.close()
