"""A campaign: who gets which action under a budget and capacities, who is left out and why, what limits are worth."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import orjson
import pandas as pd

from kernel.clock import iso
from kernel.errors import UsageError
from kernel.types import Status
from serving.decisioning.action import Action
from serving.decisioning.allocation import Allocation, GainInterval, allocate, gain_interval
from serving.decisioning.allocation_problem import CampaignProblem
from serving.decisioning.catalogue import Catalogue
from serving.decisioning.columns import Bools, Columns, Floats
from serving.decisioning.contact_policy import NO_RULINGS, Rulings, rulings
from serving.decisioning.offer import Offers, make_offers
from serving.decisioning.owed import NO_CONSENT, Owed
from serving.decisioning.policy import in_holdout
from serving.decisioning.state import CampaignPrices
from serving.runtime import Runtime, required

_SHARED_CONTROLS = 0.5  # effects are learned against the same decisions to do nothing
HOLDOUT, MANDATORY = "holdout", "mandatory"


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
        catalogue_hash: of the catalogue that it was planned with.
    """

    plan: pd.DataFrame
    actions: tuple[str, ...]
    allocation: Allocation
    gain: GainInterval
    budget: float | None
    capacities: Floats
    catalogue_hash: str

    def prices(self, until: datetime) -> CampaignPrices:
        """What its limits are worth, for decisions elsewhere until they expire."""
        worth = self.allocation.prices
        capacity = dict(zip(self.actions, worth.capacity.tolist(), strict=True))
        content = [self.catalogue_hash, worth.budget, sorted(capacity.items()), iso(until)]
        version = hashlib.sha256(orjson.dumps(content)).hexdigest()[:12]
        return CampaignPrices(version, self.catalogue_hash, worth.budget, capacity, until)


@dataclass(frozen=True)
class _Values:
    """Of some customers and every action: value and cost (money), what a unit of effect is worth, and its error."""

    value: Floats
    cost: Floats
    unit: Floats
    error: Floats

    def dearest(self, action: int) -> float:
        """Most that a contact of the action costs with a customer who may have it."""
        return float(np.where(np.isnan(self.value[:, action]), 0.0, self.cost[:, action]).max(initial=0.0))


def plan_campaign(runtime: Runtime, budget: float | None) -> Campaign:
    """Allocate the catalogue's actions over all customers of the snapshot, at most one each.

    What an action brings is its expected incremental value, as on the card. The budget pays contacts and expected
    incentives; ``capacity.per_campaign`` of an action limits how many customers get it, and so does what is left of its
    own budget, at its dearest contact. Contact policy holds; the global holdout and customers to whom a message is owed
    get nothing.

    Raises:
        UsageError: the project has no catalogue, or the budget is negative.
    """
    catalogue = required(runtime.catalogue)
    if budget is not None and not budget >= 0:
        raise UsageError(f"The budget is {budget:g}.", where="--budget", fix="Give 0 or more.")
    names: list[str] = []
    outside: list[str] = []
    parts: list[_Values] = []
    spent: Mapping[str, float] = {}
    for features, frame in runtime.frames():
        customers = [str(name) for name in frame["customer_id"].tolist()]
        state = runtime.state_of(customers)
        ruled = NO_RULINGS if state is None else rulings(catalogue, state, customers)
        spent = {} if state is None else state.spent
        names += customers
        outside += _outside(runtime, catalogue, frame, customers, ruled)
        known = {} if runtime.learned is None else runtime.learned.beliefs(features)
        offers = make_offers(catalogue, known, runtime.as_of.date(), Columns(frame), ruled)
        parts.append(_values(offers, np.array([not why for why in outside[-len(customers) :]])))
    values = _Values(*(np.concatenate([getattr(part, of) for part in parts]) for of in _Values.__annotations__))
    capacities = np.array(
        [
            _capacity(action, spent.get(action.id, 0.0), values.dearest(number))
            for number, action in enumerate(catalogue.actions)
        ]
    )
    problem = CampaignProblem(values.value, values.cost, budget=budget, capacity=capacities)
    allocation = allocate(problem)
    gain = gain_interval(
        values.value, allocation.chosen, values.unit, values.error.mean(axis=0), correlation=_SHARED_CONTROLS
    )
    ids = tuple(action.id for action in catalogue.actions)
    plan = _plan(names, outside, ids, values, allocation)
    return Campaign(plan, ids, allocation, gain, budget, capacities, catalogue.hash)


def _outside(
    runtime: Runtime, catalogue: Catalogue, frame: pd.DataFrame, customers: list[str], ruled: Rulings
) -> list[str]:
    """Why a customer is no part of the campaign at all, "" for those who are."""
    day = runtime.as_of.date()
    consents = (frame["status"].astype(object) != Status.NO_CONSENT.value).tolist()
    owed = Owed.to_profiled(catalogue, day, Columns(frame), ruled).first.tolist()
    return [
        NO_CONSENT
        if not consent
        else MANDATORY
        if first >= 0
        else HOLDOUT
        if in_holdout(customer, day, runtime.policy)
        else ""
        for customer, consent, first in zip(customers, consents, owed, strict=True)
    ]


def _capacity(action: Action, spent: float, dearest: float) -> float:
    """Most customers: so many as are allowed, and as what is left of the action's budget pays at the dearest."""
    most = action.capacity.per_campaign if action.capacity else None
    allowed = np.inf if most is None else float(most)
    if action.budget is None or dearest <= 0:
        return allowed
    return min(allowed, float(np.floor(max(action.budget - spent, 0.0) / dearest)))


def _values(offers: Offers, allowed: Bools) -> _Values:
    shape, terms = offers.total.shape, offers.terms
    # Standard deviation of what is believed, by the half of the interval that holds 68 %.
    error = (offers.quantile(0.841345) - offers.quantile(0.158655)) / 2
    return _Values(
        value=np.where(offers.eligible & allowed[:, None], offers.total, np.nan),
        # An effect below 0 does not refund any contact or incentive.
        cost=np.broadcast_to(np.maximum(offers.parts.contact_cost + offers.parts.incentive_cost, 0.0), shape),
        unit=np.broadcast_to(terms.value * terms.lever - terms.incentive, shape),
        error=np.broadcast_to(error, shape),
    )


def _plan(
    names: list[str], outside: list[str], actions: tuple[str, ...], values: _Values, allocation: Allocation
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
            "why": [other or code for code, other in zip(why, outside, strict=True)],
        }
    )
