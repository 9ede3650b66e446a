"""Decisions and what became of them. Rows are added, never changed; what was acknowledged is on disk."""

from __future__ import annotations

import hashlib
from asyncio import sleep, wrap_future
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

import orjson
from pydantic import TypeAdapter
from sqlalchemy import Connection, Dialect, Engine, func, select
from sqlalchemy.exc import InterfaceError, OperationalError

from kernel.direct_sql import Direct, direct, driver_error
from kernel.errors import ForesightError
from kernel.sql import checked_url, sqlite_file, which_file
from serving.decisioning.action import DO_NOTHING
from serving.decisioning.decision import Decision
from serving.decisioning.state import CampaignPrices
from serving.feedback.engine import open_engine
from serving.feedback.errors import (
    EventConflictError,
    StoreUnavailableError,
    UnknownActionError,
    UnknownDecisionError,
    unavailable,
)
from serving.feedback.idempotency import KeptAnswers
from serving.feedback.statements import Statements
from serving.feedback.tables import DECISIONS, FEEDBACK, QUARANTINE
from serving.feedback.writer import Group, GroupWriter
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


_Kept = FeedbackStatus | QuarantineReason
_Result = TypeVar("_Result")


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
        self._url = checked_url(url, "foresight.toml: state.url")
        self._file = sqlite_file(self._url)
        self._engine = self._opened()
        self._statements = Statements(self._engine.dialect)
        self.answers = KeptAnswers(lambda: self._engine)
        self._decision = TypeAdapter(Decision)
        self._writer = GroupWriter(self._transaction)

    def close(self) -> None:
        """Write what waits, and give every connection back."""
        self._writer.close()
        self._engine.dispose()

    @property
    def dialect(self) -> Dialect:
        """For statements of one's own (:class:`kernel.direct_sql.Prepared`)."""
        return self._engine.dialect

    def write(self, work: Callable[[Group], _Result]) -> Future[_Result]:
        """Do ``work`` in a transaction that others may share; its result is there once it is on disk.

        It may be done twice, the first time for nothing. The future raises what ``work`` does, and
        StoreUnavailableError, with nothing kept, when the database does not answer.
        """
        return self._writer.submit(work)

    async def _written(self, work: Callable[[Group], _Result]) -> _Result:
        # What came in the same turn of the loop is answered first, and goes to disk together: a thread that writes
        # beside it, bit by bit, costs more than it writes.
        await sleep(0)
        return await wrap_future(self.write(work))

    def log_decisions(self, decisions: Sequence[Decision], logged_at: datetime) -> int:
        """Keep decisions; one that is already there is left as it was. Returns how many are new.

        Raises:
            StoreUnavailableError: the database does not answer; none was kept.
        """
        return self.write(self._decisions(decisions, logged_at)).result() if decisions else 0

    async def keep_decisions(self, decisions: Sequence[Decision], logged_at: datetime) -> int:
        """As :meth:`log_decisions`, without a thread that waits."""
        return await self._written(self._decisions(decisions, logged_at)) if decisions else 0

    def _decisions(self, decisions: Sequence[Decision], logged_at: datetime) -> Callable[[Group], int]:
        rows = [self._row(decision, logged_at) for decision in decisions]
        day = f"{logged_at.astimezone(UTC):%Y-%m-%d}"

        def work(group: Group) -> int:
            new = 0
            for decision, row in zip(decisions, rows, strict=True):
                if group.sql.write(self._statements.new_decision, row):
                    new += 1
                    if decision.chosen not in (None, DO_NOTHING):
                        group.used.setdefault((decision.chosen, day), []).append(_cost(decision))
            return new

        return work

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
        self.write(lambda group: group.sql.write(self._statements.new_prices, row)).result()

    def decision(self, decision_id: str) -> Decision | None:
        """The decision as it was logged; None when there is none.

        Raises:
            StoreUnavailableError: the database does not answer.
        """
        with self.reading() as connection:
            content = connection.execute(
                select(DECISIONS.c.content).where(DECISIONS.c.decision_id == decision_id)
            ).scalar_one_or_none()
        return None if content is None else self._decision.validate_json(content)

    def record_feedback(self, event: FeedbackRequest, received_at: datetime) -> FeedbackStatus:
        """Keep an event; the same event again changes nothing. What does not match a decision goes to quarantine.

        Raises:
            UnknownDecisionError, UnknownActionError, EventConflictError: after the event was put in quarantine.
            StoreUnavailableError: the database does not answer; nothing was kept.
        """
        return _told(self.write(self._feedback(event, received_at)).result())

    async def keep_feedback(self, event: FeedbackRequest, received_at: datetime) -> FeedbackStatus:
        """As :meth:`record_feedback`, without a thread that waits."""
        return _told(await self._written(self._feedback(event, received_at)))

    def _feedback(self, event: FeedbackRequest, received_at: datetime) -> Callable[[Group], _Kept]:
        content = event.model_dump_json()
        digest = hashlib.sha256(content.encode()).hexdigest()
        row = _feedback_row(event, digest, received_at)

        def work(group: Group) -> _Kept:
            kept = self._match(group.sql, event, digest)
            if kept is FeedbackStatus.STORED and not group.sql.write(self._statements.new_feedback, row):
                # Another process (PostgreSQL) was quicker with this event id.
                kept = self._match(group.sql, event, digest)
            if isinstance(kept, QuarantineReason):
                refused = {"reason": kept.value, "content": content}
                group.sql.write(self._statements.new_in_quarantine, row | refused)
            return kept

        return work

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

    def _opened(self) -> Engine:
        try:
            engine = open_engine(self._url)
        except (OperationalError, InterfaceError):
            raise StoreUnavailableError from None
        self._which = self._file and which_file(self._file)
        return engine

    @contextmanager
    def _transaction(self) -> Generator[Group]:
        if self._file is not None and which_file(self._file) != self._which:
            self._engine.dispose()
            self._engine = self._opened()
        try:
            with direct(self._engine, writes=True) as sql:
                group = Group(sql)
                yield group
                for (action, day), costs in sorted(group.used.items()):  # in one order, or two workers would block
                    use = {"action": action, "day": day, "decisions": len(costs), "cost": sum(costs)}
                    sql.write(self._statements.more_use, use)
        except driver_error(self._engine) as error:
            # The driver's message may repeat the statement with its values, so it goes no further.
            raise unavailable(error) from None

    def _match(self, sql: Direct, event: FeedbackRequest, digest: str) -> _Kept:
        stored = sql.rows(self._statements.digest, {"event_id": event.event_id})
        if stored:
            same = stored[0][0] == digest
            return FeedbackStatus.ALREADY_STORED if same else QuarantineReason.EVENT_CONFLICT
        decided = sql.rows(self._statements.content, {"decision_id": event.decision_id})
        if not decided:
            return QuarantineReason.UNKNOWN_DECISION
        candidates = {one["action_id"] for one in orjson.loads(decided[0][0])["candidates"]}
        return FeedbackStatus.STORED if event.action in candidates else QuarantineReason.UNKNOWN_ACTION

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

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """A connection to read with. Raises StoreUnavailableError when the database does not answer."""
        try:
            with self._engine.connect() as connection:
                yield connection
        except (OperationalError, InterfaceError):
            raise StoreUnavailableError from None


def _told(kept: _Kept) -> FeedbackStatus:
    if isinstance(kept, QuarantineReason):
        raise _ERRORS[kept]()
    return kept


def _cost(decision: Decision) -> float:
    """Contact and expected incentive of the drawn action, money."""
    return max(next(one.cost or 0.0 for one in decision.candidates if one.action_id == decision.chosen), 0.0)


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
