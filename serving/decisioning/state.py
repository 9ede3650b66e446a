"""What was decided before and what came of it, as far as the next decision depends on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ContactEvent:
    """Something that was reported of an action.

    Attributes:
        decision_id: the decision that it belongs to.
        action: its id in the catalogue.
        channel: by which it reached the customer; None where the log does not say.
        event: as in feedback: ``shown``, ``dismissed``, ``converted`` and so on.
        time: when it happened, UTC.
    """

    decision_id: str
    action: str
    channel: str | None
    event: str
    time: datetime


@dataclass(frozen=True, slots=True)
class CampaignPrices:
    """What the limits of a planned campaign are worth, until they expire.

    Attributes:
        version: tells these prices from all others; part of a decision's identity.
        catalogue_hash: of the catalogue that the campaign was planned with; with another one they say nothing.
        budget: what one more unit of money would bring, beyond itself.
        capacity: action -> what one more place would bring, money.
        until: when they expire, UTC.
    """

    version: str
    catalogue_hash: str
    budget: float
    capacity: Mapping[str, float]
    until: datetime


@dataclass(frozen=True, slots=True)
class DecisionState:
    """What decisions of one moment depend on besides the customers' features.

    Attributes:
        now: the moment, UTC; what was reported of later times counts as of now (clocks differ).
        contacts: customer -> what was reported of earlier decisions for them; in any order.
        decided_today: action -> decisions for it on the day of ``now``, UTC.
        spent: action -> contacts and expected incentives of all decisions for it, money.
        prices: of a campaign that runs; None without one.
    """

    now: datetime
    contacts: Mapping[str, Sequence[ContactEvent]] = field(default_factory=dict)
    decided_today: Mapping[str, int] = field(default_factory=dict)
    spent: Mapping[str, float] = field(default_factory=dict)
    prices: CampaignPrices | None = None
