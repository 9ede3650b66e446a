"""Closed-form predictions of the "buy till you die" models, from parameters alone; fitting is in ``training``.

Symbols as in the papers: a customer has ``x`` (frequency) repeat purchase days, the last of them ``t_x`` (recency)
after the first purchase, and is ``T`` old. Histories and horizons come in days, parameters are per period of
``days_per_period`` days.

Sources: BG/NBD: Fader, Hardie & Lee (2005), "Counting Your Customers" the Easy Way, Marketing Science 24(2).
P(alive): Fader, Hardie & Lee (2008), note 021 at brucehardie.com. Gamma-Gamma: Fader & Hardie (2013), note 025 there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln, expit, gammaln

from kernel.errors import DataError, UsageError
from kernel.parameters import Parameters

Floats = NDArray[np.float64]

_LOG_TAIL = math.log(1e-18)  # what is cut off either end of the integral, relative to the answer's upper bound
_CHUNK = 1 << 16  # cells of one block of the integrand: half a megabyte per temporary array


@dataclass(frozen=True)
class BgNbd(Parameters):
    """BG/NBD: purchases are Poisson while alive, and after each purchase the customer leaves with probability p.

    Rates are Gamma(r, alpha) over customers, leaving probabilities Beta(a, b); ``alpha`` is in periods of
    ``days_per_period`` days, the other parameters have no unit.
    """

    r: float
    alpha: float
    a: float
    b: float
    days_per_period: float
    _FIRST: ClassVar[int] = 0  # whether customers may leave right after their first purchase too

    def probability_alive(self, frequency: ArrayLike, recency_days: ArrayLike, T_days: ArrayLike) -> Floats:
        """P(alive at T | x, t_x, T), in [0, 1], shape of the broadcast inputs.

        In BG/NBD customers leave only after a repeat purchase, so a frequency of 0 gives exactly 1, as in the paper,
        however long ago the first purchase was: it says "has not had the occasion to leave", not "will buy".

        Raises:
            DataError: the histories contradict themselves, see ``checked_histories``.
        """
        x, recency, age = checked_histories(frequency, recency_days, T_days)
        return self._probability_alive(x, recency / self.days_per_period, age / self.days_per_period)

    def expected_purchases(
        self, horizon_days: float, frequency: ArrayLike, recency_days: ArrayLike, T_days: ArrayLike
    ) -> Floats:
        """E[number of purchase days in (T, T + horizon_days] | x, t_x, T], shape of the broadcast inputs.

        Equation 10 of the paper, as P(alive) times the expectation given alive. The second factor does not depend on
        ``t_x``, hence is computed once per distinct (x, T).

        Raises:
            DataError: the histories contradict themselves, see ``checked_histories``.
            UsageError: ``horizon_days`` is negative or not finite.
        """
        x, recency, age = checked_histories(frequency, recency_days, T_days)
        alive = self._probability_alive(x, recency / self.days_per_period, age / self.days_per_period)
        return alive * self.purchases_if_alive([horizon_days], x, age)[..., 0]

    def purchases_if_alive(self, horizons_days: Sequence[float], frequency: Floats, T_days: Floats) -> Floats:
        """The same, given that the customer is alive at T; shape of the inputs, which are checked histories, and a last
        axis of the horizons.

        Raises:
            UsageError: a horizon is negative or not finite.
        """
        horizons = np.array([self._periods(days) for days in horizons_days])
        periods = (T_days / self.days_per_period).ravel()
        found = self._purchases_if_alive(horizons, frequency.ravel(), periods)
        return found.reshape(*frequency.shape, horizons.size)

    def median_wait_days(self, frequency: Floats, T_days: Floats) -> Floats:
        """Days until the next purchase, that half of such customers take at most who are alive and stay so, shape of
        the inputs: the rate is Gamma(r + x, alpha + T)."""
        return median_wait(self.r, self.alpha * self.days_per_period, frequency, T_days)

    def population(self, horizon_days: float) -> float:
        """E[X(t)]: purchase days of a new customer after the first one, equation 9 of the paper.

        It is the prior for a customer without history.

        Raises:
            UsageError: ``horizon_days`` is negative or not finite.
        """
        return float(self.expected_purchases(horizon_days, 0.0, 0.0, 0.0)[0])

    def log_likelihood(self, frequency: ArrayLike, recency_days: ArrayLike, T_days: ArrayLike) -> Floats:
        """Log-likelihood of each customer, time in periods, equation 6 of the paper; shape of the broadcast inputs.

        Raises:
            DataError: the histories contradict themselves, see ``checked_histories``.
        """
        x, recency, age = checked_histories(frequency, recency_days, T_days)
        t_x, T = recency / self.days_per_period, age / self.days_per_period
        alive = (
            gammaln(self.r + x)
            - gammaln(self.r)
            + self.r * np.log(self.alpha)
            + betaln(self.a, self._stays + x)
            - betaln(self.a, self.b)
            - (self.r + x) * np.log(self.alpha + T)
        )
        # The two ways to have bought nothing since t_x, alive or gone, are summed without leaving log space.
        return alive + np.logaddexp(0.0, self._log_odds_gone(x, t_x, T))

    @property
    def _stays(self) -> float:
        """The second parameter of the Beta of p once the first purchase is known, before any repeat purchase."""
        return self.b + self._FIRST

    def _periods(self, horizon_days: float) -> float:
        return checked_horizon(horizon_days) / self.days_per_period

    def _log_odds_gone(self, x: Floats, t_x: Floats, T: Floats) -> Floats:
        occasions = x + self._FIRST
        log_odds = (self.r + x) * np.log1p((T - t_x) / (self.alpha + t_x)) + np.log(
            self.a / (self.b + np.maximum(occasions, 1.0) - 1.0)
        )
        return np.where(occasions == 0, -np.inf, log_odds)

    def _probability_alive(self, x: Floats, t_x: Floats, T: Floats) -> Floats:
        return expit(-self._log_odds_gone(x, t_x, T))

    def _purchases_if_alive(self, horizons: Floats, x: Floats, T: Floats) -> Floats:
        """E[X(T, T + horizon] | alive at T, x, T] for one-dimensional ``x`` and ``T``, shape (rows, horizons), all in
        periods."""
        if x.size == 1:  # to look for others like it costs more than the answer
            return self._one_frequency(horizons, float(x[0]), T)
        frequencies, x_at = np.unique(x, return_inverse=True)
        ages, T_at = np.unique(T, return_inverse=True)
        pairs, row_at = np.unique(x_at * ages.size + T_at, return_inverse=True)
        per_pair = np.empty((pairs.size, horizons.size))
        starts = np.searchsorted(pairs, np.arange(frequencies.size + 1) * ages.size)
        for index, frequency in enumerate(frequencies):
            rows = slice(starts[index], starts[index + 1])
            per_pair[rows] = self._one_frequency(horizons, float(frequency), ages[pairs[rows] % ages.size])
        return per_pair[row_at]

    def _one_frequency(self, horizons: Floats, x: float, T: Floats) -> Floats:
        """The same for one ``x`` and many ``T``, by Euler's integral of the hypergeometric function.

        Given alive, the rate is Gamma(r + x, alpha + T) and p is Beta(a, b + x), which leaves one integral:
        the mean over p of g(p) = (1 - (1 + k p) ** -(r + x)) / p with k = horizon / (alpha + T). Unlike the printed
        form it has no singularity at a = 1 and no power that overflows for a large x.
        The mean of a straight line in p is known; g minus a line that meets it at the ends dies out sooner.
        The nodes of all horizons lie one after the other: one customer costs a step for each operation, not for each
        operation and horizon.
        """
        found = np.zeros((T.size, horizons.size))
        ahead = horizons > 0
        if not ahead.any():
            return found
        shape, b = self.r + x, self._stays + x
        # Only a < 1 needs the line at p = 0; elsewhere it would cancel digits when few purchases come before leaving.
        at_zero = 1.0 if self.a < 1.0 else 0.0
        nodes = _Nodes.of(self.a, b, tuple((shape * horizons[ahead] / self.alpha).tolist()), at_zero)
        k = horizons[ahead] / (self.alpha + T)[:, None]
        at_one = _relative_purchases(1.0, k, shape)
        mean = (at_zero * b + at_one * self.a) / (self.a + b)
        rows_per_block = max(1, _CHUNK // nodes.p.size)
        for start in range(0, T.size, rows_per_block):
            rows = slice(start, start + rows_per_block)
            # Taken, and not indexed, which would lay the rows out otherwise: the sums' rounding depends on that.
            line = at_zero * nodes.one_minus_p + at_one[rows].take(nodes.of_horizon, axis=1) * nodes.p
            difference = _relative_purchases(nodes.p, k[rows].take(nodes.of_horizon, axis=1), shape) - line
            difference *= nodes.weight
            # Not a matrix product: its rounding depends on how many rows there are, and one customer must score alike
            # alone and among a million.
            for number, part in enumerate(nodes.parts):
                mean[rows, number] += np.sum(difference[:, part], axis=1)
        found[:, ahead] = shape * k * mean
        return found


@dataclass(frozen=True)
class MbgNbd(BgNbd):
    """MBG/NBD: BG/NBD in which customers may leave right after their first purchase too (Batislam, Denizel & Filiztekin
    2007, International Journal of Research in Marketing 24(3)): a frequency of 0 no longer means alive."""

    _FIRST: ClassVar[int] = 1


def _relative_purchases(p: Floats | float, k: Floats, shape: float) -> Floats:
    """g(p) / g(0), shape of the broadcast inputs, in (0, 1]: what leaving takes from the purchases expected."""
    kp = k * p
    return -np.expm1(-shape * np.log1p(kp)) / (shape * kp)


@dataclass(frozen=True)
class _BetaNodes:
    """Nodes and weights of a mean over p ~ Beta(a, b) of a function that vanishes linearly at p = 1.

    In s = logit(p) the integrand is analytic and decays exponentially at both ends, where the plain trapezoidal rule
    converges exponentially (Trefethen & Weideman 2014, SIAM Review 56(3)).
    """

    p: Floats
    one_minus_p: Floats
    weight: Floats

    @classmethod
    def make(cls, a: float, b: float, *, steepness: float, order_at_zero: float) -> Self:
        """``order_at_zero``: 1 if the function vanishes at p = 0, with a slope up to ``steepness``, 0 if it does not.

        Steepness also bounds how far below the function's maximum its mean may lie.
        """
        log_beta = float(betaln(a, b))
        low = (_LOG_TAIL + log_beta - math.log1p(steepness)) / (a + order_at_zero)
        high = -(_LOG_TAIL + log_beta) / (b + 1.0)
        low, high = _tighten(low, a, b, log_beta), _tighten(high, a, b, log_beta)
        step = min(0.2, 0.4 * math.sqrt(1.0 / a + 1.0 / b))  # the width of the Beta density's peak in s
        s = low + step * np.arange(math.ceil((high - low) / step) + 1)
        log_p, log_q = -np.logaddexp(0.0, -s), -np.logaddexp(0.0, s)
        return cls(p=expit(s), one_minus_p=expit(-s), weight=step * np.exp(a * log_p + b * log_q - log_beta))


@dataclass(frozen=True)
class _Nodes:
    """The nodes of several horizons, one after the other.

    Attributes:
        of_horizon: of each node, the place of its horizon.
        parts: where each horizon's nodes lie.
    """

    p: Floats
    one_minus_p: Floats
    weight: Floats
    of_horizon: NDArray[np.intp]
    parts: tuple[slice, ...]

    @classmethod
    @lru_cache(maxsize=4096)  # of a model as many as there are frequencies: found anew for no customer
    def of(cls, a: float, b: float, steepness: tuple[float, ...], order_at_zero: float) -> Self:
        """See :meth:`_BetaNodes.make`; a steepness for each horizon."""
        each = [_BetaNodes.make(a, b, steepness=one, order_at_zero=order_at_zero) for one in steepness]
        sizes = [nodes.p.size for nodes in each]
        ends = np.cumsum(sizes).tolist()
        return cls(
            p=np.concatenate([nodes.p for nodes in each]),
            one_minus_p=np.concatenate([nodes.one_minus_p for nodes in each]),
            weight=np.concatenate([nodes.weight for nodes in each]),
            of_horizon=np.repeat(np.arange(len(each)), sizes),
            parts=tuple(slice(end - size, end) for end, size in zip(ends, sizes, strict=True)),
        )


def _tighten(s: float, a: float, b: float, log_beta: float) -> float:
    """Moves a bound inwards to where the density of s reaches the tail's level, if it lies further out.

    The log-density is concave, so Newton steps that start outside stay outside: stopping early costs nodes, not
    accuracy. It matters for nearly homogeneous customers (a and b in the thousands), whose peak is narrow.
    """
    for _ in range(20):
        excess = a * _log_expit(s) + b * _log_expit(-s) - log_beta - _LOG_TAIL + 4.0
        slope = a - (a + b) * float(expit(s))
        if excess >= -0.1:
            break
        s -= excess / slope
    return s


def _log_expit(s: float) -> float:
    return -math.log1p(math.exp(-s)) if s > 0 else s - math.log1p(math.exp(s))


@dataclass(frozen=True)
class GammaGamma(Parameters):
    """Gamma-Gamma: a customer's orders are Gamma(p, nu), nu is Gamma(q, v) over customers, whatever their frequency.

    ``v`` is in the currency of the orders, ``p`` and ``q`` have no unit.
    """

    p: float
    q: float
    v: float

    @property
    def population_mean(self) -> float:
        """Mean order value over all customers, p v / (q - 1).

        Raises:
            DataError: q <= 1, the mean over customers does not exist.
        """
        if self.q <= 1.0:
            raise DataError(
                f"The mean order value does not exist: q is {self.q:.3g}, and has to be above 1.",
                where="Gamma-Gamma parameters",
                fix="Fit on orders whose largest values are capped.",
            )
        return self.p * self.v / (self.q - 1.0)

    def expected_order_value(self, frequency: ArrayLike, monetary_value: ArrayLike) -> Floats:
        """E[mean spend of a purchase day | x, mean of x repeat purchase days], shape of the broadcast inputs.

        A mean of the customer's own and the population's, equation 5 of note 025, weighted by how much is known. A
        frequency of 0 gives the population mean; its ``monetary_value`` says nothing and may be missing.

        Raises:
            DataError: a negative or fractional frequency, a negative or missing value of a repeat customer, or q <= 1.
        """
        x, m = _checked_spend(frequency, monetary_value)
        own_weight = self.p * x / (self.p * x + self.q - 1.0)
        return (1.0 - own_weight) * self.population_mean + own_weight * m

    def log_likelihood(self, frequency: ArrayLike, monetary_value: ArrayLike) -> Floats:
        """Log-likelihood of each repeat customer's mean spend, equation 1a of note 025; shape of the broadcast inputs.

        Raises:
            DataError: a frequency below 1, or a value not above 0.
        """
        x, m = _checked_spend(frequency, monetary_value)
        fix = "Leave such rows out."
        reject_rows(x < 1, "A customer without a repeat purchase has no mean spend.", "frequency", fix)
        reject_rows(m <= 0, "The model knows only spend above 0.", "monetary_value", fix)
        px = self.p * x
        return (
            self.q * np.log(self.v)
            + (px - 1.0) * np.log(m)
            + px * np.log(x)
            - (px + self.q) * np.log(x * m + self.v)
            - betaln(px, self.q)
        )


def median_wait(r: float, alpha_days: float, frequency: Floats, T_days: Floats) -> Floats:
    """Median of the time to the next of Poisson purchases whose rate is Gamma(r + x, alpha + T), in days."""
    return (alpha_days + T_days) * np.expm1(math.log(2.0) / (r + frequency))


def checked_horizon(horizon_days: float) -> float:
    """The horizon. Raises UsageError when it is negative or not finite."""
    if not (math.isfinite(horizon_days) and horizon_days >= 0):
        raise UsageError(
            f"A horizon of {horizon_days} days is not a length of time.",
            where="horizon_days",
            fix="Give a number of days, 0 or more.",
        )
    return horizon_days


def checked_histories(
    frequency: ArrayLike, recency_days: ArrayLike, T_days: ArrayLike
) -> tuple[Floats, Floats, Floats]:
    """The three as float arrays of one common shape, at least one-dimensional.

    Raises:
        DataError: a number is missing, infinite or below 0; a frequency is not whole; recency exceeds T.
    """
    x, t_x, T = common_arrays("frequency, recency_days, T_days", frequency, recency_days, T_days)
    # Nearly all are sound, and for one customer it takes longer to see what is wrong than to foretell.
    sound = (x >= 0) & (np.floor(x) == x) & (t_x >= 0) & (t_x <= T) & np.isfinite(x) & np.isfinite(T)
    if sound.all():
        return x, t_x, T
    _check_frequency(x)
    for name, values in (("recency_days", t_x), ("T_days", T)):
        bad = ~(np.isfinite(values) & (values >= 0))
        reject_rows(bad, f"{name} is negative or missing.", name, "Count days from the first purchase day.")
    fix = "Let both end at the same moment of knowledge, and count both from the first purchase day."
    reject_rows(t_x > T, "The last purchase lies after the last observed day.", "recency_days against T_days", fix)
    return x, t_x, T


def _checked_spend(frequency: ArrayLike, monetary_value: ArrayLike) -> tuple[Floats, Floats]:
    x, m = common_arrays("frequency, monetary_value", frequency, monetary_value)
    _check_frequency(x)
    m = np.where(x == 0, 0.0, m)
    fix = "Give the mean net spend of the repeat purchase days; decide before what a net refund counts as."
    reject_rows(~(np.isfinite(m) & (m >= 0)), "monetary_value is negative or missing.", "monetary_value", fix)
    return x, m


def _check_frequency(x: Floats) -> None:
    bad = ~(np.isfinite(x) & (x >= 0) & (np.floor(x) == x))
    reject_rows(bad, "frequency is not a whole number of 0 or more.", "frequency", "Count the repeat purchase days.")


def common_arrays(names: str, *values: ArrayLike) -> list[Floats]:
    """Columns as float arrays of one shape, at least one-dimensional. Raises DataError when they are none."""
    try:
        arrays = [np.atleast_1d(np.asarray(value, dtype=np.float64)) for value in values]
        if any(array.shape != arrays[0].shape for array in arrays):
            arrays = list(np.broadcast_arrays(*arrays))
    except (TypeError, ValueError) as error:
        raise DataError(
            "The columns are not numbers of one common length.", where=names, fix="Give numeric columns of one table."
        ) from error
    return arrays


def reject_rows(bad: NDArray[np.bool_], what: str, where: str, fix: str) -> None:
    """Raise DataError where any row is bad, with how many and the first."""
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise DataError(what, where=f"{where}: {int(bad.sum())} of {bad.size} rows, first at position {first}", fix=fix)
