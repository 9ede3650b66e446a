"""The drift baseline: every feature appears by itself, the numbers are right, and no rare value is told."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from features.engine import baseline
from features.engine.baseline import FEWEST_CUSTOMERS, SnapshotProfile, profile_of
from features.engine.definition import Feature, FeatureSet, Unit, View
from kernel.errors import NotFoundError
from tests.snapshots import snapshot_of


def feature(name: str, unit: Unit = Unit.COUNT) -> Feature:
    return Feature(name=name, group="test", view=View.LINES, expression=lambda rows: rows, phrase=name, unit=unit)


def profiled(folder: Path, consent: list[bool] | None = None, **columns: list[object]) -> SnapshotProfile:
    rows = len(next(iter(columns.values())))
    index = pd.Index([f"c{i:06d}" for i in range(rows)], name="customer_id", dtype="object")
    words = [name for name, values in columns.items() if any(isinstance(value, str) for value in values)]
    frame = pd.DataFrame(
        {
            name: pd.Series(values, index=index, dtype="object" if name in words else "float64")
            for name, values in columns.items()
        },
        index=index,
    )
    features = FeatureSet([feature(name, Unit.WORD if name in words else Unit.COUNT) for name in columns])
    file = snapshot_of(folder, frame, consent).file
    connection = duckdb.connect()
    try:
        return profile_of(connection, features, file)
    finally:
        connection.close()


def test_numbers(tmp_path: Path) -> None:
    values = [4.0, 1.0, None, 2.0, 3.0]
    found = profiled(tmp_path, visits=list(values)).numbers["visits"]
    known = np.array([1.0, 2.0, 3.0, 4.0])
    assert (found.count, found.missing, found.min, found.max) == (4, pytest.approx(0.2), 1.0, 4.0)
    assert found.mean == pytest.approx(known.mean())
    assert found.std == pytest.approx(known.std())
    expected = {f"{q:g}": np.quantile(known, q) for q in (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)}
    assert found.quantiles == pytest.approx(expected)


def test_a_column_of_which_nothing_is_known(tmp_path: Path) -> None:
    found = profiled(tmp_path, visits=[1.0, 2.0], nothing=[None, None]).numbers["nothing"]
    assert (found.count, found.missing, found.mean, found.std, found.min, found.max) == (0, 1.0, None, None, None, None)
    assert set(found.quantiles.values()) == {None}


def test_absurd_numbers_stop_nothing(tmp_path: Path) -> None:
    found = profiled(tmp_path, visits=[1.0, 3.0, 1e300, -1e300]).numbers["visits"]
    assert (found.min, found.max, found.std) == (-1e300, 1e300, 1.0)


def test_more_columns_than_one_query_takes(tmp_path: Path) -> None:
    columns = {f"f{i}": [float(i), float(i + 2)] for i in range(60)}
    found = profiled(tmp_path, **columns)  # type: ignore[arg-type]
    assert list(found.numbers) == list(columns)
    assert [one.mean for one in found.numbers.values()] == [float(i + 1) for i in range(60)]


def test_customers_without_consent_are_in_no_figure(tmp_path: Path) -> None:
    found = profiled(tmp_path, [True, False, True], visits=[1.0, 100.0, 3.0], city=["Rome", "Oslo", "Rome"])
    assert (found.customers, found.numbers["visits"].max, found.words["city"].count) == (2, 3.0, 2)


def test_only_frequent_words_are_told(tmp_path: Path) -> None:
    often, enough, rare = 30, FEWEST_CUSTOMERS, FEWEST_CUSTOMERS - 1
    words = ["Rome"] * often + ["Oslo"] * enough + ["Alta"] * rare + [None] * 7
    found = profiled(tmp_path, city=list(words)).words["city"]
    assert found.values == {"Rome": often, "Oslo": enough}
    assert (found.count, found.distinct, found.others) == (often + enough + rare, 3, rare)
    assert found.missing == pytest.approx(7 / len(words))
    assert "Alta" not in found.model_dump_json()


def test_quantiles_of_many_customers_are_of_a_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baseline, "MOST_FOR_QUANTILES", 2000)
    found = profiled(tmp_path, visits=[float(i) for i in range(10_000)])
    assert found.customers == found.numbers["visits"].count == 10_000
    assert 1500 < found.quantile_customers < 2500
    assert found.numbers["visits"].quantiles["0.5"] == pytest.approx(5000, rel=0.1)
    assert found.numbers["visits"].max == 9999.0


def test_no_customer_may_be_profiled(tmp_path: Path) -> None:
    found = profiled(tmp_path, [False, False], visits=[1.0, 2.0], city=["Rome", None])
    assert (found.customers, found.numbers["visits"].missing, found.words["city"].values) == (0, 0.0, {})


def test_it_is_read_back(tmp_path: Path) -> None:
    found = profiled(tmp_path, visits=[1.0, 2.0], city=["Rome", None])
    (tmp_path / "profile.json").write_text(found.model_dump_json(), encoding="utf-8")
    assert SnapshotProfile.read(tmp_path) == found
    with pytest.raises(NotFoundError, match="has no drift baseline"):
        SnapshotProfile.read(tmp_path / "elsewhere")
