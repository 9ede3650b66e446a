"""Why a customer's churn score is what it is: the largest exact parts, in words."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from features.engine.definition import Unit
from kernel.artefacts import FeatureColumn, Floats
from kernel.types import Reason

TOP = 5


def top_reasons(
    features: pd.DataFrame, contributions: Floats, columns: tuple[FeatureColumn, ...], currency: str
) -> list[tuple[Reason, ...]]:
    """The ``TOP`` features with the largest effect, up or down, for each row.

    Args:
        features: rows x features.
        contributions: shape (rows, columns + 1), log-odds; the last column is the base and no reason.
    """
    parts = contributions[:, :-1]
    order = np.argsort(-np.abs(parts), axis=1, kind="stable")[:, :TOP]
    values = {column.name: features[column.name].to_list() for column in columns}
    return [
        tuple(
            _reason(columns[i], values[columns[i].name][row], float(parts[row, i]), currency)
            for i in chosen
            if parts[row, i] != 0
        )
        for row, chosen in enumerate(order)
    ]


def _reason(column: FeatureColumn, value: object, effect: float, currency: str) -> Reason:
    known = None if value is None or value != value else value
    return Reason(
        code=column.name,
        text=in_words(column, known, currency),
        value=str(known) if isinstance(known, str) else None if known is None else float(known),  # type: ignore[arg-type]
        effect=effect,
    )


def in_words(column: FeatureColumn, value: object, currency: str) -> str:
    """A feature's value as a phrase with its unit, beside the median of the training population."""
    if value is None:
        return f"not known: {column.phrase}"
    if column.categories is not None:
        return f"{column.phrase}: {value}"
    number = float(value)  # type: ignore[arg-type]
    text = f"{_written(number, column.unit, currency)} {column.phrase}"
    typical = None if column.typical is None else _written(column.typical, column.unit, currency)
    return text if typical is None else f"{text} (typical: {typical})"


def _written(number: float, unit: str, currency: str) -> str:
    if unit == Unit.MONEY:
        return f"{currency} {number:,.0f}" if abs(number) >= 10 else f"{currency} {number:,.2f}"
    if unit == Unit.SHARE:
        return f"{number:.0%}"
    if unit == Unit.RATIO or (number != math.floor(number) and abs(number) < 10):
        return f"{number:,.1f}"
    return f"{number:,.0f}"
