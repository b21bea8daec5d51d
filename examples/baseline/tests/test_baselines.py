# ruff: noqa: D103  the name of a test says what it promises
"""The promises of the harness and of the baselines with locks. They need the standard library only."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "baseline/python"))
sys.path.insert(1, str(Path(__file__).resolve().parents[2] / "text_analysis/python"))
sys.path.insert(2, str(Path(__file__).resolve().parents[2] / "batch_stats/python"))
sys.path.insert(3, str(Path(__file__).resolve().parents[2] / "data_etl/python"))

import batch_stats_baseline
import data_etl_baseline
import text_analysis_baseline
from _harness import Run


def told(stream: io.StringIO) -> dict[str, tuple[Any, Any, bool]]:
    """By name: what was expected, what was found, and whether it broke."""
    findings: dict[str, tuple[Any, Any, bool]] = {}
    for line in stream.getvalue().splitlines():
        said = json.loads(line)
        if "expect" in said:
            findings[said["expect"]] = (said["expected"], None, True)
        elif "found" in said:
            findings[said["found"]] = (findings[said["found"]][0], said["actual"], said["broke"])
    return findings


def test_what_is_not_found_is_left_broken() -> None:
    stream = io.StringIO()
    run = Run("naive", stream)
    run.expect("a", 1)
    run.equal("b", 2, 2)
    assert told(stream) == {"a": (1, None, True), "b": (2, 2, False)}


@pytest.mark.parametrize("mode", ["naive", "locked"])
def test_every_task_is_done_once(mode: str) -> None:
    run = Run(mode, io.StringIO())
    done: list[int] = []
    run.share(range(1000), done.append)
    assert sorted(done) == list(range(1000))


def test_a_thread_that_raises_is_told_of() -> None:
    stream = io.StringIO()
    run = Run("locked", stream)

    def divide(number: int) -> None:
        assert 1 / number

    run.share([1, 0], divide)
    run.end()
    assert told(stream)["threads_finished"] == ("all", "ZeroDivisionError: division by zero", True)


def unbroken(stream: io.StringIO) -> None:
    findings = told(stream)
    assert findings
    assert {name: found for name, found in findings.items() if found[2]} == {}


def test_with_a_lock_the_index_is_that_of_one_thread() -> None:
    stream = io.StringIO()
    texts = ["The bread was good.", "The river was high, and good bread is rare."]
    documents = [{"name": str(number), "text": text} for number, text in enumerate(texts)]
    text_analysis_baseline.run(
        Run("locked", stream), {"documents": documents, "stopwords": ["the", "was"], "rounds": 50}
    )
    unbroken(stream)
    assert told(stream)["documents_counted"][0] == 100


def test_with_a_lock_the_running_figure_is_that_of_one_thread() -> None:
    stream = io.StringIO()
    good = [{"number": n, "name": str(n), "group": "g", "values": [n, n + 0.5], "address": None} for n in range(20)]
    bad = {"number": 20, "name": "b", "group": "g", "values": [{"float": "NaN"}], "address": None}
    datasets: list[Any] = [*good, bad]
    batch_stats_baseline.run(Run("locked", stream), {"datasets": datasets, "rounds": 20})
    unbroken(stream)
    assert told(stream)["values_counted"][0] == 800
    assert "good_results_kept" not in told(stream), "nothing kills"


def test_with_a_lock_no_row_is_checked_by_another_schema_than_it_says() -> None:
    stream = io.StringIO()
    field = {"column": "n", "required": True, "kind": "integer", "min": None, "max": None, "one_of": None}
    schemas: list[Any] = [
        {"version": 1, "name": "a", "fields": [field]},
        {"version": 2, "name": "b", "fields": [{**field, "kind": "text"}]},
    ]
    rows = [{"n": "x" if number % 2 else "1"} for number in range(2000)]
    data_etl_baseline.run(Run("locked", stream), {"rows": rows, "schemas": schemas, "reloads": 50})
    unbroken(stream)
