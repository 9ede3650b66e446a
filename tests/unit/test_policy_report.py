"""A judged policy and its page: the verdict first, every figure with its interval, and what is thin said aloud."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from tests.policy_runs import CATEGORIES, inputs
from tests.unit.test_report import Reader
from training.evaluation.action_gains import OutcomeRows, outcome_gains
from training.evaluation.policy_gate import Verdict, Watched
from training.evaluation.policy_report import PolicyPage, exploration_sentence, programme_sentence, render_policy_report
from training.evaluation.uplift import gain_curve
from training.models.uplift_learners import Trial
from training.policy_evaluation import JudgedLog, PolicyEvaluation, Programme, evaluate, programme
from training.simulation import Log, Scenario, Simulation

WORLD = Simulation.of(Scenario.LINEAR, seed=11)
NAMES = ("do_nothing", "a", "b", "c", "d", "e")
HOSTILE = '</style><script>alert("x")</script>&'
FIRST, LAST, MADE = (
    datetime(2024, 1, 5, tzinfo=UTC),
    datetime(2024, 2, 3, tzinfo=UTC),
    datetime(2024, 4, 1, 9, tzinfo=UTC),
)


def leaning_to_the_best(log: Log, world: Simulation, share: float = 0.5) -> np.ndarray:
    return (1 - share) * log.probabilities + share * np.eye(6)[world.value(log.features).argmax(axis=1)]


def judged(log: Log, target: np.ndarray, world: Simulation = WORLD, **given: object) -> JudgedLog:
    """The log, with the true effects as those that the policy goes by."""
    costs = np.array([0.0, *world.costs])
    truth = world.conversion(log.features)
    trial = Trial(inputs(log.features), CATEGORIES, log.action, log.converted, log.probabilities, np.arange(len(log)))
    worth = world.value(log.features) - world.value(log.features)[:, :1]
    found = JudgedLog(
        names=NAMES,
        action=log.action,
        reward=world.margin * log.converted - costs[log.action],
        propensity=log.probabilities[np.arange(len(log)), log.action],
        logged=log.probabilities,
        target=target,
        allowed=np.ones(target.shape, dtype=bool),
        worth_logged=worth,
        worth_target=worth,
        inputs=trial.inputs,
        categories=CATEGORIES,
        customer=np.arange(len(log)),
        currency="EUR",
        watched={"contacts per decision": Watched((log.action > 0).astype(float), 0.25)},
        segment=np.where(log.features["x0"] > 0, "churn low", "churn high").astype(object),
        before=10 * truth[:, 0],
        outcomes=(OutcomeRows("order again", 30, NAMES[1:], trial, truth[:, 1:] - truth[:, :1]),),
    )
    return replace(found, **given)


@pytest.fixture(scope="module")
def log() -> Log:
    return WORLD.log(5000, seed=11)


@pytest.fixture(scope="module")
def found(log: Log) -> PolicyEvaluation:
    return evaluate(judged(log, leaning_to_the_best(log, WORLD)))


@pytest.fixture(scope="module")
def read(found: PolicyEvaluation) -> Reader:
    """The page of it; drawing charts takes a while."""
    return Reader(render_policy_report(page(found)))


@pytest.fixture(scope="module")
def plain(log: Log) -> PolicyEvaluation:
    """Of a policy whose effects are not looked at, so that there is one chart."""
    return evaluate(judged(log, leaning_to_the_best(log, WORLD), outcomes=()))


def page(found: PolicyEvaluation, **given: object) -> PolicyPage:
    made = PolicyPage(
        project="shop",
        currency="EUR",
        measure="'order again' within 30 days as the CRM reported it, 10 EUR each",
        window_days=30,
        effects="shop-uplift/2, learned from what was known on 1 Jan 2024",
        catalogue="0123456789ab",
        policies=("greedy-thompson-uniform/1",),
        first=FIRST,
        last=LAST,
        known_until=MADE,
        made_at=MADE,
        decisions=5000,
        customers=5000,
        drawn={"do_nothing": 4000, "a": 1000},
        left_out={"still within their 30 days": 17},
        mean_cost=0.31,
        contact_rate=0.8,
        programme=None,
        evaluation=found,
    )
    return replace(made, **given)


def test_the_verdict_is_the_first_thing_that_is_said(found: PolicyEvaluation, read: Reader) -> None:
    assert found.judgement.verdict is Verdict.SHIP
    text = read.text
    head = text.index(found.judgement.sentence)
    assert head < text.index("5,000 about 5,000 customers, 5 Jan 2024 to 3 Feb 2024 (UTC)")
    assert head < text.index("In short") < text.index("What each policy earns") < text.index("What was checked")
    assert found.comparison.sentence in text
    assert "10 EUR each; less contact cost and incentives, in EUR" in text


def rows(found: PolicyPage) -> Mapping[str, list[str]]:
    return {row[0]: row[1:] for row in Reader(render_policy_report(found)).rows if row}


def test_every_policy_stands_there_with_its_intervals(found: PolicyEvaluation, read: Reader) -> None:
    table: dict[str, list[str]] = {}
    for row in read.rows:
        if len(row) == 5:
            table.setdefault(row[0], row)  # the first table; a later one has a row of the same name
    named = [one.name for one in found.policies]
    assert named[:3] == ["the policy in use", "the judged policy", "doing nothing for everybody"]
    for one in found.policies:
        dr, sndr, ahead, size = table[f"{one.name[:1].upper()}{one.name[1:]}"][1:]
        assert dr.startswith(f"{one.value.estimate:,.3f}{one.value.low:,.3f}")
        assert sndr.startswith(f"{one.estimates['SNDR'].estimate:,.3f}")
        assert size == f"{one.effective:,.0f}"
        assert (ahead == "–") == (one.name in ("the judged policy", "every action alike"))


def test_the_page_is_whole_by_itself_and_nothing_in_it_is_markup(found: PolicyEvaluation) -> None:
    hostile = page(found, project=HOSTILE, measure=HOSTILE, left_out={HOSTILE: 3}, policies=(HOSTILE,))
    html = render_policy_report(hostile)
    read = Reader(html)
    assert "script" not in read.tags
    assert not [value for name, value in read.attributes if name in ("src", "href") and not value.startswith("#")]
    identifiers = [value for name, value in read.attributes if name == "id"]
    assert len(identifiers) == len(set(identifiers))
    assert html.count("<svg") == 1 + 2 * 5
    assert all(f"Gain of {name}, 5 Jan 2024 to 3 Feb 2024" in read.text for name in NAMES[1:])


def test_an_action_that_was_never_tried_has_no_support(log: Log) -> None:
    world = Simulation.of(Scenario.NEW_ACTION, seed=11)
    tried = world.log(3000, seed=11)
    target = np.hstack([tried.probabilities[:, :-1] * 0.8, np.full((3000, 1), 0.2)])
    result = evaluate(judged(tried, target, world, outcomes=()))
    assert result.judgement.verdict is Verdict.REFUSE
    assert [name for name in result.notes if name.startswith("e was never tried in these decisions")]
    assert rows(page(result))["Always e"][0] == "no support: hardly tried"
    assert "support" in [check.name for check in result.judgement.checks if not check.holds]


def test_the_same_policy_is_not_shipped(log: Log) -> None:
    result = evaluate(judged(log, log.probabilities, outcomes=()))
    assert result.judgement.verdict is Verdict.CANARY
    assert result.judgement.gain.low == result.judgement.gain.high == 0
    assert result.notes[-1].startswith("The judged policy draws exactly as the one in use")


def test_exploring_costs_what_the_greedy_choice_would_bring_more(found: PolicyEvaluation, log: Log) -> None:
    worth = WORLD.value(log.features)
    in_use, own = found.exploration
    truth = float((worth.max(axis=1) - np.einsum("ij,ij->i", log.probabilities, worth)).mean())
    assert in_use.by_model == pytest.approx(truth)
    assert own.by_model == pytest.approx(truth / 2)
    assert in_use.measured.low < truth < in_use.measured.high
    said = exploration_sentence(page(found))
    assert said.startswith(f"Exploring cost the policy in use {truth:,.2f}\N{NO-BREAK SPACE}EUR per decision")


def test_effects_are_as_large_as_they_turn_out(found: PolicyEvaluation, log: Log) -> None:
    [of] = found.gains
    assert of.slope is not None
    assert of.slope.low < 1 < of.slope.high
    truth = WORLD.conversion(log.features)
    for number, one in enumerate(of.actions, start=1):
        effect = truth[:, number] - truth[:, 0]
        assert one.predicted == pytest.approx(effect.mean())
        assert abs(one.effect.estimate - effect.mean()) < one.effect.high - one.effect.low
        assert one.area is not None
        assert one.area.high > 0
        assert len(one.groups) == 10


def test_the_band_of_a_gain_curve_holds_the_true_gain() -> None:
    held = np.zeros(2)
    for run in range(60):
        random = np.random.default_rng(1000 + run)
        arm, score = random.integers(0, 2, 600), random.normal(size=600)
        effect = np.clip(0.1 + 0.1 * score, -0.15, 0.6)
        outcome = (random.random(600) < 0.2 + arm * effect).astype(float)
        trial = Trial(score[:, None], (0,), arm, outcome, np.full((600, 2), 0.5), np.arange(600))
        [one] = outcome_gains(OutcomeRows("buy", 30, ("mail",), trial, score[:, None])).actions
        truth = np.interp([0.5, 1.0], *gain_curve(score, effect))
        held += (one.low[[10, 20]] <= truth) & (truth <= one.high[[10, 20]])
    assert (held / 60 > 0.8).all(), held


def test_the_qini_is_the_area_over_the_mean_effect() -> None:
    random = np.random.default_rng(3)
    arm = random.integers(0, 2, 4000)
    score = random.normal(size=4000)
    outcome = (random.random(4000) < 0.2 + arm * np.clip(0.1 + 0.1 * score, 0, 0.6)).astype(float)
    trial = Trial(score[:, None], (0,), arm, outcome, np.full((4000, 2), 0.5), np.arange(4000))
    [one] = outcome_gains(OutcomeRows("buy", 30, ("mail",), trial, score[:, None])).actions
    assert one.qini is not None
    assert one.area is not None
    assert one.gain[-1] == pytest.approx(one.effect.estimate)
    assert one.qini == pytest.approx(one.area.estimate / one.effect.estimate)
    alike = outcome_gains(OutcomeRows("buy", 30, ("mail",), trial, np.zeros((4000, 1))))
    assert alike.slope is None
    assert (alike.actions[0].area, alike.actions[0].groups, alike.actions[0].gain.size) == (None, (), 0)
    assert one.area.estimate == pytest.approx(np.trapezoid(one.gain, one.share) - one.gain[-1] / 2, rel=0.05)


def test_all_of_decisioning_against_the_customers_held_out(plain: PolicyEvaluation) -> None:
    random = np.random.default_rng(5)
    bought, held = random.gamma(2.0, 3.0, 4000), random.gamma(2.0, 2.0, 400)
    brought = programme(bought, np.arange(4000), held, np.arange(4000, 4400))
    assert isinstance(brought, Programme)
    assert brought.difference.estimate == pytest.approx(bought.mean() - held.mean())
    error = np.sqrt(bought.var() / 4000 + held.var() / 400)
    assert brought.difference.high - brought.difference.low == pytest.approx(2 * 1.96 * error, rel=0.02)
    said = Reader(render_policy_report(page(plain, programme=brought)))
    assert re.search(
        r"All of decisioning brings \+\d\.\d\d EUR per customer and 30 days against the customers", said.text
    )
    assert ["Held out", "400", f"{held.mean():.3f}"] in said.rows
    assert programme_sentence(page(plain)).startswith("No customers are held out")
    assert programme(bought, np.arange(4000), np.empty(0), np.empty(0)) is None


def test_thin_evidence_is_said(log: Log) -> None:
    few = log.take(np.arange(700))
    result = evaluate(judged(few, leaning_to_the_best(few, WORLD), outcomes=()))
    said = Reader(render_policy_report(page(result))).text
    assert "Where the evidence is thin" in said
    assert "Fewer than 500 effective decisions speak for" in said
    assert "Too few decisions to do nothing, or for an action, to measure what actions change." in said
