"""Policies on money and time: what each does, to the last cent, and what the report says of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.contract.findings import Finding, State
from features.contract.policies import Policies
from features.contract.profiles import Profiles, profiles_from_frames
from kernel.errors import DataError, UsageError
from tests.projects import TABLES, TinyProject, place, refusal, rows

HEADER = "id,receipt,at,paid,seen,state,money,cut\n"
MAPPED = TABLES.replace(
    'amount = "paid" }',
    'amount = "paid", ingested_at = "seen", status = "state", currency = "money", discount = "cut" }',
)
RATES = '\n[tables.rates]\nfrom = "rates"\ncolumns = { day = "day", currency = "code", rate = "euros" }\n'
CONVERTED = MAPPED.replace("[sources]", '[sources]\nrates = "rates.csv"') + RATES
LINES = "SELECT transaction_id, amount FROM transactions ORDER BY event_time, ingested_at, transaction_id"


def sales(project: TinyProject, *lines: str) -> None:
    """Lines of ``receipt,at,paid,seen,state,money,cut``, all of anna."""
    project.write("sales.csv", HEADER + "".join(f"anna,{line}\n" for line in lines))


def stated(tables: str, **policies: str) -> str:
    return tables + "\n[policies]\n" + "\n".join(f"{name} = {value}" for name, value in policies.items()) + "\n"


def finding(profiles: Profiles, code: str) -> Finding:
    (found,) = [one for one in profiles.findings if one.code == code]
    return found


def amounts(profiles: Profiles) -> list[tuple[str, float]]:
    return [(receipt, float(amount)) for receipt, amount in rows(profiles, LINES)]


def request(project_policies: Policies, **columns: list[Any]) -> Profiles:
    count = len(columns["amount"])
    whole = {"customer_id": ["anna"] * count, "event_time": [datetime(2024, 1, 5)] * count}
    whole |= {"transaction_id": [f"r{i + 1}" for i in range(count)]}
    return profiles_from_frames({"transactions": pd.DataFrame(whole | columns)}, {}, "UTC", project_policies)


# Returns


RETURNS = ("r1,2024-01-05,100,,,,", "r2,2024-01-06,-30,,,,", "r3,2024-01-07,-0.5,,,,")


def test_returns_reduce_spend_by_default_and_are_counted(project: TinyProject) -> None:
    sales(project, *RETURNS)
    profiles = project.profiles(MAPPED)
    assert amounts(profiles) == [("r1", 100), ("r2", -30), ("r3", -0.5)]
    found = finding(profiles, "P201")
    assert (found.state, found.table, found.column) == (State.INFO, "transactions", "amount")
    assert found.actual == "2 of 3 rows (66.7%), -30.50 EUR"
    assert "reduce spend (returns = net)" in found.details


def test_returns_are_left_out_where_the_policy_says_so(project: TinyProject) -> None:
    sales(project, *RETURNS)
    profiles = project.profiles(stated(MAPPED, returns='"ignore"'))
    assert amounts(profiles) == [("r1", 100)]
    assert finding(profiles, "P201").actual == "2 of 3 rows (66.7%), -30.50 EUR"
    assert "left out (returns = ignore)" in finding(profiles, "P201").details


@pytest.mark.parametrize(("returns", "kept"), [("net", [5.0, -2.0]), ("ignore", [5.0])])
def test_returns_in_a_request(returns: Any, kept: list[float]) -> None:
    made = request(Policies(returns=returns), amount=[5.0, -2.0])
    assert [amount for _, amount in amounts(made)] == kept


# Currencies


def test_a_line_in_another_currency_takes_the_newest_rate_on_or_before_its_day(project: TinyProject) -> None:
    sales(
        project,
        "r1,2024-01-05 10:00,100,,,,",
        "r2,2024-01-05 11:00,100,,,EUR,7",
        "r3,2024-01-05 12:00,100,,,USD,10",
        "r4,2024-01-08 12:00,-100,,,usd,0",
        "r5,2024-01-09 12:00,10,,,GBP,0",
    )
    project.write("rates.csv", "day,code,euros\n2024-01-05,USD,0.9\n2024-01-09,USD,0.5\n2024-01-02,GBP,1.15\n")
    profiles = project.profiles(CONVERTED)
    found = rows(profiles, "SELECT transaction_id, amount, discount, currency FROM transactions ORDER BY 1")
    assert found == [
        ("r1", Decimal("100.0000"), Decimal("0.0000"), None),
        ("r2", Decimal("100.0000"), Decimal("7.0000"), "EUR"),
        ("r3", Decimal("90.0000"), Decimal("9.0000"), "USD"),
        ("r4", Decimal("-90.0000"), Decimal("0.0000"), "usd"),
        ("r5", Decimal("11.5000"), Decimal("0.0000"), "GBP"),
    ]
    said = finding(profiles, "P202")
    assert (said.required, said.actual) == ("rates at most 7 days old", "3 of 5 rows (60.0%)")
    assert "(USD 2, GBP 1); the oldest rate was 7 days old" in said.details
    assert finding(profiles, "P201").actual == "1 of 5 rows (20.0%), -90.00 EUR"
    assert rows(profiles, "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'rates'") == [(0,)]
    assert set(profiles.mapped) == {"customers", "transactions"}


def test_the_day_of_a_rate_is_the_customers_day(project: TinyProject) -> None:
    sales(project, "r1,2024-01-05T23:30:00Z,100,,,USD,")
    project.write("rates.csv", "day,code,euros\n2024-01-05,USD,0.9\n2024-01-06,USD,0.5\n")
    assert amounts(project.profiles(CONVERTED, "UTC")) == [("r1", 90)]
    assert amounts(project.profiles(CONVERTED, "Europe/Paris")) == [("r1", 50)]


def test_a_rate_of_ten_digits_is_exact(project: TinyProject) -> None:
    sales(project, "r1,2024-01-05,123456789.25,,,IDR,")
    project.write("rates.csv", "day,code,euros\n2024-01-05,IDR,0.0000567891\n")
    assert rows(project.profiles(CONVERTED), LINES) == [("r1", Decimal("7011.0000"))]


def test_several_currencies_without_rates_are_never_summed(project: TinyProject) -> None:
    sales(
        project, "r1,2024-01-05,1,,,EUR,", "r2,2024-01-05,1,,,USD,", "r3,2024-01-06,1,,,USD,", "r4,2024-01-06,1,,,GBP,"
    )
    error = refusal(project, DataError, MAPPED)
    assert error.what == (
        "3 of 4 transactions are in another currency than EUR (USD 2, GBP 1), and there is no rates table."
    )
    assert place(error) == "tables.transactions.columns.currency"
    assert error.fix.startswith("Map [tables.rates] with day, currency and rate (EUR for one unit)")


@pytest.mark.parametrize(
    ("day", "rate_days", "kept"),
    [
        ("2024-01-05", "2024-01-06", None),  # only later: never used
        ("2024-01-09", "2024-01-02", 0.5),  # 7 days old
        ("2024-01-10", "2024-01-02", None),  # 8 days old
    ],
)
def test_a_rate_is_neither_of_the_future_nor_too_old(
    project: TinyProject, day: str, rate_days: str, kept: float | None
) -> None:
    sales(project, f"r1,{day},1,,,USD,", f"r2,{day},1,,,,")
    project.write("rates.csv", f"day,code,euros\n{rate_days},USD,0.5\n")
    if kept is not None:
        assert amounts(project.profiles(CONVERTED)) == [("r1", kept), ("r2", 1)]
        return
    error = refusal(project, DataError, CONVERTED)
    assert error.what == f"1 of 2 transactions have no usable rate into EUR (USD 1), on days from {day} to {day}."
    assert "at most 7 days before (rates_max_age_days)" in error.fix
    longer = stated(CONVERTED, rates_max_age_days="8")
    if day == "2024-01-10":
        assert amounts(project.profiles(longer)) == [("r1", 0.5), ("r2", 1)]
    else:
        assert refusal(project, DataError, longer).what == error.what


def test_a_currency_without_any_rate_is_named_and_nothing_else_that_stands_in_the_column(project: TinyProject) -> None:
    sales(project, "r1,2024-01-05,1,,,CHF,", "r2,2024-01-07,1,,,Ada Lovelace,")
    project.write("rates.csv", "day,code,euros\n2024-01-05,USD,0.5\n")
    error = refusal(project, DataError, CONVERTED)
    assert error.what == (
        "2 of 2 transactions have no usable rate into EUR (CHF 1, no ISO 4217 code 1), on days from 2024-01-05 to "
        "2024-01-07."
    )
    assert "Ada" not in str(error)


def test_a_line_without_money_needs_no_rate(project: TinyProject) -> None:
    sales(project, "r1,2024-01-05,0,,,USD,0", "r2,2024-01-05,5,,cancelled,USD,", "r3,2024-01-05,5,,,,")
    assert amounts(project.profiles(MAPPED)) == [("r1", 0), ("r3", 5)]


@pytest.mark.parametrize("rate", ["0", "-1", "100000000"])
def test_a_rate_that_is_none(project: TinyProject, rate: str) -> None:
    project.write("rates.csv", f"day,code,euros\n2024-01-05,USD,{rate}\n2024-01-06,USD,0.5\n")
    sales(project, "r1,2024-01-05,1,,,,")
    error = refusal(project, DataError, CONVERTED)
    assert error.what == "1 of 2 rates are not between 0 and 100,000,000."
    assert place(error) == "tables.rates.columns.rate"


def test_two_rates_of_one_day(project: TinyProject) -> None:
    project.write("rates.csv", "day,code,euros\n2024-01-05,USD,0.5\n2024-01-05,usd,0.6\n")
    sales(project, "r1,2024-01-05,1,,,USD,")
    error = refusal(project, DataError, CONVERTED)
    assert error.what == "2 of 2 rows share their key (day, currency) with another row."
    assert place(error) == "tables.rates"


def test_a_wrong_column_of_the_rates(project: TinyProject) -> None:
    sales(project, "r1,2024-01-05,1,,,USD,")
    project.write("rates.csv", "day,code,euros\n2024-01-05,USD,0.5\n")
    error = refusal(project, UsageError, CONVERTED.replace('rate = "euros"', 'rates = "euros"'))
    assert (error.what, error.fix) == ("'rates' is no column of rates.", "Did you mean 'rate'?")


def test_a_request_is_in_the_projects_currency() -> None:
    policies = Policies(currency="EUR")
    assert amounts(request(policies, amount=[5.0, 2.0], currency=["EUR", None])) == [("r1", 5), ("r2", 2)]
    with pytest.raises(DataError) as caught:
        request(policies, amount=[5.0, 2.0], currency=["EUR", "USD"])
    assert caught.value.what.startswith("1 of 2 transactions are in another currency than EUR (USD 1)")
    with pytest.raises(DataError, match="another currency than the rest"):
        request(replace(policies, currency=None), amount=[5.0, 2.0], currency=["EUR", "USD"])


# Zero and cancelled orders


ZERO = (
    "r1,2024-01-05,0,,,,",
    "r1,2024-01-05,0,,,,",
    "r2,2024-01-06,0,,,,",
    "r2,2024-01-06,9,,,,",
    "r3,2024-01-07,4,,,,",
)


@pytest.mark.parametrize(
    ("policy", "kept", "said"),
    [
        ('"keep"', [("r1", 0), ("r1", 0), ("r2", 0), ("r2", 9), ("r3", 4)], "they stay (zero_orders = keep)"),
        ('"drop"', [("r2", 0), ("r2", 9), ("r3", 4)], "they are left out (zero_orders = drop)"),
    ],
)
def test_orders_without_value(project: TinyProject, policy: str, kept: list[tuple[str, float]], said: str) -> None:
    sales(project, *ZERO)
    profiles = project.profiles(stated(MAPPED, zero_orders=policy))
    assert sorted(amounts(profiles)) == kept
    found = finding(profiles, "P203")
    assert found.details == f"1 orders have no amount in any of their 2 rows; {said}."
    assert found.actual == "2 of 5 rows (40.0%)"


def test_a_line_that_comes_later_does_not_bring_an_order_without_value_back(project: TinyProject) -> None:
    dropped = stated(MAPPED, zero_orders='"drop"')
    sales(project, "r1,2024-01-05,0,,,,", "r2,2024-01-06,4,,,,")
    assert amounts(project.profiles(dropped)) == [("r2", 4)]
    sales(project, "r1,2024-01-05,0,,,,", "r2,2024-01-06,4,,,,", "r1,2024-01-05,9,2024-01-20,,,")
    assert amounts(project.profiles(dropped)) == [("r1", 9), ("r2", 4)]


def test_orders_without_value_in_a_request() -> None:
    assert amounts(request(Policies(zero_orders="drop"), amount=[0.0, 2.0])) == [("r2", 2)]
    assert amounts(request(Policies(), amount=[0.0, 2.0])) == [("r1", 0), ("r2", 2)]


def test_cancelled_orders_are_left_out_in_any_case_of_letters(project: TinyProject) -> None:
    sales(project, "r1,2024-01-05,5,,Cancelled,,", "r2,2024-01-05,6,,completed,,", "r3,2024-01-05,7,,,,")
    profiles = project.profiles(MAPPED)
    assert amounts(profiles) == [("r2", 6), ("r3", 7)]
    found = finding(profiles, "P204")
    assert (found.state, found.column, found.actual) == (State.INFO, "status", "1 of 3 rows (33.3%)")
    assert found.details.startswith("1 rows are cancelled and left out; 0 cancel an order that was known before")


def test_the_words_for_cancelled_are_a_setting(project: TinyProject) -> None:
    sales(project, "r1,2024-01-05,5,,storniert,,", "r2,2024-01-05,6,,it's void,,", "r3,2024-01-05,7,,cancelled,,")
    assert amounts(project.profiles(stated(MAPPED, cancelled='["Storniert", "it\'s void"]'))) == [("r3", 7)]
    assert len(amounts(project.profiles(stated(MAPPED, cancelled="[]")))) == 3


def test_a_cancellation_that_came_later_takes_the_amount_back_from_its_own_moment_on(project: TinyProject) -> None:
    sales(
        project,
        "r1,2024-01-05,5,2024-01-05,completed,,2",
        "r1,2024-01-05,5,2024-01-09,cancelled,,2",
        "r2,2024-01-06,8,2024-01-06,completed,,",
        "r2,2024-01-06,1,2024-01-06,cancelled,,",  # at once: it never counted
    )
    profiles = project.profiles(MAPPED)
    assert rows(
        profiles, "SELECT transaction_id, ingested_at, amount, discount, quantity FROM transactions ORDER BY 2"
    ) == [
        ("r1", datetime(2024, 1, 5), Decimal(5), Decimal(2), 1.0),
        ("r2", datetime(2024, 1, 6), Decimal(8), Decimal(0), 1.0),
        ("r1", datetime(2024, 1, 9), Decimal(-5), Decimal(0), -1.0),
    ]
    assert "1 rows are cancelled and left out; 1 cancel an order" in finding(profiles, "P204").details
    ignored = project.profiles(stated(MAPPED, returns='"ignore"'))
    assert [amount for _, amount in amounts(ignored)] == [5, -5, 8], "a cancellation is no return"


def test_a_later_cancellation_of_a_line_with_a_key(project: TinyProject) -> None:
    tables = MAPPED.replace('discount = "cut"', 'line_id = "cut"')
    sales(
        project,
        "r1,2024-01-05,5,2024-01-05,completed,,1",
        "r1,2024-01-05,7,2024-01-05,completed,,2",
        "r1,2024-01-05,7,2024-01-09,cancelled,,2",
        "r1,2024-01-05,9,2024-01-09,cancelled,,3",  # a line that nobody had: left out
    )
    found = rows(project.profiles(tables), "SELECT line_id, amount FROM transactions ORDER BY ingested_at, amount")
    assert found == [("1", Decimal(5)), ("2", Decimal(7)), (None, Decimal(-7))]


def test_cancelled_lines_of_a_request_go_the_same_way() -> None:
    made = request(Policies(), amount=[5.0, 2.0], status=["CANCELED", "paid"])
    assert amounts(made) == [("r2", 2)]
    assert [found.code for found in made.findings] == ["P204"]


# Orders and lines


def test_lines_of_orders_are_counted(project: TinyProject) -> None:
    sales(project, "r1,2024-01-05,5,,,,", "r1,2024-01-05,6,,,,", "r1,2024-01-09,-6,,,,", "r2,2024-01-06,6,,,,")
    profiles = project.profiles(MAPPED)
    assert [found.code for found in profiles.findings] == ["P201", "P205"]
    found = finding(profiles, "P205")
    assert found.actual == "3 of 4 rows share one"
    assert found.details.startswith("4 rows are the lines of 2 orders")


def test_an_order_of_several_moments_and_one_of_two_customers(project: TinyProject) -> None:
    project.write(
        "sales.csv",
        HEADER
        + "anna,r1,2024-01-05,5,,,,\nanna,r1,2024-01-06,5,,,,\nanna,r2,2024-01-06,5,,,,\nbert,r2,2024-01-06,5,,,,\n"
        + "bert,r3,2024-01-06,5,,,,\n",
    )
    profiles = project.profiles(MAPPED)
    moments, customers = finding(profiles, "P206"), finding(profiles, "P207")
    assert (moments.state, moments.actual) == (State.INFO, "1 of 3 orders (33.3%)")
    assert (customers.state, customers.actual) == (State.WARNING, "1 of 3 orders (33.3%)")
    assert (moments.required, customers.required) == ("one moment an order", "one customer an order")


def test_rows_that_are_said_to_be_orders(project: TinyProject) -> None:
    sales(project, "r1,2024-01-05,5,,,,", "r1,2024-01-05,6,,,,", "r2,2024-01-06,6,,,,")
    error = refusal(project, DataError, stated(MAPPED, lines='"orders"'))
    assert error.what == "2 rows share their transaction_id with another row, but every row is said to be an order."
    assert place(error) == "tables.transactions.columns.transaction_id"
    sales(project, "r1,2024-01-05,5,2024-01-05,,,", "r1,2024-01-05,5,2024-01-08,cancelled,,", "r2,2024-01-06,6,,,,")
    assert len(amounts(project.profiles(stated(MAPPED, lines='"orders"')))) == 3, "a cancellation is no second order"
    with pytest.raises(DataError, match="every row is said to be an order"):
        request(Policies(lines="orders"), amount=[1.0, 1.0], transaction_id=["r1", "r1"])


# Time


@st.composite
def _lines(draw: st.DrawFn, first: int, last: int) -> list[dict[str, Any]]:
    days = st.integers(first, last)
    made = []
    for _ in range(draw(st.integers(1, 12))):
        happened = draw(st.integers(0, last))
        made.append(
            {
                "customer_id": draw(st.sampled_from(["anna", "bert"])),
                "transaction_id": draw(st.sampled_from(["r1", "r2", "r3"])),
                "event_time": datetime(2024, 1, 1) + timedelta(days=happened),
                "ingested_at": datetime(2024, 1, 1) + timedelta(days=max(happened, draw(days))),
                "amount": float(draw(st.integers(-2, 3))),
                "status": draw(st.sampled_from([None, "paid", "cancelled"])),
            }
        )
    return made


@given(_lines(0, 9), _lines(10, 20))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_what_comes_later_does_not_change_what_was_known(
    past: list[dict[str, Any]], later: list[dict[str, Any]]
) -> None:
    strict = Policies(returns="ignore", zero_orders="drop")
    noon = "TIMESTAMP '2024-01-10 12:00'"
    known = f"SELECT * FROM transactions WHERE event_time < {noon} AND ingested_at <= {noon} ORDER BY ALL"
    later = [line | {"ingested_at": max(line["ingested_at"], datetime(2024, 1, 11))} for line in later]
    alone, together = (
        profiles_from_frames({"transactions": pd.DataFrame(lines)}, {}, "UTC", strict) for lines in (past, past + later)
    )
    assert rows(alone, known) == rows(together, known)


@given(_lines(0, 9))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_the_order_of_rows_does_not_matter(past: list[dict[str, Any]]) -> None:
    strict = Policies(returns="ignore", zero_orders="drop")
    one, other = (
        profiles_from_frames({"transactions": pd.DataFrame(lines)}, {}, "UTC", strict) for lines in (past, past[::-1])
    )
    everything = "SELECT * FROM transactions ORDER BY ALL"
    assert rows(one, everything) == rows(other, everything)


# Local days


@pytest.mark.parametrize(
    ("timezone", "moved"),
    [("UTC", None), ("Europe/Paris", "1 of 3 rows (33.3%)"), ("America/New_York", "2 of 3 rows (66.7%)")],
)
def test_days_that_the_time_zone_moves_are_counted(project: TinyProject, timezone: str, moved: str | None) -> None:
    sales(project, "r1,2024-01-05T23:15:00Z,1,,,,", "r2,2024-01-05T04:59:00Z,1,,,,", "r3,2024-01-05T00:00:00Z,1,,,,")
    profiles = project.profiles(MAPPED, timezone)
    found = [one.actual for one in profiles.findings if one.code == "P208"]
    assert found == ([] if moved is None else [moved])


def test_nothing_is_said_where_no_policy_has_an_effect(project: TinyProject) -> None:
    assert project.profiles().findings == ()
