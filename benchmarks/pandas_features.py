"""The baseline: all 88 features of Complete Journey as an analyst would write them in pandas, by hand, for speed.

It works on integer codes in place of ids, which is the best that pandas can be given, computes orders, purchase days
and their gaps once, and adds up what lies in each window. Its numbers equal ours within 1e-9.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

ATTRIBUTES = ("age", "income", "home_ownership", "marital_status", "household_size", "household_comp", "kids_count")
_DAY = 86_400_000_000.0


@dataclass(frozen=True)
class Frames:
    """The tables: ``customers`` by rising customer_id; after :func:`with_codes`, ``customer`` is the position there."""

    customers: pd.DataFrame
    lines: pd.DataFrame
    activities: pd.DataFrame


def read_frames(folder: Path) -> Frames:
    """Read the semantic tables from Parquet files, ids as text."""
    columns = ["customer_id", "transaction_id", "event_time", "ingested_at", "amount", "discount"]
    lines = pd.read_parquet(folder / "transactions.parquet", columns=[*columns, "product_id", "category", "channel"])
    customers = pd.read_parquet(folder / "customers.parquet").set_index("customer_id").sort_index()
    return Frames(customers, lines, pd.read_parquet(folder / "activities.parquet"))


def with_codes(frames: Frames) -> Frames:
    """The same with integer codes for ids, and money as float64."""
    lines, activities = frames.lines.copy(deep=False), frames.activities.copy(deep=False)
    for name in ("transaction_id", "product_id", "category", "channel"):
        lines[name] = pd.factorize(lines[name])[0]
    for name in ("amount", "discount"):
        lines[name] = lines[name].astype("float64")
    for frame in (lines, activities):
        frame["customer"] = frames.customers.index.get_indexer(frame.pop("customer_id"))
    return Frames(frames.customers, lines, activities)


def pandas_features(frames: Frames, as_of: pd.Timestamp) -> pd.DataFrame:
    """One row per customer, one column per feature; NaN where unknown."""
    lines = _known(frames.lines, as_of)
    orders = _orders(lines)
    bought = lines[lines["amount"] > 0]
    days = bought.groupby(["customer", "day_ago"], as_index=False).agg(
        amount=("amount", "sum"), days_ago=("days_ago", "min")
    )
    columns: dict[str, pd.Series] = {}
    columns |= _rfm(lines, bought, days)
    columns |= _trend(lines, orders, days)
    columns |= _rhythm(days)
    columns |= _baskets(lines, orders)
    columns |= _engagement(_known(frames.activities, as_of))
    wide = pd.DataFrame(columns, index=range(len(frames.customers)))
    zero = [name for name in wide if name in _ZERO or name.startswith(_ZERO_PREFIXES)]
    wide[zero] = wide[zero].fillna(0)
    _ratios(wide)
    wide = wide.set_axis(frames.customers.index)
    created = frames.customers["created_at"]
    wide["days_since_created"] = (as_of - created) / pd.Timedelta(days=1)
    return wide.join(frames.customers[list(ATTRIBUTES)]).replace([np.inf, -np.inf], np.nan)


_ZERO = ("frequency", "net_spend", "weekdays_used_90d", "products_90d", "products_365d", "channels_90d")
_ZERO += ("categories_90d", "campaign_types_365d", "activities_90d")
_ZERO_PREFIXES = ("spend_", "orders_", "purchase_days_", "decayed_", "campaigns_received_", "coupons_redeemed_")


def _known(rows: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    rows = rows[(rows["event_time"] < as_of) & (rows["ingested_at"] <= as_of)].copy()
    ago = as_of - rows["event_time"]
    rows["days_ago"] = ago.astype("timedelta64[us]").astype("int64") / _DAY
    last_day = (as_of - pd.Timedelta(microseconds=1)).normalize()
    rows["day_ago"] = (last_day - rows["event_time"].dt.normalize()).dt.days
    return rows


def _orders(lines: pd.DataFrame) -> pd.DataFrame:
    orders = lines.groupby(["customer", "transaction_id"]).agg(
        amount=("amount", "sum"),
        discount=("discount", "sum"),
        lines=("amount", "size"),
        event_time=("event_time", "min"),
        days_ago=("days_ago", "min"),
    )
    for name, column in (("products", "product_id"), ("categories", "category")):
        distinct = lines.loc[lines[column] >= 0, ["customer", "transaction_id", column]].drop_duplicates()
        orders[name] = distinct.groupby(["customer", "transaction_id"]).size()
    orders = orders.reset_index()
    orders["weekday"], orders["hour"] = orders["event_time"].dt.day_of_week, orders["event_time"].dt.hour
    return orders


def _rfm(lines: pd.DataFrame, bought: pd.DataFrame, days: pd.DataFrame) -> dict[str, pd.Series]:
    by = days.groupby("customer")
    count, first = by.size(), by["day_ago"].max()
    first_amount = days.sort_values("day_ago").groupby("customer")["amount"].last()
    amounts = lines.groupby("customer")["amount"].sum()
    returned = lines[lines["amount"] < 0].groupby("customer")["amount"].sum().abs()
    gross = bought.groupby("customer")["amount"].sum()
    return {
        "days_since_last_purchase": by["days_ago"].min(),
        "frequency": count - 1,
        "recency_days": first - by["day_ago"].min(),
        "T_days": first,
        "monetary_value": (by["amount"].sum() - first_amount) / (count - 1),
        "net_spend": amounts,
        "returned_share": returned.reindex(gross.index, fill_value=0) / gross,
        "days_since_first_purchase": bought.groupby("customer")["days_ago"].max(),
    }


def _trend(lines: pd.DataFrame, orders: pd.DataFrame, days: pd.DataFrame) -> dict[str, pd.Series]:
    columns: dict[str, pd.Series] = {}
    for window in (7, 14, 30, 60, 90, 365):
        recent = orders[orders["days_ago"] <= window]
        paid = recent[recent["amount"] > 0].groupby("customer")["amount"]
        columns[f"spend_{window}d"] = recent.groupby("customer")["amount"].sum()
        columns[f"orders_{window}d"] = paid.size()
        columns[f"mean_order_{window}d"] = paid.mean()
        columns[f"purchase_days_{window}d"] = days[days["days_ago"] <= window].groupby("customer").size()
    for half_life in (14, 45, 120):
        decayed = (lines["amount"] * np.exp(lines["days_ago"] * (-np.log(2) / half_life))).round(6)
        columns[f"decayed_spend_{half_life}d"] = decayed.groupby(lines["customer"]).sum()
    return columns


def _rhythm(days: pd.DataFrame) -> dict[str, pd.Series]:
    days = days.sort_values(["customer", "day_ago"])
    gap = days.groupby("customer")["day_ago"].shift(-1) - days["day_ago"]
    newest = days.groupby("customer").cumcount() < 5
    gaps, newest_gaps = gap.groupby(days["customer"]), gap[newest].groupby(days["customer"][newest])
    return {
        "mean_gap_days": gaps.mean(),
        "std_gap_days": gaps.std(ddof=0),
        "longest_gap_days": gaps.max(),
        "mean_gap_days_newest_5": newest_gaps.mean(),
    }


def _baskets(lines: pd.DataFrame, orders: pd.DataFrame) -> dict[str, pd.Series]:
    recent = orders[orders["days_ago"] <= 90]
    recent = recent.assign(weekend=recent["weekday"] >= 5, evening=recent["hour"] >= 17)
    by = recent.groupby("customer")
    paid = recent[recent["amount"] > 0].groupby("customer")["amount"].sum()
    last = lines[lines["days_ago"] <= 90]
    sold = last[last["amount"] > 0]
    spend = sold[sold["category"] >= 0].groupby(["customer", "category"], as_index=False)["amount"].sum()
    spend["square"] = spend["amount"] ** 2
    by_category = spend.groupby("customer")
    total = by_category["amount"].sum()
    year = lines[lines["days_ago"] <= 365]
    return {
        "lines_per_order_90d": by["lines"].mean(),
        "products_per_order_90d": by["products"].mean(),
        "categories_per_order_90d": by["categories"].sum() / by.size(),
        "largest_order_90d": by["amount"].max(),
        "std_order_90d": by["amount"].std(ddof=0),
        "discount_share_90d": by["discount"].sum() / by["discount"].sum().add(paid, fill_value=np.nan),
        "discounted_lines_share_90d": (last["discount"] > 0).groupby(last["customer"]).mean(),
        "weekend_share_90d": by["weekend"].mean(),
        "evening_share_90d": by["evening"].mean(),
        "weekdays_used_90d": by["weekday"].nunique(),
        "products_90d": _distinct(last, "product_id"),
        "products_365d": _distinct(year, "product_id"),
        "channels_90d": _distinct(last, "channel"),
        "price_per_unit_90d": sold.groupby("customer")["amount"].mean(),
        "categories_90d": by_category.size(),
        "top_category_share_90d": by_category["amount"].max() / total,
        "category_concentration_90d": by_category["square"].sum() / total**2,
    }


def _distinct(rows: pd.DataFrame, column: str) -> pd.Series:
    return rows.loc[rows[column] >= 0, ["customer", column]].drop_duplicates().groupby("customer").size()


def _engagement(activities: pd.DataFrame) -> dict[str, pd.Series]:
    columns: dict[str, pd.Series] = {}
    received = activities[activities["kind"] == "campaign_received"]
    redeemed = activities[activities["kind"] == "coupon_redeemed"]
    for rows, name, newest in (
        (received, "campaigns_received", "days_since_last_campaign"),
        (redeemed, "coupons_redeemed", "days_since_last_redemption"),
    ):
        for window in (30, 90, 365):
            columns[f"{name}_{window}d"] = rows[rows["days_ago"] <= window].groupby("customer").size()
        columns[newest] = rows.groupby("customer")["days_ago"].min()
    year = received[received["days_ago"] <= 365]
    types = year.loc[year["detail"].notna(), ["customer", "detail"]].drop_duplicates()
    columns["campaign_types_365d"] = types.groupby("customer").size()
    columns["activities_90d"] = activities[activities["days_ago"] <= 90].groupby("customer").size()
    return columns


def _ratios(wide: pd.DataFrame) -> None:
    for short, long in ((7, 30), (14, 60), (30, 90), (90, 365)):
        for of in ("spend", "orders"):
            wide[f"{of}_{short}d_to_{long}d"] = (wide[f"{of}_{short}d"] / short) / (wide[f"{of}_{long}d"] / long)
    wide["gap_variation"] = wide["std_gap_days"] / wide["mean_gap_days"]
    wide["overdue_ratio"] = wide["days_since_last_purchase"] / wide["mean_gap_days"]
    wide["overdue_to_longest"] = wide["days_since_last_purchase"] / wide["longest_gap_days"]
    wide["purchase_days_per_week"] = (wide["frequency"] + 1) / (wide["T_days"] + 7) * 7
    wide["spend_per_week"] = wide["net_spend"] / (wide["T_days"] + 7) * 7
    wide["redemptions_per_campaign_365d"] = wide["coupons_redeemed_365d"] / wide["campaigns_received_365d"]
