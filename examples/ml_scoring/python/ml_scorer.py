"""Models that belong to a session, for the workers of the `ml_scoring` example.

A model is kept in `slither.session()`: a dict of one session in one worker, that no other session sees and that ends
with it. The usual place would be a global dict from name to model; threads that share one overwrite each other's
models and lose counts. Nothing here takes a lock, because a worker runs one call at a time and shares no memory.

Beside that a worker keeps its own account of what happened in it, over all sessions (`worker_stats`), which Rust
compares with what it has seen.
"""

import hashlib
import os
import time
from typing import Any, TypedDict

import numpy as np
import slither
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

CANDIDATES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""How strongly a model may trust its data: each is tried, in a round of its own."""

FOLDS = 5
"""Parts of the data in a round: each is predicted by a model that has learnt from the others."""

HELD_OUT = 0.25
"""The share of a real data set that no model learns from."""

DATASETS = {"breast_cancer": load_breast_cancer, "wine": load_wine}
"""The data sets that can be asked for by name; scikit-learn ships them."""


class Looked(TypedDict):
    """A record that was looked up in the store, which did not have its features."""

    id: str
    readings: list[list[float]]
    features: list[float] | None


class Question(TypedDict):
    """A record's features, and the model that is to judge them."""

    id: str
    model: str
    features: list[float]


class Prediction(TypedDict):
    """A verdict: the class and what every class has for it, and who gave it."""

    id: str
    label: int
    probabilities: list[float]
    session: str | None
    pid: int
    fingerprint: str


class Trained(TypedDict):
    """A model that was trained: how, when by the clock that all workers share, and what it has learnt.

    `coefficients` and `intercepts` apply to features as they come; a row for each class, or one row for two classes.
    """

    model: str
    session: str | None
    pid: int
    began_ns: int
    ended_ns: int
    samples: int
    rounds: int
    validated: float
    coefficients: list[list[float]]
    intercepts: list[float]
    fingerprint: str


class Record(TypedDict):
    """A record as it arrives: several readings of the same features."""

    id: str
    readings: list[list[float]]


class Learnt(TypedDict):
    """A model of a real data set, and what was held out from it."""

    trained: Trained
    held_out: list[Record]
    labels: list[int]
    classes: list[str]
    score: float


class SessionStats(TypedDict):
    """What a session keeps here: its models by name, each with its fingerprint, and how often they were asked."""

    session: str | None
    pid: int
    models: dict[str, str]
    predictions: int


class WorkerStats(TypedDict):
    """What happened in this process, whoever asked for it."""

    pid: int
    trained: list[tuple[str, str]]
    predictions: int
    ended: list[str]


_trained: list[tuple[str, str]] = []
_ended: list[str] = []
_predictions: int = 0


def featurize(items: list[Looked]) -> list[Looked]:
    """Make features from readings: `list[Looked]` to `list[Looked]`, the mean of each column."""
    return [{**item, "features": np.mean(item["readings"], axis=0).tolist()} for item in items]


