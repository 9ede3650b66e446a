"""Consent is a hard gate: everything is as if those who may not be profiled had never bought."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.contract.profiles import Profiles, profiles_from_frames
from features.definitions import feature_set
from features.engine.store import Snapshot, SnapshotStore
from kernel.churn_predictor import ChurnPredictor
from kernel.clock import parse_as_of
from kernel.types import Status
from kernel.value_predictor import ValuePredictor
from serving.scoring.scorer import Scorer, Scores
from tests.projects import TinyProject, rows
from training.backtest import Trainer
from training.dataset import DatasetBuilder

AS_OF = parse_as_of("2024-01-01")
REFUSED = ("x1", "x2", "x3")
TABLES = """
[sources]
customers = "customers.parquet"
sales = "sales.parquet"
deeds = "deeds.parquet"
contracts = "contracts.parquet"

[tables.customers]
from = "customers"
columns = { customer_id = "id", consent = "agreed", account_id = "company" }
attributes = { city = "city", age = "age" }

[tables.transactions]
from = "sales"
columns = { customer_id = "id", transaction_id = "receipt", event_time = "at", amount = "paid" }

[tables.activities]
from = "deeds"
columns = { customer_id = "id", event_time = "at", kind = "'coupon_redeemed'" }

[tables.subscriptions]
from = "contracts"
columns = { customer_id = "id", subscription_id = "id", event_time = "at", start_date = "at" }

[churn]
active_days = 60
horizon_days = 30

[value]
horizon_days = 30

