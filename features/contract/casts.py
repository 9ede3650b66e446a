"""SQL that turns a value of any source type into a type of the contract.

The source's type is known before the rows are read, so that a row never has to ask for it.
"""

from __future__ import annotations

import re
from enum import StrEnum

from features.contract.tables import Kind

_FLOATS = frozenset({"FLOAT", "DOUBLE"})
_SMALL_INTEGERS = frozenset({"TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER"})
_INTEGERS = _SMALL_INTEGERS | {"BIGINT", "HUGEINT", "UBIGINT", "UHUGEINT"}
_ZONED = "TIMESTAMP WITH TIME ZONE"
_NAIVE_MOMENTS = frozenset({"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "DATE"})
_OFFSET = r":\d{2}(\.\d+)? ?(Z|z|UTC|[+-]\d{2}(:?\d{2})?)$"
_MONEY_WHOLE_DIGITS = 14  # of DECIMAL(18,4)


class Cast(StrEnum):
    """What a value that does not fit becomes: missing (to be counted), or an error of the engine."""

    LENIENT = "TRY_CAST"
    STRICT = "CAST"


def is_number(source: str) -> bool:
    """Whether a DuckDB type is numeric."""
    return source in _INTEGERS or source in _FLOATS or source.startswith("DECIMAL")


def present(sql: str, source: str) -> str:
    """The value, or NULL where the source writes "missing" in its own way: a blank text, a float that is no number."""
    if source == "VARCHAR":
        return f"nullif(trim({sql}), '')"
    if source in _FLOATS:
        return f"CASE WHEN NOT isnan({sql}) THEN ({sql}) END"
    return f"({sql})"


def may_fail(kind: Kind, source: str) -> bool:
    """Whether some value of the source type does not fit the contract's type."""
    if kind is Kind.TEXT:
        return False
    if kind in (Kind.MOMENT, Kind.DAY):
        return source != _ZONED and source not in _NAIVE_MOMENTS
    if kind is Kind.NUMBER:
        return not is_number(source)
    if kind is Kind.FLAG:
        return source != "BOOLEAN"
    decimal = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", source)
    if decimal is not None:
        return int(decimal[1]) - int(decimal[2]) > _MONEY_WHOLE_DIGITS
    return source not in _SMALL_INTEGERS


def typed(kind: Kind, sql: str, source: str, timezone: str, cast: Cast) -> str:
    """The expression in the contract's type.

    Args:
        kind: the contract's type.
        sql: the expression, of DuckDB type ``source``.
        source: what DuckDB's DESCRIBE says of it.
        timezone: the IANA zone of moments without an offset.
        cast: what happens to a value that does not fit.
    """
    if kind is Kind.TEXT:
        return text_of(sql, source)
    if kind is Kind.MOMENT:
        return _moment(sql, source, timezone, cast)
    return f"{cast}({present(sql, source)} AS {kind})"


def text_of(sql: str, source: str) -> str:
    """The expression as text; blank text is missing, and a whole number stored with decimals (17850.0) is 17850."""
    if source in _FLOATS:
        whole = f"TRY_CAST(({sql}) AS BIGINT)"
        return (
            f"CASE WHEN isnan({sql}) THEN NULL WHEN {whole} = ({sql}) THEN CAST({whole} AS VARCHAR) "
            f"ELSE CAST(({sql}) AS VARCHAR) END"
        )
    if source.startswith("DECIMAL"):
        return f"regexp_replace(CAST(({sql}) AS VARCHAR), '\\.0+$', '')"
    if source == "VARCHAR":
        return present(sql, source)
    return f"nullif(trim(CAST(({sql}) AS VARCHAR)), '')"


def _moment(sql: str, source: str, timezone: str, cast: Cast) -> str:
    # A moment with its own offset keeps it; a naive one is the project's local time.
    if source == _ZONED:
        return f"timezone('UTC', ({sql}))"
    value = present(sql, source)
    naive = f"{cast}({value} AS TIMESTAMP)"
    local = naive if timezone == "UTC" else f"timezone('UTC', timezone('{timezone}', {naive}))"
    if source != "VARCHAR":
        return local
    zoned = f"timezone('UTC', {cast}({value} AS TIMESTAMPTZ))"
    return f"CASE WHEN regexp_matches({value}, '{_OFFSET}') THEN {zoned} ELSE {local} END"
