"""From logged decisions and feedback to a model of effects that decisions go by."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from foresight.action_training import ActionTraining, learnable_outcomes
from foresight.cli import app
from foresight.project import Project
from kernel.errors import NotEnoughDataError, UsageError
from kernel.uplift_predictor import EffectStatus
from serving.decisioning.decide import decide
from serving.decisioning.decision import Decision
from serving.decisioning.policy import PolicySettings
from serving.feedback.history import read_history
from serving.feedback.store import DecisionStore
from serving.runtime import load_effects, open_catalogue
from serving.schemas import FeedbackEvent, FeedbackRequest, FeedbackStatus
from tests.policy_shop import ACTIONS, EXPLORE, HALF
from tests.projects import TinyProject
from tests.shops import ENDS, Shop, sound_shop

AS_OF = ENDS.to_pydatetime().replace(tzinfo=UTC)
DECIDED = AS_OF + timedelta(hours=8)
LATER = AS_OF + timedelta(days=60)
CATALOGUE = '\n[actions]\ncatalogue = "actions.toml"\n'


def converts(decision: Decision, age: float, random: np.random.Generator) -> bool:
    """A letter brings back the older half, a call nobody."""
    chance = 0.3 + (0.4 if decision.chosen == "mail" and age >= HALF else 0.0)
    return bool(random.random() < chance)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("shop")
    shop = sound_shop()
    shop.windows += CATALOGUE
    tiny = TinyProject(folder)
    tiny.write("actions.toml", ACTIONS)
    return Project.open(shop.settings(tiny).file)


@pytest.fixture(scope="module")
def features(project: Project) -> pd.DataFrame:
    return project.features(as_of=AS_OF)


@pytest.fixture(scope="module")
def log(project: Project, features: pd.DataFrame) -> list[Decision]:
    catalogue = open_catalogue(project.settings, project.feature_set)
    assert catalogue is not None
    frame = features.assign(customer_id=features.index, status="scored", lifetime_value=50.0)
    decisions = decide(catalogue, frame, as_of=AS_OF, settings=EXPLORE, currency="EUR")
    random = np.random.default_rng(1)
    store = DecisionStore(project.settings.state_url)
    store.log_decisions(decisions, DECIDED)
    for decision in decisions:
        if converts(decision, float(features.loc[decision.customer_id, "age"]), random):
            event = FeedbackRequest(
                event_id=f"bought-{decision.decision_id}",
                decision_id=decision.decision_id,
                action=str(decision.chosen),
                event=FeedbackEvent.CONVERTED,
                event_time=DECIDED + timedelta(days=float(random.uniform(0, 29))),
            )
            store.record_feedback(event, DECIDED + timedelta(days=30))
    store.close()
    return decisions


@pytest.fixture(scope="module")
def learned(project: Project, log: list[Decision]) -> ActionTraining:
    return project.train_actions(known_until=LATER)


def test_history_is_the_log_as_it_was_known(project: Project, log: list[Decision]) -> None:
    store = DecisionStore(project.settings.state_url)
    before, after = read_history(store, DECIDED - timedelta(seconds=1)), read_history(store, LATER)
    early = read_history(store, DECIDED + timedelta(days=1))
    store.close()
    assert (len(before.decisions), len(before.feedback)) == (0, 0)
    assert (len(after.decisions), len(early.decisions), len(early.feedback)) == (len(log), len(log), 0)
    expected = {decision.decision_id: decision for decision in log}
    for name, probabilities in zip(after.decisions["decision_id"], after.probabilities, strict=True):
        assert probabilities == {one.action_id: one.probability for one in expected[name].candidates}


def test_what_works_for_whom_is_learned(learned: ActionTraining, project: Project, features: pd.DataFrame) -> None:
    found = {effect.action: effect for effect in learned.effects}
    older = features["age"].to_numpy() >= HALF
    truth = 0.4 * older.mean()
    assert abs(found["mail"].effect - truth) <= 3 * found["mail"].error
    assert abs(found["call"].effect) <= 3 * found["call"].error
    assert {effect.status for effect in learned.effects} == {EffectStatus.LEARNING}
    model = load_effects(project.settings)
    assert model is not None
    assert model.version == str(learned.version)
    mail = model.beliefs(features)["mail"].mean
    assert mail[older].mean() - mail[~older].mean() > 0.1


def test_it_is_promoted_and_can_be_taken_back(learned: ActionTraining, project: Project) -> None:
    assert learned.promoted
    assert project.registry.require("tiny-uplift").version == learned.version.version
    metrics = project.registry.metrics(learned.version)
    assert set(metrics) == {"slope_order_again_30d", "effect_mail", "effect_call"}


def test_decisions_go_by_it(learned: ActionTraining, project: Project, features: pd.DataFrame) -> None:
    catalogue, model = open_catalogue(project.settings, project.feature_set), load_effects(project.settings)
    assert catalogue is not None
    assert model is not None
    frame = features.assign(customer_id=features.index, status="scored", lifetime_value=50.0)
    decisions = decide(
        catalogue,
        frame,
        as_of=AS_OF,
        settings=PolicySettings(),
        currency="EUR",
        beliefs=model.beliefs(features),
        model_versions=(model.version,),
    )
    best = pd.Series(
        [max(d.candidates, key=lambda c: c.expected_incremental_value or 0.0).action_id for d in decisions]
    )
    older = features["age"].to_numpy() >= HALF
    assert (best[older] == "mail").mean() > (best[~older] == "mail").mean() + 0.2
    assert (best == "call").mean() < 0.1
    assert all(decision.model_versions == (model.version,) for decision in decisions)
    again = decide(
        catalogue,
        frame.iloc[[17]],
        as_of=AS_OF,
        settings=PolicySettings(),
        currency="EUR",
        beliefs=model.beliefs(features.iloc[[17]]),
        model_versions=(model.version,),
    )
    assert again == [decisions[17]]


EARLIER = AS_OF - timedelta(days=60)


@pytest.fixture(scope="module")
def selling() -> Shop:
    return sound_shop()


@pytest.fixture(scope="module")
def decided(selling: Shop, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, list[Decision]]:
    """Letters and calls that change nothing, 60 days before the tables end and at their end; nobody reports them."""
    tiny = TinyProject(tmp_path_factory.mktemp("bought"))
    tiny.write("actions.toml", ACTIONS.replace("window_days = 30", 'window_days = 30, measured_by = "purchases"'))
    project = Project.open(replace(selling, windows=selling.windows + CATALOGUE).settings(tiny).file)
    catalogue = open_catalogue(project.settings, project.feature_set)
    assert catalogue is not None
    made: list[Decision] = []
    store = DecisionStore(project.settings.state_url)
    for as_of in (EARLIER, AS_OF):
        features = project.features(as_of=as_of)
        frame = features.assign(customer_id=features.index, status="scored", lifetime_value=50.0)
        decisions = decide(catalogue, frame, as_of=as_of, settings=EXPLORE, currency="EUR")
        store.log_decisions(decisions, as_of)
        made += decisions
    store.close()
    return project, made


class TestPurchases:
    def test_effects_are_learned_without_feedback(self, selling: Shop, decided: tuple[Project, list[Decision]]) -> None:
        project, made = decided
        learned = project.train_actions(known_until=LATER)
        start = pd.Timestamp(EARLIER).tz_localize(None)
        sales = selling.sales
        inside = (sales["event_time"] > start) & (sales["event_time"] <= start + pd.Timedelta(days=30))
        bought = set(sales.loc[inside & (sales["amount"] > 0), "customer_id"])
        for effect in learned.effects:
            ours = {one.customer_id for one in made if one.as_of == EARLIER and one.chosen == effect.action}
            assert effect.positives == len(ours & bought)
            assert abs(effect.effect) <= 3 * effect.error
        beyond = sum(one.as_of == AS_OF for one in made)
        assert f"of {beyond:,} decisions the 30 days reach beyond the end of the tables" in " ".join(learned.notes)

    def test_a_window_that_the_tables_do_not_cover_is_not_over(self, decided: tuple[Project, list[Decision]]) -> None:
        project, made = decided
        with pytest.raises(NotEnoughDataError) as caught:
            project.train_actions(known_until=EARLIER + timedelta(days=29))
        old = sum(one.as_of == EARLIER for one in made)
        assert f"{old:,} decisions are still within their 30 days" in caught.value.fix


def test_outcomes_are_told_apart_by_how_they_are_measured(tmp_path: Path) -> None:
    tiny = TinyProject(tmp_path)
    first, second = ACTIONS.split('id = "call"')
    both = second.replace("window_days = 30", 'window_days = 30, measured_by = "purchases"')
    tiny.write("actions.toml", f'{first}id = "call"{both}')
    shop = sound_shop()
    project = Project.open(replace(shop, windows=shop.windows + CATALOGUE).settings(tiny).file)
    catalogue = open_catalogue(project.settings, project.feature_set)
    assert catalogue is not None
    found = {of.name: (of.actions, of.measured_by) for of in learnable_outcomes(catalogue)}
    assert found == {
        "order_again_30d_binary_feedback": (("mail",), "feedback"),
        "order_again_30d_binary_purchases": (("call",), "purchases"),
    }


def test_nothing_has_matured_yet(project: Project, log: list[Decision]) -> None:
    with pytest.raises(NotEnoughDataError, match="No action has enough matured decisions") as caught:
        project.train_actions(known_until=DECIDED + timedelta(days=29))
    assert f"{len(log):,} decisions are still within their 30 days" in caught.value.fix


def test_a_project_without_a_catalogue(tmp_path: Path) -> None:
    plain = Project.open(sound_shop().settings(TinyProject(tmp_path)).file)
    with pytest.raises(UsageError, match="no action catalogue"):
        plain.train_actions(known_until=datetime(2024, 6, 1, tzinfo=UTC))


def test_the_command(learned: ActionTraining, project: Project) -> None:
    folder = str(project.settings.file.parent)
    result = CliRunner().invoke(app, ["train", "actions", "-c", folder, "--as-of", LATER.date().isoformat()])
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    assert "mail: +" in said
    assert "learning;" in said
    assert f"tiny-uplift/{learned.version.version + 1}: decisions go by it from now on" in said


def test_an_action_withdrawn_meanwhile_is_named_and_its_feedback_kept(
    project: Project, log: list[Decision], learned: ActionTraining
) -> None:
    file = project.settings.path("actions.toml")
    called = [decision for decision in log if decision.chosen == "call"]
    file.write_text(ACTIONS[: ACTIONS.rindex("[[action]]")], encoding="utf-8")
    try:
        store = DecisionStore(project.settings.state_url)
        late = FeedbackRequest(
            event_id="late", decision_id=called[0].decision_id, action="call", event=FeedbackEvent.DISMISSED
        )
        assert store.record_feedback(late, LATER) is FeedbackStatus.STORED
        store.close()
        again = Project.open(project.settings.file).train_actions(known_until=LATER)
    finally:
        file.write_text(ACTIONS, encoding="utf-8")
    assert [effect.action for effect in again.effects] == ["mail"]
    assert f"actions that the catalogue no longer has: call {len(called)}." in again.notes[0]
    before = next(effect for effect in learned.effects if effect.action == "mail")
    assert again.effects[0].effect == pytest.approx(before.effect, abs=2 * before.error)
