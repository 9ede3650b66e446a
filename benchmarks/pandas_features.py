"""A baseline: the 60 features as an analyst would write them in pandas, by hand, for speed.

It works on integer codes in place of ids, which is the best that pandas can be given; it sorts once, so that the first
row of a product, a category or a day is the newest, and every window is cut from the next longer one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.sixty import NAMES, PACES, WINDOWS, ZERO

_DAY = 86_400_000_000.0
_COLUMNS = ["customer_id", "transaction_id", "event_time", "ingested_at", "amount", "product_id", "category"]


@dataclass(frozen=True)
class Frames:
    """The tables: ``customers`` by rising customer_id; after :func:`with_codes`, ``customer`` is the position there."""

    customers: pd.DataFrame
    lines: pd.DataFrame


def read_frames(folder: Path) -> Frames:
    """Read the semantic tables from Parquet files, ids as text."""
    customers = pd.read_parquet(folder / "customers.parquet", columns=["customer_id", "created_at"])
    return Frames(
        customers.set_index("customer_id").sort_index(),
        pd.read_parquet(folder / "transactions.parquet", columns=_COLUMNS),
    )


def with_codes(frames: Frames) -> Frames:
    """The same with integer codes for ids, and money as float64."""
    lines = frames.lines.copy(deep=False)
    for name in ("transaction_id", "product_id", "category"):
        lines[name] = pd.factorize(lines[name])[0]
    lines["amount"] = lines["amount"].astype("float64")
    lines["customer"] = frames.customers.index.get_indexer(lines.pop("customer_id"))
    return Frames(frames.customers, lines)


def pandas_features(frames: Frames, as_of: pd.Timestamp) -> pd.DataFrame:
    """One row per customer known at ``as_of``, one column per feature; NaN where unknown."""
    lines = _known(frames.lines, as_of)
    bought = lines[lines["amount"] > 0]
    columns = (
        _orders(lines) | _different(lines, "product_id", "products") | _different(bought, "category", "categories")
    )
    columns |= _days(bought)
    columns["net_spend"] = lines.groupby("customer")["amount"].sum()
    columns["days_since_first_purchase"] = bought.groupby("customer")["days_ago"].max()
    wide = pd.DataFrame(columns, index=range(len(frames.customers)))
    wide[list(ZERO)] = wide[list(ZERO)].fillna(0)
    _ratios(wide)
    created = frames.customers["created_at"]
    there = (created.isna() | (created < as_of)).to_numpy()
    return wide.set_axis(frames.customers.index).loc[there, list(NAMES)].replace([np.inf, -np.inf], np.nan)


def _known(lines: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    lines = lines[(lines["event_time"] < as_of) & (lines["ingested_at"] <= as_of)]
    lines = lines.sort_values("event_time", ascending=False, ignore_index=True)
    ago = (as_of - lines["event_time"]).astype("timedelta64[us]").astype("int64")
    last_day = (as_of - pd.Timedelta(microseconds=1)).normalize()
    day = lines["event_time"].to_numpy().astype("datetime64[D]")
    return lines.assign(
        days_ago=ago / _DAY, day_ago=(last_day.to_datetime64().astype("datetime64[D]") - day).astype("int64")
    )


def _orders(lines: pd.DataFrame) -> dict[str, pd.Series]:
    by = lines.groupby(["customer", "transaction_id"], sort=False)
    # Newest first: the first line of an order is its newest.
    orders = by.agg(amount=("amount", "sum"), days_ago=("days_ago", "first")).reset_index()
    orders["amount"] = orders["amount"].round(4)  # a purchase and its return would leave a float a trace of money
    paid = orders[orders["amount"] > 0]
    columns: dict[str, pd.Series] = {}
    for days in reversed(WINDOWS):
        orders, paid = orders[orders["days_ago"] <= days], paid[paid["days_ago"] <= days]
        columns[f"spend_{days}d"] = orders.groupby("customer")["amount"].sum().round(4)
        found = paid.groupby("customer")["amount"].agg(["sum", "count", "max"])
        columns[f"orders_{days}d"], columns[f"max_order_{days}d"] = found["count"], found["max"]
        columns[f"mean_order_{days}d"] = found["sum"] / found["count"]
    return columns


def _different(lines: pd.DataFrame, column: str, many: str) -> dict[str, pd.Series]:
    known = (lines[column] >= 0) & (lines["days_ago"] <= max(WINDOWS))
    newest = lines.loc[known, ["customer", column, "days_ago"]]
    key = newest["customer"] * (newest[column].max() + 1) + newest[column]  # one number is found faster than two
    newest = newest[~key.duplicated()]
    columns: dict[str, pd.Series] = {}
    for days in reversed(WINDOWS):
        newest = newest[newest["days_ago"] <= days]
        columns[f"{many}_{days}d"] = newest.groupby("customer").size()
    return columns


def _days(bought: pd.DataFrame) -> dict[str, pd.Series]:
    key = bought["customer"] * (bought["day_ago"].max() + 1) + bought["day_ago"]
    days = bought.groupby(key).agg(amount=("amount", "sum"), days_ago=("days_ago", "first"))
    # By rising key: the days of a customer follow each other, the newest first.
    key_of = days.index.to_numpy()
    days["customer"], days["day_ago"] = np.divmod(key_of, bought["day_ago"].max() + 1)
    by = days.groupby("customer")
    found = by.agg(
        amount=("amount", "sum"), days=("amount", "size"), newest=("day_ago", "first"), oldest=("day_ago", "last"),
        first_amount=("amount", "last"), days_ago=("days_ago", "first"),
    )  # fmt: skip
    gap = days["day_ago"].diff()[days["customer"].diff() == 0].astype("int64")
    gaps = gap.groupby(days["customer"].loc[gap.index])
    return {
        "days_since_last_purchase": found["days_ago"],
        "frequency": found["days"] - 1,
        "recency_days": found["oldest"] - found["newest"],
        "T_days": found["oldest"],
        "monetary_value": (found["amount"] - found["first_amount"]) / (found["days"] - 1),
        "mean_gap_days": gaps.mean(),
        "std_gap_days": gaps.std(ddof=0),
        "longest_gap_days": gaps.max(),
    }


def _ratios(wide: pd.DataFrame) -> None:
    for of, short, long in PACES:
        wide[f"{of}_{short}d_to_{long}d"] = (wide[f"{of}_{short}d"] / short) / (wide[f"{of}_{long}d"] / long)
    wide["gap_variation"] = wide["std_gap_days"] / wide["mean_gap_days"]
    wide["overdue_ratio"] = wide["days_since_last_purchase"] / wide["mean_gap_days"]
    wide["purchase_days_per_week"] = (wide["frequency"] + 1) / (wide["T_days"] + 7) * 7
    wide["spend_per_week"] = wide["net_spend"] / (wide["T_days"] + 7) * 7
