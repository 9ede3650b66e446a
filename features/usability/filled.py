"""Are required and mapped columns filled."""

from __future__ import annotations

import re
from collections.abc import Iterable

from features.contract.findings import Finding, State
from features.contract.sources import quoted
from features.contract.tables import TABLES
from features.usability.data import Data
from features.usability.rules import Rule, share

_MOST_MISSING = 0.20
# Missing says something else here: a contract is open, an activity has no number.
_MAY_BE_MISSING = frozenset({"end_date", "value", "detail", "sentiment", "consent", "account_id", "line_id"})

MISSING_REQUIRED = Rule(
    "U105",
    "required values missing in many rows",
    "read",
    State.WARNING,
    "",
    "",
    "less than 20% missing",
    "Rows without a required value count nowhere (D101); where they are many, what remains is another shop.",
    "Find out why they are missing. Where guests buy without an account, know that totals leave them out.",
)
MISSING_OPTIONAL = Rule(
    "U106",
    "mapped values missing in many rows",
    "train",
    State.WARNING,
    "",
    "",
    "less than 20% missing",
    "What is missing is often not missing by chance: the model learns who filled the form.",
    "Fill the column, or leave it out of the mapping.",
)


def missing_required(data: Data) -> Iterable[Finding]:
    """U105: the rows are gone by now; the contract counted them."""
    for one in data.profiles.findings:
        counted = re.match(r"([\d,]+) of ([\d,]+) rows", one.actual)
        if one.code != "D101" or counted is None:
            continue
        rows, total = (int(figure.replace(",", "")) for figure in counted.groups())
        if rows >= _MOST_MISSING * total:
            yield MISSING_REQUIRED.finding(
                f"{rows / total:.1%} of the rows have no {one.column} and count nowhere; with "
                f"{rows - int(_MOST_MISSING * total) + 1:,} of them filled it would be less than 20%.",
                required="less than 20.0% of the rows",
                actual=share(rows, total, "rows"),
                table=one.table,
                column=one.column,
            )


def missing_optional(data: Data) -> Iterable[Finding]:
    """U106: each mapped column and attribute that need not be filled."""
    for name, table in TABLES.items():
        mapped = data.profiles.mapped.get(name, frozenset())
        columns = [
            column.name
            for column in table.columns
            # A missing value takes the default while the tables are read: such a column has no gaps left.
            if column.name in mapped
            and not column.required
            and column.default == "NULL"
            and column.name not in _MAY_BE_MISSING
        ]
        columns += data.profiles.attributes if name == "customers" else []
        if not columns:
            continue
        kept = "{seen}" if table.timed else "consent IS NOT FALSE"
        counts = ", ".join(f"count({quoted(column)})" for column in columns)
        total, *filled = data.row(f"SELECT count(*), {counts} FROM {name} WHERE {kept}")
        for column, present in zip(columns, filled, strict=True):
            if total and total - present >= _MOST_MISSING * total:
                unit = "rows" if table.timed else "customers"
                yield MISSING_OPTIONAL.finding(
                    f"{total - present:,} {unit} have no {column}; with "
                    f"{total - present - int(_MOST_MISSING * total) + 1:,} of them filled it would be less than 20%.",
                    required=f"less than 20.0% of the {unit}",
                    actual=share(total - present, total, unit),
                    table=name,
                    column=column,
                )


RULES = (
    MISSING_REQUIRED,
    MISSING_OPTIONAL,
)
CHECKS = (
    missing_required,
    missing_optional,
)
