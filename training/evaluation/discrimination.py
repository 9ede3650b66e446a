"""Does the score put those who leave before those who stay?"""

from __future__ import annotations

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from kernel.artefacts import Floats


def ranking_metrics(score: Floats, happened: Floats) -> dict[str, float]:
    """Area under the ROC curve, average precision and lift of the top tenth; higher scores are expected to happen.

    Returns nothing where only one outcome occurred: no ranking can be judged then.
    """
    if happened.min() == happened.max():
        return {}
    return {
        "auc": float(roc_auc_score(happened, score)),
        "average_precision": float(average_precision_score(happened, score)),
        "lift_top_tenth": lift(score, happened, 0.1),
    }


def lift(score: Floats, happened: Floats, share: float) -> float:
    """Rate of the outcome among the ``share`` with the highest scores, over the rate among all."""
    chosen = np.argsort(-score, kind="stable")[: max(1, round(share * len(score)))]
    return float(happened[chosen].mean() / happened.mean())
