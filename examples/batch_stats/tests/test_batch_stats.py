# ruff: noqa: D103  the name of a test says what it promises
"""The promises of the statistics. They need the standard library only."""

import math
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import batch_stats
import pytest
from batch_stats import Dataset, Running, describe, describe_batch, numbers, worker_stats

PYTHON = Path(__file__).resolve().parents[1] / "python"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(batch_stats, "_announce", lambda _: None)
    batch_stats.reset()
    yield
    batch_stats.reset()


def dataset(*values: float | str | None, number: int = 0) -> Dataset:
    return {"number": number, "name": "d", "group": "g", "values": list(values), "address": None}


def test_figures_are_those_of_the_statistics_module() -> None:
    values = [math.sin(number) * 100 + 1000 for number in range(500)]
    described = describe(dataset(*values), Running())
    assert described["count"] == 500
    assert described["mean"] == pytest.approx(statistics.fmean(values), rel=1e-12)
    assert described["stdev"] == pytest.approx(statistics.stdev(values), rel=1e-9)
    assert described["median"] == statistics.median(values)
    assert (described["least"], described["greatest"]) == (min(values), max(values))


def test_a_single_value_has_no_deviation() -> None:
    described = describe(dataset(3.0), Running())
    assert (described["count"], described["mean"], described["stdev"]) == (1, 3.0, 0.0)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (None, "d has no values: nil"),
        ([], "d has no values: it is empty"),
        ([1.0, None], "value 2 of d is missing: nil"),
        ([float("nan")], "value 1 of d is not finite: nan"),
        ([1.0, 2.0, float("-inf")], "value 3 of d is not finite: -inf"),
        (["n/a"], "value 1 of d is no number: 'n/a'"),
    ],
)
def test_what_makes_no_sense_says_why(values: list[float | str | None] | None, said: str) -> None:
    bad: Dataset = {"number": 0, "name": "d", "group": "g", "values": values, "address": None}
    with pytest.raises(ValueError, match=said):
        numbers(bad)


def test_a_batch_that_fails_counts_nothing_and_its_parts_count_once() -> None:
    good, bad, also = dataset(1.0, 2.0), dataset(5.0, None, number=1), dataset(3.0, number=2)
    with pytest.raises(ValueError, match="missing"):
        describe_batch([good, bad, also])
    assert worker_stats()["count"] == 0
    describe_batch([good])
    describe_batch([also])
    stats = worker_stats()
    assert (stats["datasets"], stats["count"], stats["mean"], stats["m2"]) == (2, 3, 2.0, 2.0)


def test_an_address_that_is_not_there_kills_the_process_by_sigsegv() -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(PYTHON)!r})\n"
        "import batch_stats\n"
        "batch_stats.numbers({'number': 0, 'name': 'd', 'group': 'g', 'values': None, 'address': 16})\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, timeout=60)
    assert ended.returncode == -signal.SIGSEGV
