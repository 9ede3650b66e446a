"""Whether logged decisions can carry a verdict at all: is the log what it says, does it try what is to be judged?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from kernel.part import Floats
from training.evaluation.discrimination import Interval
from training.evaluation.off_policy import LoggedDecisions, standard_error

FEWEST_EFFECTIVE = 500.0
LARGEST_SHARE = 0.05
UNSUPPORTED = 0.001
SLOPE = (0.7, 1.3)
_STANDARD_ERRORS = 4.0
_BY_CHANCE = 6e-5  # how often a sound log is taken for a wrong one; four standard errors of a normal
_SAME = 1e-6
_BINS = 10
_DRAWS = 25  # of an action, expected among those with a feature, from which their sum is near a normal


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold before a verdict.

    Attributes:
        name: in a few words.
        holds: whether it does.
        found: what was found, as a sentence with its figures.
    """

    name: str
    holds: bool
    found: str


def integrity(log: LoggedDecisions, logged: Floats, context: Floats | None = None) -> list[Check]:
    """Does the log's randomness look like what the log says of it?

    Args:
        logged: the logging policy's probability of every action, shape (decisions, actions).
        context: what was known of the customers, as numbers, shape (decisions, columns); None to leave out whether it
            swayed the draws.
    """
    return [
        *([] if context is None else [_balance(log, logged, context)]),
        _distributions(log, logged),
        _drawn_as_said(log, logged),
        _ratio_of_actions(log, logged),
        _rates_of_probabilities(log, logged),
        _mean_weight(log),
        _support(log, logged),
    ]


def effective_size(log: LoggedDecisions) -> float:
    """Kish's effective number of decisions: how many of equal weight would tell as much."""
    total = float(log.weight.sum())
    return total**2 / float((log.weight**2).sum()) if total > 0 else 0.0


def enough(log: LoggedDecisions) -> list[Check]:
    """Do enough decisions speak for the policy to judge, and none too loudly?"""
    size = effective_size(log)
    total = float(log.weight.sum())
    largest = float(log.weight.max()) / total if total > 0 else 1.0
    return [
        Check(
            "effective sample size",
            size >= FEWEST_EFFECTIVE,
            f"{size:,.0f} effective decisions of {len(log):,} (at least {FEWEST_EFFECTIVE:,.0f} are needed)",
        ),
        Check(
            "largest weight",
            largest < LARGEST_SHARE,
            f"one decision carries {100 * largest:.2g} % of the weight (less than {100 * LARGEST_SHARE:g} % is sound)",
        ),
    ]


def slope_check(interval: Interval) -> Check:
    """Are the effects that the policy goes by as large as they turn out?

    Args:
        interval: of the slope of the actual effects on the predicted ones.
    """
    low, high = SLOPE
    near = low <= interval.estimate <= high
    return Check(
        "calibration of the effects",
        near or interval.low <= 1 <= interval.high,
        f"an effect predicted as 1 turns out as {interval.estimate:.2f} ({interval.low:.2f} to {interval.high:.2f})",
    )


def maturity(matured: NDArray[np.bool_]) -> Check:
    """Have the outcomes of all decisions had their time?"""
    waiting = int((~matured).sum())
    found = "all outcomes have had their time" if not waiting else f"{waiting:,} outcomes may still come"
    return Check("outcomes matured", not waiting, found)


def placebo_check(interval: Interval) -> Check:
    """Does the policy seem to change what lay before the decision? Then it is not the decision that makes the
    difference."""
    return Check(
        "placebo",
        interval.low <= 0 <= interval.high,
        f"'effect' on what happened before the decision {interval.estimate:.3g} "
        f"({interval.low:.3g} to {interval.high:.3g})",
    )


def guardrail_checks(changes: Mapping[str, tuple[Interval, float]]) -> list[Check]:
    """Is nothing else surely harmed?

    Args:
        changes: what is watched -> how it would change per decision, with the rise that is tolerated.
    """
    return [
        Check(
            name,
            interval.low <= tolerated,
            f"{name} would change by {interval.estimate:+.3g} ({interval.low:+.3g} to {interval.high:+.3g}; "
            f"up to {tolerated:+.3g} is tolerated)",
        )
        for name, (interval, tolerated) in changes.items()
    ]


def _distributions(log: LoggedDecisions, logged: Floats) -> Check:
    off = float(np.abs(logged.sum(axis=1) - 1).max())
    return Check(
        "probabilities sum to 1",
        logged.shape == log.target.shape and off <= _SAME and float(logged.min()) >= 0,
        f"a row of logged probabilities misses 1 by {off:.1e} at most",
    )


def _drawn_as_said(log: LoggedDecisions, logged: Floats) -> Check:
    differ = int((np.abs(log.of_drawn(logged) - log.propensity) > _SAME).sum())
    return Check(
        "propensity of the drawn action",
        not differ,
        "each propensity is the drawn action's logged probability"
        if not differ
        else f"{differ:,} propensities are not the drawn action's logged probability",
    )


