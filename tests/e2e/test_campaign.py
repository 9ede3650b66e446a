"""A campaign planned over real models: the card's numbers, within the limits, with a reason for who is left out."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foresight.cli import main
from foresight.project import Project
from kernel.clock import utc_now
from kernel.errors import UsageError
from serving.campaign import Campaign
from serving.decisioning.decision import Decision
from tests.e2e.conftest import AS_OF, Trained

BUDGET = 20.0


@pytest.fixture(scope="module")
def planned(trained: Trained) -> Campaign:
    return trained.project.plan_campaign(as_of=AS_OF, budget=BUDGET)


def test_the_budget_holds_and_nothing_is_planned_at_a_loss(planned: Campaign) -> None:
    given = planned.plan.dropna(subset="action")
    assert 0 < len(given) < len(planned.plan)
    assert given["cost"].sum() <= BUDGET + 1e-9
    assert given["cost"].sum() == pytest.approx(planned.allocation.spent)
    assert (given["expected_value"] > 0).all()
    assert given["expected_value"].sum() == pytest.approx(planned.gain.expected)
    assert planned.gain.low < planned.gain.expected < planned.gain.high
    assert planned.allocation.prices.budget > 0
    assert planned.allocation.value >= 0.97 * planned.allocation.bound


def test_an_action_is_worth_what_the_card_says(planned: Campaign, trained: Trained) -> None:
    shown = {
        (customer, action["action"]): (action["expected_value"], action["cost"])
        for customer, actions in trained.batch["recommended_actions"].items()
        for action in actions
    }
    given = planned.plan.dropna(subset="action").set_index("customer_id")
    seen = 0
    for customer, row in given.iterrows():
        if (customer, row["action"]) in shown:
            seen += 1
            assert (row["expected_value"], row["cost"]) == shown[customer, row["action"]]
    assert seen > len(given) / 2


def test_who_is_left_out_and_why(planned: Campaign, trained: Trained) -> None:
    plan = planned.plan.set_index("customer_id")
    left = plan[plan["action"].isna()]
    assert set(left["why"]) <= {"budget", "not_eligible", "not_worth_it", "no_consent", "holdout"}
    share = (plan["why"] == "holdout").mean()
    assert abs(share - 0.02) < 4 * (0.02 * 0.98 / len(plan)) ** 0.5
    assert "budget" in set(left["why"])
    assert (plan.loc[plan["action"].notna(), "why"] == "").all()
    assert set(plan.index) == set(trained.batch.index)


def test_without_a_budget_everybody_gets_the_best(planned: Campaign, trained: Trained) -> None:
    free = trained.project.plan_campaign(as_of=AS_OF)
    assert free.allocation.prices.budget == 0
    assert free.allocation.value > planned.allocation.value
    assert free.allocation.gap == pytest.approx(0, abs=1e-12)


def copied(trained: Trained, folder: Path, *changes: tuple[str, str]) -> Project:
    """The project over its own models, with a state and a catalogue of its own."""
    text = (trained.folder / "foresight.toml").read_text(encoding="utf-8")
    own = text.replace(str(trained.folder / "state"), str(folder / "state"))
    assert own != text  # prices that are kept there would count for the other tests' decisions
    (folder / "foresight.toml").write_text(own, encoding="utf-8")
    actions = (trained.folder / "actions.toml").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in actions
        actions = actions.replace(old, new)
    (folder / "actions.toml").write_text(actions, encoding="utf-8")
    return Project.open(folder)


def test_capacity_of_an_action(trained: Trained, tmp_path: Path) -> None:
    limited = copied(trained, tmp_path, ('id = "type_a"\n', 'id = "type_a"\ncapacity = { per_campaign = 7 }\n'))
    found = limited.plan_campaign(as_of=AS_OF)
    assert (found.plan["action"] == "type_a").sum() == 7
    assert found.allocation.prices.capacity[0] > 0
    assert "capacity:type_a" in set(found.plan["why"])


def test_an_action_s_own_budget_and_what_is_owed_first(trained: Trained, tmp_path: Path) -> None:
    notice = """
