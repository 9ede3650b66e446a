"""What does the value of a million customers cost beside lifetimes? The fit of BG/NBD, and spend at five horizons."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.data import Bench
from benchmarks.measure import Figure, medians, own_peak_megabytes, peak_megabytes
from benchmarks.training import SAME_PARAMETERS, plain_lifetimes
from kernel.btyd import BgNbd, Floats, GammaGamma
from kernel.purchases import outlook
from training.models.value_btyd import fit_bg_nbd

PURCHASES = BgNbd(r=0.2426, alpha=4.4137, a=0.793, b=2.4262, days_per_period=7.0)  # those of CDNOW
ORDERS = GammaGamma(p=6.25, q=3.74, v=15.44)
OBSERVED_DAYS, ARRIVAL_DAYS = 78 * 7, 39 * 7
MONTHS = (1, 3, 6, 12, 24)
DAYS_PER_MONTH, THEIR_DAYS_PER_MONTH = 30.4375, 30.0
RATE = 0.01  # a month
SAME_VALUES, SAMPLE = 1e-6, 10_000


def figures(
    bench: Bench,
    *,
    sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000),
    customers: int = 1_000_000,
    repetitions: int = 3,
) -> Iterator[Figure]:
    """Seconds of the fit at each size; seconds and memory of the values of ``customers``."""
    yield from _fits(sizes, repetitions)
    table = made_up(customers)
    yield from _values(table, repetitions)
    file = bench.folder / "value.parquet"
    table.to_parquet(file, index=False)
    yield _memory(file, customers)


def made_up(customers: int) -> pd.DataFrame:
    """frequency, recency_days, T_days and monetary_value of customers who are as BG/NBD and Gamma-Gamma say.

    First purchases spread over 39 weeks, the last observed day is the same for all; several purchases on a day are one.
    """
    chance = np.random.default_rng(0)
    rate = chance.gamma(PURCHASES.r, 1 / PURCHASES.alpha, customers) / PURCHASES.days_per_period
    leaves = chance.beta(PURCHASES.a, PURCHASES.b, customers)
    T = OBSERVED_DAYS - chance.integers(0, ARRIVAL_DAYS, customers)
    frequency, recency = np.zeros((2, customers), dtype=np.int64)
    alive, moment = np.arange(customers), np.zeros(customers)
    while alive.size:  # one more purchase of everybody who still buys
        with np.errstate(divide="ignore", over="ignore"):  # the slowest rates are 0: never
            moment = moment + chance.exponential(size=alive.size) / rate[alive]
        observed = moment < T[alive] + 1
        alive, moment = alive[observed], moment[observed]
        day = moment.astype(np.int64)
        frequency[alive] += day > recency[alive]
        recency[alive] = day
        stays = chance.random(alive.size) >= leaves[alive]
        alive, moment = alive[stays], moment[stays]
    orders = np.maximum(frequency, 1)
    mean = chance.gamma(ORDERS.p * orders) / (chance.gamma(ORDERS.q, 1 / ORDERS.v, customers) * orders)
    value = np.where(frequency > 0, mean, 0.0)
    return pd.DataFrame({"frequency": frequency, "recency_days": recency, "T_days": T, "monetary_value": value})


def _fits(sizes: Sequence[int], repetitions: int) -> Iterator[Figure]:
    taken: list[float] = []
    for customers in sizes:
        table = made_up(customers)
        fit = fit_bg_nbd(table)
        model = fit.model
        np.testing.assert_allclose(
            (model.r, model.alpha, model.a, model.b), plain_lifetimes(table), rtol=SAME_PARAMETERS
        )
        ours, plain = medians([lambda: fit_bg_nbd(table), lambda: plain_lifetimes(table)], repetitions)  # noqa: B023
        taken.append(ours)
        yield Figure(
            "value",
            f"BG/NBD, {customers:,} made-up customers",
            "plain lifetimes, row by row",
            ours,
            plain,
            "s",
            note=f"{fit.unique_rows:,} distinct rows; parameters equal within {SAME_PARAMETERS:g}",
        )
    yield Figure(
        "value",
        f"BG/NBD, {sizes[-1]:,} made-up customers",
        f"{sizes[0]:,} customers, ours",
        taken[-1],
        taken[0],
        "s",
        note=f"{sizes[-1] / sizes[0]:.0f} times the customers cost {taken[-1] / taken[0]:.1f} times as much",
    )


def _values(table: pd.DataFrame, repetitions: int) -> Iterator[Figure]:
    check_purchases(table.head(SAMPLE))
    monthly = THEIR_DAYS_PER_MONTH * np.arange(1, MONTHS[-1] + 1)
    np.testing.assert_allclose(by_month(table, monthly), plain_lifetime_value(table), rtol=SAME_VALUES, atol=1e-9)
    five, every, plain = medians(
        [lambda: five_horizons(table), lambda: by_month(table, monthly), lambda: plain_lifetime_value(table)],
        repetitions,
    )
    against = f"lifetimes, customer_lifetime_value over {MONTHS[-1]} months"
    yield Figure(
        "value",
        f"values of {len(table):,} customers at {len(MONTHS)} horizons up to {MONTHS[-1]} months, and discounted",
        against,
        five,
        plain,
        "s",
        note=f"the baseline gives one number a customer; five horizons are five calls, of {sum(MONTHS)} months in all; "
        f"purchases of {SAMPLE:,} in 12 months equal within {SAME_VALUES:g}; ours discounts at the middle of each span",
    )
    yield Figure(
        "value",
        f"values of {len(table):,} customers, discounted month by month over {MONTHS[-1]} months",
        against,
        every,
        plain,
        "s",
        note=f"the same numbers within {SAME_VALUES:g}",
    )


def _memory(file: Path, customers: int) -> Figure:
    ours, theirs = (peak_megabytes("benchmarks.value", kind, str(file)) for kind in ("ours", "lifetimes"))
    return Figure(
        "value",
        f"peak memory of the whole process, values of {customers:,} customers at {len(MONTHS)} horizons",
        f"lifetimes, customer_lifetime_value over {MONTHS[-1]} months",
        ours,
        theirs,
        "MB",
        note="from a Parquet file of histories; nothing is written",
    )


def five_horizons(table: pd.DataFrame) -> tuple[Floats, Floats]:
    """Expected spend within each of MONTHS, shape (rows, horizons), and over the last one at today's worth."""
    spend = _spend(table, [months * DAYS_PER_MONTH for months in MONTHS])
    ends = np.array(MONTHS)
    return spend, _discounted(spend, (ends + np.append(0, ends[:-1])) / 2)


