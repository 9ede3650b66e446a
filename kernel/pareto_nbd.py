"""Pareto/NBD: predictions from parameters alone; fitting is in ``training``.

Source: Schmittlein, Morrison & Colombo (1987), Management Science 33(1); the likelihood as in Fader & Hardie (2005),
note 009 at brucehardie.com. Symbols and units as in :mod:`kernel.btyd`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, gammaln

from kernel.btyd import Floats, checked_histories, checked_horizon, median_wait
from kernel.parameters import Parameters

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
_FURTHEST = 40.0  # exp(-40) of the integrand is left out: less than its last digit
_ROWS = 16_384  # of one block: 8 MB per temporary array


@dataclass(frozen=True)
class ParetoNbd(Parameters):
    """Pareto/NBD: purchases are Poisson while alive, and a customer leaves at any moment, at a rate of its own.

    Purchase rates are Gamma(r, alpha) over customers, leaving rates Gamma(s, beta); ``alpha`` and ``beta`` are in
    periods of ``days_per_period`` days, the other parameters have no unit.
    """

    r: float
    alpha: float
    s: float
    beta: float
    days_per_period: float

    def probability_alive(self, frequency: ArrayLike, recency_days: ArrayLike, T_days: ArrayLike) -> Floats:
        """P(alive at T | x, t_x, T), in [0, 1], shape of the broadcast inputs.

        Raises:
            DataError: the histories contradict themselves, see ``checked_histories``.
        """
        return expit(-self._log_odds_gone(*self._histories(frequency, recency_days, T_days)))

    def expected_purchases(
        self, horizon_days: float, frequency: ArrayLike, recency_days: ArrayLike, T_days: ArrayLike
    ) -> Floats:
        """E[number of purchase days in (T, T + horizon_days] | x, t_x, T], shape of the broadcast inputs.

        Raises:
            DataError: the histories contradict themselves, see ``checked_histories``.
            UsageError: ``horizon_days`` is negative or not finite.
        """
        x, recency, age = checked_histories(frequency, recency_days, T_days)
        alive = expit(-self._log_odds_gone(x, recency / self.days_per_period, age / self.days_per_period))
        return alive * self.purchases_if_alive([horizon_days], x, age)[..., 0]

    def purchases_if_alive(self, horizons_days: Sequence[float], frequency: Floats, T_days: Floats) -> Floats:
        """The same, given that the customer is alive at T; shape of the inputs, which are checked histories, and a last
        axis of the horizons.

        Raises:
            UsageError: a horizon is negative or not finite.
        """
        T = T_days[..., None] / self.days_per_period
        rate = (self.r + frequency[..., None]) / (self.alpha + T)
        horizons = np.array([checked_horizon(days) / self.days_per_period for days in horizons_days])
        return rate * self._time_alive(horizons, T)

    def median_wait_days(self, frequency: Floats, T_days: Floats) -> Floats:
        """Days until the next purchase, that half of such customers take at most who are alive and stay so, shape of
        the inputs: the rate is Gamma(r + x, alpha + T)."""
        return median_wait(self.r, self.alpha * self.days_per_period, frequency, T_days)

    def population(self, horizon_days: float) -> float:
        """E[X(t)]: purchase days of a new customer after the first one.

        Raises:
            UsageError: ``horizon_days`` is negative or not finite.
        """
        return float(self.expected_purchases(horizon_days, 0.0, 0.0, 0.0)[0])

    def log_likelihood(self, frequency: ArrayLike, recency_days: ArrayLike, T_days: ArrayLike) -> Floats:
        """Log-likelihood of each customer, time in periods; shape of the broadcast inputs.

        Raises:
            DataError: the histories contradict themselves, see ``checked_histories``.
        """
        x, t_x, T = self._histories(frequency, recency_days, T_days)
        alive = (
            gammaln(self.r + x)
            - gammaln(self.r)
            - x * np.log(self.alpha + T)
            - self.r * np.log1p(T / self.alpha)
            - self.s * np.log1p(T / self.beta)
        )
        return alive + np.logaddexp(0.0, self._log_odds_gone(x, t_x, T))

    def _histories(self, *columns: ArrayLike) -> tuple[Floats, Floats, Floats]:
        x, recency, age = checked_histories(*columns)
        return x, recency / self.days_per_period, age / self.days_per_period

    def _time_alive(self, horizon: float | Floats, T: Floats) -> Floats:
        """Expected part of the horizon that a customer lives, who is alive at T; exact also at s = 1. The two are
        broadcast."""
        left = np.log1p(horizon / (self.beta + T))
        if self.s == 1.0:
            return (self.beta + T) * left
        return -(self.beta + T) * np.expm1(-(self.s - 1.0) * left) / (self.s - 1.0)

    def _log_odds_gone(self, x: Floats, t_x: Floats, T: Floats) -> Floats:
        """Logarithm of P(gone) / P(alive), shape of the inputs.

        The odds are an integral over the moment of leaving, which the papers write as a difference of two
        hypergeometric functions. These overflow for many purchases, and cancel where the last one is recent; the
        integral itself does neither once the likelihood of no purchase since is its measure.
        """
        flat = [column.ravel() for column in np.broadcast_arrays(x, t_x, T)]
        found = np.empty(flat[0].size)
        for start in range(0, found.size, _ROWS):
            rows = slice(start, start + _ROWS)
            found[rows] = self._log_odds_of_rows(*(column[rows] for column in flat))
        return found.reshape(np.shape(x))

    def _log_odds_of_rows(self, x: Floats, t_x: Floats, T: Floats) -> Floats:
        shape = self.r + x
        silence = np.log1p((T - t_x) / (self.alpha + t_x))
        # y = shape * log((alpha + tau) / (alpha + t_x)), in which no purchase until tau has the likelihood exp(-y).
        end = np.minimum(shape * silence, _FURTHEST)
        y = (end / 2)[:, None] * (_NODES + 1)
        grown = np.expm1(y / shape[:, None]) * (self.alpha + t_x)[:, None]  # tau - t_x
        lives = (self.beta + t_x)[:, None] + grown  # beta + tau
        chance = ((self.beta + t_x)[:, None] / lives) ** self.s * ((self.alpha + t_x)[:, None] + grown) / lives
        # Not a matrix product: its rounding depends on how many rows there are.
        integral = (end / 2) * np.sum(np.exp(-y) * chance * _WEIGHTS, axis=1) * self.s / shape
        with np.errstate(divide="ignore"):  # who bought on the last day cannot have gone
            return shape * silence + self.s * np.log1p((T - t_x) / (self.beta + t_x)) + np.log(integral)
