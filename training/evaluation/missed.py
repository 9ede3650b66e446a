"""Who left although the model did not put them among the first: the customers an analyst asks about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kernel.part import Floats

HABITS = {
    "days_since_last_purchase": "days since the last purchase",
    "orders_90d": "orders in 90 days",
    "spend_90d": "spend in 90 days",
}
"""Features that tell a reader who these customers are -> in words."""


@dataclass(frozen=True, slots=True)
class Group:
    """Customers of one fate.

    Attributes:
        risk: their median predicted risk.
        habits: the medians of ``HABITS`` before the date; NaN where there is none.
    """

    name: str
    customers: int
    risk: float
    habits: tuple[float, ...]


def fates(features: pd.DataFrame, probability: Floats, left: Floats, contacts: int) -> list[Group]:
    """Those who left among the first ``contacts`` by risk, those who left and were not, and those who stayed."""
    first = np.zeros(len(left), dtype=bool)
    first[np.argsort(-probability, kind="stable")[:contacts]] = True
    chosen = {
        f"left, among the first {contacts}": (left > 0) & first,
        "left, not among them": (left > 0) & ~first,
        "stayed": left == 0,
    }
    habits = features.reindex(columns=list(HABITS)).to_numpy(dtype="float64")
    return [
        Group(name, int(who.sum()), float(np.median(probability[who])), tuple(_medians(habits[who])))
        for name, who in chosen.items()
        if who.any()
    ]


def _medians(values: Floats) -> list[float]:
    return [float(np.median(known)) if len(known := column[~np.isnan(column)]) else np.nan for column in values.T]
