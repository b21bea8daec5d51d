"""What is called before and after a kill."""

from __future__ import annotations

import os
import time


def who() -> int:
    """Gives the process id."""
    return os.getpid()


def fit() -> int:
    """Fits a model, predicts with it, and gives the process id."""
    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    assert abs(float(model.predict([[3.0]])[0]) - 7.0) < 1e-6
    return os.getpid()


def hang() -> int:
    """Says that it has begun, and waits to be killed."""
    import slither

    slither.progress(0)
    time.sleep(300)  # sleep: to be killed
    return 0
