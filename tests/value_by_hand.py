"""What the double of a value model predicts, computed by the printed formulas."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import hyp2f1

from kernel.artefacts import (
    ContractParameters,
    OrderValues,
    Similar,
)
from kernel.value_predictor import (
    HORIZON_MONTHS,
    ValueNumbers,
)
from tests.doubles.models import features

# As the double has them.
R, ALPHA, A, B = 0.243, 4.414 * 7, 0.793, 2.426
P, Q, V = 6.25, 3.74, 15.45
WEIGHTS = {"spend_90d": 0.4, "net_spend": 0.3, "btyd": 0.3}
NET_SHARE, SCALE = 0.97, 0.01
LEARNT = 56
DAYS = {months: 30 * months for months in HORIZON_MONTHS}
CONTRACTS = ContractParameters(alpha=0.668, beta=3.806, days_per_period=30.0)
NEWCOMERS = Similar(
    method="quantile", confidence=0.9, customers_per_point=50, prediction=(0, 1000), low=(0, 0.1), high=(9, 1.5)
)
RISING = OrderValues(p=P, q=Q, v=V, slope=0.4, usual=3.0)


def alive(x: np.ndarray, t_x: np.ndarray, T: np.ndarray) -> np.ndarray:
    """P(alive) of BG/NBD as Fader, Hardie & Lee print it (note 021), time in days."""
    gone = A / (B + np.maximum(x, 1) - 1) * ((ALPHA + T) / (ALPHA + t_x)) ** (R + x)
    return np.where(x > 0, 1 / (1 + gone), 1.0)


def purchases(days: float, x: np.ndarray, t_x: np.ndarray, T: np.ndarray) -> np.ndarray:
    """Equation 10 of Fader, Hardie & Lee (2005) as printed, time in days."""
    left = (ALPHA + T) / (ALPHA + T + days)
    curve = 1 - left ** (R + x) * hyp2f1(R + x, B + x, A + B + x - 1, days / (ALPHA + T + days))
    return (A + B + x - 1) / (A - 1) * curve * alive(x, t_x, T)


def order_value(frame: pd.DataFrame) -> np.ndarray:
    """Of Gamma-Gamma: a mean of the customer's own orders and of everybody's."""
    own = frame["monetary_value"].fillna(0).to_numpy()
    x = frame["frequency"].fillna(0).to_numpy()
    weight = P * x / (P * x + Q - 1)
    return NET_SHARE * (weight * own + (1 - weight) * P * V / (Q - 1))


def matrix(frame: pd.DataFrame) -> np.ndarray:
    """What the trees see: the words' places in their categories, by hand."""
    income = frame["income"].map({"high": 0.0, "low": 1.0}).to_numpy(dtype="float64")
    return np.column_stack([frame["recency_days"], frame["spend_90d"], income])


def pace(frame: pd.DataFrame) -> np.ndarray:
    by_btyd = purchases(LEARNT, *histories(frame)) * order_value(frame)
    return (
        0.4 * LEARNT * frame["spend_90d"].to_numpy() / 90
        + 0.3 * LEARNT * frame["net_spend"].to_numpy() / (frame["T_days"].to_numpy() + 14)
        + 0.3 * by_btyd
    )


def known(rows: int = 300) -> pd.DataFrame:
    """Customers of whom everything the paces need is known."""
    frame = features(rows)
    return frame.fillna({"spend_90d": 12.0})


def histories(frame: pd.DataFrame) -> list[np.ndarray]:
    """Frequency, recency and age."""
    return [frame[name].to_numpy() for name in ("frequency", "recency_days", "T_days")]


def without_purchase(frame: pd.DataFrame, row: int = 0) -> pd.DataFrame:
    """The same, in which one customer has never bought: what the engine gives of such a customer."""
    other = frame.copy()
    unknown = ["recency_days", "T_days", "days_since_last_purchase", "frequency", "monetary_value"]
    other.loc[other.index[row], unknown] = np.nan
    other.loc[other.index[row], ["spend_30d", "spend_90d", "spend_365d", "net_spend"]] = 0.0
    return other


def bits(found: ValueNumbers) -> dict[str, bytes]:
    return {name: values.tobytes() for name, values in found.columns().items()}