def train(model: str, low: list[float], high: list[float], spread: list[float], samples: int, seed: int) -> Trained:
    """Train a model of this session to tell two clouds of points apart, and keep it."""
    chance = np.random.default_rng(seed)
    clouds = [chance.normal(centre, spread, (samples // 2, len(centre))) for centre in (low, high)]
    return _learn(model, np.concatenate(clouds), np.repeat([0, 1], samples // 2))


def train_real(model: str, dataset: str, seed: int) -> Learnt:
    """Train a model of this session on the larger part of a real data set, and hand out the rest."""
    data = DATASETS[dataset]()
    features, held_out, labels, truth = train_test_split(
        data.data, data.target, test_size=HELD_OUT, stratify=data.target, random_state=seed
    )
    trained = _learn(model, features, labels)
    records: list[Record] = [
        {"id": f"{dataset}/{number}", "readings": [row]} for number, row in enumerate(held_out.tolist())
    ]
    return {
        "trained": trained,
        "held_out": records,
        "labels": truth.tolist(),
        "classes": [str(name) for name in data.target_names],
        "score": float(_models()[model].score(held_out, truth)),
    }


def predict(items: list[Question]) -> list[Prediction]:
    """Judge a batch by this session's models: `list[Question]` to `list[Prediction]`, in order."""
    results: list[Prediction] = []
    for name, group in _by_model(items):
        fitted = _model(name)
        probabilities = fitted.predict_proba(np.array([item["features"] for item in group]))
        for item, row in zip(group, probabilities, strict=True):
            results.append(
                {
                    "id": item["id"],
                    "label": int(fitted.classes_[row.argmax()]),
                    "probabilities": row.tolist(),
                    "session": slither.context().session_id,
                    "pid": os.getpid(),
                    "fingerprint": fingerprint(fitted),
                }
            )
    _count(len(results))
    return results


def session_stats() -> SessionStats:
    """Tell what this session keeps here."""
    state = slither.session()
    return {
        "session": slither.context().session_id,
        "pid": os.getpid(),
        "models": {name: fingerprint(fitted) for name, fitted in state.get("models", {}).items()},
        "predictions": state.get("predictions", 0),
    }


def worker_stats() -> WorkerStats:
    """Tell what happened in this process."""
    return {"pid": os.getpid(), "trained": list(_trained), "predictions": _predictions, "ended": list(_ended)}


def fingerprint(fitted: Pipeline) -> str:
    """Name a model by what it has learnt: equal for equal weights."""
    weights, intercepts = _weights(fitted)
    return hashlib.sha256(weights.tobytes() + intercepts.tobytes()).hexdigest()[:12]


def _learn(model: str, features: Any, labels: Any) -> Trained:
    """Try every candidate, keep the model of the best. The host hears of every round, and may hold it up."""
    began = time.monotonic_ns()
    scores: list[float] = []
    for number, strength in enumerate(CANDIDATES):
        scores.append(float(cross_val_score(_untrained(strength), features, labels, cv=FOLDS).mean()))
        slither.view("round_done", model=model, done=number + 1, of=len(CANDIDATES))
    best = int(np.argmax(scores))
    fitted = _untrained(CANDIDATES[best]).fit(features, labels)
    session = slither.context().session_id
    _keep(model, session or "", fitted)
    weights, intercepts = _weights(fitted)
    return {
        "model": model,
        "session": session,
        "pid": os.getpid(),
        "began_ns": began,
        "ended_ns": time.monotonic_ns(),
        "samples": len(labels),
        "rounds": len(CANDIDATES),
        "validated": scores[best],
        "coefficients": weights.tolist(),
        "intercepts": intercepts.tolist(),
        "fingerprint": fingerprint(fitted),
    }


def _untrained(strength: float) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))


def _weights(fitted: Pipeline) -> tuple[Any, Any]:
    """What the model has learnt, with the scaling worked into it."""
    scaler, regression = fitted[0], fitted[-1]
    weights = regression.coef_ / scaler.scale_
    return weights, regression.intercept_ - weights @ scaler.mean_


def _models() -> dict[str, Pipeline]:
    """The models of this session, and of no other."""
    models: dict[str, Pipeline] = slither.session().setdefault("models", {})
    return models


def _model(name: str) -> Pipeline:
    models = _models()
    if name not in models:
        known = ", ".join(models) or "none"
        raise LookupError(f"this session has no model {name!r}; it has: {known}")
    return models[name]


def _keep(model: str, session: str, fitted: Pipeline) -> None:
    if not _models():
        slither.on_session_end(lambda: _ended.append(session))
    _models()[model] = fitted
    _trained.append((session, model))


def _count(predictions: int) -> None:
    """Count for the session and for the worker: read, modify, write, as a single-threaded program may."""
    global _predictions
    state = slither.session()
    state["predictions"] = state.get("predictions", 0) + predictions
    _predictions += predictions


def _by_model(items: list[Question]) -> list[tuple[str, list[Question]]]:
    """Runs of questions to the same model, in their order."""
    runs: list[tuple[str, list[Question]]] = []
    for item in items:
        if not runs or runs[-1][0] != item["model"]:
            runs.append((item["model"], []))
        runs[-1][1].append(item)
    return runs
