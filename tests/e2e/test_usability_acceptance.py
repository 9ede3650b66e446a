"""foresight check on real data: the true faults of each data set, with their figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.contract.findings import Finding
from features.usability.report import UsabilityReport
from foresight.project import Project

EXAMPLES = Path(__file__).parents[2] / "examples"
DATA = Path(__file__).parents[3] / "shared" / "data"


def report(name: str, as_of: str | None = None) -> UsabilityReport:
    project = Project.open(EXAMPLES / name)
    with project.profiles:
        return project.usability(as_of=as_of)


def serious(found: UsabilityReport) -> set[tuple[str, str, str]]:
    return {(one.code, one.table, one.column) for one in found.findings if one.code[0] != "P"}


def the(found: UsabilityReport, code: str, table: str = "") -> Finding:
    (one,) = [one for one in found.findings if one.code == code and table in ("", one.table)]
    return one


def test_complete_journey() -> None:
    found = report("complete_journey")
    # Demographics are of the third of the households that answered; a campaign is received once for several waves.
    unknown = ("age", "income", "household_size", "household_comp", "kids_count", "home_ownership", "marital_status")
    assert serious(found) == {
        *(("U106", "customers", column) for column in unknown),
        ("U205", "activities", "event_time"),
        ("U301", "activities", ""),
    }
    missing = {one.column: one.actual for one in found.findings if one.code == "U106"}
    assert missing["age"] == "1,668 of 2,469 customers (67.6%)"
    assert missing["home_ownership"] == "1,901 of 2,469 customers (77.0%)"
    assert the(found, "U301").actual == "995 of 8,691 rows (11.4%)"
    assert not found.has_errors


def test_cdnow() -> None:
    found = report("cdnow")
    assert serious(found) == {
        ("U107", "transactions", "transaction_id"),
        ("U205", "transactions", "event_time"),
        ("U301", "transactions", ""),
    }
    # Half of the cohort never bought again: 12,054 of 23,570.
    assert the(found, "U107").actual == "11,516 of 23,570 customers (48.9%)"
    assert "269 more" in the(found, "U107").details
    assert the(found, "U301").actual == "255 of 69,659 rows (0.4%)"


@pytest.fixture(scope="module")
def online_retail() -> UsabilityReport:
    if not (DATA / "online_retail" / "online_retail.parquet").exists():
        pytest.skip("Online Retail is not in the repository; its example reads a file beside it")
    return report("online_retail")


def test_online_retail(online_retail: UsabilityReport) -> None:
    assert serious(online_retail) == {
        ("D101", "transactions", "customer_id"),
        ("U105", "transactions", "customer_id"),
        ("U202", "transactions", "event_time"),
        ("U301", "transactions", ""),
        ("U305", "transactions", "amount"),
        ("U306", "transactions", "amount"),
    }
    assert the(online_retail, "U105").actual == "135,080 of 541,909 rows (24.9%)"
    # The shop was closed from Christmas Eve to 3 January; its Saturdays and bank holidays are no gap.
    assert "11 days, from 2010-12-24 to 2011-01-03" in the(online_retail, "U202").details
    assert the(online_retail, "U301").actual == "5,227 of 406,829 rows (1.3%)"
    assert the(online_retail, "U305").actual == "41 of 4,372 customers (0.9%)"
    # 80,995 and 74,215 pieces ordered and cancelled within minutes.
    assert "168,469.60 GBP" in the(online_retail, "U306").actual
    assert the(online_retail, "U306").actual.startswith("6 rows")


@pytest.fixture(scope="module")
def contoso_data() -> None:
    if not (DATA / "contoso" / "Contact.txt").exists():
        pytest.skip("Contoso is not in the repository; its example reads files beside it")


@pytest.mark.usefixtures("contoso_data")
def test_contoso() -> None:
    found = report("contoso")
    assert found.counts == {"customers": 5000, "transactions": 32393, "activities": 61570, "subscriptions": 0}
    assert serious(found) == {
        ("D102", "transactions", "customer_id"),
        ("D102", "activities", "customer_id"),
        ("U109", "transactions", "customer_id"),
        ("U202", "transactions", "event_time"),
        ("U203", "transactions", "event_time"),
        ("U205", "transactions", "event_time"),
        ("U205", "activities", "event_time"),
        ("U307", "customers", "created_at"),
    }
    # The hotel has keys of its own that no file translates: all of its 41,550 stays, and 17 reviews, are of nobody.
    assert the(found, "D102", "activities").actual == "41,567 rows"
    assert the(found, "D102", "transactions").actual == "16 rows"
    # The history ends in February 2019; a few rows of March to May make the newest window an empty one.
    assert "9 rows" in the(found, "U203").actual and "2019-05-24" in the(found, "U203").details
    assert the(found, "U109").actual == "2 buyers"
    assert "43 days, from 2019-03-07 to 2019-04-18" in the(found, "U202").details
    # 4,993 of the contacts were created on one day, that of an import.
    assert the(found, "U307").actual == "4,986 of 5,000 buyers (99.7%)"
    assert "2019-01-31" in the(found, "U307").details


@pytest.mark.usefixtures("contoso_data")
def test_contoso_up_to_its_last_complete_day() -> None:
    codes = {code for code, _, _ in serious(report("contoso", "2019-02-08"))}
    assert codes == {"D102", "U205", "U307"}
