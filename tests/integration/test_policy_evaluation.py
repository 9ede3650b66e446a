"""From a log of decisions to a verdict: who may judge, what is left out, what is refused, and what is written."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foresight.cli import main
from kernel.errors import DataError, NotEnoughDataError, UsageError
from serving.decisioning.policy import PolicySettings
from tests.policy_shop import (
    ACTIONS,
    JUDGED_ON,
    KNOWN,
    LEARNED,
    ORDER,
    VISIT,
    WINDOW,
    PolicyShop,
    doing_nothing,
    policy_shop,
    with_probabilities,
)
from training.evaluation.policy_gate import Verdict
from training.evaluation.policy_report import PolicyPage

DRAWN = timedelta(hours=8)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> PolicyShop:
    made = policy_shop(tmp_path_factory.mktemp("policy"))
    made.sell("judged", made.log("judged", JUDGED_ON))
    for moment in JUDGED_ON:  # kept, so that not every evaluation computes the features anew
        made.project("judged").snapshot(as_of=moment)
    return made


@pytest.fixture(scope="module")
def same(shop: PolicyShop) -> PolicyShop:
    """With a log of the very policy that is judged, and customers held out."""
    made = shop.log("same", JUDGED_ON, policy=PolicySettings(), change=lambda made: doing_nothing(made, 200), seed=11)
    shop.hold_out("same", [*made[:200], *made[1200:1400]])
    return shop


@pytest.fixture(scope="module")
def found(shop: PolicyShop) -> PolicyPage:
    return shop.project("judged").evaluate_policy(known_until=KNOWN)


def broken(page: PolicyPage) -> list[str]:
    return [check.name for check in page.evaluation.judgement.checks if not check.holds]


def test_what_was_learned_ships(found: PolicyPage) -> None:
    assert (found.evaluation.judgement.verdict, broken(found)) == (Verdict.SHIP, [])
    assert found.evaluation.comparison.is_better
    assert found.evaluation.comparison.best == "always mail"
    assert found.effects.startswith("tiny-uplift/1, learned from what was known on ")
    assert found.measure == "'order again' within 30 days as the CRM reported it, 20 EUR each"
    assert found.programme is None


def test_decisions_that_the_model_has_learned_from_do_not_judge_it(found: PolicyPage, shop: PolicyShop) -> None:
    assert (found.decisions, found.first) == (2400, JUDGED_ON[0] + DRAWN)
    assert found.left_out == {f"logged by {LEARNED.day} Oct 2023: tiny-uplift/1 may have learned from them": 1200}
    [of] = found.evaluation.gains
    assert [one.action for one in of.actions] == ["mail", "call"]
    assert of.actions[0].given + of.actions[0].controls < 2400
    assert of.actions[0].area is not None
    assert of.actions[0].area.low > 0


def test_what_may_still_come_is_left_out(shop: PolicyShop) -> None:
    early = shop.project("judged").evaluate_policy(known_until=JUDGED_ON[1] + timedelta(days=WINDOW))
    assert early.decisions == 1200
    assert early.left_out["still within their 30 days"] == 1200
    assert early.last < JUDGED_ON[1]


def test_purchases_are_the_same_measure_for_every_action(shop: PolicyShop) -> None:
    page = shop.project("judged").evaluate_policy(known_until=KNOWN, margin_rate=20 / ORDER)
    assert page.measure == "net spend in the 30 days after the decision, times a margin of 50 %"
    assert page.evaluation.judgement.verdict is Verdict.SHIP
    sales = pd.read_parquet(shop.folder / "sales.parquet")
    url = shop.project("judged").settings.state_url
    decided = pd.read_sql("SELECT customer_id, chosen, logged_at FROM decisions", url)
    decided["logged_at"] = pd.to_datetime(decided["logged_at"], utc=True).dt.tz_localize(None)
    decided = decided[decided["logged_at"] > LEARNED.replace(tzinfo=None)]
    joined = decided.merge(sales[["customer_id", "event_time", "amount"]], on="customer_id")
    days = (joined["event_time"] - joined["logged_at"]) / pd.Timedelta(days=1)
    spend = joined.loc[(days > 0) & (days <= WINDOW), "amount"].sum()
    costs = decided["chosen"].map({"do_nothing": 0.0, "mail": 0.5, "call": 2.0}).sum()
    assert page.evaluation.judgement.in_use == pytest.approx((0.5 * spend - costs) / len(decided))


def test_outcomes_that_purchases_measure(shop: PolicyShop, tmp_path: Path) -> None:
    bought = ACTIONS.replace("window_days = 30 }", 'window_days = 30, measured_by = "purchases" }')
    (tmp_path / "bought.toml").write_text(
        bought.replace("margin = 20.0", "lifetime_value_share = 0.5"), encoding="utf-8"
    )
    page = shop.project("judged").evaluate_policy(known_until=KNOWN, catalogue=tmp_path / "bought.toml")
    assert page.measure == "net spend in the 30 days after the decision, times a margin of 50 %"
    [of] = page.evaluation.gains
    # Whoever buys counts, also those whom no feedback was sent for; the letter moves them all the same.
    assert of.actions[0].area is not None
    assert of.actions[0].area.low > 0
    assert of.slope is not None


def test_conversions_worth_a_share_of_the_lifetime_value(same: PolicyShop, tmp_path: Path) -> None:
    (tmp_path / "share.toml").write_text(
        ACTIONS.replace("margin = 20.0", "lifetime_value_share = 0.5"), encoding="utf-8"
    )
    page = same.project("same").evaluate_policy(known_until=KNOWN, effects="prior", catalogue=tmp_path / "share.toml")
    assert page.measure == "'order again' within 30 days as the CRM reported it, 50 % of the lifetime value each"
    assert page.programme is not None
    assert page.programme.held <= 400
    assert page.programme.mean_held > 0


def test_purchases_after_the_last_known_day_are_not_none(shop: PolicyShop) -> None:
    last = pd.read_parquet(shop.folder / "sales.parquet")["event_time"].max()
    page = shop.project("judged").evaluate_policy(known_until=KNOWN + timedelta(days=300), margin_rate=0.5)
    assert page.known_until.date() == last.date() + timedelta(days=1)


def test_the_same_policy_is_not_shipped_and_customers_held_out_say_what_all_of_it_brings(same: PolicyShop) -> None:
    page = same.project("same").evaluate_policy(known_until=KNOWN, effects="prior")
    assert page.evaluation.judgement.verdict is Verdict.CANARY
    assert page.evaluation.judgement.gain.estimate == 0
    assert page.evaluation.notes[-1].startswith("The judged policy draws exactly as the one in use")
    assert page.effects == "the catalogue's assumptions"
    assert page.left_out == {"not drawn by the policy (holdout)": 400}
    assert page.programme is not None
    assert (page.programme.decided, page.programme.held) == (2000, 400)
    assert page.programme.mean_held == pytest.approx(0.3 * 20, abs=3 * 20 * np.sqrt(0.21 / 400))


def test_wrong_propensities_are_refused(shop: PolicyShop) -> None:
    leaning = PolicySettings(thompson=0.0, uniform=0.5)
    shop.log("wrong", JUDGED_ON, policy=leaning, change=lambda made: with_probabilities(made, lambda one: 1 / 3))
    page = shop.project("wrong").evaluate_policy(known_until=KNOWN)
    assert page.evaluation.judgement.verdict is Verdict.REFUSE
    assert "ratio of actions" in broken(page)
    assert page.evaluation.notes[0].startswith("Checks that fail: ")


def test_an_action_that_was_never_tried_is_refused(shop: PolicyShop, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text(ACTIONS + VISIT, encoding="utf-8")
    page = shop.project("judged").evaluate_policy(known_until=KNOWN, catalogue=tmp_path / "other.toml")
    assert page.evaluation.judgement.verdict is Verdict.REFUSE
    assert "support" in broken(page)
    assert page.evaluation.notes[1].startswith("visit was never tried in these decisions")
    [visit] = [one for one in page.evaluation.policies if one.name == "always visit"]
    assert not visit.is_supported


def test_an_action_without_a_catalogue_has_no_cost(shop: PolicyShop, tmp_path: Path) -> None:
    only_mail = ACTIONS.split("\n[[action]]")[1]
    config = shop.config("judged")
    (shop.folder / "less.toml").write_text(f"[[action]]{only_mail}", encoding="utf-8")
    other = shop.folder / "less_project.toml"
    other.write_text(config.read_text(encoding="utf-8").replace('"actions.toml"', '"less.toml"'), encoding="utf-8")
    with pytest.raises(DataError, match="actions that no catalogue describes: call"):
        type(shop.project("judged")).open(other).evaluate_policy(known_until=KNOWN)


def test_too_few_decisions(shop: PolicyShop) -> None:
    shop.log("few", JUDGED_ON[:1], share=0.05)
    with pytest.raises(NotEnoughDataError, match="Only 60 logged decisions can judge this policy; at least 100") as few:
        shop.project("few").evaluate_policy(known_until=KNOWN)
    assert "Let the policy in use go on" in few.value.fix
    with pytest.raises(NotEnoughDataError, match="Only 0 logged decisions") as none:
        shop.project("judged").evaluate_policy(known_until=LEARNED)
    assert "1,200 logged by" in none.value.fix
    with pytest.raises(NotEnoughDataError, match="Only 0 logged decisions") as empty:
        shop.project("empty").evaluate_policy(known_until=KNOWN)
    assert "the log holds no others" in empty.value.fix


@pytest.mark.parametrize("wanted", ["uplift/9", "uplift", "churn/1", "9"])
def test_unknown_effects(shop: PolicyShop, wanted: str) -> None:
    with pytest.raises(UsageError, match=f"There is no model of effects '{wanted}'") as error:
        shop.project("judged").evaluate_policy(known_until=KNOWN, effects=wanted)
    assert "uplift/1" in error.value.fix or "prior" in error.value.fix


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["foresight", "evaluate-policy", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_command(
    shop: PolicyShop,
    found: PolicyPage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = tmp_path / "policy.html"
    given = ("-c", shop.config("judged"), "--known-until", KNOWN.date(), "--effects", "uplift/1", "--out", target)
    assert run(monkeypatch, *given) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith(found.evaluation.judgement.sentence)
    assert found.evaluation.comparison.sentence in said
    assert "effective sample size" in said
    assert found.evaluation.judgement.sentence in target.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("given", "what"),
    [(("--out", "policy.pdf"), "is no file type of a report"), (("--out", "nowhere/policy.html"), "does not exist")],
)
def test_the_file_is_checked_before_the_work(
    given: tuple[str, str], what: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "-c", "no_such_project.toml", *given) == 2
    assert what in capsys.readouterr().err
