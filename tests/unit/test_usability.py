"""Every code of the usability report: what provokes it, and a near miss that does not."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.contract.findings import State
from features.usability.reference import reference_page
from features.usability.report import RULES, UsabilityReport
from kernel.errors import NotEnoughDataError
from tests.projects import TinyProject
from tests.shops import BEGINS, ENDS, Shop, sound_shop
from tests.unit.usability_cases import (
    CASES,
    Case,
    clicks,
    contacted,
    copied,
    created_late,
    in_an_hour,
    late,
    many_rows,
    much_spend,
    outage,
    reasons,
    regions,
    returned,
    robot,
    sale,
    scored,
    times_the_usual,
    zeros,
)

# The codes of the contract are provoked, and just missed, where the contract is tested.
ELSEWHERE = {
    "D101": ("test_contract.py", "test_rows_without_customer_are_left_out_and_counted"),
    "D102": ("test_contract.py", "test_rows_of_unknown_customers_are_counted_in_every_table"),
    "D103": ("test_contract.py", "test_dates_in_the_future_are_counted_and_stay"),
    "P201": ("test_policies.py", "test_returns_reduce_spend_by_default_and_are_counted"),
    "P202": ("test_policies.py", "test_a_line_in_another_currency_takes_the_newest_rate_on_or_before_its_day"),
    "P203": ("test_policies.py", "test_orders_without_value"),
    "P204": ("test_policies.py", "test_cancelled_orders_are_left_out_in_any_case_of_letters"),
    "P205": ("test_policies.py", "test_lines_of_orders_are_counted"),
    "P206": ("test_policies.py", "test_an_order_of_several_moments_and_one_of_two_customers"),
    "P207": ("test_policies.py", "test_an_order_of_several_moments_and_one_of_two_customers"),
    "P208": ("test_policies.py", "test_days_that_the_time_zone_moves_are_counted"),
    "P209": ("test_consent.py", "test_their_history_is_in_no_table"),
}
HERE = Path(__file__).parent


@pytest.fixture
def shop() -> Shop:
    return sound_shop()


def found(report: UsabilityReport) -> list[str]:
    return [one.code for one in report.findings]


def test_a_sound_shop_has_nothing_to_report(project: TinyProject, shop: Shop) -> None:
    report = shop.report(project)
    assert report.findings == ()
    assert not report.has_errors
    assert (report.as_of, report.first.date(), report.last.date()) == (
        ENDS.to_pydatetime().replace(tzinfo=UTC),
        BEGINS.date(),
        (ENDS - pd.Timedelta(days=1)).date(),
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)
def test_a_fault_is_found(project: TinyProject, shop: Shop, case: Case) -> None:
    case.fault(shop)
    (one,) = [finding for finding in shop.report(project).findings if finding.code == case.code]
    rule = RULES[case.code]
    assert (one.name, one.state, one.step) == (rule.name, rule.state, rule.step)
    assert case.actual in one.actual
    assert one.table in ("customers", "transactions", "activities", "subscriptions")
    assert one.details.endswith(".") and one.required and any(c.isdigit() for c in one.actual)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)
def test_a_near_miss_is_not(project: TinyProject, shop: Shop, case: Case) -> None:
    case.near(shop)
    assert case.code not in found(shop.report(project))


def test_every_code_is_provoked_by_a_test() -> None:
    assert {case.code for case in CASES} | set(ELSEWHERE) == set(RULES)
    assert {case.code for case in CASES}.isdisjoint(ELSEWHERE)


@pytest.mark.parametrize("code", sorted(ELSEWHERE))
def test_the_contracts_codes_are_provoked_where_it_is_tested(code: str) -> None:
    file, name = ELSEWHERE[code]
    text = (HERE / file).read_text(encoding="utf-8")
    body = re.search(rf"^def {name}\(.*?(?=^def |\Z)", text, re.S | re.M)
    assert body is not None and code in body[0]


def test_the_contract_gives_no_other_code() -> None:
    files = (HERE.parents[1] / "features" / "contract").glob("*.py")
    given = {code for file in files for code in re.findall(r'"([DP]\d{3})"', file.read_text(encoding="utf-8"))}
    assert given == {code for code in RULES if code[0] in "DP"}


def plant(shop: Shop) -> None:
    """One of each fault that can be in one shop together with the others."""
    sale(ENDS + pd.Timedelta(days=20))(shop)
    shop.label_start += pd.Timedelta(days=21)
    for fault in (
        outage("2023-06-05", "2023-06-09"),
        late(30, 0.02),
        zeros(0.06),
        returned(10),
        copied(),
        in_an_hour(70),
        robot(0),
        clicks(25),
        created_late(100),
        scored(0.2),
        contacted(30),
        reasons(for_all=False),
        regions("test", *["n/a"] * 20),
        sale(pd.Timestamp("1970-01-01")),
        sale(pd.Timestamp("2031-01-01")),
        many_rows(0.08),
        times_the_usual(150),
        much_spend(0.2),
    ):
        fault(shop)
    shop.customers["address"] = [f"street {i}" for i in range(len(shop.customers))]
    shop.customers["country"] = "FR"
    shop.customers.loc[:500, "age"] = np.nan
    shop.sell("z9", pd.DatetimeIndex([BEGINS + pd.Timedelta(days=80, hours=3)]))
    shop.sales.loc[shop.sales.index[100:110], "customer_id"] = None


PLANTED = {
    *("D101", "D102", "D103", "P201", "P203", "P205", "U106"),
    *("U201", "U202", "U203", "U204"),
    *("U301", "U302", "U303", "U304", "U305", "U306", "U307", "U308", "U309", "U310"),
    *("U401", "U402", "U403"),
    *("U501", "U502", "U503", "U504"),
}


def test_every_planted_fault_is_found_and_nothing_else(project: TinyProject, shop: Shop) -> None:
    plant(shop)
    shop.sales.loc[shop.sales.index[1], "transaction_id"] = shop.sales.loc[shop.sales.index[0], "transaction_id"]
    report = shop.report(project)
    assert PLANTED - set(found(report)) == set()
    # Two lines of one order are of two customers and moments, too; what a lone newest row does to the label is known.
    assert set(found(report)) - PLANTED <= {"P206", "P207"}
    states = [list(State).index(one.state) for one in report.findings]
    assert states == sorted(states)


def test_a_report_names_no_customer_and_no_value(project: TinyProject, shop: Shop) -> None:
    plant(shop)
    text = json.dumps(shop.report(project).to_dict())
    for secret in ("c0", "c1", "c2", "x7", "street", "test account", "FR", "z9", "north"):
        assert re.search(rf"\b{secret}\b", text) is None, secret


def test_json_has_the_documented_fields(project: TinyProject, shop: Shop) -> None:
    no = shop.customers["age"].copy()
    shop.customers["age"] = no.where(no > 60)
    written = json.loads(json.dumps(shop.report(project).to_dict()))
    page = (HERE.parents[1] / "docs" / "reference" / "checks.md").read_text(encoding="utf-8")
    fields = page.split("## Fields of the JSON")[1].split("\n## ")[0]
    named = {
        name
        for line in fields.splitlines()
        for name in re.findall(r"`([^`]+)`", line.split("|")[1:2][0] if "|" in line else "")
    }
    assert named == set(written) | {f"findings[].{key}" for key in written["findings"][0]}
    assert written["states"] == {"error": 0, "warning": 1, "recommendation": 0, "info": 0}
    assert written["as_of"] == "2024-02-05T00:00:00Z"


def test_the_checks_page_is_up_to_date() -> None:
    page = (HERE.parents[1] / "docs" / "reference" / "checks.md").read_text(encoding="utf-8")
    assert page == reference_page(RULES.values()), "run python -m features.usability.reference"


def test_every_rule_says_why_and_what_to_do() -> None:
    for code, rule in RULES.items():
        assert (rule.code, rule.why[-1], rule.fix[-1]) == (code, ".", ".")
        assert rule.step in ("read", "train", "score")
        assert rule.required or rule.state is State.INFO


def test_rows_after_the_moment_are_not_looked_at(project: TinyProject, shop: Shop) -> None:
    sale(ENDS + pd.Timedelta(days=30))(shop)
    assert "U203" in found(shop.report(project))
    assert found(shop.report(project, as_of=ENDS.to_pydatetime())) == []


def test_a_moment_before_everything(project: TinyProject, shop: Shop) -> None:
    with pytest.raises(NotEnoughDataError):
        shop.report(project, as_of=datetime(2001, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris", "Asia/Kolkata", "America/New_York"])
def test_dates_are_dates_in_every_time_zone(project: TinyProject, shop: Shop, zone: str) -> None:
    shop.timezone = zone
    shop.sales["event_time"] = shop.sales["event_time"].dt.normalize()
    shop.sales["ingested_at"] = shop.sales["event_time"]
    codes = found(shop.report(project))
    assert "U205" in codes
    assert not {"U202", "U502", "U503"} & set(codes)


def test_how_much_more_is_needed(project: TinyProject, shop: Shop) -> None:
    shop.sales = shop.sales[shop.sales["customer_id"].isin(shop.ids[:440])]
    shop.sales = shop.sales[shop.sales["event_time"] < BEGINS + pd.Timedelta(days=100)]
    customers = shop.sales["customer_id"].nunique()
    said = {one.code: one for one in shop.report(project).findings}
    assert (said["U101"].required, said["U101"].actual) == ("120 days", "100 days")
    assert "20 more days are needed" in said["U101"].details
    assert (said["U102"].required, said["U102"].actual) == ("150 days", "100 days")
    assert "50 more days are needed" in said["U102"].details
    assert f"{500 - customers} more customers are needed" in said["U103"].details
    assert said["U103"].state is State.ERROR
