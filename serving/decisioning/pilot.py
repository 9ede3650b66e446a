"""How many customers, and how many days, a randomised pilot of an action takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scipy.special import ndtri

from kernel.errors import UsageError

WHERE = "the size of a pilot"
_HALVINGS = 60


@dataclass(frozen=True, slots=True)
class PilotArms:
    """The fewest customers of each group."""

    treated: int
    control: int

    @property
    def total(self) -> int:
        """Customers of both groups together."""
        return self.treated + self.control


def pilot_arms(
    rate: float, lift: float, *, power: float = 0.8, confidence: float = 0.95, share_control: float = 0.5
) -> PilotArms:
    """The fewest customers of each group with which a two-sided test finds such a lift.

    Normal approximation for two proportions, without continuity correction (Fleiss, Levin & Paik, Statistical Methods
    for Rates and Proportions, 3rd ed. 2003, section 4.3; equal groups: R's ``power.prop.test``).

    Args:
        rate: share of customers with the outcome when nothing is done.
        lift: what the action adds to it, below 0 where it takes away; .01 is one customer in a hundred.
        power: probability of finding the lift if it is there.
        confidence: probability of finding nothing if nothing is there: 1 less the significance level.
        share_control: share of customers who get nothing.

    Raises:
        UsageError: a share or probability is out of range, or there is no lift to find.
    """
    treated = rate + lift
    _require_shares({"rate": rate, "rate + lift": treated}, power, confidence, share_control)
    share_treated = 1 - share_control
    mean = share_control * rate + share_treated * treated
    no_lift = mean * (1 - mean) * (1 / share_control + 1 / share_treated)
    with_lift = rate * (1 - rate) / share_control + treated * (1 - treated) / share_treated
    found = float(ndtri((1 + confidence) / 2)) * no_lift**0.5 + float(ndtri(power)) * with_lift**0.5
    return _arms(found, lift, share_control)


def pilot_arms_of_money(
    spread: float, lift: float, *, power: float = 0.8, confidence: float = 0.95, share_control: float = 0.5
) -> PilotArms:
    """The same for an outcome of money: the normal test of two means.

    Args:
        spread: standard deviation of the outcome between customers, money.
        lift: what the action adds on average, money per customer.

    Raises:
        UsageError: a share or probability is out of range, the spread is not above 0, or there is no lift to find.
    """
    _require_shares({}, power, confidence, share_control)
    if not 0 < spread < math.inf:
        raise UsageError(f"'spread' is {spread:g}.", where=WHERE, fix="Give a standard deviation above 0, in money.")
    reach = float(ndtri((1 + confidence) / 2)) + float(ndtri(power))
    return _arms(reach * spread * (1 / (share_control * (1 - share_control))) ** 0.5, lift, share_control)


def pilot_size(
    rate: float, lift: float, *, power: float = 0.8, confidence: float = 0.95, share_control: float = 0.5
) -> int:
    """Customers of both groups of :func:`pilot_arms` together."""
    return pilot_arms(rate, lift, power=power, confidence=confidence, share_control=share_control).total


def smallest_lift(arms_for: Callable[[float], PilotArms], customers: int, largest: float) -> float | None:
    """The smallest lift above 0 that so many customers would find; None where not even ``largest`` is found.

    Args:
        arms_for: lift -> customers, the fewer the larger the lift.
    """
    if arms_for(largest).total > customers:
        return None
    low, high = 0.0, largest
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if arms_for(middle).total <= customers else (middle, high)
    return high


def pilot_days(customers: int, per_day: float, outcome_window_days: int) -> int:
    """Days from the first contact until the outcome of the last customer is known.

    Args:
        customers: of both groups, from :func:`pilot_size`.
        per_day: customers who can enter the pilot on one day, both groups together.
        outcome_window_days: days in which the outcome counts.

    Raises:
        UsageError: nobody can enter, or a number is below 0.
    """
    if not (per_day > 0 and customers >= 0 and outcome_window_days >= 0):
        raise UsageError(
            "Customers, customers a day or the outcome window are too few.", where=WHERE, fix="Give numbers above 0."
        )
    return math.ceil(customers / per_day) + outcome_window_days


def _require_shares(rates: Mapping[str, float], power: float, confidence: float, share_control: float) -> None:
    for name, number in {**rates, "power": power, "confidence": confidence, "share_control": share_control}.items():
        if not 0 < number < 1:
            raise UsageError(f"'{name}' is {number:g}.", where=WHERE, fix="Give a number between 0 and 1.")


def _arms(found: float, lift: float, share_control: float) -> PilotArms:
    """``found``: the lift that one customer would find with the power that is wanted."""
    if lift == 0 or not math.isfinite(lift):
        raise UsageError(
            f"A lift of {lift:g} cannot be found.", where=WHERE, fix="Give the smallest lift that would pay."
        )
    customers = (found / lift) ** 2
    return PilotArms(math.ceil(customers * (1 - share_control)), math.ceil(customers * share_control))
