"""What every feature should be, in plain Python over rows: slow, obvious, and independent of the engine.

Written from the features' descriptions, with datetime, dict and Decimal only; it shares no code with the package.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from tests.histories import History, Line
from tests.oracle.accounts import account
from tests.oracle.activities import contacts, engagement, support
from tests.oracle.baskets import baskets, channels, returns, variety
from tests.oracle.buying import buying, changes, windows
from tests.oracle.contracts import subscriptions
from tests.oracle.rhythm import rhythm, seasonality
from tests.oracle.rows import Value, Values, as_days, known

__all__ = ["Value", "expected"]


def expected(history: History, as_of: datetime) -> dict[str, Values]:
    """Customer -> feature -> value; None where unknown."""
    zone = ZoneInfo(history.timezone)
    people = [person for person in history.people if person.created_at is None or person.created_at < as_of]
    lines: dict[str, list[Line]] = {
        person.customer_id: [
            row for row in history.lines if row.customer_id == person.customer_id and known(row, as_of)
        ]
        for person in people
    }
    found: dict[str, Values] = {}
    for person in people:
        name = person.customer_id
        deeds = [deed for deed in history.deeds if deed.customer_id == name and known(deed, as_of)]
        contracts = [row for row in history.contracts if row.customer_id == name and known(row, as_of)]
        values: Values = {"city": person.city, "age": person.age}
        values["days_since_created"] = None if person.created_at is None else as_days(as_of - person.created_at)
        values |= buying(lines[name], as_of, zone)
        values |= windows(lines[name], as_of, zone)
        values |= changes(lines[name], as_of, values)
        values |= rhythm(lines[name], as_of, zone, values)
        values |= seasonality(lines[name], as_of, zone, values)
        values |= baskets(lines[name], as_of, values)
        values |= variety(lines[name], as_of)
        values |= returns(lines[name], as_of)
        values |= channels(lines[name], as_of, zone)
        values |= engagement(deeds, as_of, zone)
        values |= contacts(lines[name], deeds, as_of, values)
        values |= support(deeds, as_of, zone)
        values |= subscriptions(contracts, deeds, as_of, zone)
        mates = [mate.customer_id for mate in people if mate.account_id == person.account_id]
        shared = [] if person.account_id is None else [line for mate in mates for line in lines[mate]]
        values |= account(shared, as_of, values)
        found[name] = values
    return found
