"""Shifted-beta-geometric: how long contracts last, from parameters alone; fitting is in ``training``.

Symbols as in the papers: at the end of each period a customer ends the contract with a probability theta of its own,
which never changes; over customers theta is Beta(alpha, beta). ``T`` is the period a customer leaves in, ``S(t)`` the
chance to have renewed ``t`` times, ``r(t)`` the share of those still there who renew for the ``t``-th time.

Sources: Fader & Hardie (2007), "How to Project Customer Retention", Journal of Interactive Marketing 21(1); for
residual lifetimes Fader & Hardie (2010), "Customer-Base Valuation in a Contractual Setting", Marketing Science 29(1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kernel.btyd import Floats, checked_horizon, common_arrays, reject_rows
from kernel.errors import UsageError
from kernel.parameters import Parameters

_MOST = 1_000_000  # renewals of one contract: what is more is a date or a key, and would be a table of gigabytes
_LEAST_DISCOUNT = 1e-6  # per period; below it the lifetimes of alpha <= 1 grow without end, and so does the work
_LOG_ERROR = 40.0  # where the continued fraction is cut off: far below the last digit


@dataclass(frozen=True)
class Sbg(Parameters):
    """sBG: contracts of ``days_per_period`` days; ``alpha`` and ``beta``, of the chance to end one, have no unit."""

    alpha: float
    beta: float
    days_per_period: float

    def survival(self, periods: ArrayLike) -> Floats:
        """S(t): P(a new customer renews ``periods`` times or more), in [0, 1], shape of the input; equation 6 of 2007.

        Raises:
            DataError: ``periods`` is no whole number of 0 to 1,000,000.
        """
        (t,) = _whole_numbers(periods=periods)
        return np.exp(self._log_survival(t))

    def retention(self, period: ArrayLike) -> Floats:
        """r(t): P(the ``period``-th renewal | all before it), in (0, 1), shape of the input; equation 8 of 2007.

        Raises:
            DataError: ``period`` is no whole number of 1 to 1,000,000.
        """
        (t,) = _whole_numbers(period=period)
        reject_rows(t < 1, "There is no renewal before the first.", "period", "Count the first occasion to renew as 1.")
        return self._retention(t)

    def survival_given(self, renewals: ArrayLike, ahead: ArrayLike) -> Floats:
        """P(``ahead`` more renewals or more | ``renewals`` so far, still there), shape of the broadcast inputs.

        Raises:
            DataError: either is no whole number of 0 to 1,000,000.
        """
        n, more = _whole_numbers(renewals=renewals, ahead=ahead)
        return np.exp(self._log_survival(n + more) - self._log_survival(n))

    def expected_payments(self, horizon_days: float, renewals: ArrayLike) -> Floats:
        """E[number of renewals in the next ``horizon_days`` | ``renewals`` so far, still there], shape of ``renewals``.

        Nobody says when the running period ends; any day of it is as likely. A horizon of h periods then contains
        floor(h) occasions to renew or one more, with the chance h - floor(h): a straight line between whole numbers of
        periods, where it is the sum of ``survival_given``. Each renewal is one payment; that of the running period has
        been made.

        Raises:
            DataError: ``renewals`` is no whole number of 0 to 1,000,000.
            UsageError: ``horizon_days`` is negative or not finite.
        """
        periods = checked_horizon(horizon_days) / self.days_per_period
        (n,) = _whole_numbers(renewals=renewals)
        distinct, row_at = np.unique(n.ravel(), return_inverse=True)
        still, paid = np.ones(distinct.size), np.zeros(distinct.size)
        for ahead in range(1, math.floor(periods) + 2):
            still *= self._retention(distinct + ahead)
            paid += still * min(1.0, periods + 1.0 - ahead)
        return paid[row_at].reshape(n.shape)

    def discounted_residual_lifetime(self, renewals: ArrayLike, discount_per_period: float) -> Floats:
        """DERL: E[discounted number of renewals to come | ``renewals`` so far, still there], shape of ``renewals``.

        Seen from just before the next occasion to renew: that payment counts whole, the one after it 1 / (1 + d), and
        so on without end. It is r(n + 1) 2F1(1, beta + n + 1; alpha + beta + n + 1; 1 / (1 + d)) for n renewals, as in
        the paper of 2010, which numbers periods from 1.

        Raises:
            DataError: ``renewals`` is no whole number of 0 to 1,000,000.
            UsageError: ``discount_per_period`` is below 0.000001 or not finite.
        """
        d = _checked_discount(discount_per_period)
        (n,) = _whole_numbers(renewals=renewals)
        # Gauss's continued fraction of 2F1(1, b + 1; c + 1; z), DLMF 15.7.1, from its end: every term is above 0.
        # Scipy's hyp2f1 is infinite for many renewals, and at alpha = 1 it can be wrong by more than a tenth.
        b, c, z = self.beta + n, self.alpha + self.beta + n, 1.0 / (1.0 + d)
        rest = np.zeros(n.shape)
        for k in range(math.ceil(_LOG_ERROR / 4.0 / math.sqrt(d * z)) + 10, 0, -1):
            rest = k * (self.alpha + k - 1.0) * z / (c + 2 * k - rest)
            rest = (b + k) * (c + k - 1.0) * z / (c + 2 * k - 1.0 - rest)
        return b / (c - rest)

    def log_likelihood(self, renewals: ArrayLike, churned: ArrayLike) -> Floats:
        """Log-likelihood of each contract, shape of the broadcast inputs.

        Args:
            renewals: how many times it was renewed, n.
            churned: 1 where the customer left at the occasion after them, T = n + 1; 0 where that occasion has not
                come yet, which says T > n.

        Raises:
            DataError: the contracts contradict the model, see ``checked_contracts``.
        """
        n, ended = checked_contracts(renewals, churned)
        leaves = math.log(self.alpha) - np.log(self.alpha + self.beta + n)
        return self._log_survival(n) + ended * leaves

    def _retention(self, t: Floats) -> Floats:
        return (self.beta + t - 1.0) / (self.alpha + self.beta + t - 1.0)

    def _log_survival(self, t: Floats) -> Floats:
        """A running sum of log r(t): differences of log-gammas would lose the digits of contracts that rarely end."""
        before = self.beta + np.arange(t.max(initial=0.0))
        return np.append(0.0, -np.cumsum(np.log1p(self.alpha / before)))[t.astype(np.intp)]


def checked_contracts(renewals: ArrayLike, churned: ArrayLike) -> tuple[Floats, Floats]:
    """The two as float arrays of one common shape, at least one-dimensional.

    Raises:
        DataError: renewals is no whole number of 0 to 1,000,000; churned is neither 0 nor 1.
    """
    n, ended = common_arrays("renewals, churned", renewals, churned)
    _check_whole("renewals", n)
    fix = "Give 1 for a contract that ended, 0 for a running one."
    reject_rows(~np.isin(ended, (0.0, 1.0)), "churned is neither 0 nor 1.", "churned", fix)
    return n, ended


def _checked_discount(discount_per_period: float) -> float:
    if not (math.isfinite(discount_per_period) and discount_per_period >= _LEAST_DISCOUNT):
        raise UsageError(
            f"A discount of {discount_per_period} a period does not bound the value of a long contract.",
            where="discount_per_period",
            fix=f"Give a rate per contract period of {_LEAST_DISCOUNT:f} or more, such as 0.1 for 10 % a year.",
        )
    return discount_per_period


def _whole_numbers(**columns: ArrayLike) -> list[Floats]:
    arrays = common_arrays(", ".join(columns), *columns.values())
    for name, values in zip(columns, arrays, strict=True):
        _check_whole(name, values)
    return arrays


def _check_whole(name: str, values: Floats) -> None:
    bad = ~((values >= 0) & (values <= _MOST) & (np.floor(values) == values))
    reject_rows(bad, f"{name} is not a whole number from 0 to {_MOST:,}.", name, "Count completed renewals, none as 0.")
