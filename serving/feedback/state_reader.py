"""Reads what the next decision depends on: what reached a customer, what was decided and spent, a campaign's prices."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property

import orjson
from sqlalchemy import Dialect, bindparam, func, select

from kernel.direct_sql import Direct, Prepared, as_list, listed
from kernel.lazy_database import LazyDatabase
from kernel.settings import Settings
from serving.decisioning.action import DO_NOTHING
from serving.decisioning.catalogue import Catalogue
from serving.decisioning.state import CampaignPrices, ContactEvent, DecisionState
from serving.feedback.errors import StoreUnavailableError
from serving.feedback.tables import ACTION_USE, CAMPAIGN_PRICES, DECISIONS, FEEDBACK

_PRAGMAS = {"journal_mode": "WAL", "busy_timeout": "10000"}


class _Statements:
    def __init__(self, dialect: Dialect) -> None:
        events = (
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
                DECISIONS.c.customer_id.in_(listed("customers", dialect)),
                FEEDBACK.c.action != DO_NOTHING,
                FEEDBACK.c.received_at <= bindparam("now"),
            )
            .order_by(FEEDBACK.c.received_at, FEEDBACK.c.event_id)
        )
        use = select(
            ACTION_USE.c.action,
            func.sum(ACTION_USE.c.cost),
            func.sum(ACTION_USE.c.decisions).filter(ACTION_USE.c.day == bindparam("today")),
        ).group_by(ACTION_USE.c.action)
        prices = (
            select(
                CAMPAIGN_PRICES.c.version,
                CAMPAIGN_PRICES.c.catalogue_hash,
                CAMPAIGN_PRICES.c.until,
                CAMPAIGN_PRICES.c.content,
            )
            .where(CAMPAIGN_PRICES.c.made_at <= bindparam("now"), CAMPAIGN_PRICES.c.until > bindparam("now"))
            .order_by(CAMPAIGN_PRICES.c.made_at.desc())
            .limit(1)
        )
        self.events, self.use, self.prices = (Prepared(one, dialect) for one in (events, use, prices))


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
        with self._reading(CAMPAIGN_PRICES.name) as look:  # the youngest table stands for all of them
            if look is None:
                return DecisionState(now)
            contacts = self._contacts(look, customer_ids, now) if catalogue.needs_contacts else {}
            used = look.rows(self._statements.use, {"today": _day(now)}) if catalogue.needs_use else []
            prices = look.rows(self._statements.prices, {"now": now})
        return DecisionState(
            now=now,
            contacts=contacts,
            decided_today={action: int(today or 0) for action, _, today in used},
            spent={action: float(cost) for action, cost, _ in used},
            prices=_prices(*prices[0]) if prices else None,
        )

    @cached_property
    def _statements(self) -> _Statements:
        return _Statements(self._engine.dialect)

    def _contacts(self, look: Direct, customer_ids: Sequence[str], now: datetime) -> dict[str, list[ContactEvent]]:
        found: dict[str, list[ContactEvent]] = {}
        channels: dict[str, dict[str, str | None]] = {}
        for customer, decision, action, event, time, content in look.rows(
            self._statements.events, {"customers": as_list(customer_ids), "now": now}
        ):
            if decision not in channels:
                channels[decision] = {
                    one["action_id"]: one.get("channel") for one in orjson.loads(content)["candidates"]
                }
            of_action = channels[decision].get(action)
            found.setdefault(customer, []).append(ContactEvent(decision, action, of_action, event, time))
        return found


def _prices(version: str, catalogue_hash: str, until: datetime, content: str) -> CampaignPrices:
    return CampaignPrices(version=version, catalogue_hash=catalogue_hash, until=until, **orjson.loads(content))


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d}"
