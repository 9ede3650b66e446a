"""Training from tables to the registry: what is refused, what is reported, who is promoted, what stays the same."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from foresight.console import training_lines
from foresight.project import Project
from kernel.churn_predictor import ChurnPredictor
from kernel.errors import ForesightError, NotEnoughDataError
from kernel.settings import TreesSettings
from kernel.types import Band
from tests.projects import TinyProject
from tests.shops import BEGINS, ENDS, Shop, one_family, sound_shop
from training.comparison import Champion
from training.evaluation.leaks import LEAK
from training.promotion import Verdict
from training.train import TrainedModel, TrainingOutcome
from training.tuning import Tuned

AS_OF = ENDS.to_pydatetime().replace(tzinfo=UTC)
EARLIER = AS_OF - timedelta(days=60)


def opened(shop: Shop, folder: Path) -> Project:
    folder.mkdir(exist_ok=True)
    return Project.open(shop.settings(TinyProject(folder)).file)


def small(shop: Shop) -> Shop:
    """Few cut-offs and trees: the tests are about what is decided, not how well."""
    shop.windows += "step_days = 30\nmax_cutoffs = 3\n\n[churn.trees]\nrounds = 40\nlearning_rate = 0.1\n"
    return shop


@pytest.fixture(scope="module", autouse=True)
def quickly() -> Iterator[None]:
    with one_family():
        yield


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A shop with a retention call for some, trained at two moments."""
    shop = small(sound_shop())
    random = np.random.default_rng(11)
    called = shop.ids[random.random(len(shop.ids)) < 0.3]
    moments = BEGINS + pd.to_timedelta(random.integers(90, 400, len(called)), unit="D")
    calls = pd.DataFrame({"customer_id": called, "event_time": moments, "kind": "retention_call"})
    shop.events = pd.concat([shop.events, calls], ignore_index=True)
    shop.windows = shop.windows.replace("[value]", "[churn.treatment]\nwhere = \"kind = 'retention_call'\"\n\n[value]")
    found = opened(shop, tmp_path_factory.mktemp("shop"))
    found.train(as_of=EARLIER)
    return found


def printed(outcome: TrainingOutcome) -> str:
    """What ``foresight train`` says, in one line."""
    console = Console(width=200, file=StringIO(), record=True)
    for line in training_lines(outcome):
        console.print(line)
    return " ".join(console.export_text().split())


def test_better_trees_are_printed_as_they_are_kept(project: Project) -> None:
    version = project.registry.require("tiny-churn")
    model = TrainedModel(version, {}, Verdict(True, "there was no champion yet"))
    trees = TreesSettings(rounds=250, learning_rate=0.05, extra_trees=False)
    said = printed(TrainingOutcome(AS_OF, model, model, "btyd", None, Tuned(trees, 12, 0.31, 0.32, True)))
    kept = said[said.index("[churn.trees]") : said.index(" tiny-churn/")]
    written = kept.replace("[churn.trees] ", "").replace(" = ", "=").replace(" ", "\n")
    assert TreesSettings.model_validate(tomllib.loads(written)) == trees


def no_churners(shop: Shop) -> None:
    ids = list(shop.ids[:300])
    days = pd.date_range(BEGINS, ENDS - pd.Timedelta(days=1), freq="10D")
    shop.sales = shop.sales.iloc[:0]
    for start, name in enumerate(ids):
        shop.sell(name, days + pd.Timedelta(hours=start % 24))


def only_churners(shop: Shop) -> None:
    random = np.random.default_rng(1)
    shop.sales = shop.sales.iloc[:0]
    days = BEGINS + pd.to_timedelta(random.integers(0, 400, 400), unit="D")
    for name, day in zip(shop.ids[:400], days, strict=True):
        shop.sell(name, pd.DatetimeIndex([day]))


def one_cut_off(shop: Shop) -> None:
    shop.sales = shop.sales[shop.sales["event_time"] >= ENDS - pd.Timedelta(days=165)]


def labels_not_ripe(shop: Shop) -> None:
    shop.sales = shop.sales[shop.sales["event_time"] >= ENDS - pd.Timedelta(days=100)]


def few_customers(shop: Shop) -> None:
    shop.sales = shop.sales[shop.sales["customer_id"].isin(shop.ids[:15])]


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (no_churners, "0 customers churned and"),
        (only_churners, "churned and 0 stayed"),
        (one_cut_off, "too few to train on"),
        (labels_not_ripe, "too few to train on"),
        (few_customers, "a model needs 20 of each"),
    ],
)
def test_what_cannot_be_trained_on_is_said_and_nothing_is_registered(
    spoil: Callable[[Shop], None], what: str, tmp_path: Path
) -> None:
    shop = small(sound_shop())
    spoil(shop)
    project = opened(shop, tmp_path)
    with pytest.raises(NotEnoughDataError) as refused:
        project.train(as_of=AS_OF)
    assert what in refused.value.what
    assert refused.value.fix
    assert project.registry.versions("tiny-churn") == ()
    assert project.registry.versions("tiny-value") == ()
    assert not project.registry.database.file.exists()


