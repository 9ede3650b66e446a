"""The likelihood of BG/NBD as a function to be minimised: on distinct histories, with its derivatives written out.

``kernel.btyd`` has the same likelihood customer by customer, and says where it is from. Here it is summed, which lets
most of it be computed once per distinct number: what depends on x alone per x, the logarithms of time per day. Only who
bought again has a second way to have bought nothing since (gone instead of alive), which is a term of each history.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, psi

from kernel.btyd import Floats

Places = NDArray[np.intp]

_COUNTED = 2**16  # whole numbers below it are told apart by counting, others by sorting
_LARGEST_KEY = 2**62  # a row of columns is one integer up to here


def distinct_rows(*columns: Floats) -> tuple[list[Floats], NDArray[np.int64]]:
    """The distinct rows of equally long columns in order, and how often each occurs."""
    coded = [_coded(column) for column in columns]
    sizes = [values.size for values, _ in coded]
    if math.prod(sizes) > _LARGEST_KEY:
        rows, counts = np.unique(np.column_stack(columns), axis=0, return_counts=True)
        return list(rows.T), counts
    keys, counts = np.unique(np.ravel_multi_index([places for _, places in coded], sizes), return_counts=True)
    return [values[at] for (values, _), at in zip(coded, np.unravel_index(keys, sizes), strict=True)], counts


def _coded(column: Floats) -> tuple[Floats, Places]:
    """Its distinct values in order, and where among them each of the column is."""
    if column.size and column.min() >= 0 and column.max() < _COUNTED and (np.floor(column) == column).all():
        whole = column.astype(np.intp)
        occurs = np.bincount(whole) > 0
        return np.flatnonzero(occurs).astype(np.float64), (np.cumsum(occurs) - 1)[whole]
    return np.unique(column, return_inverse=True)


class BgNbdLikelihood:
    """Mean negative log-likelihood over customers, and its gradient, in the logarithms of r, alpha, a and b."""

    def __init__(
        self, x: Floats, t_x: Floats, T: Floats, customers: NDArray[np.int64], *, days_per_period: float
    ) -> None:
        """Prepare what does not depend on the parameters.

        Args:
            x, t_x, T: checked histories in days, shape (histories,); x = 0 has t_x = 0.
            customers: how many have each of them.
            days_per_period: the unit of time of alpha.
        """
        self._customers = float(customers.sum())
        self._x, x_at = _coded(x)
        days, day_at = _coded(np.concatenate([t_x, T]))
        self._time = days / days_per_period
        t_at, T_at = np.split(day_at, 2)
        self._with_x = np.bincount(x_at, customers)
        self._with_T = np.bincount(T_at, customers, minlength=days.size)
        self._purchases_with_T = np.bincount(T_at, customers * x, minlength=days.size)
        again = x > 0
        self._x_of, self._x_at, self._t_at, self._T_at = x[again], x_at[again], t_at[again], T_at[again]
        self._customers_of = customers[again].astype(np.float64)

    def __call__(self, logs: Floats, penalizer: float = 0.0) -> tuple[float, Floats]:
        """The value and its four derivatives; ``penalizer`` times the sum of the squared parameters is added."""
        parameters = np.exp(logs)
        r, alpha, a, b = parameters
        log_time, per_time = np.log(alpha + self._time), 1.0 / (alpha + self._time)
        total, gradient = self._alive(r, alpha, a, b, log_time, per_time)
        gone, gradient_gone = self._gone(r, a, b, log_time, per_time)
        penalty = penalizer * parameters**2
        slopes = -(gradient + gradient_gone) * parameters / self._customers + 2.0 * penalty
        return float(penalty.sum() - (total + gone) / self._customers), slopes

    def _alive(
        self, r: float, alpha: float, a: float, b: float, log_time: Floats, per_time: Floats
    ) -> tuple[float, Floats]:
        """Of all customers, as if alive until T."""
        x, with_x = self._x, self._with_x
        purchases = gammaln(r + x) - gammaln(r)
        stays = gammaln(a + b) - gammaln(a + b + x) + gammaln(b + x) - gammaln(b)
        rate = r * self._with_T + self._purchases_with_T
        total = np.sum(with_x * (purchases + stays)) + self._customers * r * np.log(alpha) - np.sum(rate * log_time)
        either = psi(a + b) - psi(a + b + x)
        by_r = np.sum(with_x * (psi(r + x) - psi(r))) + self._customers * np.log(alpha)
        gradient = [
            by_r - np.sum(self._with_T * log_time),
            self._customers * r / alpha - np.sum(rate * per_time),
            np.sum(with_x * either),
            np.sum(with_x * (either + psi(b + x) - psi(b))),
        ]
        return float(total), np.array(gradient)

    def _gone(self, r: float, a: float, b: float, log_time: Floats, per_time: Floats) -> tuple[float, Floats]:
        """What it adds that who bought again may have left since: log(1 + odds)."""
        stayed = b + np.maximum(self._x, 1.0) - 1.0
        shape, since = r + self._x_of, log_time[self._T_at] - log_time[self._t_at]
        log_odds = shape * since + (np.log(a) - np.log(stayed))[self._x_at]
        small = np.exp(-np.abs(log_odds))  # the odds or their inverse, whichever does not overflow
        # Not matrix products: a library that shares the work out among threads sums in another order each time.
        total = np.einsum("i,i->", self._customers_of, np.maximum(log_odds, 0.0) + np.log1p(small))
        gone = self._customers_of * np.where(log_odds >= 0.0, 1.0, small) / (1.0 + small)
        gradient = [
            np.einsum("i,i->", gone, since),
            np.einsum("i,i,i->", gone, shape, per_time[self._T_at] - per_time[self._t_at]),
            gone.sum() / a,
            -np.sum(np.bincount(self._x_at, gone, minlength=self._x.size) / stayed),
        ]
        return float(total), np.array(gradient)