def _ratio_of_actions(log: LoggedDecisions, logged: Floats) -> Check:
    """Sample-ratio check: how often each action was drawn against how often it should have been."""
    drawn = np.bincount(log.action, minlength=logged.shape[1]) - logged.sum(axis=0)
    covariance = np.diag(logged.sum(axis=0)) - logged.T @ logged
    spare = np.linalg.pinv(covariance, rcond=1e-9, hermitian=True)
    rank = int(np.linalg.matrix_rank(covariance, tol=1e-9 * max(1.0, float(np.abs(covariance).max())), hermitian=True))
    impossible = bool((log.of_drawn(logged) <= 0).any())
    chance = float(chi2.sf(drawn @ spare @ drawn, rank)) if rank else 1.0
    worst = int(np.argmax(np.abs(drawn)))
    return Check(
        "ratio of actions",
        chance >= _BY_CHANCE and not impossible,
        f"action {worst} was drawn {np.bincount(log.action, minlength=len(drawn))[worst]:,} times where "
        f"{logged[:, worst].sum():,.0f} were to be expected (by chance in {_percent(chance)} of sound logs)",
    )


def _rates_of_probabilities(log: LoggedDecisions, logged: Floats) -> Check:
    """Were actions with a logged probability of a tenth drawn once in ten times, and so on?"""
    drawn = np.zeros(logged.shape)
    drawn[np.arange(len(log)), log.action] = 1
    open_to_chance = (logged > 0) & (logged < 1)
    probability, happened = logged[open_to_chance], drawn[open_to_chance]
    if not len(probability):
        return Check("rates of the probabilities", True, "every decision was certain")
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, _BINS + 1)[1:-1]))
    place = np.searchsorted(edges, probability, side="right")
    expected = np.bincount(place, weights=probability)
    spread = np.bincount(place, weights=probability * (1 - probability))
    missed = (np.bincount(place, weights=happened) - expected) ** 2 / np.maximum(spread, 1e-12)
    # Bins share decisions, so that the sum is no exact chi-square; each bin alone is held to its share of the chance.
    chance = min(1.0, float(chi2.sf(missed.max(), 1)) * len(missed))
    worst = int(np.argmax(missed))
    return Check(
        "rates of the probabilities",
        chance >= _BY_CHANCE,
        f"actions with a probability near {probability[place == worst].mean():.2g} were drawn at a rate of "
        f"{happened[place == worst].mean():.2g} (by chance in {_percent(chance)} of sound logs)",
    )


def _balance(log: LoggedDecisions, logged: Floats, context: Floats) -> Check:
    """Given the logged probabilities, nothing that was known of a customer may tell more of what was drawn."""
    drawn = np.zeros(logged.shape)
    drawn[np.arange(len(log)), log.action] = 1
    columns = context - context.mean(axis=0)
    columns = columns[:, columns.std(axis=0) > 0]
    spread = np.sqrt((logged * (1 - logged)).T @ columns**2)
    # A sum of few draws is no normal: a word that one customer has, drawn at one in eighty, would always look wrong.
    told = spread**2 >= _DRAWS * np.square(columns).max(axis=0, initial=0.0)
    missed = np.divide((drawn - logged).T @ columns, spread, out=np.zeros_like(spread), where=told & (spread > 0))
    largest = float(np.abs(missed).max(initial=0.0))
    chance = min(1.0, float(2 * norm.sf(largest)) * max(int(told.sum()), 1))
    return Check(
        "balance",
        chance >= _BY_CHANCE,
        f"what was known of the customers sways the draws by up to {largest:.1f} standard errors beyond the logged "
        f"probabilities (by chance in {_percent(chance)} of sound logs)",
    )


def _mean_weight(log: LoggedDecisions) -> Check:
    mean = float(log.weight.mean())
    error, _ = standard_error(log.weight - mean, log.cluster)
    return Check(
        "mean weight",
        abs(mean - 1) <= _STANDARD_ERRORS * error + 1e-9,
        f"the mean weight is {mean:.3f}, where 1 ± {_STANDARD_ERRORS * error:.3f} is to be expected",
    )


def _support(log: LoggedDecisions, logged: Floats) -> Check:
    mass = float(np.where(logged > 0, 0.0, log.target).sum(axis=1).mean())
    return Check(
        "support",
        mass < UNSUPPORTED,
        f"{100 * mass:.2g} % of the judged policy lies on actions that were never tried there "
        f"(less than {100 * UNSUPPORTED:g} % is sound)",
    )


def _percent(chance: float) -> str:
    return f"{100 * chance:.2g} %" if chance < 0.1 else f"{100 * chance:.0f} %"
