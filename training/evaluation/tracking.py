"""Does a model of purchases, once fitted, go on counting as the customers buy?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from pandas import DatetimeIndex

from kernel.artefacts import Floats
from kernel.purchases import PurchaseModel
from training.labels.buying import WEEK, WeeklyPurchases


@dataclass(frozen=True, slots=True)
class Tracking:
    """Repeat purchase days of each week, actual and expected (Fader, Hardie & Lee 2005, figures 2 and 3).

    Attributes:
        known_until: the moment up to which the model knew the purchases.
        customers: whose purchases they are.
        weeks: first day of each.
        actual, expected: of all customers, shape (weeks,).
    """

    known_until: datetime
    customers: int
    weeks: DatetimeIndex
    actual: Floats
    expected: Floats

    def after(self) -> Tracking:
        """The weeks that the model did not know."""
        later = np.asarray(self.weeks >= self.known_until)
        return Tracking(self.known_until, self.customers, self.weeks[later], self.actual[later], self.expected[later])


def track(purchases: WeeklyPurchases, model: PurchaseModel) -> Tracking:
    """What a fitted model expects of each week, by nothing but the first purchase day of each customer."""
    expected = weekly_expected(purchases.firsts, model)
    customers = int(purchases.firsts.sum())
    return Tracking(purchases.as_of, customers, purchases.weeks, purchases.repeats, expected)


def weekly_expected(firsts: Floats, model: PurchaseModel) -> Floats:
    """Purchase days expected in each week, shape (weeks,): the sum over customers of the rise of E[X(t)] in it.

    Args:
        firsts: customers whose first purchase day it is, for each day of whole weeks, shape (7 x weeks,).
    """
    if not firsts.size:
        return np.empty(0)
    grown = np.array([model.population(days) for days in range(len(firsts))])
    # Who came on day d is D - d days old at the end of day D.
    so_far = np.convolve(firsts, grown)[WEEK - 1 : len(firsts) : WEEK]
    return np.diff(so_far, prepend=0.0)
