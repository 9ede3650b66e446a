"""What would change a customer's band: the nearest change of a behaviour that a team can act on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kernel.part import Floats, Part

STEPS = 20
"""From the lowest to the highest customer, along which a behaviour is tried."""


class Behaviour(Part):
    """A behaviour: features that go together, since no customer orders more in 30 days and not in 60.

    Attributes:
        name: such as "purchases".
        lead: the position of the feature that the behaviour is told by.
        columns: positions of all of its features in the model's inputs.
        levels: for each of them ``STEPS`` + 1 values, from the customer in whom the behaviour is least to the one in
            whom it is most: quantiles of the population, falling where less of the feature is more of the behaviour.
        more: whether a team would have more of the behaviour, or less.
    """

    name: str
    lead: int
    columns: tuple[int, ...]
    levels: tuple[tuple[float, ...], ...]
    more: bool

    def tried(self, inputs: Floats) -> Floats:
        """The customer with the behaviour of each level that is beyond its own, shape (levels, columns of the model).

        Args:
            inputs: of one customer, shape (columns of the model,).
        """
        columns, levels = list(self.columns), self._levels
        own = inputs[columns]
        rows = np.tile(inputs, (STEPS + 1, 1))
        # Each feature at the population's level, or its own where that is beyond: nothing is taken back. What is not
        # known becomes so with more of a behaviour (days since the last visit), not with less.
        rising = levels[:, -1] >= levels[:, 0]
        beyond = np.where(rising == self.more, np.fmax(levels.T, own), np.fmin(levels.T, own))
        rows[:, columns] = beyond if self.more else np.where(np.isnan(own), np.nan, beyond)
        order = rows if self.more else rows[::-1]
        return order[(order != inputs).any(axis=1, where=~np.isnan(inputs))]

    @cached_property
    def _levels(self) -> Floats:
        return np.array(self.levels)


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one behaviour with which the model would say a lower band.

    Attributes:
        behaviour: the behaviour's name.
        column: position of the feature that tells it.
        value, target: what that feature is, and would be.
        probability, percentile: of churn, then.
        distance: the share of the population between the two, in [0, 1].
    """

    behaviour: str
    column: int
    value: float
    target: float
    probability: float
    percentile: float
    distance: float


def nearest_changes(
    behaviours: tuple[Behaviour, ...],
    inputs: Floats,
    probability: Callable[[Floats], Floats],
    percentile: Callable[[Floats], Floats],
    below: float,
) -> list[Change]:
    """For each behaviour the smallest change with which the percentile falls below a limit, the nearest first.

    Args:
        inputs: of one customer, shape (columns,).
        probability: inputs, shape (rows, columns) -> probabilities, shape (rows,).
        percentile: of probabilities.
        below: the limit of the band.
    """
    found: list[Change] = []
    for behaviour in behaviours:
        rows = behaviour.tried(inputs)
        if not len(rows) or np.isnan(inputs[behaviour.lead]):
            continue
        chance = probability(rows)
        rank = percentile(chance)
        # Where the feature that tells it has not moved yet, there is nothing that a person could say.
        lower = np.flatnonzero((rank < below) & (rows[:, behaviour.lead] != inputs[behaviour.lead]))
        if not len(lower):
            continue
        first = int(lower[0])
        found.append(
            Change(
                behaviour.name,
                behaviour.lead,
                value=float(inputs[behaviour.lead]),
                target=float(rows[first, behaviour.lead]),
                probability=float(chance[first]),
                percentile=float(rank[first]),
                distance=(first + 1) / STEPS,
            )
        )
    return sorted(found, key=lambda change: change.distance)


def levels(values: Floats, *, falling: bool) -> tuple[float, ...] | None:
    """Quantiles of a feature in the population, for :class:`Behaviour`; None where nothing is known of it."""
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    # Values that occur: half an order is nobody's behaviour.
    quantiles: NDArray[np.float64] = np.quantile(known, np.linspace(0, 1, STEPS + 1), method="inverted_cdf")
    return tuple(float(value) for value in (quantiles[::-1] if falling else quantiles))