[[action]]
id = "recall"
label = "Recall of a product"
group = "service"
channels = ["mail"]
mandatory = true
eligibility = "frequency >= 20"

[[action]]
id = "type_b"
"""
    changes = (('id = "type_a"\n', 'id = "type_a"\nbudget = 5.0\n'), ('\n[[action]]\nid = "type_b"\n', notice))
    project = copied(trained, tmp_path, *changes)
    plan = project.plan_campaign(as_of=AS_OF).plan
    assert 4.0 < plan.loc[plan["action"] == "type_a", "cost"].sum() <= 5.0
    owed = set(plan.loc[plan["why"] == "mandatory", "customer_id"])
    assert owed
    runtime = project.runtime(as_of=AS_OF)
    some = sorted(owed)[:3] + sorted(set(plan.loc[plan["why"] == "holdout", "customer_id"]))[:3]
    decided = {one.score.customer_id: one.decision for one in runtime.by_ids(some)}
    for name, decision in decided.items():
        assert decision is not None
        assert decision.mode == ("mandatory" if name in owed else "holdout")
        assert decision.feature_snapshot == runtime.snapshot.id


def test_decisions_go_by_the_prices_of_a_campaign_until_they_expire(trained: Trained, tmp_path: Path) -> None:
    project = copied(trained, tmp_path)
    planned = project.plan_campaign(as_of=AS_OF, budget=BUDGET)
    customer = str(planned.plan.loc[planned.plan["why"] == "budget", "customer_id"].iloc[0])

    def decided(at: datetime) -> Decision:
        runtime = replace(project.runtime(as_of=AS_OF), decided_at=at)
        [insight] = runtime.by_ids([customer])
        assert insight.decision is not None
        return insight.decision

    now = utc_now()
    until = now + timedelta(days=3)
    before = decided(now)
    assert project.use_prices(planned, until=until).budget == planned.allocation.prices.budget
    during, after = decided(utc_now()), decided(until)
    assert after == before
    assert during.decision_id != before.decision_id
    price = planned.allocation.prices.budget
    for one, plain in zip(during.candidates[1:], before.candidates[1:], strict=True):
        assert one.price == pytest.approx(price * (plain.cost or 0.0))
    # Who is left out for the budget's sake is left alone by the card, too.
    assert max(one.expected_incremental_value or 0.0 for one in during.candidates if one.eligible) <= 1e-9


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["foresight", "plan-campaign", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_command(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "plan.csv"
    monkeypatch.setenv("COLUMNS", "200")
    copied(trained, tmp_path)
    given = ("-c", tmp_path, "--as-of", AS_OF, "--budget", BUDGET, "--out", target, "--prices-until", "2999-01-01")
    assert run(monkeypatch, *given) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"Campaign planned as of {AS_OF} (UTC)" in said
    assert "customers get an action: expected gain over doing nothing" in said
    assert "Budget 20.00 USD: one more USD would bring" in said
    assert "Decisions go by these prices until 2999-01-01 00:00 UTC" in said
    written = pd.read_csv(target, dtype={"customer_id": str})
    assert list(written.columns) == ["customer_id", "action", "expected_value", "cost", "why"]
    assert np.nansum(written["cost"]) <= BUDGET + 1e-9


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (("--budget", "-1"), "The budget is -1."),
        (("--out", "plan.xlsx"), "is no type that can be written"),
        (("--prices-until", "2017-12-01"), "2017-12-01 has passed."),
        (("--prices-until", "soon"), "'soon' is not a date."),
    ],
)
def test_wrong_input(
    trained: Trained,
    given: tuple[str, str],
    what: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, "-c", trained.config, "--as-of", AS_OF, *given) == 2
    assert what in capsys.readouterr().err


def test_a_project_without_a_catalogue(trained: Trained, tmp_path: Path) -> None:
    copied(trained, tmp_path)
    file = tmp_path / "foresight.toml"
    file.write_text(file.read_text(encoding="utf-8").replace('catalogue = "actions.toml"', ""), encoding="utf-8")
    with pytest.raises(UsageError, match="no action catalogue"):
        Project.open(tmp_path).plan_campaign(as_of=AS_OF)
