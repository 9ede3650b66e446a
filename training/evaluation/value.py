"""How far is the expected spend from the actual one, for a customer, for the order of customers, for the total?"""

from __future__ import annotations

import numpy as np
from scipy.stats import spearmanr

from kernel.artefacts import Floats


def value_metrics(expected: Floats, actual: Floats) -> dict[str, float]:
    """Mean absolute error (currency), Spearman correlation, normalised Gini, and total expected over total actual."""
    total = float(actual.sum())
    return {
        "mae": float(np.mean(np.abs(expected - actual))),
        "spearman": float(np.asarray(spearmanr(expected, actual))[0]),
        "gini": gini(expected, actual) / gini(actual, actual),
        "total_ratio": float(expected.sum()) / total if total else float("nan"),
    }


def gini(order_by: Floats, actual: Floats) -> float:
    """Gini of the actual spend when customers stand in the order of ``order_by``, highest first."""
    ordered = actual[np.argsort(-order_by, kind="stable")]
    share = np.cumsum(ordered) / ordered.sum()
    return float(share.sum() / len(ordered) - (len(ordered) + 1) / (2 * len(ordered)))
