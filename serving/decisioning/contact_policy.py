"""Contact policy: who has heard enough, of what, and through which channel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from serving.decisioning.action import Offerable, Suppression
from serving.decisioning.catalogue import Catalogue
from serving.decisioning.columns import Floats
from serving.decisioning.state import ContactEvent, DecisionState

RULED = ("cooldown", "suppressed", "contact_limit", "capacity", "budget")
"""How the reason codes begin that come from what was decided before, and not from who the customer is."""
_REFUSED = "dismissed"  # someone between the service and the customer did not pass it on


@dataclass(frozen=True, slots=True)
class _Contact:
    """An action that reached a customer."""

    action: str
    channel: str | None
    time: datetime


@dataclass(frozen=True, slots=True)
class Rulings:
    """What contact policy and use say of some customers, by their row.

    Attributes:
        everybody: action -> why nobody gets it now: its budget is spent, or the day's capacity used up.
        actions: action -> row -> why this customer does not get it.
        customers: row -> why this customer gets no action that is weighed.
        channels: channel -> row -> why this customer is not reached by it.
        fatigue: what a further contact costs, shape (customers,); None where it costs nothing.
    """

    everybody: Mapping[str, str]
    actions: Mapping[str, Mapping[int, tuple[str, ...]]]
    customers: Mapping[int, str]
    channels: Mapping[str, Mapping[int, str]]
    fatigue: Floats | None

    def of(self, row: int) -> list[str]:
        """All that was ruled about one customer, in a fixed order: a decision's identity depends on it."""
        own = [f"{action}={code}" for action, rows in self.actions.items() for code in rows.get(row, ())]
        own += [f"{channel}={rows[row]}" for channel, rows in self.channels.items() if row in rows]
        own += [f"{action}={code}" for action, code in self.everybody.items()]
        own += [self.customers[row]] if row in self.customers else []
        own += [f"fatigue={self.fatigue[row]:.17g}"] if self.fatigue is not None and self.fatigue[row] else []
        return sorted(own)

    def without_limits(self) -> Rulings:
        """What counts for a message that is owed: contact limits do not."""
        return replace(self, customers={}, channels={})


NO_RULINGS = Rulings({}, {}, {}, {}, None)


def rulings(catalogue: Catalogue, state: DecisionState, customer_ids: Sequence[str]) -> Rulings:
    """Apply cool-down, suppression, contact limits, capacities a day and budgets.

    Args:
        customer_ids: of the rows, in order.
    """
    everybody = _used_up(catalogue, state)
    actions: dict[str, dict[int, tuple[str, ...]]] = {}
    customers: dict[int, str] = {}
    channels: dict[str, dict[int, str]] = {}
    fatigue = np.zeros(len(customer_ids))
    offerable: tuple[Offerable, ...] = (*catalogue.mandatory, *catalogue.actions)
    for row, customer in enumerate(customer_ids if state.contacts else ()):
        events = state.contacts.get(customer)
        if not events:
            continue
        contacts = _contacts(events, state.now)
        for action in offerable:
            if codes := (*_cooldown(action, contacts, state.now), *_suppressed(action, events, state.now)):
                actions.setdefault(action.id, {})[row] = codes
        for limit in catalogue.limits:
            counted = _since(contacts, state.now, limit.window_days, limit.channel)
            if len(counted) < limit.at_most:
                continue
            place = f":{limit.channel}" if limit.channel else ""
            code = f"contact_limit{place}: {limit.at_most} in {limit.window_days} days"
            if limit.channel is None:
                customers.setdefault(row, code)
            else:
                channels.setdefault(limit.channel, {}).setdefault(row, code)
        if catalogue.fatigue is not None:
            counted = _since(contacts, state.now, catalogue.fatigue.window_days, None)
            fatigue[row] = catalogue.fatigue.cost_per_contact * len(counted)
    return Rulings(everybody, actions, customers, channels, fatigue if fatigue.any() else None)


def _used_up(catalogue: Catalogue, state: DecisionState) -> dict[str, str]:
    found: dict[str, str] = {}
    offerable: tuple[Offerable, ...] = (*catalogue.mandatory, *catalogue.actions)
    for action in offerable:
        most = None if action.capacity is None else action.capacity.per_day
        if most is not None and state.decided_today.get(action.id, 0) >= most:
            found[action.id] = f"capacity: {most} a day"
    for action in catalogue.actions:
        # One more contact is what the money must reach for; an expected incentive comes on top of it or not.
        if action.budget is not None and state.spent.get(action.id, 0.0) + action.cost.contact > action.budget:
            found[action.id] = f"budget: {action.budget:g}"
    return found


def _contacts(events: Iterable[ContactEvent], now: datetime) -> list[_Contact]:
    """One for each decision whose action reached the customer: the first that was reported of it, unless it was
    dismissed."""
    first: dict[str, _Contact] = {}
    refused = {event.decision_id for event in events if event.event == _REFUSED}
    for event in events:
        time = min(event.time, now)
        known = first.get(event.decision_id)
        if event.decision_id not in refused and (known is None or time < known.time):
            first[event.decision_id] = _Contact(event.action, event.channel, time)
    return list(first.values())


def _since(contacts: Iterable[_Contact], now: datetime, days: int, channel: str | None) -> list[_Contact]:
    begin = now - timedelta(days=days)
    return [one for one in contacts if one.time > begin and channel in (None, one.channel)]


def _cooldown(action: Offerable, contacts: Iterable[_Contact], now: datetime) -> tuple[str, ...]:
    if action.cooldown_days is None:
        return ()
    own = [one.time for one in contacts if one.action == action.id]
    until = max(own, default=now) + timedelta(days=action.cooldown_days)
    return (f"cooldown: until {until:%Y-%m-%d}",) if own and now < until else ()


def _suppressed(action: Offerable, events: Iterable[ContactEvent], now: datetime) -> tuple[str, ...]:
    own = [event for event in events if event.action == action.id]
    found = [until for rule in action.suppress if own and (until := _suppressed_until(rule, own, now)) is not None]
    return (f"suppressed: until {max(found):%Y-%m-%d}",) if found else ()


def _suppressed_until(rule: Suppression, events: Iterable[ContactEvent], now: datetime) -> datetime | None:
    times = sorted(min(event.time, now) for event in events if event.event == rule.event)
    window, length = timedelta(days=rule.window_days), timedelta(days=rule.for_days)
    ends = [
        last + length
        for place, last in enumerate(times)
        if sum(time > last - window for time in times[: place + 1]) >= rule.count
    ]
    return ends[-1] if ends and now < ends[-1] else None
