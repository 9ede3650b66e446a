"""Columns that say nothing, or say who somebody is: constant, almost unique, words that stand for a missing value."""

from __future__ import annotations

from collections.abc import Iterable

from features.contract.findings import Finding, State
from features.contract.sources import literal, quoted
from features.contract.tables import TABLES
from features.usability.data import Data
from features.usability.rules import Rule, share

_LEAST_ROWS = 100
_UNIQUE_SHARE = 0.5
_CODE_SHARE = 0.01
_WORDS = (
    "",
    "-",
    "--",
    "?",
    ".",
    "n/a",
    "na",
    "nan",
    "null",
    "none",
    "nil",
    "unknown",
    "undefined",
    "missing",
    "not set",
)
_NUMBERS = (-1, -9, -99, -999, -9999, 999, 9999, 99999, 999999)
# One value in all rows is quite in order here.
_MAY_BE_CONSTANT = frozenset({"customer_id", "consent", "currency", "status", "kind", "event_time", "ingested_at"})

CONSTANT = Rule(
    "U308",
    "constant column",
    "train",
    State.RECOMMENDATION,
    "",
    "",
    "at least two values",
    "A column with one value says nothing, and is often one that a join did not fill.",
    "Leave it out of the mapping, or correct the join.",
)
ALMOST_UNIQUE = Rule(
    "U309",
    "almost unique words",
    "train",
    State.WARNING,
    "customers",
    "",
    "fewer different words than half of the customers for whom it is filled",
    "A name, an address or a key says who somebody is: no model learns from it, and it is personal data.",
    "Leave the attribute out, or map a coarser one, such as the region of an address.",
)
MISSING_CODES = Rule(
    "U310",
    "codes for a missing value",
    "train",
    State.RECOMMENDATION,
    "customers",
    "",
    "less than 1% of the filled values",
    "'unknown' and 999 are read as values: a number among ages, a group of its own among words.",
    "Write nullif(column, code) in the mapping.",
)


def constant(data: Data) -> Iterable[Finding]:
    """U308, for each mapped column and attribute."""
    for name, table in TABLES.items():
        mapped = data.profiles.mapped.get(name, frozenset()) - _MAY_BE_CONSTANT
        columns = [column for column in table.mappable if column in mapped]
        columns += data.profiles.attributes if name == "customers" else []
        if not columns:
            continue
        parts = ", ".join(f"count({q}), min({q}) = max({q})" for q in map(quoted, columns))
        total, *figures = data.row(
            f"SELECT count(*), {parts} FROM {name} WHERE {'{seen}' if table.timed else 'consent IS NOT FALSE'}"
        )
        for column, filled, same in zip(columns, figures[::2], figures[1::2], strict=True):
            if filled >= _LEAST_ROWS and same:
                yield CONSTANT.finding(
                    f"{column} has the same value in all {filled:,} rows in which it is filled.",
                    required="2 values",
                    actual=f"1 value, {share(filled, total, 'rows')}",
                    table=name,
                    column=column,
                )


def almost_unique(data: Data) -> Iterable[Finding]:
    """U309."""
    columns = data.text_attributes
    if not columns:
        return
    parts = ", ".join(f"count({q}), approx_count_distinct({q})" for q in map(quoted, columns))
    figures = data.row(f"SELECT {parts} FROM customers")
    for column, filled, about in zip(columns, figures[::2], figures[1::2], strict=True):
        # An approximate count is off by some percent; only what comes near is counted.
        if filled < _LEAST_ROWS or about < 0.8 * _UNIQUE_SHARE * filled:
            continue
        words = int(data.row(f"SELECT count(DISTINCT {quoted(column)}) FROM customers")[0])
        if words > _UNIQUE_SHARE * filled:
            yield ALMOST_UNIQUE.finding(
                f"{column} has {words:,} different words for {filled:,} customers.",
                required=f"at most {int(_UNIQUE_SHARE * filled):,} words",
                actual=f"{words:,} words of {filled:,} customers ({words / filled:.1%})",
                column=column,
            )


def missing_codes(data: Data) -> Iterable[Finding]:
    """U310. The codes are known beforehand, so that the finding may count them."""
    columns = [*data.text_attributes, *data.number_attributes]
    if not columns:
        return
    words = ", ".join(map(literal, _WORDS))
    numbers = ", ".join(map(str, _NUMBERS))
    parts = [f"count({q}), count(*) FILTER (lower(trim({q})) IN ({words}))" for q in map(quoted, data.text_attributes)]
    parts += [f"count({q}), count(*) FILTER ({q} IN ({numbers}))" for q in map(quoted, data.number_attributes)]
    figures = data.row(f"SELECT {', '.join(parts)} FROM customers")
    for column, filled, codes in zip(columns, figures[::2], figures[1::2], strict=True):
        if codes and codes >= _CODE_SHARE * filled:
            yield MISSING_CODES.finding(
                f"{codes:,} values of {column} look like a code for a missing value.",
                required="less than 1.0% of the filled values",
                actual=share(codes, filled, "values"),
                column=column,
            )


RULES = (CONSTANT, ALMOST_UNIQUE, MISSING_CODES)
CHECKS = (constant, almost_unique, missing_codes)
