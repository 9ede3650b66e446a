"""The benchmarks compare equal work: on a slice of Complete Journey, the baselines' numbers are ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import decisions as choices
from benchmarks import features as speed
from benchmarks import moments, one_profile, scoring
from benchmarks import value as worth
from benchmarks.data import AS_OF, EXAMPLE, Bench, loaded, naive, write_replica
from benchmarks.measure import Figure, apart, percentile
from benchmarks.pandas_features import pandas_features, read_frames, with_codes
from benchmarks.sixty import NAMES, check_equal, sixty
from benchmarks.sql_features import sql_features
from benchmarks.synthetic import Size, write_project
from features.contract.profiles import Profiles
from features.definitions import feature_set
from features.engine.build import build_features, write_features
from features.engine.store import SnapshotStore
from kernel.settings import load_settings
from serving.feedback.store import DecisionStore
from serving.runtime import Runtime, open_runtime_on
from serving.scoring.scorer import Scorer
from training.backtest import Trainer
from training.dataset import DatasetBuilder

HOUSEHOLDS = 150
# Short history and few cut-offs: the smoke test is about equality, not about a good model.
SMALL = f"""
[churn]
active_days = 56
horizon_days = 21

[value]
horizon_days = 21

[training]
step_days = 28

[actions]
catalogue = "{EXAMPLE / "actions.toml"}"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("slice")
    with loaded(load_settings(EXAMPLE)) as whole:
        for table in ("transactions", "activities", "customers"):
            whole.connection.execute(
                f"DELETE FROM {table} WHERE customer_id NOT IN "
                f"(SELECT customer_id FROM customers ORDER BY customer_id LIMIT {HOUSEHOLDS})"
            )
        write_replica(whole, 2, place)
    with (place / "foresight.toml").open("a", encoding="utf-8") as file:
        file.write(SMALL)
    return place


@pytest.fixture(scope="module")
def profiles(folder: Path) -> Iterator[Profiles]:
    with loaded(load_settings(folder)) as tables:
        yield tables


@pytest.fixture(scope="module")
def runtime(folder: Path, profiles: Profiles, tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    settings, features = load_settings(folder), feature_set(profiles.attributes)
    trainer = Trainer(DatasetBuilder(profiles, features, settings))
    rows = trainer.data(AS_OF)
    scorer = Scorer(trainer.fit_churn(AS_OF, rows), trainer.fit_value(AS_OF, rows), "churn/1", "value/1")
    snapshot = SnapshotStore(tmp_path_factory.mktemp("state")).publish(profiles, features, AS_OF)
    return open_runtime_on(settings, scorer, snapshot)


def test_hand_written_pandas_and_sql_compute_the_same_features(folder: Path, profiles: Profiles) -> None:
    ours = build_features(profiles, sixty(), AS_OF)
    assert ours.shape == (2 * HOUSEHOLDS, 60)
    # Each of them says something about these households.
    assert (ours.nunique() > 4).all()
    assert set(ours) == set(NAMES)
    pandas = pandas_features(with_codes(read_frames(folder)), naive(AS_OF))
    sql = speed.as_frame(sql_features(profiles.connection, AS_OF))
    for baseline, name in ((pandas, "pandas"), (sql, "SQL")):
        check_equal(ours, baseline, name)
        for column in ("spend_30d", "std_gap_days", "categories_365d"):
            with pytest.raises(AssertionError, match=f"'{column}' differs between {name} and ours"):
                check_equal(ours, baseline.assign(**{column: baseline[column] + 1e-6}), name)
    with pytest.raises(AssertionError, match="other customers"):
        check_equal(ours, pandas.iloc[1:])


def test_a_copy_of_a_household_has_its_features(profiles: Profiles) -> None:
    features = build_features(profiles, feature_set(profiles.attributes), AS_OF)
    first, second = (features[features.index.str.endswith(end)] for end in ("-0", "-1"))
    pd.testing.assert_frame_equal(first.reset_index(drop=True), second.reset_index(drop=True))


def test_bare_models_give_the_batch_numbers(runtime: Runtime) -> None:
    larger = scoring.of_size(runtime, 350)
    table, bare = scoring.batch(larger), scoring.BarePrediction(larger)
    ids = table.column("customer_id").to_pylist()
    assert len(ids) == 350 and ids == sorted(set(ids))
    scoring.check_equal(table, bare)
    other = replace(larger.scorer, churn=replace(larger.scorer.churn, booster=larger.scorer.value.boosters["trees"]))
    with pytest.raises(AssertionError):
        scoring.check_equal(table, scoring.BarePrediction(replace(larger, scorer=other)))


def test_a_ratio_above_one_is_better() -> None:
    assert Figure("q", "time", "baseline", ours=2.0, baseline=3.0, unit="s").ratio == 1.5
    assert Figure("q", "rate", "baseline", ours=3.0, baseline=2.0, unit="req/s", more_is_better=True).ratio == 1.5


def test_percentile_is_a_measured_value() -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], 0.5) == 2.0
    assert percentile([4.0, 1.0, 3.0, 2.0], 0.99) == 4.0


