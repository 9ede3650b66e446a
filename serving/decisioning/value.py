"""Expected incremental value of an action against doing nothing, in parts that add up exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from serving.decisioning.columns import Floats, Ints, spread


@dataclass(frozen=True, slots=True)
class ActionTerms:
    """What an action costs and is worth to each customer, or several actions, each with a column of its own; money in
    the project's currency.

    Attributes:
        value: of one additional conversion; any shape that broadcasts against the uplift. The other attributes are
            numbers, or arrays of shape (actions,).
        lever: weight on the value, in [0.5, 2].
        contact: cost of one contact.
        incentive: cost of the incentive for each customer who takes it.
        taken_anyway: probability that the incentive is taken without changing anything.
        fatigue: what one more contact costs because of those before, of a shape that broadcasts against ``value``; None
            for nothing.
        budget_price: what one more unit of money would bring elsewhere in the campaign, beyond itself.
        capacity_price: what one more place would bring elsewhere in the campaign, money.
    """

    value: Floats
    lever: float | Floats
    contact: float | Floats
    incentive: float | Floats
    taken_anyway: float | Floats
    fatigue: Floats | None = None
    budget_price: float = 0.0
    capacity_price: float | Floats = 0.0

    def before_draws(self, rows: slice, actions: Ints) -> ActionTerms:
        """Of some customers and some of several actions, to be met by draws along a further, last axis."""
        value = self.value if len(self.value) == 1 else self.value[rows]
        return ActionTerms(
            value[:, actions, None],
            lever=_of(self.lever, actions),
            contact=_of(self.contact, actions),
            incentive=_of(self.incentive, actions),
            taken_anyway=_of(self.taken_anyway, actions),
            fatigue=None if self.fatigue is None else self.fatigue[rows][:, :, None],
            budget_price=self.budget_price,
            capacity_price=_of(self.capacity_price, actions),
        )


@dataclass(frozen=True, slots=True)
class ValueParts:
    """The parts of the expected incremental value (EIV), money per customer. Computed in this order, exactly:
    ``EIV = expected_margin - contact_cost - incentive_cost + lever_effect - fatigue_cost - price``; the last two are
    None where there are none."""

    expected_margin: Floats
    contact_cost: Floats
    incentive_cost: Floats
    lever_effect: Floats
    fatigue_cost: Floats | None = None
    price: Floats | None = None

    @property
    def total(self) -> Floats:
        """The expected incremental value."""
        total = self.expected_margin - self.contact_cost - self.incentive_cost + self.lever_effect
        for further in (self.fatigue_cost, self.price):
            total = total if further is None else total - further
        return total


def incremental_value(uplift: Floats, terms: ActionTerms) -> ValueParts:
    """``uplift * value * lever - contact - (uplift + taken_anyway) * incentive``, less fatigue and the prices of a
    campaign's limits, in parts.

    A lever reranks actions but never lifts one above doing nothing: where the value without the lever is negative, the
    lever brings it to 0 at most.

    Args:
        uplift: additional probability of the outcome; any shape that broadcasts against ``terms.value``.
        terms: costs and value of the action.
    """
    margin = np.asarray(uplift * terms.value, dtype=np.float64)
    incentive = spread(np.asarray((uplift + terms.taken_anyway) * terms.incentive), margin.shape)
    contact = np.empty(margin.shape)
    contact[...] = terms.contact  # np.full takes longer than the rest of it for one customer
    fatigue, price = terms.fatigue, None
    if terms.budget_price or not _is(terms.capacity_price, 0.0):
        price = np.maximum(terms.budget_price * (contact + incentive), 0.0) + terms.capacity_price
    none = np.zeros(margin.shape)
    if _is(terms.lever, 1.0):
        return ValueParts(margin, contact, incentive, none, fatigue, price)
    without = ValueParts(margin, contact, incentive, none, fatigue, price).total
    effect = margin * (terms.lever - 1.0) + 0.0  # an action without a lever has an effect of 0, and not of -0
    effect = np.where(without < 0, np.minimum(effect, -without), effect)
    return ValueParts(margin, contact, incentive, effect, fatigue, price)


def incremental_total(uplift: Floats, terms: ActionTerms) -> Floats:
    """``incremental_value(uplift, terms).total`` by the same steps, equal but for the sign of a zero (and for rounding,
    where there are fatigue and prices), to compare draws with: most of the time of many draws goes into the arrays of
    parts that nobody asks for."""
    total = np.asarray(uplift * terms.value, dtype=np.float64)
    effect = None if _is(terms.lever, 1.0) else total * (terms.lever - 1.0)
    total -= terms.contact
    cost: Floats | float = 0.0
    if not _is(terms.incentive, 0.0):
        cost = uplift + terms.taken_anyway
        cost *= terms.incentive
        total -= cost
    if terms.fatigue is not None:
        total = total - terms.fatigue  # it may be wider: one amount for each customer
    if terms.budget_price or not _is(terms.capacity_price, 0.0):
        total -= np.maximum(terms.budget_price * (cost + terms.contact), 0.0) + terms.capacity_price
    if effect is not None:
        total += np.where(total < 0, np.minimum(effect, -total), effect)
    return total


def _is(amount: float | Floats, neutral: float) -> bool:
    # Of several actions some may have one: then it is computed for all, and is nothing for the others.
    return bool(np.all(amount == neutral)) if isinstance(amount, np.ndarray) else amount == neutral


def _of(amount: float | Floats, actions: Ints) -> float | Floats:
    return amount[actions, None] if isinstance(amount, np.ndarray) else amount
