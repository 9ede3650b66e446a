"""Intervals from what became of customers with similar predictions."""

from __future__ import annotations

import numpy as np

from kernel.artefacts import Floats, Similar

CONFIDENCE = 0.9
_PER_POINT = 200  # rows of one point of the curve
_MOST_POINTS = 20


def ratio_intervals(prediction: Floats, actual: Floats) -> Similar:
    """Quantiles of actual / predicted along the prediction, 90 % between them: where one customer's outcome lies.

    5 % lie below and 5 % above. Where more than 5 % spend nothing, nobody lies below, and 10 % above.
    """
    points: list[tuple[float, float, float]] = []
    for rows in _neighbours(prediction):
        ratio = actual[rows] / prediction[rows]
        low = max(float(np.quantile(ratio, (1 - CONFIDENCE) / 2)), 0.0)
        below = float(np.mean(ratio < low))
        points.append((float(prediction[rows].mean()), low, float(np.quantile(ratio, min(below + CONFIDENCE, 1.0)))))
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
