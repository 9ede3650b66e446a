"""What contacting the customers at the highest risk costs and brings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kernel.artefacts import Floats
from kernel.settings import RetentionSettings


@dataclass(frozen=True, slots=True)
class Campaign:
    """Contacting the first ``contacts`` customers of a ranking; money in the project's currency.

    Attributes:
        reached: how many of them would have left.
        profit: what those of them that a contact keeps are worth, less the cost of all contacts.
    """

    contacts: int
    reached: float
    profit: float


def contacts(customers: int, most: int) -> int:
    """How many a team reaches: ``most``, or a tenth of a cohort that is not ten times as large."""
    return min(most, max(1, customers // 10))


def campaign(score: Floats, left: Floats, contacts: int, money: RetentionSettings) -> Campaign:
    """What a campaign to the ``contacts`` highest scores would have brought; ties stand in the order of the rows."""
    chosen = np.argsort(-score, kind="stable")[:contacts]
    reached = float(left[chosen].sum())
    return Campaign(contacts, reached, _profit(reached, contacts, money))


def best_cut(probability: Floats, money: RetentionSettings) -> int:
    """How many to contact so that the expected profit is the highest: all for whom a contact is worth its cost.

    It is decided by the probabilities alone, before anybody knows who left.
    """
    return int(np.sum(probability * money.success_rate * money.kept_value > money.contact_cost))


def profit_curve(score: Floats, left: Floats, money: RetentionSettings) -> Floats:
    """Profit after 0, 1, 2, ... contacts by falling score, shape (customers + 1,)."""
    reached = np.append(0.0, np.cumsum(left[np.argsort(-score, kind="stable")]))
    return np.array([_profit(float(found), contacts, money) for contacts, found in enumerate(reached)])


def _profit(reached: float, contacts: int, money: RetentionSettings) -> float:
    return reached * money.success_rate * money.kept_value - contacts * money.contact_cost
