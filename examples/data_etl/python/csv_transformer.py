"""Validation for the workers of the `data_etl` example.

`validate_batch` is the Python stage of the pipe. An item is a chunk of rows *with the schema to check them by*: Rust
read it from the store once, in one snapshot, so there is no schema here that somebody could swap while rows are being
checked.

Beside what it returns, a worker keeps an audit log and a count, plain globals changed without a lock. Threads that
shared them would lose entries or counts; here every worker is a process with its own, and Rust compares them with the
rows that came back (`worker_stats`).
"""

import os
import re
from datetime import date
from typing import TypedDict


class Field(TypedDict):
    """What a schema says about one column. What comes after validation (rename, cast, default) is Rust's."""

    column: str
    required: bool
    kind: str
    min: float | None
    max: float | None
    one_of: list[str] | None


class Schema(TypedDict):
    """One version of the schema."""

    version: int
    name: str
    fields: list[Field]


class Row(TypedDict):
    """A row as it was read: every cell is text, trimmed, and empty when there is nothing."""

    run: int
    number: int
    line: int
    cells: dict[str, str]


class Chunk(TypedDict):
    """One item of a batch: rows, and the schema they are to be checked by."""

    number: int
    schema: Schema
    rows: list[Row]


class Problem(TypedDict):
    """Why a row is not valid: the column, the rule it breaks, and a sentence for people."""

    column: str
    rule: str
    message: str


class CheckedRow(TypedDict):
    """A row with its verdict, and with the version of the schema that was used for it."""

    row: Row
    version: int
    problems: list[Problem]


class Checked(TypedDict):
    """A chunk that was checked, by whom, and in which of this worker's batches."""

    number: int
    schema: Schema
    pid: int
    batch: int
    rows: list[CheckedRow]


class Entry(TypedDict):
    """A line of the audit log."""

    batch: int
    run: int
    row: int
    version: int
    valid: bool


class WorkerStats(TypedDict):
    """What one worker has written down."""

    pid: int
    batches: int
    validations: int
    audit_log: list[Entry]


_audit_log: list[Entry] = []
_validation_count: int = 0
_batches: int = 0


def validate_batch(items: list[Chunk]) -> list[Checked]:
    """Check a batch: `list[Chunk]` to `list[Checked]`, one result an item, in order.

    The log and the counts change only once the whole batch is done, so that a batch which fails is not in them.
    """
    batch = _batches + 1
    results: list[Checked] = []
    entries: list[Entry] = []
    for chunk in items:
        rows: list[CheckedRow] = []
        for row in chunk["rows"]:
            version = chunk["schema"]["version"]
            problems = problems_of(row["cells"], chunk["schema"])
            rows.append({"row": row, "version": version, "problems": problems})
            entries.append(
                {
                    "batch": batch,
                    "run": row["run"],
                    "row": row["number"],
                    "version": version,
                    "valid": not problems,
                }
            )
        results.append(
            {
                "number": chunk["number"],
                "schema": chunk["schema"],
                "pid": os.getpid(),
                "batch": batch,
                "rows": rows,
            }
        )
    _commit(batch, entries)
    return results


def worker_stats() -> WorkerStats:
    """This worker's log and counts since it started or since `reset`."""
    return {
        "pid": os.getpid(),
        "batches": _batches,
        "validations": _validation_count,
        "audit_log": list(_audit_log),
    }


def reset() -> None:
    """Forget the log and the counts."""
    global _validation_count, _batches
    _audit_log.clear()
    _validation_count = 0
    _batches = 0


def problems_of(cells: dict[str, str], schema: Schema) -> list[Problem]:
    """What is wrong with a row, in the order of the schema; at most one problem a column."""
    found = (_problem(field, cells.get(field["column"], "")) for field in schema["fields"])
    return [problem for problem in found if problem is not None]


def _commit(batch: int, entries: list[Entry]) -> None:
    """Write a finished batch down: append, and read, modify, write, as a single-threaded program may."""
    global _validation_count, _batches
    for entry in entries:
        _audit_log.append(entry)
        _validation_count += 1
    _batches = batch


def _problem(field: Field, cell: str) -> Problem | None:
    """The first rule of the field that the cell breaks."""
    if not cell:
        return _refuse(field, "required", "is empty") if field["required"] else None
    if not fits(field["kind"], cell):
        return _refuse(field, "kind", f"is {_shown(cell)}, expected {_EXPECTED[field['kind']]}")
    least, most, choices = field["min"], field["max"], field["one_of"]
    if least is not None and float(cell) < least:
        return _refuse(field, "min", f"is {cell}, expected at least {least:g}")
    if most is not None and float(cell) > most:
        return _refuse(field, "max", f"is {cell}, expected at most {most:g}")
    if choices is not None and cell not in choices:
        return _refuse(field, "one_of", f"is {_shown(cell)}, expected one of {len(choices)} such as {choices[0]}")
    return None


def _refuse(field: Field, rule: str, message: str) -> Problem:
    return {"column": field["column"], "rule": rule, "message": f"{field['column']} {message}"}


_LONGEST_SHOWN = 40

_EXPECTED = {
    "integer": "a whole number",
    "decimal": "a number such as 12.50",
    "date": "a date such as 2025-03-31",
    "email": "an address such as name@example.com",
    "boolean": "yes or no",
}

# Spelt out instead of `\d` and `\s`, which also match digits and spaces of other scripts. Rust's rules are the same.
_PATTERNS = {
    "integer": re.compile(r"-?[0-9]{1,15}"),
    "decimal": re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,9})?"),
    "date": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    "email": re.compile(r"[^@ \t\r\n]+@[^@ \t\r\n]+\.[^@ \t\r\n]+"),
    "boolean": re.compile(r"yes|no|true|false"),
}


def fits(kind: str, cell: str) -> bool:
    """Whether a cell that is not empty is of a kind; everything is of kind `text`."""
    if kind == "text":
        return True
    return _PATTERNS[kind].fullmatch(cell) is not None and (kind != "date" or _is_day(cell))


def _is_day(cell: str) -> bool:
    try:
        date(int(cell[:4]), int(cell[5:7]), int(cell[8:]))
    except ValueError:
        return False
    return True


def _shown(cell: str) -> str:
    return f'"{cell}"' if len(cell) <= _LONGEST_SHOWN else f'"{cell[: _LONGEST_SHOWN - 1]}…"'
