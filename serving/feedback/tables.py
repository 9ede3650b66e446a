"""The append-only tables: decisions, feedback, and feedback that could not be matched."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)


class UtcMoment(TypeDecorator[datetime]):
    """A moment in UTC; SQLite keeps no offset, so it is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC; without an offset where the database cannot keep one."""
        if value is None:
            return None
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Always with the offset of UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


METADATA = MetaData()

DECISIONS = Table(
    "decisions",
    METADATA,
    Column("decision_id", String(200), primary_key=True),
    Column("customer_id", String(200), nullable=False),
    Column("as_of", UtcMoment, nullable=False),
    Column("logged_at", UtcMoment, nullable=False),
    Column("placement", String(200), nullable=False),
    Column("chosen", String(200)),
    Column("propensity", Float),
    Column("policy_version", String(200), nullable=False),
    Column("catalogue_hash", String(200), nullable=False),
    Column("content", Text, nullable=False),  # the whole decision, as JSON
    Index("decisions_by_customer", "customer_id", "as_of"),
)

FEEDBACK = Table(
    "feedback",
    METADATA,
    Column("event_id", String(200), primary_key=True),
    Column("decision_id", String(200), ForeignKey("decisions.decision_id"), nullable=False, index=True),
    Column("action", String(200), nullable=False),
    Column("event", String(30), nullable=False),
    Column("event_time", UtcMoment, nullable=False),
    Column("value", Float),
    Column("received_at", UtcMoment, nullable=False),
    Column("digest", String(64), nullable=False),
)

QUARANTINE = Table(
    "feedback_quarantine",
    METADATA,
    # SQLite numbers rows by itself only for an INTEGER key.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("reason", String(30), nullable=False),
    Column("event_id", String(200), nullable=False),
    Column("decision_id", String(200), nullable=False),
    Column("received_at", UtcMoment, nullable=False),
    Column("content", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    UniqueConstraint("reason", "event_id", "digest", name="quarantined_once"),
)