[training]
step_days = 60
"""


def people() -> pd.DataFrame:
    names = [f"c{i}" for i in range(240)]
    known = pd.DataFrame({"id": names, "agreed": "yes", "company": "acme", "city": "Ulm", "age": 40.0})
    refused = known.head(3).assign(id=REFUSED, agreed=["no", None, "no"], city="Atlantis", age=99.0)
    return pd.concat([known, refused], ignore_index=True)


def purchases() -> pd.DataFrame:
    random = np.random.default_rng(7)
    start = datetime(2023, 1, 1)
    lines: list[tuple[str, datetime, float]] = []
    for i in range(240):
        day, end = random.uniform(0, 200), random.uniform(150, 420)
        while day < min(end, 365):
            lines.append((f"c{i}", start + timedelta(days=day), float(random.integers(100, 9000)) / 100))
            day += random.exponential(12) + 0.5
    # Those who refuse would be seen everywhere: they bought before all others, more often and for far more.
    lines += [(name, start - timedelta(days=90 - i), 50_000.0) for name in REFUSED for i in range(0, 450, 5)]
    frame = pd.DataFrame(lines, columns=["id", "at", "paid"])
    return frame[frame["at"] < datetime(2024, 1, 1)].assign(receipt=lambda f: [f"r{i}" for i in range(len(f))])


@dataclass(frozen=True)
class Shop:
    """One project, with everything that training and scoring make of it."""

    folder: Path
    refusing: bool

    @cached_property
    def trainer(self) -> Trainer:
        made = TinyProject(self.folder)
        customers, sales = people(), purchases()
        if not self.refusing:
            customers, sales = (frame[~frame["id"].isin(REFUSED)] for frame in (customers, sales))
        made.parquet("customers.parquet", customers)
        made.parquet("sales.parquet", sales)
        made.parquet("deeds.parquet", sales[["id", "at"]])
        made.parquet("contracts.parquet", sales.drop_duplicates("id")[["id", "at"]])
        settings = made.settings(TABLES)
        profiles = made.profiles(TABLES)
        return Trainer(DatasetBuilder(profiles, feature_set(profiles.attributes), settings))

    @property
    def profiles(self) -> Profiles:
        return self.trainer.builder.profiles

    @cached_property
    def churn(self) -> ChurnPredictor:
        return self.trainer.fit_churn(AS_OF)

    @cached_property
    def value(self) -> ValuePredictor:
        return self.trainer.fit_value(AS_OF)

    @cached_property
    def snapshot(self) -> Snapshot:
        return SnapshotStore(self.folder).publish(self.profiles, self.trainer.builder.feature_set, AS_OF)

    @cached_property
    def scores(self) -> Scores:
        scorer = Scorer(self.churn, self.value, "churn/1", "value/1")
        consent = self.snapshot.consent.to_numpy()
        return scorer.score(self.snapshot.features, consent, as_of=AS_OF, scored_at=AS_OF)


@pytest.fixture(scope="module")
def with_refusals(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("with"), refusing=True)


@pytest.fixture(scope="module")
def without_them(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("without"), refusing=False)


def test_their_history_is_in_no_table(with_refusals: Shop) -> None:
    for table in ("transactions", "activities", "subscriptions"):
        found = rows(with_refusals.profiles, f"SELECT count(*), count(*) FILTER (customer_id[1] = 'x') FROM {table}")
        assert (found[0][0] > 0, found[0][1]) == (True, 0)
    kept = rows(with_refusals.profiles, "SELECT * FROM customers WHERE customer_id[1] = 'x' ORDER BY 1")
    assert kept == [(name, None, False, None, None, None) for name in REFUSED]
    agreed = purchases().loc[lambda frame: ~frame["id"].isin(REFUSED), "at"]
    assert with_refusals.profiles.span() == (agreed.min(), agreed.max())
    (found,) = [one for one in with_refusals.profiles.findings if one.code == "P209"]
    assert found.actual == "3 of 243 customers (1.2%)"


def test_training_sees_what_it_would_see_without_them(with_refusals: Shop, without_them: Shop) -> None:
    seen, wanted = (shop.trainer.data(AS_OF) for shop in (with_refusals, without_them))
    pd.testing.assert_frame_equal(seen.features, wanted.features, check_exact=True)
    for name in ("cutoff", "churned", "spend", "active"):
        assert getattr(seen, name).tolist() == getattr(wanted, name).tolist()
    populations = [shop.trainer.builder.population(AS_OF) for shop in (with_refusals, without_them)]
    pd.testing.assert_frame_equal(*populations, check_exact=True)
    assert len(populations[0]) > 200


def test_models_and_percentiles_are_those_without_them(with_refusals: Shop, without_them: Shop) -> None:
    for kind in ("churn", "value"):
        seen, wanted = (getattr(shop, kind).manifest.model_dump() for shop in (with_refusals, without_them))
        assert len(seen["percentile_grid"]) > 1
        # The fingerprint is of the tables, and there the customers' rows are.
        assert seen.pop("data_fingerprint") != wanted.pop("data_fingerprint")
        assert seen == wanted


def test_they_are_answered_no_consent_and_nothing_else(with_refusals: Shop, without_them: Shop) -> None:
    scores = with_refusals.scores
    refused = scores.numbers.index.isin(REFUSED)
    assert refused.sum() == len(REFUSED)
    assert set(scores.status[refused]) == {Status.NO_CONSENT}
    assert scores.numbers[refused].isna().all(axis=None)
    assert {*scores.band[refused], *scores.high_value[refused]} == {None}
    assert [scores.reasons[i] for i in np.flatnonzero(refused)] == [()] * len(REFUSED)
    pd.testing.assert_frame_equal(scores.numbers[~refused], without_them.scores.numbers, check_exact=True)


def test_a_snapshot_knows_nothing_of_them(with_refusals: Shop) -> None:
    snapshot = with_refusals.snapshot
    assert sorted(snapshot.consent.index[~snapshot.consent]) == sorted(REFUSED)
    unknown = profiles_from_frames(
        {"customers": pd.DataFrame({"customer_id": REFUSED})}, snapshot.manifest.attributes, "UTC"
    )
    empty = SnapshotStore(with_refusals.folder / "empty").publish(
        unknown, with_refusals.trainer.builder.feature_set, AS_OF
    )
    kept = snapshot.features.loc[list(REFUSED)]
    words = with_refusals.trainer.builder.feature_set.words
    assert (words, kept[words].isna().all(axis=None)) == (["city"], True)
    pd.testing.assert_frame_equal(kept.drop(columns=words), empty.features.drop(columns=words), check_exact=True)


def test_a_profile_in_a_request_is_not_looked_at_either() -> None:
    customers = pd.DataFrame({"customer_id": ["anna"], "consent": [False], "city": ["Ulm"]})
    sale = {"customer_id": ["anna"], "transaction_id": ["r1"], "event_time": [datetime(2024, 1, 5)], "amount": [1.0]}
    made = profiles_from_frames({"customers": customers, "transactions": pd.DataFrame(sale)}, {"city": "string"}, "UTC")
    assert (made.count("customers"), made.count("transactions"), made.without_consent()) == (1, 0, {"anna"})
    assert rows(made, "SELECT city FROM customers") == [(None,)]
    assert [found.code for found in made.findings] == ["P209"]


def test_a_shop_of_which_nobody_may_be_profiled_has_no_history(project: TinyProject) -> None:
    from tests.projects import TABLES as BARE

    profiles = project.profiles(BARE.replace('{ customer_id = "id" }', '{ customer_id = "id", consent = "NULL" }'))
    assert (profiles.count("transactions"), profiles.without_consent()) == (0, {"anna", "bert"})
