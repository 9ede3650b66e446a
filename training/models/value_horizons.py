"""Spend over other horizons than the learnt one: carried along each customer's curve of purchases, and looked at where
the history is long enough."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kernel.artefacts import Floats, HorizonValue, Similar
from kernel.value_predictor import HORIZON_MONTHS, MONTH_DAYS, ValuePredictor
from training.dataset import TrainingSet
from training.evaluation.similar import ratio_intervals

Beyond = Callable[[TrainingSet, int], Floats]
"""(rows, days) -> what each row spent in the days after its cut-off, NaN where they are not over, shape (rows,)."""
_FEWEST_ROWS = 200
_LEAST = 0.01


def horizon_values(
    model: ValuePredictor, data: TrainingSet, expected: Floats, beyond: Beyond
) -> tuple[HorizonValue, ...]:
    """Level and intervals of every horizon.

    Where too few outcomes of a length are there, those of the longest that has enough are carried on: its level stays,
    its intervals widen with the root of time, as those of a random walk do.

    Args:
        expected: spend over the learnt horizon, of each row of ``data``, by models that had not seen its customer.
    """
    learnt = model.manifest.horizon_days
    lengths = {months: round(months * MONTH_DAYS) for months in HORIZON_MONTHS}
    course = model.history(data.features, [learnt, *lengths.values()]).course(
        np.array([days / learnt for days in lengths.values()])
    )
    longest = _Looked(learnt, 1.0, ratio_intervals(expected, data.spend), float(expected.mean()))
    found: list[HorizonValue] = []
    for place, (months, days) in enumerate(lengths.items()):
        carried = np.maximum(expected * course[:, place], _LEAST)
        looked = _looked(days, carried, beyond(data, days), expected, data.spend)
        if looked is not None and days > longest.days:
            longest = looked
        told = looked or longest
        intervals = told.intervals if looked else _carried_on(longest, float(carried.mean()), days)
        found.append(
            HorizonValue(months=months, days=days, level=told.level, intervals=intervals, is_shown=looked is not None)
        )
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Looked:
    """Level and intervals of a length that has outcomes, and the mean expectation there."""

    days: int
    level: float
    intervals: Similar
    mean: float


def _looked(days: int, carried: Floats, spend: Floats, expected: Floats, learnt_spend: Floats) -> _Looked | None:
    over = ~np.isnan(spend)
    if over.sum() < _FEWEST_ROWS or min(spend[over].sum(), learnt_spend[over].sum()) <= 0:
        return None
    # Beside the learnt horizon: how high spend was in just these months says nothing of the curve.
    came = spend[over].sum() / carried[over].sum()
    level = float(came / (learnt_spend[over].sum() / expected[over].sum()))
    foretold = np.maximum(carried[over] * came, _LEAST)
    return _Looked(days, level, ratio_intervals(foretold, spend[over]), float(foretold.mean()))


def _carried_on(longest: _Looked, mean: float, days: int) -> Similar:
    widened, intervals = max(days / longest.days, 1.0) ** 0.5, longest.intervals
    stretch = mean * longest.level / max(longest.mean, _LEAST)
    return intervals.model_copy(
        update={
            "method": f"{intervals.method}, widened {widened:.2f} times beyond the history",
            "prediction": tuple(point * stretch for point in intervals.prediction),
            "low": tuple(min(low, 1.0) ** widened for low in intervals.low),
            "high": tuple(max(high, 1.0) ** widened for high in intervals.high),
        }
    )
