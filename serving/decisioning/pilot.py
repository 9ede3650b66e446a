"""How many customers, and how many days, a randomised pilot of an action takes."""

from __future__ import annotations

import math

from scipy.special import ndtri

from kernel.errors import UsageError

WHERE = "the size of a pilot"


def pilot_size(
    rate: float, lift: float, *, power: float = 0.8, confidence: float = 0.95, share_control: float = 0.5
) -> int:
    """The fewest customers of both groups together with which a two-sided test finds such a lift.

    Normal approximation for two proportions, without continuity correction (Fleiss, Levin & Paik, Statistical Methods
    for Rates and Proportions, 3rd ed. 2003, section 4.3; equal groups: R's ``power.prop.test``).

    Args:
        rate: share of customers with the outcome when nothing is done.
        lift: what the action adds to it, below 0 where it takes away; .01 is one customer in a hundred.
        power: probability of finding the lift if it is there.
        confidence: probability of finding nothing if nothing is there.
        share_control: share of customers who get nothing.

    Raises:
        UsageError: a share or probability is out of range, or there is no lift to find.
    """
    treated = rate + lift
    between = {"rate": rate, "rate + lift": treated, "power": power, "confidence": confidence}
    for name, number in (between | {"share_control": share_control}).items():
        if not 0 < number < 1:
            raise UsageError(f"'{name}' is {number:g}.", where=WHERE, fix="Give a number between 0 and 1.")
    if lift == 0:
        raise UsageError("A lift of 0 cannot be found.", where=WHERE, fix="Give the smallest lift that would pay.")
    share_treated = 1 - share_control
    mean = share_control * rate + share_treated * treated
    no_lift = mean * (1 - mean) * (1 / share_control + 1 / share_treated)
    with_lift = rate * (1 - rate) / share_control + treated * (1 - treated) / share_treated
    found = float(ndtri((1 + confidence) / 2)) * no_lift**0.5 + float(ndtri(power)) * with_lift**0.5
    customers = (found / lift) ** 2
    return math.ceil(customers * share_control) + math.ceil(customers * share_treated)


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
