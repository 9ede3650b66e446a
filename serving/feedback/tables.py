"""Decisions, feedback (also what could not be matched) and prices of campaigns, append-only; and the use of actions."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from kernel.sql import UtcMoment

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

ACTION_USE = Table(
    "action_use",
    METADATA,
    Column("action", String(200), primary_key=True),
    Column("day", String(10), primary_key=True),  # ISO 8601, UTC
    Column("decisions", Integer, nullable=False),
    Column("cost", Float, nullable=False),  # contacts and expected incentives
)
"""How often each action was decided: a sum over ``decisions``, kept in the same transaction."""

CAMPAIGN_PRICES = Table(
    "campaign_prices",
    METADATA,
    Column("version", String(200), primary_key=True),
    Column("catalogue_hash", String(200), nullable=False),
    Column("made_at", UtcMoment, nullable=False),
    Column("until", UtcMoment, nullable=False),
    Column("content", Text, nullable=False),  # the prices, as JSON
)

KEPT_ANSWERS = Table(
    "kept_answers",
    METADATA,
    Column("client", String(64), primary_key=True),  # digest of the API key; empty without one
    Column("key", String(200), primary_key=True),  # Idempotency-Key
    Column("request_digest", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", UtcMoment, nullable=False, index=True),
)
"""Answers under the clients' idempotency keys; a row goes after a day."""
