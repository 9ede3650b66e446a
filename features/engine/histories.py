"""Each customer's own rows up to a moment of knowledge, packed: the ground on which a new event counts at once."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

import orjson

from features.contract.profiles import Profiles
from features.contract.sources import quoted
from features.contract.tables import TABLES, Kind
from features.engine.scope import SCHEMAS

History = dict[str, dict[str, list[Any]]]
"""Semantic table -> its columns, one value per row; ``customers`` has one row. A table without rows is left out."""
_TOGETHER = 2_000
_LEFT_OUT = {"customer_id", "consent", "account_id", "currency"}
_READ = {Kind.MOMENT: datetime.fromisoformat, Kind.DAY: date.fromisoformat}


def packed_histories(profiles: Profiles, as_of: datetime) -> Iterator[tuple[str, bytes]]:
    """``(customer_id, content)`` of every customer who may be profiled and was known before ``as_of``.

    Rows have event_time < as_of and ingested_at <= as_of, and are those of the contract: policies are applied.
    """
    cursor = profiles.connection.cursor()
    cursor.execute(_sql(profiles), {"as_of": as_of.replace(tzinfo=None)})
    while rows := cursor.fetchmany(_TOGETHER):
        for customer_id, *texts in rows:
            found = {
                name: orjson.loads(text) for name, text in zip(("customers", *SCHEMAS), texts, strict=True) if text
            }
            yield customer_id, zlib.compress(orjson.dumps(found))


def unpacked(content: bytes) -> History:
    """What was packed, with moments (naive, UTC) and days."""
    history: History = orjson.loads(zlib.decompress(content))
    for table, columns in history.items():
        for column in TABLES[table].columns:
            read = _READ.get(column.kind)
            if read is not None and column.name in columns:
                columns[column.name] = [None if one is None else read(one) for one in columns[column.name]]
    return history


def _sql(profiles: Profiles) -> str:
    own = ["created_at", *profiles.attributes]
    row = ", ".join(f"{quoted(name)}: [c.{quoted(name)}]" for name in own)
    parts = [f"to_json({{{row}}})::VARCHAR"]
    joins: list[str] = []
    for name in SCHEMAS:
        lists = ", ".join(
            f"{one.name}: list({_plain(one.name, one.kind)} ORDER BY rank)"
            for one in TABLES[name].columns
            if one.name not in _LEFT_OUT
        )
        parts.append(f"{name}.content")
        joins.append(
            f"LEFT JOIN (SELECT customer_id, to_json({{{lists}}})::VARCHAR AS content "
            f"FROM (SELECT *, row_number() OVER () AS rank FROM {name} WHERE event_time < $as_of AND "
            f"ingested_at <= $as_of) GROUP BY customer_id) AS {name} USING (customer_id)"
        )
    known = "c.consent AND (c.created_at IS NULL OR c.created_at < $as_of)"
    return f"SELECT c.customer_id, {', '.join(parts)} FROM customers c {' '.join(joins)} WHERE {known}"


def _plain(name: str, kind: str) -> str:
    # JSON has no decimals of its own: a double is written with as many digits as it needs.
    return f"CAST({name} AS DOUBLE)" if kind == Kind.MONEY else name


def own_values(history: Mapping[str, Mapping[str, list[Any]]]) -> dict[str, Any]:
    """``created_at`` and the attributes."""
    return {name: values[0] for name, values in history["customers"].items()}
