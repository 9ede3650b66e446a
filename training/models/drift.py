"""How much more, or less, is happening lately than in the windows that training could see to their end.

A label is known only a whole window after its cut-off: what training knows of the base rate is as old as that. The
beginnings of the newer windows are known, though. A day count after a cut-off at which a window was watched tells, of
the older cut-offs, who had come to what by then; where the same customers' risks give another share in a newer window,
the level has moved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import root_scalar
from sklearn.linear_model import LogisticRegression

from kernel.part import Floats

FEWEST_DAYS = 7
MOST_MOMENTS = 5
# Chosen on Online Retail as of June 2011, Complete Journey as of June and July 2017, CDNOW as of 1997-10 and 1998-02.
_MOVES = 0.2
"""How far the level moves in two weeks, as a standard deviation of log-odds."""
_GOES_ON = 0.8
"""The share of a movement that is still there in the window to come."""
_STEP = 14.0
_KNOWN = 0.1
"""Standard deviation of the level in the windows that training saw."""
_FURTHEST = 3.0


@dataclass(frozen=True, slots=True)
class Beginning:
    """The beginning of a window that is not over.

    Attributes:
        days: from the cut-off until now.
        log_odds: of the whole window, for the cohort of the cut-off, shape (rows,).
        happened: what the label says of these days alone, 1.0 or 0.0, shape (rows,).
    """

    days: int
    log_odds: Floats
    happened: Floats


@dataclass(frozen=True, slots=True)
class Drift:
    """By how much the log-odds of today lie above those that training saw, with a standard deviation."""

    shift: float
    deviation: float


NOT_SEEN = Drift(0.0, 0.0)


def drift(log_odds: Floats, early: Callable[[int], Floats], beginnings: Sequence[Beginning], window_days: int) -> Drift:
    """Follow the level from the windows that training saw to now (local level model: Harvey 1989).

    Args:
        log_odds: of customers that the model did not see, in windows that are over, shape (rows,).
        early: days -> what the label says of the first days of these windows alone, shape (rows,).
        beginnings: in any order.
        window_days: length of a whole window.
    """
    level, variance, before = 0.0, _KNOWN**2, None
    for beginning in sorted(beginnings, key=lambda one: -one.days):
        observed = _observed(log_odds, early(beginning.days), beginning)
        if observed is None:
            continue
        passed = _STEP * 2 if before is None else before - beginning.days
        variance += _MOVES**2 * passed / _STEP
        gain = variance / (variance + observed.deviation**2)
        level, variance, before = level + gain * (observed.shift - level), variance * (1 - gain), beginning.days
    if before is None:
        return NOT_SEEN
    # The window to come brings movements of its own, which its average halves.
    ahead = (_MOVES / 2) ** 2 * window_days / _STEP
    return Drift(_GOES_ON * level, float(np.sqrt(variance + ahead)))


def _observed(log_odds: Floats, early: Floats, beginning: Beginning) -> Drift | None:
    """What one beginning says; None where it says nothing, as where nobody could have come to anything yet."""
    happened = beginning.happened
    if min(early.min(), happened.min()) == 1 or max(early.max(), happened.max()) == 0 or early.min() == early.max():
        return None
    fitted = LogisticRegression(C=np.inf).fit(log_odds.reshape(-1, 1), early)
    slope, intercept = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    if slope <= 0:
        return None

    def expected(shift: float) -> Floats:
        return 1 / (1 + np.exp(-(slope * (beginning.log_odds + shift) + intercept)))

    def missing(shift: float) -> float:
        return float(expected(shift).mean() - happened.mean())

    if missing(-_FURTHEST) > 0 or missing(_FURTHEST) < 0:
        return None
    shift = float(root_scalar(missing, bracket=(-_FURTHEST, _FURTHEST)).root)
    spread = expected(shift) * (1 - expected(shift))
    return Drift(shift, float(np.sqrt(spread.sum()) / (slope * spread.sum())))
