"""Decisions and what became of them. Rows are added, never changed; what was acknowledged is on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import orjson
from pydantic import TypeAdapter
from sqlalchemy import Connection, Engine, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import InterfaceError, OperationalError

from kernel.errors import ForesightError
from serving.decisioning.action import DO_NOTHING
from serving.decisioning.decision import Decision
from serving.decisioning.state import CampaignPrices
from serving.feedback.engine import open_engine, writing
from serving.feedback.errors import (
    EventConflictError,
    StoreUnavailableError,
    UnknownActionError,
    UnknownDecisionError,
)
from serving.feedback.idempotency import KeptAnswers
from serving.feedback.tables import ACTION_USE, CAMPAIGN_PRICES, DECISIONS, FEEDBACK, QUARANTINE
from serving.schemas import FeedbackRequest, FeedbackStatus


class QuarantineReason(StrEnum):
    """Why an event could not be matched; its error says the same to the sender."""

    UNKNOWN_DECISION = "unknown_decision"
    UNKNOWN_ACTION = "unknown_action"
    EVENT_CONFLICT = "event_conflict"


_ERRORS: dict[QuarantineReason, Callable[[], ForesightError]] = {
    QuarantineReason.UNKNOWN_DECISION: UnknownDecisionError,
    QuarantineReason.UNKNOWN_ACTION: UnknownActionError,
    QuarantineReason.EVENT_CONFLICT: EventConflictError,
}


@dataclass(frozen=True, slots=True)
class StoreCounts:
    """Rows of each table."""

    decisions: int
    feedback: int
    quarantined: int


class DecisionStore:
    """The append-only log; safe to use from several threads, and from several processes on one database.

    Attributes:
        answers: those given under the clients' idempotency keys.
    """

    def __init__(self, url: str) -> None:
        """Open the database, and make what is missing in it.

        Raises:
            UsageError: ``url`` names neither SQLite nor PostgreSQL.
            StoreUnavailableError: the database does not answer.
        """
        try:
            self._engine: Engine = open_engine(url)
        except (OperationalError, InterfaceError):
            raise StoreUnavailableError from None
        self.answers = KeptAnswers(self._engine)
        self._decision = TypeAdapter(Decision)
        # Built once: putting it together takes a fifth of the time of a decision's row, the disk apart.
        self._new_decisions = self._insert_new(DECISIONS, ["decision_id"]).returning(DECISIONS.c.decision_id)

    def close(self) -> None:
        """Give every connection back."""
        self._engine.dispose()

    def log_decisions(self, decisions: Sequence[Decision], logged_at: datetime) -> int:
        """Keep decisions; one that is already there is left as it was. Returns how many are new.

        Raises:
            StoreUnavailableError: the database does not answer; none was kept.
        """
        if not decisions:
            return 0
        rows = [self._row(decision, logged_at) for decision in decisions]
        with self._write() as connection:
            new = set(connection.execute(self._new_decisions, rows).scalars())
            self._count_use(connection, [one for one in decisions if one.decision_id in new], logged_at)
            return len(new)

    def keep_prices(self, prices: CampaignPrices, made_at: datetime) -> None:
        """Let decisions go by a campaign's prices until they expire, or until others are kept.

        Raises:
            StoreUnavailableError: the database does not answer; nothing was kept.
        """
        row = {
            "version": prices.version,
            "catalogue_hash": prices.catalogue_hash,
            "made_at": made_at,
            "until": prices.until,
            "content": orjson.dumps({"budget": prices.budget, "capacity": dict(prices.capacity)}).decode(),
        }
        with self._write() as connection:
            connection.execute(self._insert_new(CAMPAIGN_PRICES, ["version"]), row)

    def decision(self, decision_id: str) -> Decision | None:
        """The decision as it was logged; None when there is none.

        Raises:
            StoreUnavailableError: the database does not answer.
        """
        with self.reading() as connection:
            return self._find_decision(connection, decision_id)

    def record_feedback(self, event: FeedbackRequest, received_at: datetime) -> FeedbackStatus:
        """Keep an event; the same event again changes nothing. What does not match a decision goes to quarantine.

        Raises:
            UnknownDecisionError, UnknownActionError, EventConflictError: after the event was put in quarantine.
            StoreUnavailableError: the database does not answer; nothing was kept.
        """
        digest = hashlib.sha256(event.model_dump_json().encode()).hexdigest()
        with self._write() as connection:
            status, reason = self._match(connection, event, digest)
            if reason is None and status is FeedbackStatus.STORED:
                statement = self._insert_new(FEEDBACK, ["event_id"]).returning(FEEDBACK.c.event_id)
                if connection.execute(statement, _feedback_row(event, digest, received_at)).first() is None:
                    # Another process (PostgreSQL) was quicker with this event id.
                    status, reason = self._match(connection, event, digest)
            if reason is not None:
                self._quarantine(connection, event, digest, reason, received_at)
        if reason is not None:
            raise _ERRORS[reason]()
        return status

    def counts(self) -> StoreCounts:
        """How much is kept.

        Raises:
            StoreUnavailableError: the database does not answer.
        """
        with self.reading() as connection:
            decisions, feedback, quarantined = (
                connection.execute(select(func.count()).select_from(table)).scalar_one()
                for table in (DECISIONS, FEEDBACK, QUARANTINE)
            )
        return StoreCounts(decisions, feedback, quarantined)

    def is_available(self) -> bool:
        """Whether the database answers."""
        try:
            with self.reading() as connection:
                connection.execute(select(1))
        except StoreUnavailableError:
            return False
        return True

    def _count_use(self, connection: Connection, decisions: Sequence[Decision], logged_at: datetime) -> None:
        used: dict[str, list[float]] = {}
        for decision in decisions:
            if decision.chosen not in (None, DO_NOTHING):
                cost = next(one.cost or 0.0 for one in decision.candidates if one.action_id == decision.chosen)
                used.setdefault(decision.chosen, []).append(max(cost, 0.0))
        day = f"{logged_at.astimezone(UTC):%Y-%m-%d}"
        for action, costs in sorted(used.items()):  # in one order, so that two workers never wait for each other
            statement = self._dialect.insert(ACTION_USE).values(
                action=action, day=day, decisions=len(costs), cost=sum(costs)
            )
            added = statement.on_conflict_do_update(
                index_elements=["action", "day"],
                set_={
                    "decisions": ACTION_USE.c.decisions + statement.excluded.decisions,
                    "cost": ACTION_USE.c.cost + statement.excluded.cost,
                },
            )
            connection.execute(added)

    def _match(
        self, connection: Connection, event: FeedbackRequest, digest: str
    ) -> tuple[FeedbackStatus, QuarantineReason | None]:
        stored = connection.execute(
            select(FEEDBACK.c.digest).where(FEEDBACK.c.event_id == event.event_id)
        ).scalar_one_or_none()
        if stored is not None:
            conflict = None if stored == digest else QuarantineReason.EVENT_CONFLICT
            return FeedbackStatus.ALREADY_STORED, conflict
        decision = self._find_decision(connection, event.decision_id)
        if decision is None:
            return FeedbackStatus.STORED, QuarantineReason.UNKNOWN_DECISION
        if event.action not in {candidate.action_id for candidate in decision.candidates}:
            return FeedbackStatus.STORED, QuarantineReason.UNKNOWN_ACTION
        return FeedbackStatus.STORED, None

    def _quarantine(
        self,
        connection: Connection,
        event: FeedbackRequest,
        digest: str,
        reason: QuarantineReason,
        received_at: datetime,
    ) -> None:
        statement = self._insert_new(QUARANTINE, ["reason", "event_id", "digest"])
        connection.execute(
            statement,
            {
                "reason": reason.value,
                "event_id": event.event_id,
                "decision_id": event.decision_id,
                "received_at": received_at,
                "content": event.model_dump_json(),
                "digest": digest,
            },
        )

    def _find_decision(self, connection: Connection, decision_id: str) -> Decision | None:
        content = connection.execute(
            select(DECISIONS.c.content).where(DECISIONS.c.decision_id == decision_id)
        ).scalar_one_or_none()
        return None if content is None else self._decision.validate_json(content)

    def _row(self, decision: Decision, logged_at: datetime) -> dict[str, Any]:
        return {
            "decision_id": decision.decision_id,
            "customer_id": decision.customer_id,
            "as_of": decision.as_of,
            "logged_at": logged_at,
            "placement": decision.placement,
            "chosen": decision.chosen,
            "propensity": decision.propensity,
            "policy_version": decision.policy_version,
            "catalogue_hash": decision.catalogue_hash,
            "content": self._decision.dump_json(decision).decode(),
        }

    @property
    def _dialect(self) -> Any:
        return postgresql if self._engine.dialect.name == "postgresql" else sqlite

    def _insert_new(self, table: Table, key: list[str]) -> Any:
        return self._dialect.insert(table).on_conflict_do_nothing(index_elements=key)

    @contextmanager
    def _write(self) -> Generator[Connection]:
        try:
            with writing(self._engine) as connection:
                yield connection
        except (OperationalError, InterfaceError):
            # The driver's message would repeat the statement with its values, so it goes no further.
            raise StoreUnavailableError from None

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """A connection to read with. Raises StoreUnavailableError when the database does not answer."""
        try:
            with self._engine.connect() as connection:
                yield connection
        except (OperationalError, InterfaceError):
            raise StoreUnavailableError from None


def _feedback_row(event: FeedbackRequest, digest: str, received_at: datetime) -> dict[str, Any]:
    return {
        "event_id": event.event_id,
        "decision_id": event.decision_id,
        "action": event.action,
        "event": event.event.value,
        "event_time": event.event_time or received_at,
        "value": event.value,
        "received_at": received_at,
        "digest": digest,
    }
