# ruff: noqa: D102, D103  names say it: of a test its promise, of a method what it stands in for
"""The promises of the models. They need scikit-learn and the SDK, but no Slither: a dict stands in for the session."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

# As for workers: threads of a linear algebra library that wait for each other make small models slow.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))

import ml_scorer
import numpy as np
import pytest
import slither
from ml_scorer import Question, Trained, featurize, predict, session_stats, train, train_real, worker_stats


class Host:
    """What a worker would provide: sessions, one of which is calling, and a view."""

    def __init__(self) -> None:
        self.sessions: dict[str, dict[Any, Any]] = {}
        self.calling = "s-a"
        self.hooks: list[Callable[[], object]] = []
        self.rounds: list[dict[str, Any]] = []

    def session(self) -> dict[Any, Any]:
        return self.sessions.setdefault(self.calling, {})

    def context(self) -> slither.Context:
        return slither.Context(session_id=self.calling)

    def view(self, name: str, **question: Any) -> None:
        assert name == "round_done"
        self.rounds.append(question)


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host()
    for name in ("session", "context", "view"):
        monkeypatch.setattr(slither, name, getattr(host, name))
    monkeypatch.setattr(slither, "on_session_end", host.hooks.append)
    for name in ("_trained", "_ended"):
        monkeypatch.setattr(ml_scorer, name, [])
    monkeypatch.setattr(ml_scorer, "_predictions", 0)
    return host


def clouds(model: str, seed: int = 1) -> Trained:
    return train(model, [0.0, 0.0], [4.0, 4.0], [1.0, 1.0], 80, seed)


def question(number: int, model: str, features: list[float]) -> Question:
    return {"id": f"record/{number}", "model": model, "features": features}


def test_features_are_the_means_of_the_readings() -> None:
    (made,) = featurize([{"id": "x", "readings": [[1.0, 2.0], [3.0, 6.0]], "features": None}])
    assert made == {"id": "x", "readings": [[1.0, 2.0], [3.0, 6.0]], "features": [2.0, 4.0]}


def test_a_model_tells_its_clouds_apart_and_says_what_it_learnt(host: Host) -> None:
    trained = clouds("a")
    assert trained["validated"] > 0.95
    assert trained["began_ns"] < trained["ended_ns"]
    assert [it["done"] for it in host.rounds] == list(range(1, trained["rounds"] + 1))
    low, high = predict([question(0, "a", [0.0, 0.0]), question(1, "a", [4.0, 4.0])])
    assert (low["label"], high["label"]) == (0, 1)
    score = np.dot(trained["coefficients"][0], [4.0, 4.0]) + trained["intercepts"][0]
    assert high["probabilities"][1] == pytest.approx(1 / (1 + np.exp(-score)))
    assert low["fingerprint"] == high["fingerprint"] == trained["fingerprint"]


def test_the_same_points_make_the_same_model_and_others_another() -> None:
    assert clouds("a")["fingerprint"] == clouds("again")["fingerprint"]
    assert clouds("a")["fingerprint"] != clouds("a", seed=2)["fingerprint"]


def test_a_session_has_its_own_models_and_no_others(host: Host) -> None:
    clouds("a")
    host.calling = "s-b"
    with pytest.raises(LookupError, match="this session has no model 'a'; it has: none"):
        predict([question(0, "a", [1.0, 1.0])])
    clouds("b", seed=2)
    assert list(session_stats()["models"]) == ["b"]
    with pytest.raises(LookupError, match="it has: b"):
        predict([question(0, "a", [1.0, 1.0])])
    assert worker_stats()["trained"] == [("s-a", "a"), ("s-b", "b")]
    for hook in host.hooks:
        hook()
    assert worker_stats()["ended"] == ["s-a", "s-b"]


def test_verdicts_come_in_the_order_of_the_questions_and_are_counted_once_they_are_whole() -> None:
    clouds("a")
    clouds("b", seed=2)
    items = [question(number, "ab"[number % 2], [number / 2, 1.0]) for number in range(6)]
    assert [it["id"] for it in predict(items)] == [it["id"] for it in items]
    with pytest.raises(LookupError):
        predict([question(0, "a", [1.0, 1.0]), question(1, "none", [1.0, 1.0])])
    assert session_stats()["predictions"] == worker_stats()["predictions"] == 6


@pytest.mark.parametrize(("dataset", "held_out", "classes"), [("breast_cancer", 143, 2), ("wine", 45, 3)])
def test_a_real_data_set_is_learnt_without_what_is_held_out(dataset: str, held_out: int, classes: int) -> None:
    learnt = train_real(dataset, dataset, 20)
    data = ml_scorer.DATASETS[dataset]()
    assert learnt["trained"]["samples"] + len(learnt["held_out"]) == len(data.target)
    assert (len(learnt["labels"]), len(learnt["classes"])) == (held_out, classes)
    items = [question(number, dataset, it["readings"][0]) for number, it in enumerate(learnt["held_out"])]
    right = [it["label"] == label for it, label in zip(predict(items), learnt["labels"], strict=True)]
    assert learnt["score"] == pytest.approx(np.mean(right))
    assert learnt["score"] > 0.9
