"""`python -m slither check`: what it calls, what it finds, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fakehost import SDK

from slither._kit.samples import NoSample, parse_call, read_file, value

ADAPTERS = '''
"""Adapters to check."""
from typing import Iterator, Literal, Optional
from slither import ThreadSafeAdapter, thread_safe_method, tool

class Wrong(ThreadSafeAdapter):
    __thread_safe__ = True
    def __init__(self):
        super().__init__()
        self.count = 0
    @tool
    def add(self, by: int) -> int:
        self.count += by
        return self.count
    @tool
    def odd(self, number: int) -> None:
        if number % 2:
            raise ValueError("odd")
    @tool
    def strange(self, what: "Wrong") -> None: ...

class Right(ThreadSafeAdapter):
    __thread_safe__ = True
    def __init__(self):
        super().__init__()
        self.seen = {}
    @tool
    def each(self, words: list[str], kind: Literal["a", "b"], limit: Optional[int] = None) -> Iterator[str]:
        for word in words:
            with self.acquire_lock():
                self.seen[word] = kind
            yield word
    @tool
    async def later(self, rows: dict[str, list[float]]) -> int:
        return len(rows)

class Silent(ThreadSafeAdapter):
    @tool
    def nothing(self) -> None: ...

class Broken(ThreadSafeAdapter):
    def __init__(self):
        raise OSError("no model")
    @tool
    def nothing(self) -> None: ...

class Failing(ThreadSafeAdapter):
    __thread_safe__ = True
    @tool
    def fail(self) -> None:
        raise KeyError("always")
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "checked.py").write_text(ADAPTERS)
    return tmp_path


def check(folder: Path, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "slither", "check", *arguments],
        cwd=folder,
        env={"PYTHONPATH": SDK, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_it_finds_a_violation_with_its_line_and_counts_exceptions(folder: Path) -> None:
    code, out, _ = check(folder, "checked:Wrong", "--threads", "4", "--calls", "100")
    assert code == 1
    assert f"at {folder}/checked.py:{ADAPTERS.splitlines().index('        self.count += by') + 1} in " in out
    assert "100 calls by 4 threads with" in out
    assert "add: 50 calls, 0 failed" in out
    assert "odd: 50 calls, 25 failed" in out
    assert "25 x ValueError: odd" in out
    assert "strange: not called: Wrong.strange has the parameter 'what', of type Wrong" in out


def test_it_reports_as_json(folder: Path) -> None:
    code, out, _ = check(folder, "checked.Wrong", "--call", "add(by=2)", "--calls", "20", "--threads", "3", "--json")
    found: dict[str, Any] = json.loads(out)
    assert code == 1
    (violation,) = found["report"]["violations"]
    assert violation["subject"] == "Wrong.count"
    assert violation["writes"] == 20
    assert found["tools"] == {"add": {"calls": 20, "failed": 0, "exceptions": {}}}
    assert (found["threads"], found["calls"]) == (3, 20)
    assert found["calls_per_second"] > 0


def test_what_is_right_passes_with_arguments_that_are_made_up(folder: Path) -> None:
    code, out, err = check(folder, "checked:Right", "--threads", "5", "--calls", "60", "--strict")
    assert (code, err) == (0, "")
    assert "each: 30 calls, 0 failed" in out
    assert "later: 30 calls, 0 failed" in out
    assert "no violation was found" in out


def test_calls_come_from_a_file(folder: Path) -> None:
    sample = folder / "calls.jsonl"
    sample.write_text('{"tool": "odd", "args": [2]}\n{"tool": "odd", "args": {"number": 4}}\n')
    code, out, _ = check(folder, "checked:Wrong", "--sample", "calls.jsonl", "--calls", "10", "--threads", "2")
    assert code == 0
    assert "odd: 10 calls, 0 failed" in out
    assert [each.args or each.kwargs for each in read_file(sample)] == [[2], {"number": 4}]
    sample.write_text('[{"tool": "odd", "args": 3}]')
    with pytest.raises(NoSample, match="entry 1 is not"):
        read_file(sample)
    sample.write_text('{"tool": "odd"}\n\n{"tool": \n')
    with pytest.raises(NoSample, match=r"calls\.jsonl:3: no JSON: Expecting value, at column \d+\nhint: "):
        read_file(sample)


def test_an_undeclared_class_passes_with_a_warning_and_is_refused_when_strict(folder: Path) -> None:
    code, out, _ = check(folder, "checked:Silent", "--calls", "10", "--threads", "2")
    assert code == 0
    assert "warning: Silent does not say" in out
    code, out, _ = check(folder, "checked:Silent", "--calls", "10", "--threads", "2", "--strict")
    assert code == 1
    assert out.startswith("refused: Silent does not say")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["checked:Missing"], "'checked' has no 'Missing'"),
        (["no_such_module:A"], "no module named 'no_such_module'\nsearched in:\n  /"),
        (["checked:Broken"], "OSError: no model"),
        (["checked:Failing", "--calls", "5"], "every call failed"),
        (["checked:Wrong", "--call", "strange("], "is no call"),
        (["checked:Wrong", "--call", "unknown()"], "Wrong has no tool 'unknown'"),
        (["checked:Wrong", "--sample", "missing.json"], "cannot be read"),
        (["checked:Wrong", "--threads", "0"], "0 is less than 1"),
        (["slither.SlitherError"], "has no tools"),
    ],
)
def test_what_cannot_run_says_why(folder: Path, arguments: list[str], said: str) -> None:
    code, _, err = check(folder, *arguments)
    assert code == 2, err
    assert said in err


def test_without_a_command_it_says_which_there_are(folder: Path) -> None:
    for arguments, code in ([], 2), (["unknown"], 2), (["--help"], 0):
        done = subprocess.run(
            [sys.executable, "-m", "slither", *arguments],
            env={"PYTHONPATH": SDK, "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert done.returncode == code
        assert "check MODULE:CLASS" in done.stdout + done.stderr


def test_a_call_is_written_as_in_python() -> None:
    assert parse_call("predict('a', limit=[1, None])") == ("predict", ["a"], {"limit": [1, None]})
    assert parse_call(" stats ") == ("stats", [], {})
    for text in ("predict(x)", "predict(1", "a.b()", "1 + 1", "f(**{'a': 1})(2)"):
        with pytest.raises(NoSample, match="is no call"):
            parse_call(text)


def test_values_are_made_up_from_types() -> None:
    assert value(list[int], 0) == [1, 2, 3]
    assert value(tuple[int, str], 1) == (2, "sample 1")
    assert value(tuple[float, ...], 0) == (0.5, 0.5, 0.5)
    assert value(dict[str, bool], 0) == {"sample 0": True, "sample 1": False}
    assert value(int | None, 0) == 1
    assert value(Any, 3) != value(Any, 4)
    with pytest.raises(NoSample, match="no value can be made up"):
        value(Path, 0)
