"""Which family of purchase models a project's customers follow: found by what they came to, not by likelihood."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kernel.errors import NotEnoughDataError
from kernel.part import Floats
from kernel.purchases import Family, PurchaseModel
from training.models.value_btyd import BtydFit, fit_bg_nbd, fit_gamma_gamma, fit_mbg_nbd, fit_pareto_nbd

FITS: Mapping[Family, Callable[[pd.DataFrame], BtydFit[Any]]] = {
    "pareto_nbd": fit_pareto_nbd,
    "bg_nbd": fit_bg_nbd,
    "mbg_nbd": fit_mbg_nbd,
}
"""The first that nothing beats is taken."""
DEFAULT: Family = "bg_nbd"
"""Where too few came back for a choice, or nothing fits."""
FEWEST_REPEAT_CUSTOMERS = 100
MOST_TRIALS = 3
MOST_CUSTOMERS = 5000
"""Of a trial: four parameters for all are sure enough on them."""


@dataclass(frozen=True)
class Trial:
    """An earlier moment, and what came after it.

    Attributes:
        histories: one row per customer, as ``training.models.value_btyd`` wants them, with ``monetary_value``.
        horizon_days: how long was looked ahead.
        spend: in that time, shape (customers,).
    """

    histories: pd.DataFrame
    horizon_days: float
    spend: Floats


def choose_family(trials: Sequence[Trial]) -> tuple[Family, dict[Family, float]]:
    """The family with the lowest mean absolute error of spend over all trials, and the errors, each the mean over the
    trials of the error relative to the mean spend.

    The likelihood of the past must not choose: of the CDNOW sample it takes MBG/NBD, whose error 39 weeks on is larger.
    A family that does not fit in a trial is out; a trial in which fewer than 100 customers came back says nothing.
    """
    telling = [one for one in trials if np.sum(one.histories["frequency"] > 0) >= FEWEST_REPEAT_CUSTOMERS]
    if not telling:
        return DEFAULT, {}
    try:
        orders = [_order_values(trial) for trial in telling]
    except NotEnoughDataError:
        return DEFAULT, dict.fromkeys(FITS, np.inf)
    errors: dict[Family, float] = {}
    for family, fit in FITS.items():
        try:
            found = [
                _error(trial, fit(trial.histories).model, each) for trial, each in zip(telling, orders, strict=True)
            ]
            errors[family] = float(np.mean(found))
        except NotEnoughDataError:
            errors[family] = float(np.inf)
    best, least = min(errors.items(), key=lambda found: found[1])
    return (best if np.isfinite(least) else DEFAULT), errors


def fit_purchases(histories: pd.DataFrame, family: Family) -> PurchaseModel:
    """The family's model, or another's where it does not fit.

    Raises:
        NotEnoughDataError: none fits; what is said is of the family asked for.
    """
    reason: NotEnoughDataError | None = None
    for fit in (FITS[family], *(one for name, one in FITS.items() if name != family)):
        try:
            return fit(histories).model
        except NotEnoughDataError as error:
            reason = reason or error
    assert reason is not None
    raise reason


def _order_values(trial: Trial) -> Floats:
    """What an order of each customer is expected to be worth, whatever the family: shape (customers,)."""
    x, value = (
        trial.histories[name].to_numpy(dtype="float64", na_value=np.nan) for name in ("frequency", "monetary_value")
    )
    known = (x > 0) & (value > 0)
    model = fit_gamma_gamma(trial.histories).model
    return model.expected_order_value(np.where(known, x, 0), np.where(known, value, 0))


def _error(trial: Trial, model: PurchaseModel, orders: Floats) -> float:
    x, t_x, T = (trial.histories[name].to_numpy(dtype="float64", na_value=np.nan) for name in HISTORY[:-1])
    expected = model.expected_purchases(trial.horizon_days, x, t_x, T) * orders
    return float(np.abs(expected - trial.spend).mean() / max(np.abs(trial.spend).mean(), 1e-9))


HISTORY = ("frequency", "recency_days", "T_days", "monetary_value")
