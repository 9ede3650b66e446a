"""Intervals from what became of customers with similar predictions."""

from __future__ import annotations

import numpy as np
import pandas as pd

from kernel.artefacts import Floats, Similar
from training.evaluation.calibration import wilson

CONFIDENCE = 0.9
_PER_POINT = 200  # rows of one point of the curve
_MOST_POINTS = 20


def rate_intervals(prediction: Floats, happened: Floats, customers: pd.Index) -> Similar:
    """Wilson interval of the observed rate along the prediction (Wilson 1927).

    Rows of one customer at several cut-offs are no independent evidence: each point counts its distinct customers.
    """
    points = [
        (float(prediction[rows].mean()), *_bounds(happened[rows], customers[rows])) for rows in _neighbours(prediction)
    ]
    return _curve("Wilson interval of the rate among similar predictions, out of customer", points, prediction)


def ratio_intervals(prediction: Floats, actual: Floats) -> Similar:
    """5 % and 95 % quantiles of actual / predicted along the prediction: where one customer's outcome lies."""
    tail = (1 - CONFIDENCE) / 2
    points = []
    for rows in _neighbours(prediction):
        ratio = actual[rows] / prediction[rows]
        low, high = np.quantile(ratio, [tail, 1 - tail])
        points.append((float(prediction[rows].mean()), float(max(low, 0.0)), float(high)))
    return _curve("quantiles of actual over predicted among similar predictions, out of customer", points, prediction)


def _neighbours(prediction: Floats) -> list[np.ndarray]:
    count = int(np.clip(len(prediction) // _PER_POINT, 1, _MOST_POINTS))
    return np.array_split(np.argsort(prediction, kind="stable"), count)


def _bounds(happened: Floats, customers: pd.Index) -> tuple[float, float]:
    return wilson(float(happened.mean()), customers.nunique(), CONFIDENCE)


def _curve(method: str, points: list[tuple[float, float, float]], prediction: Floats) -> Similar:
    at, low, high = zip(*points, strict=True)
    per_point = len(prediction) // len(points)
    return Similar(
        method=method, confidence=CONFIDENCE, customers_per_point=per_point, prediction=at, low=low, high=high
    )
