"""Why a customer's churn score is what it is: the largest exact parts, in words."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.engine.definition import Unit
from kernel.artefacts import FeatureColumn, Floats
from kernel.types import Reason

TOP = 5
PER_GROUP = 2


def top_reasons(
    features: pd.DataFrame,
    inputs: Floats,
    contributions: Floats,
    columns: tuple[FeatureColumn, ...],
    currency: str,
) -> list[tuple[Reason, ...]]:
    """The features with the largest effect, up or down, for each row: ``TOP`` at most, ``PER_GROUP`` of one group.

    Args:
        features: rows x features; read for words only.
        inputs: shape (rows, columns), the model's.
        contributions: shape (rows, columns + 1), log-odds; the last column is the base and no reason.
    """
    parts = contributions[:, :-1]
    order = np.argsort(-np.abs(parts), axis=1, kind="stable")
    words = {i: features[c.name].to_list() for i, c in enumerate(columns) if c.categories is not None}
    reasons: list[tuple[Reason, ...]] = []
    for row in range(len(parts)):
        chosen = _spread_over_groups(order[row], parts[row], columns)
        values = [_value(words[i][row] if i in words else float(inputs[row, i])) for i in chosen]
        reasons.append(
            tuple(
                Reason(columns[i].name, in_words(columns[i], value, currency), value, float(parts[row, i]))
                for i, value in zip(chosen, values, strict=True)
            )
        )
    return reasons


def _spread_over_groups(order: NDArray[np.intp], parts: Floats, columns: tuple[FeatureColumn, ...]) -> list[int]:
    """Columns in the order of their effect; neighbours such as spend in 30 and in 60 days say the same thing twice."""
    chosen: list[int] = []
    taken: dict[str, int] = {}
    for i in order.tolist():
        if len(chosen) == TOP or parts[i] == 0:
            break
        group = columns[i].group
        if taken.get(group, 0) < PER_GROUP:
            taken[group] = taken.get(group, 0) + 1
            chosen.append(i)
    return chosen


def _value(found: float | str | None) -> float | str | None:
    return None if found is None or found != found else found


def in_words(column: FeatureColumn, value: float | str | None, currency: str) -> str:
    """A feature's value as a phrase with its unit, beside the median of the training population."""
    if value is None:
        # A mean or a share needs rows to be taken from: there were none in its window.
        return f"nothing to measure: {column.phrase}"
    if isinstance(value, str):
        return f"{column.phrase}: {value}"
    text = f"{_written(value, column.unit, currency)} {column.phrase}"
    typical = None if column.typical is None else _written(column.typical, column.unit, currency)
    return text if typical is None else f"{text} (typical: {typical})"


def _written(number: float, unit: str, currency: str) -> str:
    if unit == Unit.MONEY:
        return f"{currency} {number:,.0f}" if abs(number) >= 10 else f"{currency} {number:z,.2f}"
    if unit == Unit.SHARE:
        return f"{number:.0%}"
    if unit == Unit.RATIO and 0 < abs(number) < 0.1:
        return f"{number:z.2f}"  # rates and concentrations are small: one digit would say 0.0 of all of them
    if unit == Unit.RATIO or (number != math.floor(number) and abs(number) < 10):
        return f"{number:z,.1f}"
    return f"{number:,.0f}"
