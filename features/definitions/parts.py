"""Arithmetic that several definitions share."""

from functools import reduce
from operator import add

from features.engine.definition import Rows, Value


def ratio(above: Value, below: Value) -> Value:
    """``above / below`` as a plain number; unknown where ``below`` is zero."""
    return above.cast("float64") / below.nullif(0).cast("float64")


def spread(values: Value, rows: Value) -> Value:
    """Standard deviation (of the population) from sums of decimals or whole numbers.

    The difference of squares is exact there: as floats, equal values would seem to differ, and the order of rows count.

    Args:
        values: a column.
        rows: how many values it has.
    """
    squares = (values * values).sum() * rows - values.sum() * values.sum()
    return squares.cast("float64").sqrt() / rows


def entropy(groups: Rows) -> Value:
    """Shannon entropy (nats) of spend over groups: 0 = all in one, ln(n) = evenly over n.

    Each group's part is rounded to a decimal before the sum: exact sums do not depend on the order of rows.
    """
    amount, total = groups.amount.cast("float64"), groups.amount.sum().cast("float64")
    parts = (amount * amount.ln()).cast("decimal(38, 6)").sum().cast("float64")
    return (groups.count() == 1).ifelse(0.0, total.ln() - parts / total)


def entropy_of_counts(counts: list[Value]) -> Value:
    """The same over a few counts, which are added up in their order."""
    total = reduce(add, counts)
    shares = [ratio(count, total) for count in counts]
    return 0.0 - reduce(add, [(share * share.nullif(0.0).ln()).fill_null(0.0) for share in shares])
