"""Where Spark left alone would mean something else than DuckDB: each correction of ``spark_sql.py``, provoked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest

from features.contract.profiles import profiles_from_frames
from features.engine.build import build_features
from features.engine.definition import Feature, FeatureSet, Unit, View
from tests.histories import AS_OF
from tests.spark_engine import OnSpark, different, spark_marks

pytestmark = spark_marks
DAY = timedelta(days=1)
Of = Callable[[Any], Any]


def _zero(rows: Any) -> Any:
    return rows.count(where=rows.days_ago < 0)


# Over order lines: amount (decimal), quantity (float), category (text), days_ago.
LINES: dict[str, Of] = {
    "number": lambda r: r.count(),
    "count_of_none": lambda r: r.count(where=r.amount > 10**6),
    "count_where": lambda r: r.count(where=r.amount > 0),
    "count_of_column": lambda r: r.category.count(where=r.amount > 0),
    "sum_of_none": lambda r: r.amount.sum(where=r.amount > 10**6),
    "sum_where": lambda r: r.quantity.sum(where=r.amount > 0),
    "sum_of_flags": lambda r: (r.amount > 0).sum(),
    "distinct": lambda r: r.category.nunique(),
    "distinct_where": lambda r: r.category.nunique(where=r.amount > 0),
    "distinct_numbers": lambda r: r.amount.nunique(),
    "mean_of_decimals": lambda r: r.amount.mean(),
    "mean_of_decimals_where": lambda r: r.amount.mean(where=r.amount > 0),
    "mean_of_none": lambda r: r.amount.mean(where=r.amount > 10**6),
    "mean_of_floats": lambda r: r.quantity.mean(),
    "mean_of_whole": lambda r: r.hour.mean(where=r.amount > 0),
    "mean_of_flags": lambda r: (r.amount > 0).mean(),
    "std": lambda r: r.quantity.std(),
    "std_of_decimals": lambda r: r.amount.std(how="pop", where=r.amount > 0),
    "var": lambda r: r.amount.var(how="pop"),
    "covariance": lambda r: r.quantity.cov(r.days_ago, how="pop"),
    "correlation": lambda r: r.quantity.corr(r.days_ago, how="pop"),
    "median": lambda r: r.quantity.median(),
    "quantile": lambda r: r.quantity.quantile(0.9, where=r.amount > 0),
    "newest_quantity": lambda r: r.quantity.argmin(r.days_ago),
    "oldest_quantity": lambda r: r.quantity.argmax(r.days_ago),
    "oldest_where": lambda r: r.quantity.argmax(r.days_ago, where=r.amount > 0),
    "oldest_category_is_tea": lambda r: (r.category.argmax(r.days_ago) == "tea").cast("int64"),
    "any": lambda r: (r.amount < 0).any().cast("int64"),
    "all": lambda r: (r.amount < 100).all().cast("int64"),
    "by_nothing": lambda r: r.amount.sum().cast("float64") / _zero(r).cast("float64"),
    "by_nothing_or_seven": lambda r: ibis.coalesce(r.amount.sum().cast("float64") / _zero(r).cast("float64"), 7.0),
    "nothing_by_nothing": lambda r: ibis.coalesce(_zero(r).cast("float64") / _zero(r).cast("float64"), 7.0),
    "by_nothing_is_infinite": lambda r: (r.quantity.sum() / _zero(r)).isinf().cast("int64"),
    "minus_by_nothing_is_small": lambda r: ((0 - r.count()) / _zero(r) < -(10**9)).cast("int64"),
    "nan_is_there": lambda r: (_zero(r) / _zero(r)).notnull().cast("int64"),
    "nan_is_not_null": lambda r: (_zero(r) / _zero(r)).isnull().cast("int64"),
    "by_nullif": lambda r: r.amount.sum().cast("float64") / _zero(r).nullif(0),
    "whole_by_whole": lambda r: r.count() / (r.count() + 1),
    "decimal_by_decimal": lambda r: r.amount.sum() / r.amount.max(),
    "decimal_by_whole": lambda r: r.amount.sum() / r.count(),
    "floor_division": lambda r: (r.count() * 7) // 3,
    "remainder": lambda r: (r.count() * 7) % 3,
    "square_of_sum": lambda r: (r.amount.sum() * r.amount.sum()).cast("float64"),
    "sum_of_squares": lambda r: (r.amount * r.amount).sum().cast("float64"),
    "exact_difference": lambda r: ((r.amount * r.amount).sum() * r.count() - r.amount.sum() * r.amount.sum()).cast(
        "float64"
    ),
    "literal": lambda r: (r.amount * 0.1).sum().cast("float64"),
    "long_literal": lambda r: (r.amount.cast("float64") * 0.049510512897138946).sum(),
    "small_literal": lambda r: r.quantity.sum() * 1.5e-7,
    "half_to_even": lambda r: (r.count().cast("float64") + 0.5).cast("int64"),
    "half_to_even_below": lambda r: (r.count().cast("float64") + 1.5).cast("int64"),
    "half_of_decimals": lambda r: (r.amount.max() + ibis.literal(Decimal("0.5"))).cast("int64"),
    "float_to_decimal": lambda r: (r.quantity * 1.234567891).cast("decimal(18, 6)").sum(),
    "rounded": lambda r: r.quantity.mean().round(2),
    "floor": lambda r: r.quantity.mean().floor(),
    "ceil": lambda r: r.quantity.mean().ceil(),
    "logs": lambda r: r.quantity.sum().log() + r.quantity.sum().log2() + r.quantity.sum().ln(),
    "powers": lambda r: r.quantity.max().sqrt() + r.quantity.max() ** 1.5 + r.quantity.max().exp(),
    "too_large": lambda r: (r.quantity.max() * 1000).exp(),
    "sign": lambda r: r.quantity.sum().sign() + (0 - r.quantity.sum()).abs(),
    "greatest": lambda r: ibis.greatest(r.quantity.max(), r.days_ago.max()),
    "least_of_null": lambda r: ibis.least(r.quantity.max(), r.quantity.sum(where=r.amount > 10**6)),
    "clipped": lambda r: r.quantity.sum().clip(0, 3),
    "cases": lambda r: ibis.cases((r.count() > 2, 1.5), else_=2.5),
    "between": lambda r: r.count(where=r.days_ago.between(1, 40)),
    "is_in": lambda r: r.count(where=r.category.isin(["tea", "soap"])),
    "not_equal": lambda r: r.count(where=r.category != "tea"),
    "missing_text": lambda r: r.count(where=r.category.isnull()),
    "text": lambda r: r.count(where=r.category.upper().contains("E") | r.category.startswith("s")),
    "length": lambda r: r.category.length().sum(),
}
# Over gaps between purchase days: window functions.
GAPS: dict[str, Of] = {
    "gaps": lambda r: r.gap_days.sum(where=r["rank"] <= 2),
    "newest_gap": lambda r: r.gap_days.argmin(r["rank"]),
    "entropy": lambda r: -(r.gap_days / 100 * (r.gap_days / 100).ln()).sum(),
}
# Over features, of which some are unknown.
WIDE: dict[str, Of] = {
    "unknown_plus": lambda w: w.mean_of_none + 1,
    "unknown_or": lambda w: w.mean_of_none.fill_null(w.number),
    "known_share": lambda w: w.count_where / w.number.nullif(0),
}


def _features() -> Iterator[Feature]:
    for view, expressions in ((View.LINES, LINES), (View.GAPS, GAPS), (View.FEATURES, WIDE)):
        for name, expression in expressions.items():
            yield Feature(name, "meaning", view, expression, name, Unit.RATIO)


FEATURES = FeatureSet(_features())
every_expression = pytest.mark.parametrize("name", FEATURES.names)


def _lines() -> pd.DataFrame:
    rows = [
        # customer, order, days ago, amount, quantity, category
        ("anna", "r1", 100.5, "10.10", 1.0, "tea"),
        ("anna", "r2", 70.25, "-3.5", 2.0, None),
        ("anna", "r3", 40.0, "1000.0999", 2.5, "rice"),
        ("anna", "r4", 10.125, "0.5", 1.0, "tea"),
        ("anna", "r5", 0.5, "7", 0.25, "soap"),
        ("bert", "r6", 33.0, "2.5", 3.0, None),
        ("bert", "r7", 12.0, "2.5", None, "tea"),
        ("bert", "r8", 3.0, "-2.5", 4.0, "sugar"),
        ("cleo", "r9", 5.0, "99.99", 1.5, "Énergie"),
        ("dora", "r10", 5.0, "-99.99", 1.0, None),
    ]
    frame = pd.DataFrame(rows, columns=["customer_id", "transaction_id", "ago", "amount", "quantity", "category"])
    frame["amount"] = frame["amount"].map(Decimal)
    frame["event_time"] = pd.to_datetime([AS_OF - DAY * ago for ago in frame["ago"]], utc=True)
    return frame.drop(columns="ago")


@pytest.fixture(scope="module")
def both(on_spark: OnSpark) -> tuple[pd.DataFrame, pd.DataFrame]:
    customers = pd.DataFrame({"customer_id": ["anna", "bert", "cleo", "dora", "emil"]})
    profiles = profiles_from_frames({"customers": customers, "transactions": _lines()}, {}, "Europe/Paris")
    return build_features(on_spark(profiles), FEATURES, AS_OF), build_features(profiles, FEATURES, AS_OF)


@every_expression
def test_an_expression_means_the_same_on_both_engines(name: str, both: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    found, wanted = (frame[[name]] for frame in both)
    assert different(found, wanted) == []


def test_the_expressions_are_no_empty_words(both: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    """Nothing known at all is what many mistakes look like."""
    _, wanted = both
    unknown = {name for name in FEATURES.names if np.isnan(wanted[name].to_numpy()).all()}
    infinite = {"by_nothing", "by_nothing_or_seven", "nothing_by_nothing", "too_large"}
    assert unknown == {"sum_of_none", "mean_of_none", "by_nullif", "unknown_plus", *infinite}
