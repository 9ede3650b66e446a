"""One way to provoke each code of the usability report in a sound shop, and a near miss of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tests.shops import BEGINS, ENDS, LABEL_START, WINDOWS, Change, Shop

RANDOM = np.random.default_rng(11)


@dataclass(frozen=True)
class Case:
    """``fault`` gives the code, ``near`` does not; ``actual`` is what the finding says of the fault."""

    code: str
    fault: Change
    near: Change
    actual: str


def windows(**days: int) -> Change:
    def change(shop: Shop) -> None:
        text = WINDOWS
        for name, value in days.items():
            section, _, key = name.partition("__")
            start = text.index(f"[{section}]")
            place = text.index(key, start)
            text = text[:place] + f"{key} = {value}" + text[text.index("\n", place) :]
        shop.windows = text

    return change


def buyers(count: int) -> Change:
    def change(shop: Shop) -> None:
        shop.sales = shop.sales[shop.sales["customer_id"].isin(shop.ids[:count])]

    return change


def no_amount(share: float) -> Change:
    def change(shop: Shop) -> None:
        shop.sales.loc[shop.sales.index[: int(np.ceil(share * len(shop.sales)))], "amount"] = np.nan

    return change


def no_age(count: int) -> Change:
    def change(shop: Shop) -> None:
        shop.customers.loc[: count - 1, "age"] = np.nan

    return change


def one_time(count: int) -> Change:
    def change(shop: Shop) -> None:
        once = shop.sales["customer_id"].isin(shop.ids[:count])
        first = shop.sales[once].drop_duplicates("customer_id")
        shop.sales = pd.concat([shop.sales[~once], first], ignore_index=True)

    return change


def churners(count: int) -> Change:
    def change(shop: Shop) -> None:
        gone = shop.active[shop.active].index
        for customer in gone[count:]:
            shop.sell(customer, pd.DatetimeIndex([ENDS - pd.Timedelta(days=9, minutes=len(shop.sales))]))

    return change


def returning(count: int) -> Change:
    def change(shop: Shop) -> None:
        back = shop.active[~shop.active].index[count:]
        late = shop.sales["event_time"] >= LABEL_START
        shop.sales = shop.sales[~(late & shop.sales["customer_id"].isin(back))]

    return change


def subscribers(quiet: int) -> Change:
    def change(shop: Shop) -> None:
        shop.contracts = pd.DataFrame(
            {
                "customer_id": shop.ids[:10],
                "subscription_id": shop.ids[:10],
                "event_time": BEGINS + pd.Timedelta(days=1),
                "start_date": BEGINS + pd.Timedelta(days=1),
            }
        )
        dropped = shop.events["customer_id"].isin(shop.ids[:quiet]) & shop.events.duplicated("customer_id")
        shop.events = shop.events[~dropped]

    return change


def late(days: float, share: float) -> Change:
    def change(shop: Shop) -> None:
        rows = shop.sales.index[: int(np.ceil(share * len(shop.sales)))]
        shop.sales.loc[rows, "ingested_at"] = shop.sales.loc[rows, "event_time"] + pd.Timedelta(days=days)

    return change


def outage(first: str, last: str) -> Change:
    return lambda shop: shop.drop_days(first, last)


def closed_at_weekends_and_at_christmas(shop: Shop) -> None:
    shop.sales = shop.sales[shop.sales["event_time"].dt.day_of_week < 5]
    shop.drop_days("2023-12-23", "2024-01-01")


def sale(moment: pd.Timestamp, amount: float = 20.0, count: int = 1) -> Change:
    return lambda shop: shop.sell("c0", pd.DatetimeIndex([moment] * count), amount)


def dates(but: int) -> Change:
    def change(shop: Shop) -> None:
        shop.sales.loc[shop.sales.index[but:], "event_time"] = shop.sales["event_time"].dt.normalize()

    return change


def copied(**changed: str) -> Change:
    def change(shop: Shop) -> None:
        shop.sales = pd.concat([shop.sales, shop.sales.head(3).assign(**changed)], ignore_index=True)

    return change


def many_rows(share: float) -> Change:
    def change(shop: Shop) -> None:
        own = (shop.sales["customer_id"] == "c0").sum()
        count = int((share * len(shop.sales) - own) / (1 - share))
        shop.sell("c0", BEGINS + pd.to_timedelta(RANDOM.integers(0, 399 * 86_400, count), unit="s"), 1.0)

    return change


def much_spend(share: float) -> Change:
    def change(shop: Shop) -> None:
        total, own = shop.sales["amount"].sum(), shop.sales.loc[shop.sales["customer_id"] == "c0", "amount"].sum()
        sale(BEGINS + pd.Timedelta(days=50), round((share * total - own) / (1 - share), 2))(shop)

    return change


def zeros(share: float) -> Change:
    def change(shop: Shop) -> None:
        shop.sales.loc[shop.sales.index[: int(np.ceil(share * len(shop.sales)))], "amount"] = 0.0

    return change


def returned(count: int) -> Change:
    def change(shop: Shop) -> None:
        for customer in shop.ids[:count]:
            shop.sell(customer, pd.DatetimeIndex([BEGINS + pd.Timedelta(days=70)]), -1_500.0)

    return change


def times_the_usual(factor: float) -> Change:
    def change(shop: Shop) -> None:
        sale(BEGINS + pd.Timedelta(days=60), round(factor * float(shop.sales["amount"].quantile(0.99)), 2))(shop)

    return change


def created_late(count: int) -> Change:
    def change(shop: Shop) -> None:
        first = shop.sales.groupby("customer_id")["event_time"].min().reindex(shop.ids[:count]).to_numpy()
        shop.customers.loc[: count - 1, "created_at"] = first + pd.Timedelta(days=2)

    return change


def regions(*words: str) -> Change:
    """The first customers' regions are these words, the others' stay."""

    def change(shop: Shop) -> None:
        shop.customers.loc[: len(words) - 1, "region"] = list(words)

    return change


def different(count: int) -> Change:
    def change(shop: Shop) -> None:
        shop.customers["region"] = [f"street {min(i, count - 1)}" for i in range(len(shop.customers))]

    return change


def one_region(but: int) -> Change:
    def change(shop: Shop) -> None:
        shop.customers["region"] = ["north"] * (len(shop.customers) - but) + ["south"] * but

    return change


def scored(noise: float) -> Change:
    """A number that knows who churned, with more or less noise."""

    def change(shop: Shop) -> None:
        churned = shop.active.reindex(shop.ids).fillna(False).to_numpy().astype(bool)
        shop.customers["points"] = np.where(churned, 0.0, 1.0) + RANDOM.normal(0, noise, len(churned))

    return change


def contacted(later: int) -> Change:
    def change(shop: Shop) -> None:
        before = [f"{shop.label_start - pd.Timedelta(days=1 + i % 200):%Y-%m-%d}" for i in range(len(shop.customers))]
        shop.customers["contacted"] = [f"{shop.label_start:%Y-%m-%d}"] * later + before[later:]

    return change


def reasons(*, for_all: bool) -> Change:
    """Why an account was closed: a word for those who churned, or for every second customer."""

    def change(shop: Shop) -> None:
        churned = shop.active.reindex(shop.ids).fillna(False).to_numpy().astype(bool)
        filled = np.arange(len(churned)) % 2 == 0 if for_all else churned
        words = np.where(np.arange(len(churned)) % 3 == 0, "price", "moved")
        shop.customers["reason"] = pd.Series(words).where(pd.Series(filled))

    return change


def in_an_hour(count: int) -> Change:
    start = BEGINS + pd.Timedelta(days=100, hours=10)
    seconds = np.cumsum(RANDOM.integers(20, 40, count))
    return lambda shop: shop.sell("c1", pd.DatetimeIndex(start + pd.to_timedelta(seconds, unit="s")), 5.0)


def robot(late_by: int) -> Change:
    def change(shop: Shop) -> None:
        new = shop.customers.tail(1).assign(customer_id="x7", created_at=BEGINS)
        shop.customers = pd.concat([shop.customers, new], ignore_index=True)
        moments = pd.Series(pd.date_range(BEGINS + pd.Timedelta(days=30, seconds=37_023), periods=20, freq="36h"))
        moments[10] += pd.Timedelta(seconds=late_by)
        shop.sell("x7", pd.DatetimeIndex(moments), 9.0)

    return change


def clicks(count: int) -> Change:
    def change(shop: Shop) -> None:
        moment = BEGINS + pd.Timedelta(days=100, hours=9, milliseconds=100)
        moments = moment + pd.to_timedelta(np.arange(count), unit="ms")
        added = pd.DataFrame({"customer_id": "c2", "event_time": moments, "kind": "campaign_clicked"})
        shop.events = pd.concat([shop.events, added], ignore_index=True)

    return change


CASES = (
    Case("U101", windows(churn__horizon_days=201), windows(churn__horizon_days=200), "400 days"),
    Case("U102", windows(training__history_days=341), windows(training__history_days=340), "400 days"),
    Case("U103", buyers(499), buyers(500), "499 customers"),
    Case("U104", buyers(999), buyers(1000), "999 customers"),
    Case("U105", no_amount(0.2), no_amount(0.199), "rows (20.0%)"),
    Case("U106", no_age(240), no_age(239), "240 of 1,200 customers (20.0%)"),
    Case("U107", one_time(601), one_time(600), "599 of 1,200 customers (49.9%)"),
    Case("U108", churners(99), churners(100), "99 churners"),
    Case("U109", returning(99), returning(100), "99 buyers"),
    Case("U110", windows(value__horizon_days=267), windows(value__horizon_days=266), "400 days"),
    Case("U111", subscribers(6), subscribers(5), "4 of 10 subscribers (40.0%)"),
    Case("U201", late(7.5, 0.01), late(7.0, 1.0), "rows (1.0%)"),
    Case("U202", outage("2023-06-05", "2023-06-07"), outage("2023-06-05", "2023-06-06"), "1 gap, 3 of 400 days (0.8%)"),
    Case("U202", outage("2023-12-20", "2024-01-02"), closed_at_weekends_and_at_christmas, "1 gap, 14 of 400 days"),
    Case("U203", sale(ENDS + pd.Timedelta(days=16)), sale(ENDS + pd.Timedelta(days=12)), "1 rows over"),
    Case("U204", sale(pd.Timestamp("1970-01-01")), sale(BEGINS - pd.Timedelta(days=150)), "1 rows over 19,35"),
    Case("U205", dates(0), dates(1), "rows at midnight (100.0%)"),
    Case("U301", copied(), copied(channel="telephone"), "3 of "),
    Case("U302", many_rows(0.051), many_rows(0.049), "rows (5.1%)"),
    Case("U303", much_spend(0.051), much_spend(0.049), "EUR (5.1%)"),
    Case("U304", zeros(0.05), zeros(0.0495), "rows (5.0%)"),
    Case("U305", returned(6), returned(5), "6 of 1,200 customers (0.5%)"),
    Case("U306", times_the_usual(102), times_the_usual(98), "1 rows, at most "),
    Case("U307", created_late(60), created_late(59), "60 of 1,200 buyers (5.0%)"),
    Case("U308", one_region(0), one_region(1), "1 value, 1,200 of 1,200 rows (100.0%)"),
    Case("U309", different(601), different(600), "601 words of 1,200 customers (50.1%)"),
    Case("U310", regions(*[" Unknown "] * 12), regions(*["unknown"] * 11), "12 of 1,200 values (1.0%)"),
    Case("U401", scored(0.3), scored(0.7), "AUC 0.9"),
    Case("U402", contacted(12), contacted(11), "12 of 1,200 dates (1.0%)"),
    Case("U403", reasons(for_all=False), reasons(for_all=True), "filled customers (100.0%) churned"),
    Case("U501", regions("Test account"), regions("contest", "Testa", "QA"), "1 of 1,200 customers (0.1%)"),
    Case("U501", regions("qa_7"), regions(*["test group"] * 200), "1 of 1,200 customers (0.1%)"),
    Case("U502", in_an_hour(60), in_an_hour(59), "1 customers, up to "),
    Case("U503", robot(0), robot(1), "1 customers with 20 or more such purchases"),
    Case("U504", clicks(20), clicks(19), "1 customers, up to 20 activities a second"),
)
