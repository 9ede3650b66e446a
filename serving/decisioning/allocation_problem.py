"""A campaign to allocate: what each contact is worth and uses, the limits, and what the prices of the limits mean."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from kernel.errors import DataError, UsageError
from serving.decisioning.columns import Bools, Floats, Ints

WHERE = "the campaign to allocate"


@dataclass(frozen=True, slots=True)
class Prices:
    """What one more unit of each limit is worth, money; 0 where a limit does not bind.

    Attributes:
        budget: of one more unit of money in the budget.
        capacity: of one more contact by each action, shape (actions,).
        channel: of one more contact through each channel, shape (channels,).
    """

    budget: float
    capacity: Floats
    channel: Floats


@dataclass(frozen=True, eq=False)
class CampaignProblem:
    """Who may get which action, what it is worth, what it uses, and how much there is. A customer gets at most one
    action: further contacts of the same customer are another campaign, whose values know of this one.

    Attributes:
        value: expected incremental value of each action for each customer, its cost already taken off, money, shape
            (customers, actions); NaN where the customer may not have it. Below 0 it is never chosen.
        cost: what one contact takes from the budget, money, shape (actions,) or (customers, actions).
        budget: the most that all contacts cost together; None where money does not limit.
        capacity: the most customers per action, shape (actions,), infinite where nothing limits; fractions are cut off.
        channel: number of the channel of each action, from 0, shape (actions,).
        channel_capacity: the most customers per channel, shape (channels,), infinite where nothing limits.

    Raises:
        DataError: a shape does not fit, or a value or cost is infinite, or a cost missing or below 0.
        UsageError: a budget or capacity is below 0 or not a number.
    """

    value: Floats
    cost: Floats
    budget: float | None = None
    capacity: Floats | None = None
    channel: Ints | None = None
    channel_capacity: Floats | None = None

    def __post_init__(self) -> None:
        _check_arrays(self)
        _check_limits(self)

    @property
    def customers(self) -> int:
        """Number of customers."""
        return self.value.shape[0]

    @property
    def actions(self) -> int:
        """Number of actions; doing nothing is not counted."""
        return self.value.shape[1]

    @property
    def channels(self) -> int:
        """Number of channels with a limit."""
        return 0 if self.channel_capacity is None else len(self.channel_capacity)

    @cached_property
    def worth(self) -> Floats:
        """``value`` where it beats doing nothing, elsewhere minus infinity; shape (customers, actions)."""
        with np.errstate(invalid="ignore"):
            return np.where(self.value > 0, self.value, -np.inf)

    @property
    def costs(self) -> Floats:
        """``cost`` in the shape (customers, actions)."""
        return np.broadcast_to(self.cost, self.value.shape)

    @cached_property
    def uses(self) -> Bools:
        """Whether a contact by each action takes a place of each limit on contacts, shape (limits, actions): the limit
        of each action, then that of each channel."""
        own = np.eye(self.actions, dtype=np.bool_)
        if self.channel is None:
            return own
        return np.concatenate([own, self.channel == np.arange(self.channels)[:, None]])

    @cached_property
    def places(self) -> Floats:
        """The limits on contacts in the order of ``uses``, whole numbers or infinite, shape (limits,)."""
        capacity = np.full(self.actions, np.inf) if self.capacity is None else self.capacity
        channels = np.empty(0) if self.channel_capacity is None else self.channel_capacity
        return np.floor(np.concatenate([capacity, channels]))

    def contact_price(self, prices: Prices) -> Floats:
        """What a contact by each action is charged besides its cost, money, shape (actions,)."""
        return np.concatenate([prices.capacity, prices.channel]) @ self.uses

    def surplus(self, prices: Prices) -> Floats:
        """What is left of each value after the prices of what it uses, money, shape (customers, actions); minus
        infinity where doing nothing is better even for free."""
        return self.worth - (prices.budget * self.cost + self.contact_price(prices))

    def bound(self, prices: Prices) -> float:
        """A total value, money, that no allocation within the limits exceeds, whatever the prices (weak duality): the
        worth of all limits at their prices, and each customer's best surplus."""
        limited = np.isfinite(self.places)
        each = np.concatenate([prices.capacity, prices.channel])
        limits = float(each[limited] @ self.places[limited]) + prices.budget * (self.budget or 0.0)
        return limits + float(np.maximum(self.surplus(prices).max(axis=1, initial=0.0), 0.0).sum())


def best_choice(surplus: Floats) -> Ints:
    """The number from 1 of the action with the largest surplus (ties: the first), 0 unless it is above 0, shape
    (customers,). With :meth:`CampaignProblem.surplus` of one customer it is what the campaign would do with them."""
    if surplus.shape[1] == 0:
        return np.zeros(len(surplus), dtype=np.int64)
    best = surplus.argmax(axis=1)
    return np.where(surplus[np.arange(len(surplus)), best] > 0, best + 1, 0)


def _check_arrays(problem: CampaignProblem) -> None:
    if problem.value.ndim != 2:
        raise DataError("The values are no table.", where=WHERE, fix="Give one row per customer, a column per action.")
    customers, actions = problem.value.shape
    _shape(problem.cost, ((actions,), (customers, actions)), "cost")
    for name, array in (("capacity", problem.capacity), ("channel", problem.channel)):
        if array is not None:
            _shape(array, ((actions,),), name)
    if np.isinf(problem.value).any():
        raise DataError("A value is infinite.", where=WHERE, fix="Give finite money, or NaN where not eligible.")
    if not ((problem.cost >= 0) & (problem.cost < np.inf)).all():  # a NaN fails both
        raise DataError(
            "A cost is missing, infinite or below 0.", where=WHERE, fix="Give what each contact costs, 0 if nothing."
        )


def _shape(array: npt.NDArray[Any], allowed: tuple[tuple[int, ...], ...], name: str) -> None:
    if array.shape not in allowed:
        wanted = " or ".join(map(str, allowed))
        raise DataError(f"'{name}' has the shape {array.shape}.", where=WHERE, fix=f"Give {wanted}.")


def _check_limits(problem: CampaignProblem) -> None:
    if problem.budget is not None and not 0 <= problem.budget < np.inf:
        raise UsageError(
            "The budget is below 0 or no finite number.", where=WHERE, fix="Give 0 or more, or none for no limit."
        )
    for name, limits in (("capacity", problem.capacity), ("channel_capacity", problem.channel_capacity)):
        if limits is not None and not (limits >= 0).all():
            raise UsageError(f"A '{name}' is below 0.", where=WHERE, fix="Give 0 or more, infinite for no limit.")
    if (problem.channel is None) != (problem.channel_capacity is None):
        raise UsageError(
            "Only one of 'channel' and 'channel_capacity' is given.", where=WHERE, fix="Give both, or neither."
        )
    if problem.channel is not None and not ((problem.channel >= 0) & (problem.channel < problem.channels)).all():
        raise UsageError(
            "An action's channel has no capacity.",
            where=WHERE,
            fix=f"Number the channels from 0 to {problem.channels - 1}, with one capacity each.",
        )
