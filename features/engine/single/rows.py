"""The rows of one customer as the scoped tables at ``as_of``, typed and filtered as the contract and the scope do.

Raises the contract's errors: a repeated key, a value that does not fit its type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from features.contract.tables import TABLES, SemanticTable
from features.engine.scope import SCHEMAS, last_day
from features.engine.single.values import Array, Column, Scalar, decimals, words
from kernel.errors import DataError

Columns = Mapping[str, Sequence[Any]]  # column -> one value per row
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.date().toordinal()
_MICROSECOND = timedelta(microseconds=1)
_DAY = 86_400_000_000.0
_DEFAULTS = {"discount": 0.0, "quantity": 1.0}


def microseconds(moment: datetime) -> int:
    """Since 1970, UTC where naive."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MICROSECOND


def event_table(table: str, columns: Columns, timezone: str, as_of: datetime) -> dict[str, Column]:
    """The scoped twin of a table of events.

    Args:
        table: the semantic table's name.
        columns: contract's columns; one that is absent has its default. Moments are aware, or UTC.
        timezone: of the customer's day.
        as_of: the moment of knowledge.
    """
    semantic = TABLES[table]
    texts = {c.name: _texts(columns, c.name) for c in semantic.columns if c.name in columns and c.kind == "VARCHAR"}
    _check_key(semantic, texts)
    moments = columns.get("event_time", ())
    now = microseconds(as_of)
    happened = [None if moment is None else microseconds(moment) for moment in moments]
    told = columns.get("ingested_at", moments)
    heard = [None if m is None else microseconds(m) for m in told]
    required = [_required(semantic, column.name, columns, texts) for column in semantic.columns if column.required]
    rows = [
        i
        for i, (h, k) in enumerate(zip(happened, heard, strict=True))
        if h is not None and h < now and (k is None or k <= now) and all(column[i] is not None for column in required)
    ]
    found = {
        name: _typed(kind, [texts[name][i] for i in rows] if name in texts else _values(columns, name, rows))
        for name, kind in SCHEMAS[table].items()
        if name not in _COMPUTED and name != "customer_id"
    }
    if table == "subscriptions":
        found |= _terms(columns, rows, last_day(as_of, timezone))
    return found | _times([moments[i] for i in rows], timezone, as_of)


def customer_row(values: Mapping[str, Any], attributes: Mapping[str, str], as_of: datetime) -> dict[str, Scalar]:
    """The columns of ``scoped_customers``.

    Raises:
        DataError: the customer became known after ``as_of``, or an attribute does not fit its type.
    """
    created = values.get("created_at")
    now = microseconds(as_of)
    if created is not None and microseconds(created) >= now:
        raise DataError(
            "The customer became known at or after as_of, so that nothing can be said of them then.",
            where="customer.created_at",
            fix="Send an earlier created_at, or a later as_of.",
        )
    known = {name: _attribute(name, kind, values.get(name)) for name, kind in attributes.items()}
    account = values.get("account_id")
    return {
        **known,
        "account_id": None if account is None else account.strip(" ") or None,
        "created_days_ago": None if created is None else (now - microseconds(created)) / _DAY,
    }


def empty(kind: str) -> Column:
    """A column of no rows."""
    return _typed(kind, ())


_COMPUTED = frozenset({"days_ago", "day_ago", "weekday", "hour", "start_days_ago", "ends_in_days"})


def _required(
    table: SemanticTable, name: str, columns: Columns, texts: Mapping[str, Sequence[str | None]]
) -> Sequence[Any]:
    if name in texts:
        return texts[name]
    if name in columns or name == "customer_id":
        return columns.get(name, columns.get("event_time", ()))
    if not any(len(values) for values in columns.values()):
        return ()
    raise DataError(
        f"The column '{name}' ({table.column(name).description}) is missing.",
        where=f"profile: {table.name}",
        fix="Send it with every row.",
    )


def _texts(columns: Columns, name: str) -> list[str | None]:
    return [None if text is None else (text.strip(" ") or None) for text in columns[name]]


def _values(columns: Columns, name: str, rows: Sequence[int]) -> list[Any]:
    default = _DEFAULTS.get(name)
    if name not in columns:
        return [default] * len(rows)
    given = columns[name]
    return [default if given[i] is None else given[i] for i in rows]


def _typed(kind: str, values: Sequence[Any]) -> Column:
    if kind == "string":
        return words(values)
    known = np.array([value is not None for value in values], dtype=bool)
    numbers = np.array([0.0 if value is None else float(value) for value in values], dtype=np.float64)
    if kind.startswith("decimal"):
        numbers = decimals(numbers, 4)
    elif kind == "boolean":
        numbers = numbers.astype(bool)
    return Column(numbers, None if known.all() else known)


def _terms(columns: Columns, rows: Sequence[int], today: int) -> dict[str, Column]:
    given = _values(columns, "is_recurring", rows)
    months = _values(columns, "recurrence_months", rows)
    recurring = [m is not None if r is None else r for r, m in zip(given, months, strict=True)]
    begun = [today - (day.toordinal() - _EPOCH_DAY) for day in _values(columns, "start_date", rows)]
    ends = [None if day is None else day.toordinal() - _EPOCH_DAY - today for day in _values(columns, "end_date", rows)]
    return {
        "is_recurring": _typed("boolean", recurring),
        "start_days_ago": _typed("float64", begun),
        "ends_in_days": _typed("float64", ends),
    }


def _times(moments: Sequence[datetime], timezone: str, as_of: datetime) -> dict[str, Column]:
    zone = ZoneInfo(timezone)
    local = [(m if m.tzinfo is not None else m.replace(tzinfo=UTC)).astimezone(zone) for m in moments]
    days = _integers(date.toordinal, local) - _EPOCH_DAY
    ages = (microseconds(as_of) - _integers(microseconds, moments)) / _DAY
    return {
        "days_ago": Column(ages),
        "day_ago": Column(last_day(as_of, timezone) - days),
        "weekday": Column(_integers(date.weekday, local)),
        "hour": Column(_integers(lambda moment: moment.hour, local)),
    }


def _integers(function: Callable[[Any], int], values: Sequence[Any]) -> Array:
    return np.fromiter(map(function, values), dtype=np.int64, count=len(values))


def _check_key(table: SemanticTable, texts: Mapping[str, Sequence[str | None]]) -> None:
    if not all(name in texts for name in table.key):
        return
    keys = [key for key in zip(*(texts[name] for name in table.key), strict=True) if None not in key]
    if len(set(keys)) < len(keys):
        raise DataError(
            f"{len(keys) - len(set(keys)) + 1:,} of {len(keys):,} rows share their key ({', '.join(table.key)}).",
            where=f"profile: tables.{table.name}",
            fix="Keep one row per key.",
        )


def _attribute(name: str, kind: str, value: Any) -> Scalar:
    if isinstance(value, str):
        value = value.strip(" ") or None
    if value is None:
        return None
    if kind == "string":
        if isinstance(value, float):
            return str(int(value)) if value.is_integer() and abs(value) < 2**63 else repr(value)
        return str(value)
    try:
        return float(value)
    except ValueError as error:
        raise DataError(
            f"The value of '{name}' is no number.", where="customer.attributes", fix="Send a number, or leave it out."
        ) from error
