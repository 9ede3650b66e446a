"""The allocation of a campaign: who gets which action under a budget and capacities, and what the limits are worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from kernel.errors import DataError, UsageError
from serving.decisioning.allocation_prices import optimal_prices
from serving.decisioning.allocation_problem import WHERE, CampaignProblem, Prices
from serving.decisioning.allocation_repair import within_limits
from serving.decisioning.columns import Floats, Ints

NOT_ELIGIBLE = "not_eligible"
NOT_WORTH_IT = "not_worth_it"
BUDGET = "budget"


@dataclass(frozen=True, slots=True, eq=False)
class Allocation:
    """Who gets what; never beyond a limit (the budget up to the rounding of its sum, 1e-12 of it).

    Attributes:
        chosen: number of each customer's action from 1, 0 for doing nothing; shape (customers,).
        prices: what one more unit of each limit is worth.
        value: expected incremental value of all chosen actions, money.
        spent: what they take from the budget, money.
        used: contacts by each action, shape (actions,).
        used_channels: contacts through each channel, shape (channels,).
        bound: money that no allocation within the limits exceeds.
        why: what keeps the best action from each customer who gets none, empty for the others; shape (customers,).
            ``not_eligible``: no action is open to the customer. ``not_worth_it``: none is worth more than nothing. Else
            the limit whose price takes most of the best action's value: ``budget``, ``capacity:<number>`` of the action
            as in ``chosen``, or ``channel:<number>`` as in the problem.
    """

    chosen: Ints
    prices: Prices
    value: float
    spent: float
    used: Ints
    used_channels: Ints
    bound: float
    why: npt.NDArray[np.object_]

    @property
    def gap(self) -> float:
        """The share of the bound by which a better allocation could exceed this one, at most."""
        return 1.0 - self.value / self.bound if self.bound > 0 else 0.0


def allocate(problem: CampaignProblem) -> Allocation:
    """The allocation with the largest total value, to within its ``gap``.

    The prices are those of the linear relaxation (Lagrangian duality: Fisher, Management Science 27, 1981). Its choice,
    rounded down, is filled up with what adds most at the prices. Equal problems give equal allocations.
    """
    prices, chosen = optimal_prices(problem)
    chosen = within_limits(problem, prices, chosen)
    taken = np.flatnonzero(chosen)
    own = chosen[taken] - 1
    used = np.bincount(own, minlength=problem.actions)
    value = float(problem.value[taken, own].sum())
    return Allocation(
        chosen=chosen,
        prices=prices,
        value=value,
        spent=float(problem.costs[taken, own].sum()),
        used=used,
        used_channels=(problem.uses @ used)[problem.actions :],
        bound=max(problem.bound(prices), value),  # equal but for rounding where the relaxation has no fractions
        why=_why(problem, prices, chosen, used),
    )


def _why(problem: CampaignProblem, prices: Prices, chosen: Ints, used: Ints) -> npt.NDArray[np.object_]:
    why = np.full(len(chosen), "", dtype=object)
    left_out = chosen == 0
    eligible = ~np.isnan(problem.value).all(axis=1)
    wanted = (problem.worth > 0).any(axis=1)
    why[left_out & ~wanted] = NOT_WORTH_IT
    why[left_out & ~eligible] = NOT_ELIGIBLE
    kept = np.flatnonzero(left_out & wanted)
    if len(kept):
        why[kept] = _limits_that_keep(problem, prices, kept, used)
    return why


def _limits_that_keep(problem: CampaignProblem, prices: Prices, rows: Ints, used: Ints) -> npt.NDArray[Any]:
    """The limit that keeps the best action from each of these customers, shape (rows,)."""
    best = problem.worth[rows].argmax(axis=1)
    cost = problem.costs[rows, best]
    each = np.concatenate([prices.capacity, prices.channel])
    # Without a price (a limit that only whole numbers meet), it is a limit with no room left.
    full = problem.places - problem.uses @ used < 1
    charges = [prices.budget * cost, *(price * problem.uses[limit, best] for limit, price in enumerate(each))]
    closed = [np.zeros(len(rows)), *(full[limit] & problem.uses[limit, best] for limit in range(len(each)))]
    strongest = np.stack(charges).argmax(axis=0)
    priced = np.stack(charges).max(axis=0) > 0
    limit = np.where(priced, strongest, np.stack(closed).argmax(axis=0))
    names = [BUDGET, *(f"capacity:{number}" for number in range(1, problem.actions + 1))]
    names += [f"channel:{number}" for number in range(problem.channels)]
    return np.array(names, dtype=object)[limit]


@dataclass(frozen=True, slots=True)
class GainInterval:
    """The expected total gain of a campaign, money, and where it lies with ``confidence``."""

    expected: float
    low: float
    high: float
    confidence: float


def gain_interval(
    value: Floats,
    chosen: Ints,
    effect_value: Floats,
    error: Floats,
    *,
    confidence: float = 0.9,
    correlation: float = 0.0,
) -> GainInterval:
    """The total of the chosen values, with the doubt about the mean effect of each action.

    All customers of an action share the error of its effect, so that it does not even out over many: the standard error
    of their total is that of the effect times the sum of what one unit of effect is worth to them. It is the expected
    gain that lies within; one campaign's outcomes also vary by chance. An allocation prefers effects that are estimated
    too high: where they were estimated on the same customers, the expected total is too high as well.

    Args:
        value: as in the problem, shape (customers, actions).
        chosen: as in the allocation, shape (customers,).
        effect_value: money that one unit of effect is worth, shape (customers, actions).
        error: standard error of the effect of each action, shape (actions,).
        confidence: of the interval.
        correlation: of the errors of two actions: 0 for separate trials, about .5 for one trial with a control group as
            large as each action's.

    Raises:
        DataError: a shape does not fit, or an error is below 0 or missing.
        UsageError: confidence or correlation out of range.
    """
    actions = value.shape[1]
    if effect_value.shape != value.shape or chosen.shape != value.shape[:1] or error.shape != (actions,):
        raise DataError(
            "The shapes of values, choices and errors differ.", where=WHERE, fix="Give those of one allocation."
        )
    if not (error >= 0).all():
        raise DataError("A standard error is missing or below 0.", where=WHERE, fix="Give one per action, 0 if known.")
    if not (0 < confidence < 1 and 0 <= correlation <= 1):
        raise UsageError(
            f"Confidence {confidence:g} or correlation {correlation:g} is out of range.",
            where=WHERE,
            fix="Give a confidence between 0 and 1, and a correlation from 0 to 1.",
        )
    taken = np.flatnonzero(chosen)
    own = chosen[taken] - 1
    expected = float(value[taken, own].sum())
    errors = error * np.bincount(own, effect_value[taken, own], actions)
    variance = (1 - correlation) * float(errors @ errors) + correlation * float(errors.sum()) ** 2
    reach = float(ndtri((1 + confidence) / 2)) * variance**0.5
    return GainInterval(expected, expected - reach, expected + reach, confidence)
