"""Reads what the next decision depends on: what reached a customer, what was decided and spent, a campaign's prices."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import orjson
from sqlalchemy import Connection, bindparam, func, select

from kernel.settings import Settings
from kernel.sql import LazyDatabase, sqlite_file
from serving.decisioning.action import DO_NOTHING
from serving.decisioning.catalogue import Catalogue
from serving.decisioning.state import CampaignPrices, ContactEvent, DecisionState
from serving.feedback.errors import StoreUnavailableError
from serving.feedback.tables import ACTION_USE, CAMPAIGN_PRICES, DECISIONS, FEEDBACK

_PRAGMAS = {"journal_mode": "WAL", "busy_timeout": "10000"}
_AT_ONCE = 5000  # names in one statement: SQLite takes 32,766 at most
_EVENTS = (
    select(
        DECISIONS.c.customer_id,
        FEEDBACK.c.decision_id,
        FEEDBACK.c.action,
        FEEDBACK.c.event,
        FEEDBACK.c.event_time,
        DECISIONS.c.content,
    )
    .join(DECISIONS, DECISIONS.c.decision_id == FEEDBACK.c.decision_id)
    .where(
        DECISIONS.c.customer_id.in_(bindparam("names", expanding=True)),
        FEEDBACK.c.action != DO_NOTHING,
        FEEDBACK.c.received_at <= bindparam("now"),
    )
    .order_by(FEEDBACK.c.received_at, FEEDBACK.c.event_id)
)
_USE = select(
    ACTION_USE.c.action,
    func.sum(ACTION_USE.c.cost),
    func.sum(ACTION_USE.c.decisions).filter(ACTION_USE.c.day == bindparam("today")),
).group_by(ACTION_USE.c.action)
_PRICES = (
    select(CAMPAIGN_PRICES)
    .where(CAMPAIGN_PRICES.c.made_at <= bindparam("now"), CAMPAIGN_PRICES.c.until > bindparam("now"))
    .order_by(CAMPAIGN_PRICES.c.made_at.desc())
    .limit(1)
)


class StateReader(LazyDatabase):
    """The state of one project's decisions; safe to use from several threads."""

    def __init__(self, url: str) -> None:
        """Nothing is opened or made before it is needed.

        Raises:
            UsageError: ``url`` names neither SQLite nor PostgreSQL.
        """
        super().__init__(url, _PRAGMAS, StoreUnavailableError)

    @classmethod
    def of(cls, settings: Settings) -> StateReader:
        """That of a project."""
        return cls(settings.state_url)

    def read(self, catalogue: Catalogue, customer_ids: Sequence[str], now: datetime) -> DecisionState:
        """What decisions at ``now`` for these customers depend on; nothing that the catalogue does not ask for.

        Raises:
            StoreUnavailableError: the database does not answer.
        """
        nothing = DecisionState(now)
        file = sqlite_file(self._url)
        if file is not None and not file.exists():
            return nothing
        with self._told(), self._engine.connect() as connection:
            if not self._is_there(connection, CAMPAIGN_PRICES.name):  # the youngest table stands for all of them
                return nothing
            contacts = _contacts(connection, customer_ids, now) if catalogue.needs_contacts else {}
            used = list(connection.execute(_USE, {"today": _day(now)})) if catalogue.needs_use else []
            prices = connection.execute(_PRICES, {"now": now}).mappings().first()
        return DecisionState(
            now=now,
            contacts=contacts,
            decided_today={action: int(today or 0) for action, _, today in used},
            spent={action: float(cost) for action, cost, _ in used},
            prices=None
            if prices is None
            else CampaignPrices(
                version=prices["version"],
                catalogue_hash=prices["catalogue_hash"],
                until=prices["until"],
                **orjson.loads(prices["content"]),
            ),
        )


def _contacts(connection: Connection, customer_ids: Sequence[str], now: datetime) -> dict[str, list[ContactEvent]]:
    found: dict[str, list[ContactEvent]] = {}
    for first in range(0, len(customer_ids), _AT_ONCE):
        some = list(customer_ids[first : first + _AT_ONCE])
        for customer, decision, action, event, time, content in connection.execute(
            _EVENTS, {"names": some, "now": now}
        ):
            channel = next(
                (one.get("channel") for one in orjson.loads(content)["candidates"] if one["action_id"] == action), None
            )
            found.setdefault(customer, []).append(ContactEvent(decision, action, channel, event, time))
    return found


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d}"
