"""`ml_scoring` by plain threads: one table of models for all sessions, and one count of predictions.

A session trains a model on data of its own, enters it into the table under the next number, and scores records by the
model of that number. If two sessions are given the same number, one of them is judged by the other's model.
"""

from typing import Any, TypedDict

import numpy as np
from _harness import Run
from sklearn.linear_model import LogisticRegression


class Work(TypedDict):
    """How many sessions there are, and what each of the two kinds learns from: the centres of two clouds of points."""

    sessions: int
    samples: int
    records: int
    centres: list[list[list[float]]]


_models: dict[int, LogisticRegression] = {}
_next_model = 0
_prediction_count = 0


def run(run: Run, work: Work) -> None:
    """Train and score session by session in threads, then ask each session's own model the same."""
    sessions, each = work["sessions"], work["records"]
    run.expect("models_stored", sessions)
    run.expect("sessions_keep_their_model", sessions)
    run.expect("predictions_by_own_model", sessions * each)
    run.expect("predictions_counted", sessions * each)
    records = np.random.default_rng(7).uniform(-1, 6, (each, len(work["centres"][0][0])))
    # What a session knows of itself: the number of its model, the model, and the verdicts that it was given.
    kept: list[tuple[int, LogisticRegression, Any] | None] = [None] * sessions

    def serve(session: int) -> None:
        global _next_model, _prediction_count
        fitted = _train(work, session)
        with run.guard:
            _next_model += 1
            number = _next_model
            _models[number] = fitted
        with run.guard:
            model = _models[number]
        labels = model.predict(records)
        for _ in labels:
            with run.guard:
                _prediction_count += 1
        kept[session] = (number, fitted, labels)

    run.share(range(sessions), serve)
    served = [entry for entry in kept if entry is not None]
    own = sum(1 for number, fitted, _ in served if _models[number] is fitted)
    right = sum(int((fitted.predict(records) == labels).sum()) for _, fitted, labels in served)
    run.found("models_stored", len(_models), broke=len(_models) != sessions)
    run.found("sessions_keep_their_model", own, broke=own != sessions)
    run.found("predictions_by_own_model", right, broke=right != sessions * each)
    run.found("predictions_counted", _prediction_count, broke=_prediction_count != sessions * each)


def _train(work: Work, session: int) -> LogisticRegression:
    """A model that tells the two clouds of its kind apart."""
    centres = work["centres"][session % len(work["centres"])]
    chance = np.random.default_rng(session)
    half = work["samples"] // 2
    points = np.concatenate([chance.normal(centre, 0.5, (half, len(centre))) for centre in centres])
    return LogisticRegression().fit(points, np.repeat([0, 1], half))
