"""Lifetime value without a model: a published formula, look-alikes, and the age of a customer.

``carry_forward`` of ``baselines.py`` is the fourth. All of them say expected net spend in the project's currency.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kernel.artefacts import Floats
from kernel.value_predictor import MONTH_DAYS
from training.dataset import TrainingSet
from training.models.baselines import carry_forward

AGE_STEP_DAYS = 28
_QUINTILES = 5
_FEWEST_ALIKE = 20
_FEWEST_OF_AGE = 50
Places = NDArray[np.intp]


def value_baselines(train: TrainingSet, features: pd.DataFrame, horizon_days: int) -> dict[str, Floats]:
    """Expected spend by each of them, shape (rows,), by name."""
    return {
        "carry_forward": carry_forward(features, horizon_days),
        "formula": formula_value(features, horizon_days, retention_rate(train)),
        "rfm_cells": rfm_cell_means(train, features),
        "cohort_curve": cohort_curve(train, features),
    }


def retention_rate(train: TrainingSet) -> float:
    """Share of the rows, of which there is at least one, with more bought than returned in the horizon."""
    return float(np.mean(train.spend > 0))


def formula_value(features: pd.DataFrame, horizon_days: int, retention: float) -> Floats:
    """Average monthly spend so far x months of the horizon x retention rate, shape (rows,).

    The baseline that Dynamics 365 Customer Insights publishes for lifetime value. Who became a customer less than a
    month ago has spent in one month; without a purchase so far nothing is expected, and of who returned more than they
    bought, less than nothing.

    Args:
        retention: share of the customers who go on buying, in [0, 1]; see :func:`retention_rate`.
    """
    months = np.fmax(_column(features, "T_days") / MONTH_DAYS, 1.0)
    monthly = np.nan_to_num(_column(features, "net_spend")) / months
    return monthly * (horizon_days / MONTH_DAYS) * retention


def rfm_cell_means(train: TrainingSet, features: pd.DataFrame) -> Floats:
    """Mean spend of the training rows in the same quintiles of recency, frequency and money, shape (rows,).

    With fewer than 20 of them those of the same recency and money count, and with fewer than 20 of these all.

    Args:
        train: its rows set the quintiles; at least one. An unknown value lies in the worst quintile.
    """
    recency, frequency, money = (
        _quintiles(sign * _column(train.features, name), sign * _column(features, name))
        for sign, name in ((-1, "days_since_last_purchase"), (1, "frequency"), (1, "spend_90d"))
    )
    pair = recency * _QUINTILES + money
    expected = np.full(len(features), train.spend.mean())
    for cell in (pair, pair * _QUINTILES + frequency):
        known, asked = np.split(cell, [len(train)])
        means = _means(known, train.spend, _FEWEST_ALIKE, cells=int(cell.max()) + 1)[asked]
        expected = np.where(np.isnan(means), expected, means)
    return expected


def cohort_curve(train: TrainingSet, features: pd.DataFrame) -> Floats:
    """Mean spend of the training rows of the same age as a customer, in steps of 28 days, shape (rows,).

    The last step is the longest age with 50 rows, and takes in all who are older. A younger age with fewer than 50 lies
    on the line between its neighbours, or has the mean of the youngest with as many. Where no age has, and for who
    never bought, it is the mean of all rows, of which there is at least one.
    """
    known, asked = (np.floor(_column(rows, "T_days") / AGE_STEP_DAYS) for rows in (train.features, features))
    overall = np.full(len(features), train.spend.mean())
    ages, rows = np.unique(known[~np.isnan(known)], return_counts=True)
    if not np.any(rows >= _FEWEST_OF_AGE):
        return overall
    longest = int(ages[rows >= _FEWEST_OF_AGE][-1])
    bought = ~np.isnan(known)
    step = np.minimum(known[bought], longest).astype(np.intp)
    means = _means(step, train.spend[bought], _FEWEST_OF_AGE, cells=longest + 1)
    told = np.flatnonzero(~np.isnan(means))
    return np.where(np.isnan(asked), overall, np.interp(asked, told, means[told]))


def _column(features: pd.DataFrame, name: str) -> Floats:
    return features[name].to_numpy(dtype="float64")


def _quintiles(known: Floats, asked: Floats) -> Places:
    """Of the training rows and then of the others: 0 (worst, or unknown) to 4, shape (training rows + rows,)."""
    told = known[~np.isnan(known)]
    edges = np.quantile(told, np.arange(1, _QUINTILES) / _QUINTILES) if len(told) else np.empty(0)
    both = np.append(known, asked)
    # Equal values lie in the lowest quintile that they reach: many who bought once do not mix with those above them.
    return np.where(np.isnan(both), 0, np.searchsorted(edges, both))


def _means(cell: Places, spend: Floats, fewest: int, *, cells: int) -> Floats:
    """Mean spend of each cell, shape (cells,); NaN where it has fewer rows than ``fewest``."""
    rows, total = (np.bincount(cell, weights, minlength=cells) for weights in (None, spend))
    return np.where(rows >= fewest, total / np.maximum(rows, 1), np.nan)
