"""`batch_stats` by plain threads: one running figure shared by all, and one process for the good and the bad.

First the datasets that at worst raise, many times over; then all of them once, with the one that kills among them.
A lock mends the figure. It mends nothing of the second part.
"""

import math
from typing import Any, TypedDict

from _harness import Run
from batch_stats import Dataset, Running, describe


class Work(TypedDict):
    """The datasets, and how often those that do not kill are gone through."""

    datasets: list[Dataset]
    rounds: int


_running_stats = Running()


def run(run: Run, work: Work) -> None:
    """Both parts."""
    datasets = work["datasets"]
    for dataset in datasets:
        if dataset["values"] is not None:
            dataset["values"] = [_number(value) for value in dataset["values"]]
    _welford(run, [dataset for dataset in datasets if dataset["address"] is None], work["rounds"])
    _one_that_kills(run, datasets)


def _welford(run: Run, datasets: list[Dataset], rounds: int) -> None:
    serial = Running()
    for dataset in datasets * rounds:
        _attempt(dataset, serial)
    run.expect("values_counted", serial.count)
    run.expect("mean", round(serial.mean, 6))
    run.expect("deviation", round(_deviation(serial), 6))

    def add(dataset: Dataset) -> None:
        with run.guard:
            _attempt(dataset, _running_stats)

    run.share(datasets * rounds, add)
    shared = _running_stats
    run.found("values_counted", shared.count, broke=shared.count != serial.count)
    # The order of the values differs, and with it the last digits; not the sixth one.
    same = math.isclose(shared.mean, serial.mean, rel_tol=1e-9)
    run.found("mean", round(shared.mean, 6), broke=not same)
    same = math.isclose(shared.m2, serial.m2, rel_tol=1e-9)
    run.found("deviation", round(_deviation(shared), 6), broke=not same)


def _deviation(running: Running) -> float:
    # A torn sum of squares may be anything, below zero too.
    return math.sqrt(max(0.0, running.m2) / max(1, running.count - 1))


def _one_that_kills(run: Run, datasets: list[Dataset]) -> None:
    """The results are where a program keeps them: in a list of the process."""
    good = sum(1 for dataset in datasets if dataset["address"] is None and _attempt(dataset, Running()))
    kills = any(dataset["address"] is not None for dataset in datasets)
    if not kills:
        return
    results: list[str] = []
    run.expect("good_results_kept", good)

    def describe_one(dataset: Dataset) -> None:
        with run.guard:
            if _attempt(dataset, Running()):
                results.append(dataset["name"])

    run.share(datasets, describe_one)
    run.found("good_results_kept", len(results), broke=len(results) != good)


def _number(value: Any) -> Any:
    """A value of a dataset: what JSON has no word for comes as `{"float": "NaN"}`."""
    return float(value["float"]) if isinstance(value, dict) else value


def _attempt(dataset: Dataset, running: Running) -> bool:
    """Describe a dataset; a bad one is passed over, as `skip` does."""
    try:
        describe(dataset, running)
    except ValueError:
        return False
    return True
