"""Whom a retention action reached is left out, and those like them count for more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kernel.clock import parse_as_of
from kernel.errors import UsageError
from kernel.settings import ChurnSettings, TreatmentSettings
from tests.projects import TABLES as SHOP
from tests.projects import TinyProject
from training.dataset import TrainingSet
from training.models.habits import HABITS
from training.treatment import MOST_WEIGHT, treatment_of, untreated_weights

TABLES = (
    SHOP.replace("[sources]", '[sources]\ncalls = "calls.csv"')
    + """
[tables.activities]
from = "calls"
columns = { customer_id = "id", event_time = "at", ingested_at = "known", kind = "kind" }
"""
)
CALLS = """id,at,known,kind
before,2024-02-28 10:00:00,2024-02-28 10:00:00,retention_call
first_day,2024-03-01 00:00:00,2024-03-01 00:00:00,retention_call
last_day,2024-03-30 23:59:59,2024-03-30 23:59:59,retention_call
after,2024-03-31 00:00:00,2024-03-31 00:00:00,retention_call
other,2024-03-10 10:00:00,2024-03-10 10:00:00,newsletter
heard_late,2024-03-10 10:00:00,2024-06-01 10:00:00,retention_call
"""
NAMES = ["before", "first_day", "last_day", "after", "other", "heard_late", "nobody"]
KNOWN = parse_as_of("2024-05-01")


def rows(names: list[str] = NAMES) -> TrainingSet:
    features = pd.DataFrame(dict.fromkeys(HABITS, 1.0), index=pd.Index(names, name="customer_id"))
    return TrainingSet(
        features,
        np.full(len(names), np.datetime64("2024-03-01", "us")),
        np.zeros(len(names)),
        np.zeros(len(names)),
        np.ones(len(names), dtype=bool),
    )


@pytest.fixture
def project(tmp_path: Path) -> TinyProject:
    project = TinyProject(tmp_path)
    project.write("customers.csv", "id\n" + "\n".join(NAMES) + "\n")
    project.write("sales.csv", "id,receipt,at,paid\n" + "".join(f"{n},r-{n},2024-01-01 10:00:00,9\n" for n in NAMES))
    project.write("calls.csv", CALLS)
    return project


def churn(policy: str = "exclude", where: str = "kind = 'retention_call'") -> ChurnSettings:
    treatment = TreatmentSettings.model_validate({"where": where, "policy": policy})
    return ChurnSettings(horizon_days=30, treatment=treatment)


def test_who_was_called_in_the_window_has_no_outcome(project: TinyProject) -> None:
    treatment = treatment_of(churn())
    assert treatment is not None
    found = treatment.left_out(project.profiles(TABLES), rows(), KNOWN)
    assert found.treated is not None
    assert [name for name, treated in zip(NAMES, found.treated, strict=True) if treated] == ["first_day", "last_day"]
    assert list(found.churn_cohort.customers) == ["before", "after", "other", "heard_late", "nobody"]
    assert found.weight is None
    # The spend of everybody still counts.
    assert len(found) == len(NAMES)


def test_the_days_of_a_window_that_is_not_over(project: TinyProject) -> None:
    treatment = treatment_of(churn())
    assert treatment is not None
    found = treatment.left_out(project.profiles(TABLES), rows(), parse_as_of("2024-03-08"), 7)
    assert list(found.churn_cohort.customers) == [name for name in NAMES if name != "first_day"]


def test_without_a_setting_there_is_nothing() -> None:
    assert treatment_of(ChurnSettings()) is None


def test_a_condition_that_cannot_be_read_names_its_place(project: TinyProject) -> None:
    treatment = treatment_of(churn(where="kynd = 1"))
    assert treatment is not None
    with pytest.raises(UsageError) as refused:
        treatment.left_out(project.profiles(TABLES), rows(), KNOWN)
    assert refused.value.where == "churn.treatment.where"


def test_weights_bring_back_the_rate_that_is_without_treatment() -> None:
    """Customers at high risk are called more often; without weights those who are left say too low a rate."""
    random = np.random.default_rng(4)
    count = 20_000
    pause = random.exponential(20, count)
    features = pd.DataFrame(dict.fromkeys(HABITS, 1.0), index=pd.RangeIndex(count))
    features["days_since_last_purchase"] = pause
    would_leave = random.random(count) < 1 / (1 + np.exp(-(np.log1p(pause) - 3.5)))
    treated = random.random(count) < 1 / (1 + np.exp(-(1.5 * np.log1p(pause) - 5.0)))
    some = TrainingSet(
        features,
        np.full(count, np.datetime64("2024-03-01", "us")),
        would_leave.astype(float),
        np.zeros(count),
        np.ones(count, dtype=bool),
    )
    weight = untreated_weights(some, treated)
    truth = would_leave.mean()
    plain = would_leave[~treated].mean()
    weighed = np.average(would_leave, weights=weight)
    assert plain < 0.92 * truth
    assert weighed == pytest.approx(truth, rel=0.03)
    assert (weight[treated] == 0).all()
    assert weight[~treated].mean() == pytest.approx(1)
    assert weight.max() <= MOST_WEIGHT / weight[~treated].mean() * 2


def test_where_nobody_or_everybody_was_treated_nothing_is_weighed() -> None:
    some = rows()
    assert untreated_weights(some, np.zeros(len(some), dtype=bool)).tolist() == [1.0] * len(some)
    assert untreated_weights(some, np.ones(len(some), dtype=bool)).tolist() == [0.0] * len(some)
