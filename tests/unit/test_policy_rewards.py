"""What followed a decision in money: which measure a catalogue has, and what customers spent in windows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foresight.policy_rewards import Measure, measure_of, outcomes_of, unsubscribed
from kernel.errors import UsageError
from serving.decisioning.action import Action
from tests.projects import TinyProject
from training.labels.spend_between import spend_between

BY_FEEDBACK = {"outcome": {"name": "order_again", "window_days": 30}, "value": {"margin": 20.0}}
BY_PURCHASES = {"outcome": {"name": "order_again", "window_days": 30, "measured_by": "purchases"}}
MONEY = {
    "outcome": {"name": "spend", "window_days": 60, "kind": "value", "measured_by": "purchases"},
    "value": {"margin": 0.3},
    "prior": {"mean": 1.0, "deviation": 2.0},
}
LATER = {"outcome": {"name": "order_again", "window_days": 60}}
SHARE = {"value": {"lifetime_value_share": 0.25}}
REPORTED = {
    "outcome": {"name": "spend", "window_days": 30, "kind": "value"},
    "value": {"margin": 0.4},
    "prior": {"mean": 1.0, "deviation": 2.0},
}


def actions(*changes: dict[str, object]) -> list[Action]:
    usual = {"label": "a", "group": "g", "channels": ["mail"], "cost": {"contact": 1.0}}
    return [
        Action.model_validate(
            {**usual, **BY_FEEDBACK, "prior": {"rate": 0.1, "strength": 5.0}, "id": f"a{number}", **change}
        )
        for number, change in enumerate(changes)
    ]


def measured(*changes: dict[str, object], rate: float | None = None, project: float | None = None) -> Measure:
    return measure_of(actions(*changes), "EUR", margin_rate=rate, project_margin=project)


@pytest.mark.parametrize(
    ("changes", "given", "kind", "days", "unit", "share"),
    [
        ([{}, {}], {}, "feedback", 30, 20.0, None),
        ([SHARE, SHARE], {}, "feedback", 30, None, 0.25),
        ([REPORTED], {}, "feedback", 30, 0.4, None),
        ([{}, LATER], {"project": 0.2}, "purchases", 60, 0.2, None),
        ([{}, {"value": {"margin": 9.0}}], {"project": 0.2}, "purchases", 30, 0.2, None),
        ([BY_PURCHASES], {"rate": 0.5, "project": 0.2}, "purchases", 30, 0.5, None),
        ([{}], {"rate": 0.5}, "purchases", 30, 0.5, None),
        ([MONEY, BY_PURCHASES], {}, "purchases", 60, 0.3, None),
        ([SHARE, {**LATER, **SHARE}], {}, "purchases", 60, 0.25, None),
    ],
)
def test_the_measure_that_fits(
    changes: Sequence[dict[str, object]],
    given: dict[str, float],
    kind: str,
    days: int,
    unit: float | None,
    share: float | None,
) -> None:
    found = measured(*changes, **given)
    assert (found.kind, found.window_days, found.unit_value, found.lifetime_share) == (kind, days, unit, share)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ([BY_PURCHASES], "its outcomes are measured by purchases"),
        ([{}, LATER], "it has 2 outcomes"),
        ([{}, {"value": {"margin": 9.0}}], "its actions give one conversion different values"),
        ([MONEY, {**MONEY, "value": {"margin": 0.5}}], "its outcomes are measured by purchases"),
    ],
)
def test_no_measure_can_be_told(changes: Sequence[dict[str, object]], why: str) -> None:
    with pytest.raises(UsageError, match=why) as error:
        measured(*changes)
    assert "--margin-rate 0.3" in error.value.fix


def test_outcomes_are_told_apart_by_all_that_they_are() -> None:
    found = outcomes_of(actions({}, LATER, {}, BY_PURCHASES))
    assert [ids for _, ids in found] == [("a0", "a2"), ("a1",), ("a3",)]


def moments(*texts: str) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(pd.to_datetime(list(texts), utc=True, format="ISO8601"))


def test_spend_in_windows_of_their_own(tmp_path: Path) -> None:
    project = TinyProject(tmp_path)
    project.write("customers.csv", "id\nanna\nbert\n")
    lines = ("anna,r1,2024-01-05 10:00:00,12.5", "anna,r2,2024-01-08 10:00:00,-2", "bert,r3,2024-01-05 10:00:00,7")
    project.write("sales.csv", "\n".join(("id,receipt,at,paid", *lines, "")))
    with project.profiles() as profiles:
        found = spend_between(
            profiles,
            ["anna", "anna", "anna", "bert", "carl"],
            moments("2024-01-01", "2024-01-05 10:00", "2024-01-04", "2024-01-06", "2024-01-01"),
            moments("2024-01-08 10:00", "2024-01-09", "2024-01-05 09:59", "2024-01-09", "2024-01-09"),
            pd.Timestamp("2024-02-01", tz="UTC").to_pydatetime(),
        )
        # The start is exclusive and the end inclusive.
        assert found.tolist() == [10.5, -2.0, 0.0, 0.0, 0.0]
        early = pd.Timestamp("2024-01-07", tz="UTC").to_pydatetime()
        assert spend_between(profiles, ["anna"], moments("2024-01-01"), moments("2024-01-09"), early).tolist() == [12.5]


def test_who_unsubscribed() -> None:
    decisions = pd.DataFrame({"decision_id": ["d1", "d2", "d3"], "logged_at": moments(*["2024-01-01"] * 3)})
    feedback = pd.DataFrame(
        {
            "decision_id": ["d1", "d2", "d3", "d3"],
            "event": ["unsubscribed", "unsubscribed", "unsubscribed", "opened"],
            "event_time": moments("2024-01-05", "2024-03-05", "2024-01-06", "2024-01-06"),
            "received_at": moments("2024-01-05", "2024-03-05", "2024-05-01", "2024-01-06"),
        }
    )
    known = pd.Timestamp("2024-04-01", tz="UTC").to_pydatetime()
    assert np.array_equal(unsubscribed(decisions, feedback, 30, known), [1.0, 0.0, 0.0])
