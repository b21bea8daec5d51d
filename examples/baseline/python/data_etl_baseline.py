"""`data_etl` by plain threads: one schema that one thread replaces while others check rows by it.

The rows are checked by the example's own rules. The schema, the audit log and the count are globals of the program.
"""

import threading
import time
from typing import TypedDict

from _harness import THREADS, Run
from csv_transformer import Schema, problems_of


class Work(TypedDict):
    """Rows, the versions of the schema that follow each other again and again, and how often they are swapped."""

    rows: list[dict[str, str]]
    schemas: list[Schema]
    reloads: int


class Entry(TypedDict):
    """A line of the audit log: the version that a row says it was checked by, and the rules that it broke."""

    row: int
    version: int
    broken: list[str]


_schema: Schema = {"version": 0, "name": "", "fields": []}
_audit_log: list[Entry] = []
_validation_count = 0


def run(run: Run, work: Work) -> None:
    """Check all rows while the schema is swapped, then look for rows that were checked by another than they say."""
    rows, schemas = work["rows"], work["schemas"]
    run.expect("torn_rows", 0)
    run.expect("reloads_met", "at least 2 versions")
    run.expect("audit_log_length", len(rows))
    run.expect("audit_log_rows", len(rows))
    run.expect("validations_counted", len(rows))
    done, swapped = threading.Event(), threading.Event()
    _swap(schemas[0])

    def check(number: int) -> None:
        global _validation_count
        # The later half of the rows is for later versions, however long the thread that swaps them is held up.
        if 2 * number >= len(rows) and work["reloads"] > 1:
            swapped.wait()
        with run.guard:
            broken = _broken(rows[number], _schema)
            _audit_log.append({"row": number, "version": _schema["version"], "broken": broken})
            _validation_count += 1

    def reload() -> None:
        seen = -1
        for swap in range(1, work["reloads"] + 1):
            # In step with the rows, so that all of the swaps fall among them, and each version meets one.
            while not done.is_set() and (
                _validation_count * work["reloads"] < swap * len(rows) or _validation_count == seen
            ):
                time.sleep(0)
            with run.guard:
                _swap(schemas[swap % len(schemas)])
                seen = _validation_count
            swapped.set()

    reloader = threading.Thread(target=reload)
    reloader.start()
    run.share(range(len(rows)), check, THREADS)
    done.set()
    reloader.join()

    by_version = {schema["version"]: schema for schema in schemas}
    log = list(_audit_log)
    torn = sum(1 for entry in log if _broken(rows[entry["row"]], by_version[entry["version"]]) != entry["broken"])
    versions = len({entry["version"] for entry in log})
    run.found("torn_rows", torn, broke=torn > 0)
    run.found("reloads_met", f"{versions} versions", broke=versions < 2)
    run.found("audit_log_length", len(log), broke=len(log) != len(rows))
    distinct = len({entry["row"] for entry in log})
    run.found("audit_log_rows", distinct, broke=distinct != len(rows))
    run.found("validations_counted", _validation_count, broke=_validation_count != len(rows))


def _broken(cells: dict[str, str], schema: Schema) -> list[str]:
    """The rules of the schema that a row breaks."""
    return [f"{problem['column']}: {problem['rule']}" for problem in problems_of(cells, schema)]


def _swap(schema: Schema) -> None:
    """Bring a schema into force where everyone finds it: its version, and then its fields, in place."""
    _schema["version"] = schema["version"]
    _schema["fields"][:] = schema["fields"]
