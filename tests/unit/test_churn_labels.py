"""Who churned: the three definitions, on rows that can be counted by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta

import pandas as pd
import pytest

from features.cohorts import at_risk
from features.contract.profiles import Profiles
from kernel.clock import parse_as_of
from kernel.errors import NotEnoughDataError, UsageError
from kernel.settings import ChurnSettings, EventSettings
from tests.projects import HEAD, TinyProject
from tests.projects import TABLES as SHOP
from training.labels.label import churn_label

CUTOFF = parse_as_of("2024-03-01")
LATER = parse_as_of("2025-01-01")
TABLES = (
    SHOP.replace("[sources]", '[sources]\ncontracts = "contracts.csv"\ndeeds = "deeds.csv"')
    + """
[tables.subscriptions]
from = "contracts"
[tables.subscriptions.columns]
customer_id = "id"
subscription_id = "contract"
event_time = "at"
ingested_at = "known"
start_date = "start"
end_date = "stop"
end_reason = "reason"

[tables.activities]
from = "deeds"
columns = { customer_id = "id", event_time = "at", kind = "kind" }
"""
)
# id, contract, at, known, start, stop, reason; 30 days ahead of 2024-03-01, 10 days of grace
CONTRACTS = """id,contract,at,known,start,stop,reason
open,c1,2023-01-01,2023-01-01,2023-01-01,,
ends,c2,2023-01-01,2023-01-01,2023-01-01,2024-03-15,
last_day,c3,2023-01-01,2023-01-01,2023-01-01,2024-03-30,
day_after,c4,2023-01-01,2023-01-01,2023-01-01,2024-03-31,
renews,c5,2023-01-01,2023-01-01,2023-01-01,2024-03-10,
renews,c6,2024-03-18,2024-03-18,2024-03-20,2025-03-20,
too_late,c7,2023-01-01,2023-01-01,2023-01-01,2024-03-10,
too_late,c8,2024-03-18,2024-03-18,2024-03-21,2025-03-20,
prolonged,c9,2023-01-01,2023-01-01,2023-01-01,2024-03-10,
prolonged,c9,2024-03-09,2024-03-09,2023-01-01,2025-03-10,
cancels,c10,2023-01-01,2023-01-01,2023-01-01,,
cancels,c10,2024-03-05,2024-03-05,2023-01-01,2024-03-20,cancelled
dies,c11,2023-01-01,2023-01-01,2023-01-01,,
dies,c11,2024-03-05,2024-03-05,2023-01-01,2024-03-06,death
two,c12,2023-01-01,2023-01-01,2023-01-01,2024-03-06,
two,c13,2023-06-01,2023-06-01,2023-06-01,,
gone,c14,2023-01-01,2023-01-01,2023-01-01,2024-02-20,
future,c15,2024-02-01,2024-02-01,2024-03-05,,
heard_late,c16,2023-01-01,2023-01-01,2023-01-01,,
heard_late,c16,2024-03-05,2024-08-01,2023-01-01,2024-03-20,cancelled
"""
NAMES = list(dict.fromkeys(line.split(",")[0] for line in CONTRACTS.splitlines()[1:]))
SALES = "id,receipt,at,paid\n" + "".join(
    [f"{name},r-{name},2023-06-01 10:00:00,9\n" for name in NAMES]
    + ["open,r2,2024-03-05 10:00:00,5\n", "ends,r3,2024-03-05 10:00:00,-5\n", "two,r4,2024-03-31 00:00:00,5\n"]
)
DEEDS = "id,at,kind\nopen,2024-03-05 10:00:00,complaint\nends,2024-03-05 10:00:00,visit\ntwo,2024-04-05,complaint\n"
SUBSCRIPTIONS = ChurnSettings(
    definition="subscriptions", horizon_days=30, grace_days=10, competing_ends=("death", "claim")
)


@pytest.fixture
def profiles(project: TinyProject) -> Iterator[Profiles]:
    with opened(project) as profiles:
        yield profiles


@contextmanager
def opened(project: TinyProject, timezone: str = "UTC") -> Iterator[Profiles]:
    project.write("customers.csv", "id\n" + "\n".join(NAMES) + "\n")
    project.write("sales.csv", SALES)
    project.write("contracts.csv", CONTRACTS)
    project.write("deeds.csv", DEEDS)
    with project.profiles(TABLES, timezone=timezone) as profiles:
        yield profiles


def outcomes(profiles: Profiles, settings: ChurnSettings, known_at: str = "2025-01-01") -> dict[str, float]:
    label = churn_label(settings)
    found = label.outcomes(profiles, pd.Index(NAMES), CUTOFF, label.window, parse_as_of(known_at))
    return {str(name): float(value) for name, value in found.items()}


def test_a_subscriber_churns_when_the_last_contract_ends_and_none_follows(profiles: Profiles) -> None:
    found = outcomes(profiles, SUBSCRIPTIONS)
    assert {name for name, value in found.items() if value == 1} == {
        "ends", "last_day", "too_late", "cancels", "heard_late",
    }  # fmt: skip
    assert {name for name, value in found.items() if value == 0} == {"open", "day_after", "renews", "prolonged", "two"}


def test_a_competing_end_is_neither_churn_nor_stay_and_who_has_no_contract_has_no_outcome(profiles: Profiles) -> None:
    found = outcomes(profiles, SUBSCRIPTIONS)
    assert {name for name, value in found.items() if math.isnan(value)} == {"dies", "gone", "future"}
    churn_of_all = SUBSCRIPTIONS.model_copy(update={"competing_ends": ()})
    assert outcomes(profiles, churn_of_all)["dies"] == 1


def test_what_became_known_later_is_not_in_the_label(profiles: Profiles) -> None:
    assert outcomes(profiles, SUBSCRIPTIONS, known_at="2024-04-10")["heard_late"] == 0


def test_the_grace_belongs_to_the_time_a_label_needs(profiles: Profiles) -> None:
    assert churn_label(SUBSCRIPTIONS).window.days == 40
    with pytest.raises(NotEnoughDataError) as raised:
        outcomes(profiles, SUBSCRIPTIONS, known_at="2024-04-09")
    assert raised.value.what == (
        "What the label window of 2024-03-01 brings is certain on 2024-04-10, after 2024-04-09."
    )


def test_a_contract_that_ends_on_the_last_day_of_the_horizon_counts_by_local_days(project: TinyProject) -> None:
    label = churn_label(SUBSCRIPTIONS)
    with opened(project, "America/New_York") as profiles:
        # Midnight of 2024-03-01 UTC is still the last day of February there: the horizon ends a day earlier.
        found = label.outcomes(profiles, pd.Index(["last_day", "ends"]), CUTOFF, label.window, LATER)
    assert found.to_dict() == {"last_day": 0.0, "ends": 1.0}


def test_no_purchase_in_the_window(profiles: Profiles) -> None:
    found = outcomes(profiles, ChurnSettings(horizon_days=30))
    assert {name for name, value in found.items() if value == 0} == {"open"}


@pytest.mark.parametrize(
    ("event", "who"),
    [
        (EventSettings(table="activities", where="kind = 'complaint'"), {"open"}),
        (EventSettings(table="transactions", where="amount < 0"), {"ends"}),
        (EventSettings(table="subscriptions", where="end_reason = 'cancelled'"), {"cancels", "heard_late"}),
    ],
)
def test_any_event(profiles: Profiles, event: EventSettings, who: set[str]) -> None:
    settings = ChurnSettings(definition="event", event=event, horizon_days=30)
    assert {name for name, value in outcomes(profiles, settings).items() if value == 1} == who
    assert churn_label(settings).name == "happened"


def test_a_condition_that_cannot_be_read_is_named(profiles: Profiles) -> None:
    settings = ChurnSettings(definition="event", event=EventSettings(table="activities", where="kin = 'complaint'"))
    with pytest.raises(UsageError) as raised:
        outcomes(profiles, settings)
    assert raised.value.where == "churn.event.where"
    assert "kin" in raised.value.what
    assert raised.value.fix == "Write a SQL condition on the columns of activities, such as kind = 'complaint'."


def test_the_cohort_of_subscriptions_is_who_has_one() -> None:
    features = pd.DataFrame({"active_subscriptions": [1.0, 0.0], "days_since_last_purchase": [500.0, 3.0]})
    assert at_risk(features, "subscriptions", 90).tolist() == [True, False]
    assert at_risk(features, "transactions", 90).tolist() == [False, True]


@pytest.mark.parametrize(
    "churn", ['[churn]\ndefinition = "event"\n', '[churn.event]\ntable = "activities"\nwhere = "kind = \'x\'"\n']
)
def test_an_event_and_its_definition_belong_together(project: TinyProject, churn: str) -> None:
    with pytest.raises(UsageError, match="belong together"):
        project.settings(head=HEAD + churn)


def test_a_window_counts_its_gap_and_its_grace() -> None:
    window = churn_label(SUBSCRIPTIONS, gap_days=5).window
    assert window.end(CUTOFF) - window.start(CUTOFF) == timedelta(days=30)
    assert (window.days, window.certain(CUTOFF).date()) == (45, date(2024, 4, 15))
