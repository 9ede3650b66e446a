"""The Spark engine around its query: the tables it reads, sessions of their own, what a person sees when it fails."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from features.contract.profiles import Profiles, profiles_from_frames
from features.definitions import feature_set
from features.engine.build import build_features, feature_batches
from features.engine.definition import Feature, FeatureSet, Unit, View
from kernel.errors import ForesightError, UsageError
from tests.histories import AS_OF
from tests.projects import TABLES, TinyProject
from tests.spark_engine import OnSpark, different, spark_marks

pytestmark = spark_marks
FEATURES = FeatureSet([feature_set({}).named(name) for name in ("net_spend", "frequency", "spend_30d")])
SMALL = FeatureSet([Feature("spend", "x", View.LINES, lambda lines: lines.amount.sum(), "spend", Unit.MONEY)])


def _profiles(amount: int = 10, city: str = "Ulm") -> Profiles:
    lines = pd.DataFrame(
        {
            "customer_id": ["anna", "bert"],
            "transaction_id": ["r1", "r2"],
            "event_time": [AS_OF - timedelta(days=10), AS_OF - timedelta(days=40)],
            "amount": [amount, 2],
        }
    )
    customers = pd.DataFrame({"customer_id": ["anna", "bert"], "city": [city, None]})
    return profiles_from_frames({"customers": customers, "transactions": lines}, {"city": "string"}, "UTC")


def _in(profiles: Profiles, on_spark: OnSpark, place: str) -> Profiles:
    moved = on_spark(profiles)
    return replace(moved, engine=moved.engine.model_copy(update={"spark_tables": place}))


def _spend(profiles: Profiles) -> list[float]:
    return build_features(profiles, SMALL, AS_OF)["spend"].to_list()


def _state(folder: Path) -> dict[str, int]:
    return {str(file.relative_to(folder)): file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file()}


def test_typed_tables_are_written_once_and_two_states_are_kept(on_spark: OnSpark, tmp_path: Path) -> None:
    assert _spend(_in(_profiles(), on_spark, str(tmp_path))) == [10, 2]
    first = _state(tmp_path)
    assert {Path(name).name for name in first} == {
        "customers.parquet",
        "transactions.parquet",
        "activities.parquet",
        "subscriptions.parquet",
    }
    assert _spend(_in(_profiles(), on_spark, str(tmp_path))) == [10, 2]
    assert _state(tmp_path) == first
    assert _spend(_in(_profiles(11), on_spark, str(tmp_path))) == [11, 2]
    os.utime(tmp_path / Path(next(iter(first))).parent, (0, 0))  # the oldest state, whatever the clock's resolution
    assert _spend(_in(_profiles(12), on_spark, str(tmp_path))) == [12, 2]
    assert len(list(tmp_path.iterdir())) == 2
    assert first.keys().isdisjoint(_state(tmp_path))


def test_a_change_of_an_attribute_is_another_state(on_spark: OnSpark, tmp_path: Path) -> None:
    features = FeatureSet([feature_set({"city": "string"}).named("city")])
    for city in ("Ulm", "Bonn"):
        frame = build_features(_in(_profiles(city=city), on_spark, str(tmp_path)), features, AS_OF)
        assert frame["city"].to_list() == [city, None]


def test_tables_can_lie_behind_a_url(on_spark: OnSpark, tmp_path: Path) -> None:
    place = tmp_path.as_uri()
    assert _spend(_in(_profiles(), on_spark, place)) == [10, 2]
    first = _state(tmp_path)
    assert len(list(tmp_path.glob("*/finished/part-*.json"))) == 1
    assert _spend(_in(_profiles(), on_spark, place)) == [10, 2]
    assert _state(tmp_path) == first


def test_an_unfinished_copy_behind_a_url_is_not_read(on_spark: OnSpark, tmp_path: Path) -> None:
    assert _spend(_in(_profiles(), on_spark, tmp_path.as_uri())) == [10, 2]
    for note in tmp_path.glob("*/finished/*"):
        note.unlink()
    assert _spend(_in(_profiles(), on_spark, tmp_path.as_uri())) == [10, 2]
    assert len(list(tmp_path.glob("*/*/customers"))) == 2


def test_a_folder_that_cannot_be_written_is_said_so(on_spark: OnSpark, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        _spend(_in(_profiles(), on_spark, str(tmp_path / "file")))
    assert caught.value.what == "The tables for Spark cannot be written (NotADirectoryError)."
    assert caught.value.where.startswith("engine.spark_tables = ")


def test_two_builds_at_once_have_moments_of_their_own(on_spark: OnSpark) -> None:
    profiles = on_spark(_profiles())
    moments = [AS_OF, AS_OF - timedelta(days=20), AS_OF - timedelta(days=50)]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda moment: build_features(profiles, SMALL, moment)["spend"].fillna(0), moments))
    assert [list(spend) for spend in found] == [[10, 2], [0, 2], [0, 0]]


def test_several_moments_in_one_go(on_spark: OnSpark) -> None:
    moments = [AS_OF - timedelta(days=20), AS_OF]
    batches = list(feature_batches(on_spark(_profiles()), SMALL, moments))
    assert [as_of for as_of, _ in batches] == moments
    assert [table.column("spend").to_pylist() for _, table in batches] == [[None, 2], [10, 2]]


def test_batches_have_the_same_types_on_both_engines(on_spark: OnSpark) -> None:
    features = FeatureSet([*SMALL, feature_set({"city": "string"}).named("city")])
    profiles = _profiles()
    (_, found), (_, wanted) = (
        next(iter(feature_batches(side, features, [AS_OF]))) for side in (on_spark(profiles), profiles)
    )
    assert found.schema.names == wanted.schema.names
    assert [str(kind) for kind in found.schema.types] == [str(kind) for kind in wanted.schema.types]


def test_a_project_switches_spark_on_in_its_file(on_spark: OnSpark, project: TinyProject) -> None:
    del on_spark  # it has started Spark
    engine = '[engine]\nengine = "spark"\nspark_master = "local[2]"\n[state]\nfolder = "kept"\n'
    wanted = build_features(project.profiles(), FEATURES, AS_OF)
    profiles = project.profiles(engine + TABLES)
    found = build_features(profiles, FEATURES, AS_OF)
    assert different(found, wanted) == []
    assert len(list((project.folder / "kept" / "tiny" / "spark_tables").glob("*/customers.parquet"))) == 1


def test_an_error_of_spark_never_quotes_a_value(on_spark: OnSpark, capfd: pytest.CaptureFixture[str]) -> None:
    asked = Feature("age", "x", View.CUSTOMERS, lambda c: c.city.cast("float64"), "age", Unit.COUNT)
    with pytest.raises(ForesightError) as caught:
        build_features(on_spark(_profiles(city="Secretville")), FeatureSet([asked]), AS_OF)
    assert caught.value.what == "Spark could not compute the features: CAST_INVALID_INPUT"
    assert caught.value.__cause__ is None
    assert "Secretville" not in str(caught.value) + "".join(capfd.readouterr())
