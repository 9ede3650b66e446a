"""How well predictions came true, each figure with its interval: the same in a back-test and on scores that ripened."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from kernel.part import Floats, Part
from training.evaluation.calibration import BINS, expected_calibration_error, wilson
from training.evaluation.discrimination import auc_interval
from training.evaluation.value import value_metrics

CONFIDENCE = 0.95
_SURE = 1e-6
_STEPS = 50
_Z = float(norm.ppf((1 + CONFIDENCE) / 2))


class Bounded(Part):
    """A figure with its 95 % interval."""

    estimate: float
    low: float
    high: float

    @property
    def error(self) -> float:
        """The standard error that the interval's width stands for."""
        return (self.high - self.low) / (2 * _Z)

    def less(self, other: Bounded) -> Bounded:
        """This one less another of other customers."""
        return within(self.estimate - other.estimate, float(np.hypot(self.error, other.error)))


class ChurnFigures(Part):
    """How churn probabilities came true.

    Attributes:
        customers, churned: how many.
        auc: by DeLong; None where one of the outcomes is missing or nearly so.
        observed: churners over those expected; 1 is right, by Wilson.
        slope: of the outcome's log-odds on those of the probability; 1 is right, below it the scores are too bold.
            None where it cannot be told.
        calibration_error: expected calibration error over ten bins; ``calibration_by_chance`` is what it would be on
            average if every probability were right.
    """

    customers: int
    churned: int
    auc: Bounded | None
    observed: Bounded
    slope: Bounded | None
    calibration_error: float
    calibration_by_chance: float


class ValueFigures(Part):
    """How expected spend came true.

    Attributes:
        customers: how many.
        observed: total spend over what was expected; 1 is right.
        rank_correlation: Spearman's; None where it cannot be told.
        covered: share of customers within their interval; None where intervals are not known.
    """

    customers: int
    observed: Bounded
    rank_correlation: Bounded | None
    covered: Bounded | None


def churn_figures(probability: Floats, churned: Floats) -> ChurnFigures:
    """Compare probabilities with outcomes (1.0 or 0.0), both of shape (customers,), at least one."""
    auc, expected = auc_interval(probability, churned, CONFIDENCE), float(probability.mean())
    rate = float(churned.mean())
    low, high = wilson(rate, len(churned), CONFIDENCE)
    return ChurnFigures(
        customers=len(churned),
        churned=int(churned.sum()),
        auc=None if auc is None else _bounded(auc.estimate, auc.low, auc.high),
        observed=_bounded(rate / expected, low / expected, high / expected),
        slope=_slope(probability, churned),
        calibration_error=expected_calibration_error(probability, churned),
        calibration_by_chance=_error_by_chance(probability),
    )


def value_figures(
    expected: Floats, spend: Floats, low: Floats | None = None, high: Floats | None = None
) -> ValueFigures:
    """Compare expected with actual spend, shape (customers,); ``low`` and ``high`` are each customer's interval."""
    ratio = float(spend.sum() / expected.sum())
    # The error of a ratio of two sums over the same customers (Cochran 1977, 6.13).
    error = float(np.std(spend - ratio * expected) / (expected.mean() * len(expected) ** 0.5))
    covered = None
    if low is not None and high is not None:
        share = float(np.mean((spend >= low) & (spend <= high)))
        covered = _bounded(share, *wilson(share, len(spend), CONFIDENCE))
    return ValueFigures(
        customers=len(spend),
        observed=within(ratio, error),
        rank_correlation=_rank_correlation(value_metrics(expected, spend)["spearman"], len(spend)),
        covered=covered,
    )


def within(estimate: float, error: float) -> Bounded:
    """A figure with a standard error."""
    return _bounded(estimate, estimate - _Z * error, estimate + _Z * error)


def _bounded(estimate: float, low: float, high: float) -> Bounded:
    return Bounded(estimate=estimate, low=low, high=high)


def _error_by_chance(probability: Floats) -> float:
    """The mean of the calibration error if every probability is right: outcomes of a bin scatter as a normal."""
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    variance = np.bincount(bins, weights=probability * (1 - probability), minlength=BINS)
    return float(np.sqrt(2 * variance / np.pi).sum() / len(probability))


def _rank_correlation(found: float, customers: int) -> Bounded | None:
    if not abs(found) < 1 or customers < 4:  # NaN is not below 1 either
        return None
    # Fisher's scale, with the error of Bonett and Wright (2000).
    half = _Z * ((1 + found**2 / 2) / (customers - 3)) ** 0.5
    return _bounded(found, float(np.tanh(np.arctanh(found) - half)), float(np.tanh(np.arctanh(found) + half)))


def _slope(probability: Floats, churned: Floats) -> Bounded | None:
    """Cox's calibration slope by Newton's method; None where it does not settle."""
    sure = np.clip(probability, _SURE, 1 - _SURE)
    log_odds = np.log(sure / (1 - sure))
    if np.ptp(log_odds) == 0 or churned.min() == churned.max():
        return None
    x, fit = np.column_stack([np.ones(len(log_odds)), log_odds]), np.array([0.0, 1.0])
    for _ in range(_STEPS):
        rate = 1 / (1 + np.exp(-np.clip(x @ fit, -30, 30)))
        information = (x * (rate * (1 - rate))[:, None]).T @ x
        if np.linalg.cond(information) > 1 / np.finfo(float).eps:
            return None
        step = np.linalg.solve(information, x.T @ (churned - rate))
        fit = fit + step
        if np.abs(step).max() < 1e-8:
            return within(float(fit[1]), float(np.linalg.inv(information)[1, 1]) ** 0.5)
    return None
