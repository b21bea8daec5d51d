# ruff: noqa: D103  the name of a test says what it promises
"""The validator's promises. No Slither is needed: a chunk brings its schema along."""

import csv
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))

import csv_transformer
from csv_transformer import Chunk, Field, Row, Schema, fits, problems_of, validate_batch, worker_stats

EXAMPLE = Path(__file__).resolve().parents[1]


def schema(version: int, *fields: dict[str, Any]) -> Schema:
    blank: Field = {"column": "", "required": False, "kind": "text", "min": None, "max": None, "one_of": None}
    made: list[Any] = [{**blank, **field} for field in fields]
    return {"version": version, "name": "test", "fields": made}


def shipped(name: str) -> Schema:
    return schema(1, *json.loads((EXAMPLE / "schemas" / f"{name}.json").read_text(encoding="utf-8"))["fields"])


def orders() -> list[dict[str, str]]:
    with (EXAMPLE / "orders.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def chunk(number: int, by: Schema, *rows: dict[str, str]) -> Chunk:
    made = [Row(run=1, number=at, line=at + 2, cells=cells) for at, cells in enumerate(rows)]
    return {"number": number, "schema": by, "rows": made}


@pytest.fixture(autouse=True)
def fresh_worker() -> Iterator[None]:
    csv_transformer.reset()
    yield
    csv_transformer.reset()


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("text", ["anything", "ß", "1"], []),
        ("integer", ["0", "-7", "007"], ["1.0", "+1", "1e3", "a dozen", "\u0663", "1 000", "1" * 16]),
        ("decimal", ["12", "12.50", "-0.5"], ["12,50", ".5", "5.", "nan", "inf", "1e3", "free"]),
        ("date", ["2025-03-31", "2024-02-29"], ["2025-02-29", "2025-13-01", "0000-01-01", "31/03/2025", "2025-3-1"]),
        (
            "email",
            ["a@b.c", "jo.e+x@ex-ample.co.uk"],
            ["a@b", "@b.c", "a@.c", "a@b.", "a@@b.c", "a b@c.d", "a@b@c.d"],
        ),
        ("boolean", ["yes", "no", "true", "false"], ["Yes", "1", "maybe", "yes "]),
    ],
)
def test_kinds(kind: str, good: list[str], bad: list[str]) -> None:
    assert [cell for cell in good if not fits(kind, cell)] == []
    assert [cell for cell in bad if fits(kind, cell)] == []


def test_each_rule_names_the_column_what_was_found_and_what_was_expected() -> None:
    by = schema(
        1,
        {"column": "a", "required": True},
        {"column": "b", "kind": "integer", "min": 1, "max": 9},
        {"column": "c", "one_of": ["x", "y"]},
    )

    def broken(**cells: str) -> list[tuple[str, str]]:
        return [(problem["rule"], problem["message"]) for problem in problems_of(cells, by)]

    assert broken(a="here") == []
    assert broken() == [("required", "a is empty")]
    assert broken(a="1", b="0") == [("min", "b is 0, expected at least 1")]
    assert broken(a="1", b="10") == [("max", "b is 10, expected at most 9")]
    assert broken(a="1", b="x") == [("kind", 'b is "x", expected a whole number')]
    assert broken(a="1", c="z") == [("one_of", 'c is "z", expected one of 2 such as x')]
    assert broken(b="0", c="z")[0] == ("required", "a is empty")
    assert len(broken(b="0", c="z")) == 3


def test_a_long_cell_is_cut_in_the_message() -> None:
    (problem,) = problems_of({"b": "9" * 500}, schema(1, {"column": "b", "kind": "integer"}))
    assert len(problem["message"]) < 100


def test_the_stricter_schema_refuses_what_the_lenient_one_lets_pass() -> None:
    lenient, strict = shipped("lenient"), shipped("strict")
    for half in (orders()[:16], orders()[16:32]):
        passed = [row for row in half if not problems_of(row, lenient)]
        refused = [row for row in half if problems_of(row, strict)]
        assert 0 < len(refused) < len(half)
        assert [row for row in passed if row in refused]
        assert all(row in refused for row in half if row not in passed)


def test_every_row_carries_the_version_of_its_own_chunk() -> None:
    first, second = schema(4, {"column": "a", "required": True}), schema(5)
    checked = validate_batch([chunk(0, first, {"a": ""}, {"a": "1"}), chunk(1, second, {"a": ""})])
    assert [[row["version"] for row in each["rows"]] for each in checked] == [[4, 4], [5]]
    assert [[len(row["problems"]) for row in each["rows"]] for each in checked] == [[1, 0], [0]]
    assert [each["pid"] for each in checked] == [os.getpid()] * 2
    assert checked[0]["schema"] == first


def test_the_log_is_as_long_as_the_count_and_says_what_came_back() -> None:
    by = schema(3, {"column": "a", "required": True})
    for _ in range(3):
        validate_batch([chunk(0, by, {"a": "1"}, {})])
    stats = worker_stats()
    assert stats["validations"] == len(stats["audit_log"]) == 6
    assert stats["batches"] == 3
    assert stats["audit_log"][1] == {"batch": 1, "run": 1, "row": 1, "version": 3, "valid": False}
    assert [entry["batch"] for entry in stats["audit_log"]] == [1, 1, 2, 2, 3, 3]


def test_a_batch_that_fails_is_not_written_down() -> None:
    by = schema(1, {"column": "a", "kind": "no such kind"})
    with pytest.raises(KeyError):
        validate_batch([chunk(0, schema(1), {"a": "1"}), chunk(1, by, {"a": "1"})])
    assert worker_stats()["audit_log"] == []
    assert worker_stats()["validations"] == worker_stats()["batches"] == 0
