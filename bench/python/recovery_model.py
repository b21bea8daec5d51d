"""A model that is fitted where this is imported: in the nursery, if it is preloaded."""

from __future__ import annotations

import os

from sklearn.linear_model import LinearRegression

MODEL = LinearRegression().fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])


def predict() -> int:
    """Predicts with the model, and gives the process id."""
    assert abs(float(MODEL.predict([[3.0]])[0]) - 7.0) < 1e-6
    return os.getpid()
