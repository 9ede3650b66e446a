"""What a customer's next orders are worth: Gamma-Gamma, once its assumption has been looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from kernel.artefacts import OrderValues
from kernel.part import Floats
from kernel.value_predictor import order_value_factor
from training.models.value_btyd import fit_gamma_gamma

_TELLING = 0.1
"""Gamma-Gamma holds value and frequency for independent; a rank correlation beyond it says that they are not."""
_SURE = 0.01


@dataclass(frozen=True, slots=True)
class OrderValueFit:
    """Gamma-Gamma and what its assumption looks like.

    Attributes:
        correlation: rank correlation of frequency and value among the customers with repeat purchases.
        is_corrected: whether it is strong enough that values are taken to the usual frequency first.
    """

    values: OrderValues
    correlation: float
    is_corrected: bool


def fit_order_values(histories: pd.DataFrame) -> OrderValueFit:
    """Gamma-Gamma of mean repeat spend; where those who come more often spend more, or less, a day, of what they would
    spend at the usual frequency.

    Raises:
        DataError: a column is missing or a value is.
        NotEnoughDataError: too few customers with repeat purchases, or no distribution fits.
    """
    x, value = (histories[name].to_numpy(dtype="float64", na_value=np.nan) for name in ("frequency", "monetary_value"))
    usable = (x > 0) & (value > 0)
    correlation, slope, usual = _dependence(x[usable], value[usable])
    if slope == 0.0:
        plain = fit_gamma_gamma(histories).model
        return OrderValueFit(OrderValues(**plain.to_dict()), correlation, is_corrected=False)
    taken = histories.assign(monetary_value=value / order_value_factor(np.nan_to_num(x), slope, usual))
    model = fit_gamma_gamma(taken).model
    return OrderValueFit(OrderValues(**model.to_dict(), slope=slope, usual=usual), correlation, is_corrected=True)


def _dependence(frequency: Floats, value: Floats) -> tuple[float, float, float]:
    """Rank correlation, slope of log value against log(1 + frequency), and 1 + the usual frequency."""
    if len(value) < 3 or np.ptp(frequency) == 0 or np.ptp(value) == 0:
        return 0.0, 0.0, 1.0
    correlation, p_value = (float(figure) for figure in np.asarray(spearmanr(frequency, value)))
    if abs(correlation) < _TELLING or p_value > _SURE:
        return correlation, 0.0, 1.0
    often = np.log1p(frequency)
    slope = float(np.polyfit(often, np.log(value), 1)[0])
    return correlation, slope, float(np.exp(often.mean()))