def test_fifty_customers_get_a_model_that_says_how_little_it_knows(tmp_path: Path) -> None:
    shop = small(sound_shop())
    shop.sales = shop.sales[shop.sales["customer_id"].isin(shop.ids[:50])]
    project = opened(shop, tmp_path)
    try:
        outcome = project.train(as_of=AS_OF)
    except ForesightError as error:
        assert error.fix
        assert project.registry.versions("tiny-churn") == ()
        return
    scores = project.score(as_of=AS_OF)
    scored = scores[scores["status"] == "scored"]
    width = scored["churn_probability_high"] - scored["churn_probability_low"]
    assert outcome.backtest is None or outcome.backtest.customers < 50
    assert width.mean() > 0.2


def test_constant_features_are_no_model(tmp_path: Path) -> None:
    from training.models.churn import fit_churn

    project = opened(small(sound_shop()), tmp_path)
    data = project.trainer.data(AS_OF).churn_cohort
    same = pd.DataFrame({name: data.features[name].iloc[0] for name in data.features}, index=data.features.index)
    same = same.astype(data.features.dtypes.to_dict())
    constant = type(data)(same, data.cutoff, data.churned, data.spend, data.active)
    with pytest.raises(NotEnoughDataError, match="Every feature is the same"):
        fit_churn(constant, same, project.feature_set, project.settings, AS_OF, "f")


def test_a_challenger_is_compared_on_the_newest_window_and_says_who_changes_band(project: Project) -> None:
    before = project.registry.require("tiny-churn")
    outcome = project.train(as_of=AS_OF, tune_minutes=0.001)
    churn = outcome.churn
    assert outcome.tuned is not None
    # No time for more than the trees that are set: these stay.
    assert (outcome.tuned.trials, outcome.tuned.trees) == (1, project.settings.churn.trees)
    assert [gain.metric for gain in churn.verdict.gains] == ["auc", "brier"]
    assert [gain.metric for gain in outcome.value.verdict.gains] == ["mae"]
    assert "against the champion's" in churn.verdict.reason
    # The champion was trained when this window began: it knew nothing of it.
    assert "the champion knew" not in churn.verdict.reason
    assert churn.changes is not None
    assert churn.changes.attrs["customers"] == len(project.trainer.churn_cohort(AS_OF))
    assert (churn.changes["band_before"] != churn.changes["band_now"]).all()
    said = printed(outcome)
    assert "1 settings of the trees were tried; none is surely better" in said
    assert (
        f"{churn.version} as of 2024-02-05: {'champion' if churn.verdict.promote else 'challenger only'} (AUC" in said
    )
    assert f"{len(churn.changes)} of {churn.changes.attrs['customers']} customers" in said
    champion = project.registry.require("tiny-churn")
    assert champion.version == (churn.version.version if churn.verdict.promote else before.version)


def test_the_report_is_logged_with_both_models(project: Project) -> None:
    import mlflow

    project.use_registry()
    for name in ("tiny-churn", "tiny-value"):
        version = project.registry.versions(name)[0]
        logged = {file.path for file in mlflow.MlflowClient().list_artifacts(version.run_id, "report")}
        assert {"report/report.html", "report/reliability.png", "report/gains.png"} <= logged