def by_month(table: pd.DataFrame, days: Floats) -> Floats:
    """Expected spend over the last of these days at today's worth, as lifetimes has it: paid at each month's end."""
    return _discounted(_spend(table, days.tolist()), np.arange(1, len(days) + 1))


def _spend(table: pd.DataFrame, days: Sequence[float]) -> Floats:
    frequency, recency, T, mean = _columns(table)
    value = ORDERS.expected_order_value(frequency, mean)
    return outlook(PURCHASES, days, frequency, recency, T).purchases * value[:, None]


def _discounted(spend: Floats, months: Floats) -> Floats:
    """Today's worth of what each span adds, paid after so many months."""
    worth = (1 + RATE) ** -months
    # Summed by parts: the differences are taken of the few worths, not of the spends of all customers.
    return spend @ (worth - np.append(worth[1:], 0.0))


def plain_lifetime_value(table: pd.DataFrame) -> Floats:
    """The same by lifetimes: one horizon, in months of 30 days."""
    frequency, recency, T, mean = (pd.Series(column) for column in _columns(table))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        purchases, orders = _fitted()
        found = orders.customer_lifetime_value(
            purchases, frequency, recency, T, mean, time=MONTHS[-1], freq="D", discount_rate=RATE
        )
    return found.to_numpy()


def check_purchases(table: pd.DataFrame, model: BgNbd = PURCHASES) -> None:
    """Raise AssertionError unless purchases within 12 months are those of lifetimes."""
    histories, days = _columns(table)[:3], 12 * DAYS_PER_MONTH
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        expected = _fitted()[0].conditional_expected_number_of_purchases_up_to_time(days, *histories)
    np.testing.assert_allclose(outlook(model, [days], *histories).purchases[:, 0], expected, rtol=SAME_VALUES)


def _columns(table: pd.DataFrame) -> list[Floats]:
    names = ("frequency", "recency_days", "T_days", "monetary_value")
    return [table[name].to_numpy(dtype=np.float64) for name in names]


def _fitted() -> tuple[Any, Any]:
    """The two models of lifetimes with our parameters, time in days."""
    from lifetimes import BetaGeoFitter, GammaGammaFitter

    purchases, orders = BetaGeoFitter(), GammaGammaFitter()
    parameters = PURCHASES.to_dict()
    days = parameters.pop("days_per_period")
    purchases.params_ = pd.Series(parameters | {"alpha": PURCHASES.alpha * days})
    purchases.predict = purchases.conditional_expected_number_of_purchases_up_to_time  # as its fit does
    orders.params_ = pd.Series(ORDERS.to_dict())
    return purchases, orders


def _child(kind: str, file: Path) -> None:
    table = pd.read_parquet(file)
    if kind == "ours":
        five_horizons(table)
    else:
        plain_lifetime_value(table)
    print(own_peak_megabytes())


if __name__ == "__main__":
    _child(sys.argv[1], Path(sys.argv[2]))
