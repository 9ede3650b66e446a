"""Fits the model of contractual retention by maximum likelihood; predictions and likelihood are ``kernel.sbg``."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import psi

from kernel.artefacts import ContractParameters
from kernel.errors import NotEnoughDataError, UsageError
from kernel.part import Floats
from kernel.sbg import Sbg, checked_contracts
from training.labels.contracts import ContractLives
from training.models.value_btyd import FitAttempt, numeric_column

# Logarithms of alpha: customers of two kinds, most stay, nothing known, all much alike; beta follows from the churn.
_STARTS = (-2.0, -0.5, 0.5, 2.0)
# Weights of the L2 penalty on the logarithms, tried in turn where the likelihood alone has no maximum. It may rise
# towards alpha and beta of 0 as well as without end, hence the logarithms; on these any penalty gives a maximum.
_PENALIZERS = (0.0, 0.01)
_TOLERANCE = 1e-7  # largest component of the gradient, per contract that ended
_FLAT = 1e-6  # a slope that is none
_FURTHEST_LOG = 30.0  # of a parameter, while it is looked for: beyond it nothing changes
_ALIKE = 1e3  # both parameters above: all customers have the same chance to leave, and the numbers mean nothing
_APART = 1e-6  # both below: customers leave at once or never
# As few contracts that ended as that do not tell two parameters apart.
_FEWEST_ENDED = 10


@dataclass(frozen=True)
class SbgFit:
    """A fitted model and how it came about.

    Attributes:
        model: parameters and predictions.
        log_likelihood: sum over contracts, without penalty.
        contracts: how many contracts the likelihood has.
        unique_rows: how many distinct rows stood for them.
        attempts: every run of the optimiser; the best of those with the last penalty gave the model.
    """

    model: Sbg
    log_likelihood: float
    contracts: int
    unique_rows: int
    attempts: tuple[FitAttempt, ...]

    @property
    def penalizer(self) -> float:
        """The penalty the model was fitted with; above 0, the likelihood alone had no maximum."""
        return self.attempts[-1].penalizer


def contract_parameters(lives: ContractLives) -> ContractParameters | None:
    """Those of the contracts of a project; None where too few ended, or none was renewed."""
    try:
        model = fit_sbg(lives.rows, days_per_period=lives.days_per_period).model
    except NotEnoughDataError:
        return None
    return ContractParameters(**model.to_dict())


def fit_sbg(summary: pd.DataFrame, *, days_per_period: float) -> SbgFit:
    """Maximum likelihood of the sBG, on distinct (renewals, churned) with their counts as weights.

    Args:
        summary: one row per contract; ``renewals`` how many times it was renewed, ``churned`` 1.0 where the customer
            left at the occasion after them, 0.0 where the contract runs. Other columns are ignored.
        days_per_period: length of a contract period; the other parameters do not depend on it.

    Raises:
        DataError: a column is missing, or holds what is no number of renewals or no 0 or 1.
        NotEnoughDataError: fewer than 10 contracts ended, none was renewed, or no run of the optimiser converged.
        UsageError: ``days_per_period`` is no length of time.
    """
    _check_unit(days_per_period)
    renewals, churned = checked_contracts(_column(summary, "renewals"), _column(summary, "churned"))
    _check_enough(renewals, churned)
    rows, weights = np.unique(np.column_stack([renewals, churned]), axis=0, return_counts=True)
    logs, reached, attempts = _most_likely(Contracts(rows[:, 0], rows[:, 1], weights))
    return SbgFit(Sbg(*_parameters(logs), days_per_period), reached, renewals.size, len(rows), attempts)


def _parameters(logs: Floats) -> tuple[float, float]:
    alpha, beta = np.exp(np.clip(logs, -_FURTHEST_LOG, _FURTHEST_LOG)).tolist()
    return alpha, beta


@dataclass(frozen=True)
class Contracts:
    """What the likelihood is made of.

    Attributes:
        renewals, churned: of the distinct contracts, shape (rows,).
        weights: how many contracts each stands for, shape (rows,).
    """

    renewals: Floats
    churned: Floats
    weights: NDArray[np.int64]

    def log_likelihood(self, logs: Floats) -> float:
        """Sum over contracts, for the logarithms of alpha and beta."""
        each = Sbg(*_parameters(logs), days_per_period=1.0).log_likelihood(self.renewals, self.churned)
        return float(np.sum(self.weights * each))

    def slope(self, logs: Floats) -> Floats:
        """Its derivatives by the two logarithms, shape (2,)."""
        alpha, beta = _parameters(logs)
        both = alpha + beta + self.renewals
        shared = psi(alpha + beta) - psi(both) - self.churned / both
        by_alpha = alpha * shared + self.churned
        by_beta = beta * (shared + psi(beta + self.renewals) - psi(beta))
        return np.array([np.sum(self.weights * by_alpha), np.sum(self.weights * by_beta)])

    @property
    def ended(self) -> float:
        """How many contracts ended; the others say little more than how long the history is."""
        return float(np.sum(self.weights * self.churned))

    def starts(self) -> list[tuple[float, float]]:
        """Logarithms of alpha and beta, at the share of occasions to renew that ended the contract."""
        stayed = float(np.sum(self.weights * self.renewals))
        return [(alpha, alpha + math.log(stayed / self.ended)) for alpha in _STARTS]


def _most_likely(contracts: Contracts) -> tuple[Floats, float, tuple[FitAttempt, ...]]:
    """The best of all starting points without a penalty, and with one where none of them converges."""
    attempts: list[FitAttempt] = []
    for penalizer in _PENALIZERS:
        converged: list[tuple[float, Floats]] = []
        for start in contracts.starts():
            logs, outcome = _run(contracts, start, penalizer)
            reached = contracts.log_likelihood(logs) if outcome == "converged" else None
            attempts.append(FitAttempt(start, penalizer, _TOLERANCE, outcome, reached))
            if reached is not None:
                converged.append((reached, logs))
        if converged:
            reached, logs = max(converged, key=lambda found: found[0])
            return logs, reached, tuple(attempts)
    raise NotEnoughDataError(
        f"No distribution fits: {len(attempts)} runs of the optimiser failed, the last with: {attempts[-1].outcome}",
        where="the contracts the model is fitted on",
        fix="Give a longer history or more contracts.",
    )


def _run(contracts: Contracts, start: tuple[float, float], penalizer: float) -> tuple[Floats, str]:
    """Logarithms of alpha and beta where one run of the optimiser ended, and "converged" or why they are of no use."""

    def lost(logs: Floats) -> tuple[float, Floats]:
        penalty, steeper = penalizer * float(np.sum(logs**2)), 2 * penalizer * logs
        return (penalty - contracts.log_likelihood(logs)) / ended, (steeper - contracts.slope(logs)) / ended

    ended = contracts.ended
    found = minimize(lost, np.array(start), method="BFGS", jac=True, options={"gtol": _TOLERANCE})
    if penalizer == 0.0 and found.x.min() > math.log(_ALIKE):
        return found.x, "alpha and beta grew without end: customers do not differ"
    if penalizer == 0.0 and found.x.max() < math.log(_APART):
        return found.x, "alpha and beta fell to 0: customers leave at once or never"
    # It also stops where rounding keeps a flat function from falling further.
    return found.x, "converged" if np.abs(found.jac).max() <= _FLAT else "did not converge"


def _check_unit(days_per_period: float) -> None:
    if not (math.isfinite(days_per_period) and days_per_period > 0):
        what, fix = f"{days_per_period} days are no length of a contract.", "Give 7, 30.4375 or 365.25."
        raise UsageError(what, where="days_per_period", fix=fix)


def _check_enough(renewals: Floats, churned: Floats) -> None:
    ended, renewed = int(churned.sum()), int((renewals > 0).sum())
    if ended < _FEWEST_ENDED or renewed == 0:
        raise NotEnoughDataError(
            f"Of {renewals.size} contracts {ended} ended and {renewed} were renewed; how customers stay and leave is "
            f"learnt from {_FEWEST_ENDED} or more that ended, and from some that were renewed.",
            where="churned and renewals",
            fix="Give a longer history or more contracts.",
        )


def _column(summary: pd.DataFrame, name: str) -> Floats:
    fix = "Give renewals and churned as numbers, one row per contract."
    return numeric_column(summary, name, where="the summary of contracts", fix=fix)