def test_a_spoiled_challenger_is_stopped(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels that are shuffled before training: the model knows nothing, and must not answer customers."""
    import training.backtest as module

    honest, before = module.fit_churn, project.registry.require("tiny-churn")

    def spoiled(data, *rest):
        shuffled = np.random.default_rng(1).permutation(data.churned)
        return honest(type(data)(data.features, data.cutoff, shuffled, data.spend, data.active), *rest)

    monkeypatch.setattr(module, "fit_churn", spoiled)
    outcome = project.train(as_of=AS_OF)
    assert not outcome.churn.verdict.promote
    assert outcome.churn.verdict.reason.startswith("AUC 0.")
    assert project.registry.require("tiny-churn") == before
    assert project.registry.require("tiny-churn", "challenger") == outcome.churn.version


def test_a_champion_that_answers_another_question_is_replaced(project: Project) -> None:
    settings, features = project.settings, project.feature_set
    version = project.registry.require("tiny-churn")
    asked = settings.churn.model_copy(update={"horizon_days": 45})
    other = Champion.of(project.registry, version, settings.model_copy(update={"churn": asked}), features)
    verdict = other.verdict("churn", None, "trees")
    assert verdict.promote
    assert verdict.reason == (
        "the champion answers another question: transactions, 90 days, 60 days, and not transactions, 90 days, 45 days"
    )
    fewer = Champion.of(project.registry, version, settings, features.only({"spend_90d"}))
    assert "which is no longer computed" in fewer.verdict("churn", None, "trees").reason
    assert fewer.band_changes(ChurnPredictor.load(project.registry.download(version)), pd.DataFrame()) is None


def test_without_a_back_test_the_champion_stays(project: Project) -> None:
    version = project.registry.require("tiny-value")
    champion = Champion.of(project.registry, version, project.settings, project.feature_set)
    verdict = champion.verdict("value", None, "trees")
    assert not verdict.promote
    assert "too little history" in verdict.reason


def test_who_was_treated_is_left_out_and_counted(project: Project) -> None:
    result = project.backtest(as_of=EARLIER)
    rows = project.training_set([EARLIER], known_at=AS_OF)
    assert rows.treated is not None
    calls = project.profiles.connection.sql(
        "SELECT DISTINCT customer_id FROM activities WHERE kind = 'retention_call' "
        f"AND event_time >= '{EARLIER:%Y-%m-%d}'"
    ).fetchall()
    assert set(rows.customers[rows.treated]) == {name for (name,) in calls} & set(rows.customers)
    assert result.treated == int((rows.treated & rows.active).sum()) > 0
    assert result.customers == len(rows.churn_cohort)
    assert not set(rows.churn_cohort.customers) & {name for (name,) in calls}


def test_a_column_that_was_filled_after_the_outcome_is_reported(tmp_path: Path) -> None:
    shop = small(sound_shop())
    active = shop.active
    left = shop.ids.map(active).fillna(False).astype(bool)
    shop.customers["end_reason"] = np.where(left, "price", "none")
    shop.label_start = ENDS
    result = opened(shop, tmp_path).backtest(as_of=EARLIER)
    assert result.suspects["end_reason"] >= LEAK
    assert result.grade is not None


def test_the_same_bands_in_notebook_and_file_and_none_flips_at_a_limit(project: Project, tmp_path: Path) -> None:
    first, second = AS_OF - timedelta(days=1), AS_OF
    plain = project.score(as_of=second).set_index("customer_id")
    project.write_scores(tmp_path / "first.parquet", as_of=first)
    held = project.score(as_of=second).set_index("customer_id")
    project.write_scores(tmp_path / "second.parquet", as_of=second)
    written = pd.read_parquet(tmp_path / "second.parquet").set_index("customer_id")
    assert written["churn_band"].equals(held["churn_band"])
    assert written["churn_percentile"].equals(plain["churn_percentile"])
    before = pd.read_parquet(tmp_path / "first.parquet").set_index("customer_id")["churn_band"]
    changed = held.index[held["churn_band"].fillna("") != plain["churn_band"].fillna("")]
    for name in changed:
        # Where the band is another than the limits say, it is that of the day before, and the limit is near.
        assert held.at[name, "churn_band"] == before[name]
        assert min(abs(held.at[name, "churn_percentile"] - limit) for limit in (70, 90)) < 2
    banded = held["churn_band"].dropna()
    assert project.insight(banded.index[0], as_of=second)[0].score.churn_band == banded.iloc[0]
    # A second time the same moment: the bands before are those of the day before, not its own.
    assert project.score(as_of=second)["churn_band"].equals(written["churn_band"].reset_index(drop=True))


def test_what_would_change_it_is_said_for_those_who_are_not_in_the_lowest_band(project: Project) -> None:
    scores = project.score(as_of=AS_OF).set_index("customer_id")
    said = 0
    for band in (Band.HIGH, Band.MEDIUM, Band.LOW):
        for name in scores.index[scores["churn_band"] == band][:10]:
            changes = project.what_would_change(name, as_of=AS_OF)
            said += bool(changes)
            assert not changes or band is not Band.LOW
            for change in changes:
                assert change.probability < scores.at[name, "churn_probability"]
                assert change.band is not band
                assert change.value != change.target
    assert said >= 5


def test_reasons_for_some_change_no_number(project: Project, tmp_path: Path) -> None:
    project.write_scores(tmp_path / "some.parquet", as_of=AS_OF, reasons_for=10)
    some = pd.read_parquet(tmp_path / "some.parquet")
    every = project.score(as_of=AS_OF)
    told = every["churn_percentile"] >= 90
    assert 0 < told.sum() < len(every) / 2
    assert (some["churn_reasons"].map(len) > 0).equals(told)
    same = ["churn_probability", "churn_score", "churn_band", "lifetime_value", "status"]
    pd.testing.assert_frame_equal(some[same], every[same])
    assert some["churn_reasons"][told].map(str).equals(every["churn_reasons"][told].map(str))


def test_unknown_directions_are_refused(tmp_path: Path) -> None:
    shop = small(sound_shop())
    shop.windows = shop.windows.replace("[value]", '[churn.directions]\ndays_since_last_purchas = "up"\n\n[value]')
    with pytest.raises(ForesightError) as refused:
        opened(shop, tmp_path).train(as_of=AS_OF)
    assert refused.value.where == "churn.directions"
    assert "days_since_last_purchase" in refused.value.fix


def test_moments(project: Project) -> None:
    assert datetime(2024, 2, 5, tzinfo=UTC) == AS_OF == project.default_as_of()
