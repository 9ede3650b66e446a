"""Intervals from what became of customers with similar predictions."""

from __future__ import annotations

import numpy as np

from kernel.artefacts import Floats, Similar

CONFIDENCE = 0.9
_PER_POINT = 200  # rows of one point of the curve
_MOST_POINTS = 20


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


def _curve(method: str, points: list[tuple[float, float, float]], prediction: Floats) -> Similar:
    at, low, high = zip(*points, strict=True)
    per_point = len(prediction) // len(points)
    return Similar(
        method=method, confidence=CONFIDENCE, customers_per_point=per_point, prediction=at, low=low, high=high
    )
