"""A campaign: who gets which action under a budget and capacities, who is left out and why, what limits are worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kernel.errors import UsageError
from kernel.types import Status
from serving.decisioning.allocation import Allocation, GainInterval, allocate, gain_interval
from serving.decisioning.allocation_problem import CampaignProblem
from serving.decisioning.catalogue import Catalogue
from serving.decisioning.columns import Bools, Columns, Floats
from serving.decisioning.offer import Offer, make_offers
from serving.runtime import Runtime, required

_CHUNK = 20_000
_NO_REASONS = 101.0  # no percentile is so high
_SHARED_CONTROLS = 0.5  # effects are learned against the same decisions to do nothing
NO_CONSENT = "no_consent"


@dataclass(frozen=True)
class Campaign:
    """A planned campaign. Money in the project's currency.

    Attributes:
        plan: one row per customer: customer_id, action (None for none), expected_value, cost (NaN without an action),
            why (what keeps the best action from the customer, "" for those who get one).
        actions: their ids, in the order of the allocation's numbers (from 1).
        allocation: totals, prices and use of the limits.
        gain: expected total gain over doing nothing, with its 90 % interval.
        budget: None where there is none.
        capacities: most customers per action, infinite where there is no limit.
    """

    plan: pd.DataFrame
    actions: tuple[str, ...]
    allocation: Allocation
    gain: GainInterval
    budget: float | None
    capacities: Floats


@dataclass(frozen=True)
class _Values:
    """Of some customers and every action: value and cost (money), what a unit of effect is worth, and its error."""

    value: Floats
    cost: Floats
    unit: Floats
    error: Floats


def plan_campaign(runtime: Runtime, budget: float | None) -> Campaign:
    """Allocate the catalogue's actions over all customers of the snapshot, at most one each.

    What an action brings is its expected incremental value, as on the card. The budget pays contacts and expected
    incentives; ``capacity.per_campaign`` of an action limits how many customers get it.

    Raises:
        UsageError: the project has no catalogue, or the budget is negative.
    """
    catalogue = required(runtime.catalogue)
    if budget is not None and not budget >= 0:
        raise UsageError(f"The budget is {budget:g}.", where="--budget", fix="Give 0 or more.")
    names: list[str] = []
    consent: list[Bools] = []
    parts: list[_Values] = []
    for chunk in runtime.snapshot.chunks(_CHUNK):
        scores = runtime.scores(chunk.features, chunk.consent, chunk.manifest.as_of, reasons_from=_NO_REASONS)
        frame = scores.for_rules(chunk.features)
        names += [str(name) for name in frame["customer_id"].tolist()]
        allowed = (frame["status"].astype(object) != Status.NO_CONSENT.value).to_numpy(bool)
        consent.append(allowed)
        parts.append(_values(runtime, catalogue, frame, chunk.features, allowed))
    values = _Values(*(np.concatenate([getattr(part, of) for part in parts]) for of in _Values.__annotations__))
    capacities = np.array([action.capacity.per_campaign if action.capacity else np.inf for action in catalogue.actions])
    problem = CampaignProblem(values.value, values.cost, budget=budget, capacity=capacities)
    allocation = allocate(problem)
    gain = gain_interval(
        values.value, allocation.chosen, values.unit, values.error.mean(axis=0), correlation=_SHARED_CONTROLS
    )
    ids = tuple(action.id for action in catalogue.actions)
    plan = _plan(names, np.concatenate(consent), ids, values, allocation)
    return Campaign(plan, ids, allocation, gain, budget, capacities)


def _values(
    runtime: Runtime, catalogue: Catalogue, frame: pd.DataFrame, features: pd.DataFrame, allowed: Bools
) -> _Values:
    known = {} if runtime.learned is None else runtime.learned.beliefs(features)
    offers = make_offers(catalogue, known, runtime.as_of.date(), Columns(frame))
    shape = (len(frame),)
    return _Values(
        value=np.stack([np.where(of.eligible & allowed, of.total, np.nan) for of in offers], axis=1),
        cost=np.stack([np.broadcast_to(_cost(of), shape) for of in offers], axis=1),
        unit=np.stack(
            [np.broadcast_to(of.terms.value * of.terms.lever - of.terms.incentive, shape) for of in offers], axis=1
        ),
        error=np.stack([np.broadcast_to(_error(of), shape) for of in offers], axis=1),
    )


def _cost(of: Offer) -> Floats:
    """Contact and expected incentive; an effect below 0 does not refund any."""
    return np.maximum(of.parts.contact_cost + of.parts.incentive_cost, 0.0)


def _error(of: Offer) -> Floats:
    """Standard deviation of what is believed, by the half of the interval that holds 68 %."""
    return (of.belief.quantile(0.841345) - of.belief.quantile(0.158655)) / 2


def _plan(
    names: list[str], consent: Bools, actions: tuple[str, ...], values: _Values, allocation: Allocation
) -> pd.DataFrame:
    chosen = allocation.chosen
    given = np.flatnonzero(chosen)
    amounts = np.full((2, len(names)), np.nan)
    for row, table in enumerate((values.value, values.cost)):
        amounts[row, given] = table[given, chosen[given] - 1]
    labels = np.array([None, *actions], dtype=object)
    limits = {f"capacity:{number}": f"capacity:{name}" for number, name in enumerate(actions, start=1)}
    why = [limits.get(code, code) for code in allocation.why.tolist()]
    return pd.DataFrame(
        {
            "customer_id": names,
            "action": labels[chosen],
            "expected_value": amounts[0],
            "cost": amounts[1],
            "why": [code if allowed else NO_CONSENT for code, allowed in zip(why, consent.tolist(), strict=True)],
        }
    )
