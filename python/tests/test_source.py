"""What the source of a function says is read, and nothing of it is imported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import slither
from slither._source import Description, describe

KNOWN = ["numpy", "pandas", "sqlite3", "lxml.etree"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def said(function: str) -> Description:
    before = set(sys.modules)
    told = describe(function, KNOWN)
    assert set(sys.modules) == before, "nothing was imported"
    return told


def test_traits_are_read_where_they_are_written(folder: Path) -> None:
    write(
        folder,
        "declared.py",
        "raise SystemExit('imported')\nimport slither\nfrom slither import traits\n"
        "@slither.traits('cpu_bound', 'thread_safe')\ndef both(items): ...\n"
        "@traits('io_bound')\nasync def waits(items): ...\n"
        "def plain(items): ...\n",
    )
    assert said("declared:both")["traits"] == "cpu_bound,thread_safe"
    assert not said("declared:both")["is_async"]
    waits = said("declared:waits")
    assert (waits["traits"], waits["is_async"]) == ("io_bound", True)
    assert said("declared:plain")["traits"] == ""
    assert said("declared:plain")["is_defined"]
    assert not said("declared:absent")["is_defined"]
    assert said("declared:absent")["traits"] == ""


@pytest.mark.parametrize(
    ("text", "function", "traits"),
    [
        ("__thread_safe__ = True\ndef f(items): ...", "f", "thread_safe"),
        ("__thread_safe__: bool = False\ndef f(items): ...", "f", "not_thread_safe"),
        ("__thread_safe__ = True\nclass C:\n __thread_safe__ = False\n def f(self): ...", "C.f", "not_thread_safe"),
        ("__thread_safe__ = True\nclass C:\n def f(self): ...", "C.f", "thread_safe"),
        ("__thread_safe__ = True\n@traits('not_thread_safe')\ndef f(items): ...", "f", "not_thread_safe"),
        ("__thread_safe__ = compute()\ndef f(items): ...", "f", ""),
    ],
)
def test_what_a_module_or_a_class_says_of_threads_counts(folder: Path, text: str, function: str, traits: str) -> None:
    write(folder, "safety.py", text)
    assert said(f"safety:{function}")["traits"] == traits


def test_libraries_are_found_through_modules_of_ones_own_and_inside_functions(folder: Path) -> None:
    write(folder, "pack/__init__.py", "")
    write(folder, "pack/main.py", "from . import deep\nfrom .near import thing as f\nimport sqlite3.dbapi2\n")
    write(folder, "pack/deep.py", "def late():\n    import lxml.html\n")
    write(
        folder,
        "pack/near.py",
        "import pandas as pd, json, no_such_module\nfrom .main import x\ndef thing(items): ...\n",
    )
    told = said("pack.main:f")
    assert sorted(told["imports"]) == ["lxml", "pandas", "sqlite3"]
    assert told["file"] == str(folder / "pack/near.py"), "where it is defined, not where it was found"


def test_the_hash_is_of_the_file(folder: Path) -> None:
    write(folder, "changing.py", "def f(items): return items\n")
    first = said("changing:f")["hash"]
    assert first == said("changing:f")["hash"]
    write(folder, "changing.py", "def f(items): return items[:]\n")
    assert said("changing:f")["hash"] not in (None, first)


@pytest.mark.parametrize("text", ["def f(:", "\0", "from loop import f\n"])
def test_what_cannot_be_read_says_nothing(folder: Path, text: str) -> None:
    write(folder, "loop.py", text)
    told = said("loop:f")
    assert (told["traits"], told["imports"], told["is_async"]) == ("", [], False)
    assert said("no.such.module:f") == said("math:sqrt")


def test_a_trait_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="'fast' is no trait; the traits are cpu_bound, "):
        slither.traits("fast")

    @slither.traits("stateful")
    def function(items: list[int]) -> list[int]:
        return items

    assert function([1]) == [1]