def test_one_more_day_is_compared_to_the_bit(profiles: Profiles, tmp_path: Path) -> None:
    one, other = tmp_path / "one.parquet", tmp_path / "other.parquet"
    write_features(profiles, sixty(), AS_OF, one)
    write_features(profiles, sixty(), AS_OF, other)
    moments.check_same(one, other)
    write_features(profiles, sixty(), AS_OF - timedelta(days=1), other)
    with pytest.raises(AssertionError, match="differs from the full build"):
        moments.check_same(one, other)


def test_zero_and_minus_zero_are_not_the_same_bits(tmp_path: Path) -> None:
    for name, value in (("one", 0.0), ("other", -0.0), ("unknown", None)):
        pq.write_table(pa.table({"spend": pa.array([value], pa.float64())}), tmp_path / f"{name}.parquet")
    for name in ("other", "unknown"):
        with pytest.raises(AssertionError):
            moments.check_same(tmp_path / "one.parquet", tmp_path / f"{name}.parquet")


def test_every_figure_about_features_at_a_small_size(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Size(customers=400, rows=8000))
    folder = write_project(tmp_path / "whole", bench.size)
    with loaded(load_settings(folder)) as made:
        assert (made.count("customers"), made.count("transactions")) == (400, 8000)
        assert {finding.code for finding in made.findings} == {"P201", "P205"}
    found = apart(moments.cutoffs, folder, bench.size)
    found += [*moments.one_more_day(tmp_path, bench.size)]
    found += [*one_profile.figures(profiles=4, against=2)]
    assert len(found) == 7
    assert all(figure.ours > 0 and figure.baseline > 0 for figure in found)


def test_a_profile_that_differs_is_noticed() -> None:
    row = pd.DataFrame({"spend": [1.0], "orders": [None]}, index=["c"]).astype("float64")
    one_profile.check_equal(row, row.copy())
    with pytest.raises(AssertionError, match=r"\['orders'\] differ"):
        one_profile.check_equal(row, row.assign(orders=0.0))


def test_every_figure_about_value_at_a_small_size(tmp_path: Path) -> None:
    found = [*worth.figures(Bench(tmp_path), sizes=(2000, 3000), customers=3000, repetitions=1)]
    assert [figure.unit for figure in found] == ["s", "s", "s", "s", "s", "MB"]
    assert all(figure.ours > 0 and figure.baseline > 0 for figure in found)


def test_every_figure_about_decisions_at_a_small_size(tmp_path: Path) -> None:
    found = [*choices.figures(Bench(tmp_path), decisions=30, customers=600, repetitions=1)]
    assert [figure.unit for figure in found] == ["ms", "ms", "s", "s"]
    assert all(figure.ours > 0 and figure.baseline > 0 for figure in found)


def test_decisions_unlike_the_bare_arithmetic_or_the_log_are_noticed(tmp_path: Path) -> None:
    catalogue, customers = choices.made_up_catalogue(tmp_path), choices.made_up(40, seed=9)
    open_actions = choices.eligible(catalogue, customers)
    assert 0.2 < open_actions.mean() < 0.9
    decisions = choices.decided(catalogue, customers)
    choices.check_probabilities(decisions, customers)
    with pytest.raises(AssertionError):
        choices.check_probabilities(decisions, replace(customers, mean=customers.mean + 0.01))
    store = DecisionStore(f"sqlite:///{tmp_path / 'decisions.db'}")
    store.log_decisions([*decisions[1:], replace(decisions[0], propensity=0.5)], choices.AS_OF)
    with pytest.raises(AssertionError):
        choices.check_log(store, catalogue, customers)
    store.close()


def test_made_up_customers_are_as_their_distributions_say() -> None:
    table = worth.made_up(20_000)
    age = table["T_days"]
    assert (table["recency_days"] <= age).all()
    assert ((table["frequency"] > 0) == (table["recency_days"] > 0)).all()
    assert (age.min(), age.max()) == (39 * 7 + 1, 78 * 7)
    # A purchase later on the day of another is no purchase day of its own.
    expected = sum(worth.PURCHASES.population(days) for days in age.unique()) / age.nunique()
    assert 0.9 * expected < table["frequency"].mean() < expected
    mean = table.loc[table["frequency"] > 0, "monetary_value"].mean()
    assert mean == pytest.approx(worth.ORDERS.population_mean, rel=0.05)


def test_purchases_unlike_those_of_lifetimes_are_noticed() -> None:
    table = worth.made_up(100)
    worth.check_purchases(table)
    with pytest.raises(AssertionError):
        worth.check_purchases(table, replace(worth.PURCHASES, r=0.2427))
