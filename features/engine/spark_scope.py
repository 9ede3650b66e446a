"""What was known at ``as_of``, as temporary views of a Spark session: the twin of ``scope.py``, in Spark's SQL.

Which views and columns there are is read off the schemas in ``scope.py``; here is only how Spark computes those that
are not stored. Every session has the time zone UTC.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from features.contract.tables import TABLES
from kernel.clock import parse_as_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = "86400000000D"  # microseconds


def scope_statements(tables: Iterable[Any], as_of: datetime, timezone: str) -> list[str]:
    """One CREATE VIEW per unbound Ibis table ``scoped_X``, over the view ``X`` of the typed semantic table.

    Args:
        tables: what ``scope.scoped_tables`` returns.
        as_of: the moment of knowledge; UTC where naive.
        timezone: the IANA zone of the customers' calendar days.
    """
    made = _computed(parse_as_of(as_of), timezone)
    statements: list[str] = []
    for table in tables:
        if table is None:
            continue  # one that only the engine inside the process puts together beforehand
        source = table.get_name().removeprefix("scoped_")
        columns = ", ".join(_column(made, name) for name in table.schema().names)
        statements.append(
            f"CREATE OR REPLACE TEMPORARY VIEW {table.get_name()} AS SELECT {columns} FROM {source} "
            f"WHERE {_known(source, _moment(as_of))}"
        )
    return statements


def quoted(name: str) -> str:
    """An identifier of Spark SQL."""
    return "`" + name.replace("`", "``") + "`"


def _known(table: str, moment: str) -> str:
    if TABLES[table].timed:
        return f"event_time < {moment} AND ingested_at <= {moment}"
    return f"created_at IS NULL OR created_at < {moment}"


def _moment(as_of: datetime) -> str:
    naive = parse_as_of(as_of).astimezone(UTC).replace(tzinfo=None)
    return f"TIMESTAMP_NTZ '{naive.isoformat(sep=' ')}'"


def _column(made: dict[str, str], name: str) -> str:
    return f"{made[name]} AS {quoted(name)}" if name in made else quoted(name)


def _computed(as_of: datetime, timezone: str) -> dict[str, str]:
    """Column -> its SQL, for those that the contract does not store."""
    now = (as_of - _EPOCH) // timedelta(microseconds=1)
    # The last local day of which something can be known: as_of itself is exclusive.
    last_day = (as_of - timedelta(microseconds=1)).astimezone(ZoneInfo(timezone)).date()

    def ago(column: str) -> str:
        return f"({now} - unix_micros(CAST({column} AS TIMESTAMP)))"

    local = f"from_utc_timestamp(CAST(event_time AS TIMESTAMP), '{timezone}')"
    return {
        "days_ago": f"CAST({ago('event_time')} AS DOUBLE) / {_DAY}",
        "day_ago": f"CAST(date_diff(DATE '{last_day}', CAST({local} AS DATE)) AS BIGINT)",
        "weekday": f"CAST(weekday({local}) AS BIGINT)",
        "hour": f"CAST(hour({local}) AS BIGINT)",
        "created_days_ago": f"CAST({ago('created_at')} AS DOUBLE) / {_DAY}",
        # Days of a contract are whole local days, counted from the last day of which something can be known.
        "start_days_ago": f"CAST(date_diff(DATE '{last_day}', start_date) AS DOUBLE)",
        "ends_in_days": f"CAST(date_diff(end_date, DATE '{last_day}') AS DOUBLE)",
    }
