"""The model registry on a real MLflow: what goes in comes out bit for bit, and every failure says what to do."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kernel import registry_database
from kernel.errors import RegistryError
from kernel.golden import GOLDEN
from kernel.model_registry import CHALLENGER, CHAMPION, ModelRegistry, ModelVersion, TrainingData, TrainingRun
from kernel.predictions import load_predictor, predictions
from kernel.settings import Settings
from tests.doubles.models import AS_OF, FINGERPRINT, churn_predictor, features, saved, value_predictor

EXAMPLE = features().head(4)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store") / "ml runs"  # a blank, as in many home directories


@pytest.fixture(scope="module", autouse=True)
def environment() -> Iterator[None]:
    before = dict(os.environ)
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def churn_run(tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    folder = tmp_path_factory.mktemp("churn")
    plot = folder / "calibration.html"
    plot.write_text("<svg/>", encoding="utf-8")
    return TrainingRun(
        name="shop-churn",
        kind="churn",
        project="shop",
        folder=saved(churn_predictor(), folder / "files"),
        parameters={"num_leaves": 7, "seed": 7},
        metrics={"auc": 0.875, "auc_recency_rule": 0.75},
        data=TrainingData("shop", FINGERPRINT, AS_OF, 300),
        input_example=EXAMPLE,
        files=(plot,),
        tables={"backtest": pd.DataFrame({"cutoff": ["2017-08-01"], "auc": [0.875]})},
        tags={"trigger": "test"},
    )


@pytest.fixture(scope="module")
def value_run(churn_run: TrainingRun, tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    folder = saved(value_predictor(), tmp_path_factory.mktemp("value") / "files")
    return replace(churn_run, name="shop-value", kind="value", folder=folder, metrics={"mae": 118.5}, files=())


@pytest.fixture(scope="module")
def registry(place: Path, churn_run: TrainingRun, value_run: TrainingRun) -> ModelRegistry:
    """Two versions of churn, one of value; churn 1 is the champion, churn 2 the challenger, value 1 the champion."""
    registry = ModelRegistry(place)
    first = registry.log_and_register(churn_run)
    second = registry.log_and_register(
        replace(churn_run, folder=saved(churn_predictor(seed=8), churn_run.folder.parent / "second"))
    )
    value = registry.log_and_register(value_run)
    assert (first.version, second.version, value.version) == (1, 2, 1)
    registry.set_alias("shop-churn", CHAMPION, 1)
    registry.set_alias("shop-churn", CHALLENGER, 2)
    registry.set_alias("shop-value", CHAMPION, 1)
    return registry


@pytest.mark.parametrize(("kind", "columns"), [("churn", 4), ("value", 26)])
def test_mlflow_loads_the_champion_and_answers_bit_for_bit(
    registry: ModelRegistry, churn_run: TrainingRun, value_run: TrainingRun, kind: str, columns: int
) -> None:
    import mlflow

    registry.activate()
    frame = features(rows=1500, seed=99)
    answer = mlflow.pyfunc.load_model(f"models:/shop-{kind}@champion").predict(frame)
    run = churn_run if kind == "churn" else value_run
    pd.testing.assert_frame_equal(answer, predictions(load_predictor(run.folder), frame), check_exact=True)
    assert answer.shape == (1500, columns)
    assert list(answer.index) == list(frame.index)


def test_columns_mean_what_the_predictors_say(churn_run: TrainingRun, value_run: TrainingRun) -> None:
    frame = features(rows=50)
    churn, value = churn_predictor(), value_predictor()
    table = predictions(load_predictor(churn_run.folder), frame)
    probability = churn.probability(churn.inputs(frame))
    np.testing.assert_array_equal(table["churn_probability"], probability)
    np.testing.assert_array_equal(table["churn_percentile"], churn.percentile(probability))
    assert (table["churn_probability_low"] <= probability).all() and (
        table["churn_probability_high"] >= probability
    ).all()
    table = predictions(load_predictor(value_run.folder), frame)
    spend = value.expected_spend(frame)
    low, high = value.interval(spend, frame)
    history = value.history(frame, [value.manifest.horizon_days])
    expected = {
        "lifetime_value": spend,
        "lifetime_value_low": low,
        "lifetime_value_high": high,
        "probability_alive": value.probability_alive(frame),
        "expected_purchases": history.purchases[:, 0],
        "expected_order_value": history.order_value,
        "value_percentile": value.percentile(spend),
    }
    assert list(table) == list(value.numbers(frame).columns())
    assert set(expected) < set(table)
    for name, numbers in expected.items():
        np.testing.assert_array_equal(table[name], numbers)


def test_models_loaded_side_by_side_keep_their_own_answers(
    registry: ModelRegistry, churn_run: TrainingRun, value_run: TrainingRun
) -> None:
    import mlflow

    registry.activate()
    frame = features(rows=20)
    names = ("shop-churn/1", "shop-value/1", "shop-churn/2")
    models = [mlflow.pyfunc.load_model(f"models:/{name}") for name in names]
    answers = [model.predict(frame) for model in models]
    folders = (churn_run.folder, value_run.folder, churn_run.folder.parent / "second")
    for answer, folder in zip(answers, folders, strict=True):
        pd.testing.assert_frame_equal(answer, predictions(load_predictor(folder), frame), check_exact=True)
    assert not answers[0].equals(answers[2])


def test_a_notebooks_own_open_run_goes_on(registry: ModelRegistry, churn_run: TrainingRun) -> None:
    import mlflow

    registry.activate()
    integers = EXAMPLE.astype({"frequency": "int64"})
    with mlflow.start_run() as own:
        made = registry.log_and_register(replace(churn_run, name="nested-churn", input_example=integers))
        assert mlflow.active_run().info.run_id == own.info.run_id
    assert registry.versions("nested-churn") == (made,)
    assert made.run_id != own.info.run_id


def test_one_row_of_unknown_words_and_numbers_is_answered(registry: ModelRegistry, churn_run: TrainingRun) -> None:
    import mlflow

    registry.activate()
    row = features().iloc[[0]].assign(income=pd.array([None], dtype="object"), recency_days=np.nan)
    answer = mlflow.pyfunc.load_model("models:/shop-churn@champion").predict(row)
    expected = churn_predictor().probability(churn_predictor().inputs(row))
    assert answer["churn_probability"].to_list() == expected.tolist()


def test_native_files_are_stored_unchanged_and_read_in_place(
    registry: ModelRegistry, churn_run: TrainingRun, place: Path
) -> None:
    folder = registry.download(registry.require("shop-churn"))
    assert folder.is_relative_to(place)
    stored = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert stored.pop(GOLDEN)
    assert stored == {file.name: file.read_bytes() for file in churn_run.folder.iterdir()}


def test_nothing_stored_is_pickled_and_no_customer_is_named(registry: ModelRegistry, place: Path) -> None:
    # Python keeps the compiled form of the stored script beside it when a model is loaded.
    stored = (file for file in (place / "artifacts").rglob("*") if "__pycache__" not in file.parts)
    files = [file for file in stored if file.is_file()]
    assert {file.suffix for file in files} <= {".txt", ".json", ".py", ".yaml", ".yml", ".html", ""}
    assert {file.name for file in files if not file.suffix} <= {"MLmodel", "registered_model_meta"}
    assert not [file.name for file in files if b"c0000" in file.read_bytes()]


def test_aliases_versions_and_metrics(registry: ModelRegistry) -> None:
    first, second = registry.versions("shop-churn")
    assert (first.version, second.version) == (1, 2)
    assert registry.champion("shop-churn") == first
    assert registry.resolve("shop-churn", CHALLENGER) == second
    assert registry.metrics(first) == {"auc": 0.875, "auc_recency_rule": 0.75}
    assert str(second) == "shop-churn/2"
    registry.set_alias("shop-churn", CHAMPION, 2)
    assert registry.champion("shop-churn") == second
    registry.set_alias("shop-churn", CHAMPION, 1)


def test_a_promotion_is_taken_back(registry: ModelRegistry) -> None:
    with pytest.raises(RegistryError, match="shop-churn/1 replaced no other version"):
        registry.rollback("shop-churn")
    registry.promote("shop-churn", 2)
    registry.promote("shop-churn", 2)  # a second time changes nothing
    assert registry.require("shop-churn").version == 2
    assert registry.resolve("shop-churn", CHALLENGER) == registry.require("shop-churn")
    assert registry.rollback("shop-churn").version == 1
    assert registry.require("shop-churn").version == 1
    assert registry.resolve("shop-churn", CHALLENGER) is None  # what was taken back shall not answer a canary's share
    registry.set_alias("shop-churn", CHALLENGER, 2)
    with pytest.raises(RegistryError, match="has no version 9"):
        registry.promote("shop-churn", 9)
    assert registry.require("shop-churn").version == 1


def test_the_run_tells_data_parameters_report_and_model(registry: ModelRegistry) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(registry.database.uri, registry.database.uri)
    run = client.get_run(registry.require("shop-churn").run_id)
    assert run.data.params == {"num_leaves": "7", "seed": "7"}
    ours = {name: run.data.tags[name] for name in ("project", "kind", "as_of", "trigger", "data_fingerprint")}
    assert ours == {
        "project": "shop",
        "kind": "churn",
        "as_of": "2017-11-01T00:00:00Z",
        "trigger": "test",
        "data_fingerprint": FINGERPRINT,
    }
    (data,) = run.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("shop", FINGERPRINT[:36])
    assert {tag.key: tag.value for tag in data.tags} == {
        "as_of": "2017-11-01T00:00:00Z",
        "rows": "300",
        "mlflow.data.context": "training",
    }
    assert [file.path for file in client.list_artifacts(run.info.run_id, "report")] == ["report/calibration.html"]
    assert [file.path for file in client.list_artifacts(run.info.run_id, "tables")] == ["tables/backtest.json"]
    (output,) = run.outputs.model_outputs
    model = client.get_logged_model(output.model_id)
    assert {(one.key, one.value, one.dataset_digest) for one in model.metrics} == {
        ("auc", 0.875, FINGERPRINT[:36]),
        ("auc_recency_rule", 0.75, FINGERPRINT[:36]),
    }


def test_signature_and_input_example_are_stored(registry: ModelRegistry) -> None:
    import mlflow

    registry.activate()
    model = mlflow.pyfunc.load_model("models:/shop-churn/1")
    types = dict(
        zip(model.metadata.signature.inputs.input_names(), model.metadata.signature.inputs.input_types(), strict=True)
    )
    assert {name: kind.name for name, kind in types.items()} == {
        name: "string" if name == "income" else "double" for name in EXAMPLE
    }
    assert model.metadata.signature.outputs.input_names() == [
        "churn_probability",
        "churn_probability_low",
        "churn_probability_high",
        "churn_percentile",
    ]
    stored = mlflow.models.Model.load("models:/shop-churn/1").load_input_example()
    assert stored["T_days"].to_list() == EXAMPLE["T_days"].to_list()
    assert [None if pd.isna(word) else word for word in stored["income"]] == EXAMPLE["income"].to_list()


def test_what_is_missing_says_how_to_get_it(registry: ModelRegistry, tmp_path: Path) -> None:
    empty = ModelRegistry(tmp_path / "none")
    assert (empty.champion("shop-churn"), empty.versions("shop-churn")) == (None, ())
    for wanted in (empty.activate, empty.relocate, lambda: empty.set_alias("shop-churn", CHAMPION, 1)):
        with pytest.raises(RegistryError, match=r"There is no model registry here(.|\n)*Run foresight train first"):
            wanted()
    assert not (tmp_path / "none").exists()
    assert registry.champion("other-churn") is None
    with pytest.raises(RegistryError, match=r"no champion of the model 'other-churn'(.|\n)*Run foresight train first"):
        registry.require("other-churn")
    with pytest.raises(RegistryError, match=r"There is no model 'other-churn'(.|\n)*Run foresight train first"):
        registry.set_alias("other-churn", CHAMPION, 1)
    with pytest.raises(RegistryError, match=r"'shop-churn' has no version 9(.|\n)*Known: 1, 2"):
        registry.download(ModelVersion("shop-churn", 9, "none"))
    assert registry.resolve("shop-value", CHALLENGER) is None


def test_another_project_does_not_get_the_name(registry: ModelRegistry, churn_run: TrainingRun) -> None:
    with pytest.raises(RegistryError, match=r"belongs to the project 'shop', not 'rival'(.|\n)*model_prefix"):
        registry.log_and_register(replace(churn_run, project="rival"))
    assert len(registry.versions("shop-churn")) == 2


def test_a_folder_that_cannot_be_made_is_told(churn_run: TrainingRun, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RegistryError, match=r"has a '%' in its path(.|\n)*section \[registry\]"):
        ModelRegistry(tmp_path / "100%").log_and_register(churn_run)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    with pytest.raises(RegistryError, match=r"folder cannot be made(.|\n)*section \[registry\]"):
        ModelRegistry(tmp_path / "file" / "mlruns").log_and_register(churn_run)


def test_the_project_names_the_folder(tmp_path: Path) -> None:
    settings = Settings.model_validate(
        {
            "file": tmp_path / "foresight.toml",
            "project": {"name": "shop", "currency": "USD"},
            "sources": {},
            "tables": {},
        }
    )
    assert ModelRegistry.of(settings).database.file == tmp_path.resolve() / "mlruns" / "mlflow.db"


def test_an_unknown_kind_is_told(churn_run: TrainingRun, tmp_path: Path) -> None:
    manifest = (churn_run.folder / "manifest.json").read_text(encoding="utf-8")
    (tmp_path / "manifest.json").write_text(manifest.replace('"kind": "churn"', '"kind": "mood"'), encoding="utf-8")
    with pytest.raises(RegistryError, match=r"no predictor for models of the kind 'mood'"):
        load_predictor(tmp_path)


def test_a_folder_that_is_no_model_stores_nothing(
    registry: ModelRegistry, churn_run: TrainingRun, tmp_path: Path
) -> None:
    with pytest.raises(RegistryError, match=r"manifest cannot be read"):
        registry.log_and_register(replace(churn_run, folder=tmp_path))
    assert len(registry.versions("shop-churn")) == 2


def test_a_run_that_fails_half_way_gets_no_version(registry: ModelRegistry, churn_run: TrainingRun) -> None:
    from mlflow import MlflowClient

    with pytest.raises(RegistryError, match=r"MLflow refused \(INVALID_PARAMETER_VALUE\)"):
        registry.log_and_register(replace(churn_run, metrics={"not/a\nname": 1.0}))
    assert len(registry.versions("shop-churn")) == 2
    client = MlflowClient(registry.database.uri, registry.database.uri)
    experiment = client.get_experiment_by_name("shop-churn")
    assert [run.info.status for run in client.search_runs([experiment.experiment_id], max_results=1)] == ["FAILED"]


def test_a_copied_folder_is_noticed_and_repaired(registry: ModelRegistry, place: Path, tmp_path: Path) -> None:
    import mlflow

    copy = tmp_path / "copied runs"
    shutil.copytree(place, copy)
    copied = ModelRegistry(copy)
    for wanted in (copied.activate, lambda: copied.champion("shop-churn"), lambda: copied.versions("shop-churn")):
        with pytest.raises(RegistryError, match=r"moved or copied(.|\n)*foresight relocate"):
            wanted()
    assert copied.relocate() > 0
    assert copied.relocate() == 0
    assert copied.download(copied.require("shop-churn")).is_relative_to(copy)
    with closing(sqlite3.connect(copied.database.file)) as connection:
        assert not [line for line in connection.iterdump() if f"'{place}/" in line]
    expected = predictions(load_predictor(registry.download(registry.require("shop-churn"))), EXAMPLE)
    hidden = place.with_name("hidden")
    place.rename(hidden)
    try:
        copied.activate()
        answer = mlflow.pyfunc.load_model("models:/shop-churn@champion").predict(EXAMPLE)
    finally:
        hidden.rename(place)
    pd.testing.assert_frame_equal(answer, expected, check_exact=True)
    assert registry.download(registry.require("shop-churn")).is_relative_to(place)


def test_a_database_without_its_files_is_not_repaired(registry: ModelRegistry, place: Path, tmp_path: Path) -> None:
    (tmp_path / "artifacts").mkdir()
    shutil.copy(place / "mlflow.db", tmp_path)
    before = (tmp_path / "mlflow.db").read_bytes()
    with pytest.raises(RegistryError, match=r"did not come along(.|\n)*mlflow.db together with artifacts"):
        ModelRegistry(tmp_path).relocate()
    assert (tmp_path / "mlflow.db").read_bytes() == before


def test_files_deleted_behind_its_back_are_told(registry: ModelRegistry) -> None:
    folder = registry.download(registry.require("shop-value"))
    hidden = folder.with_name("hidden")
    folder.rename(hidden)
    try:
        with pytest.raises(RegistryError, match=r"The files of shop-value/1 are gone(.|\n)*foresight train"):
            registry.download(registry.require("shop-value"))
    finally:
        hidden.rename(folder)


TRAINS = """
import sys
from pathlib import Path
import pandas as pd
from kernel.model_registry import ModelRegistry, TrainingData, TrainingRun
from kernel.clock import parse_as_of
place, folder = map(Path, sys.argv[1:])
example = pd.read_json(folder.parent / "example.json", dtype=False)
data = TrainingData("shop", "f" * 64, parse_as_of("2017-11-01"), 300)
registry = ModelRegistry(place)
print(registry.log_and_register(TrainingRun("shop-churn", "churn", "shop", folder, {}, {"auc": 0.5}, data, example)))
"""


def test_two_trainings_at_once_both_arrive_without_noise(churn_run: TrainingRun, tmp_path: Path) -> None:
    EXAMPLE.reset_index(drop=True).to_json(churn_run.folder.parent / "example.json")
    command = [sys.executable, "-c", TRAINS, str(tmp_path / "mlruns"), str(churn_run.folder)]
    start = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": tmp_path}
    processes = [subprocess.Popen(command, **start) for _ in range(2)]
    outcomes = [process.communicate(timeout=60) for process in processes]
    assert sorted(out for out, _ in outcomes) == ["shop-churn/1\n", "shop-churn/2\n"], outcomes
    assert [err for _, err in outcomes] == ["", ""]
    assert [file.name for file in tmp_path.iterdir()] == ["mlruns"]
    assert [one.version for one in ModelRegistry(tmp_path / "mlruns").versions("shop-churn")] == [1, 2]


def test_a_locked_database_is_told(
    registry: ModelRegistry, churn_run: TrainingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_database, "BUSY_SECONDS", 0.1)
    with closing(sqlite3.connect(registry.database.file, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(RegistryError, match=r"busy or cannot be written(.|\n)*Wait for the other training"):
            registry.log_and_register(churn_run)
    assert len(registry.versions("shop-churn")) == 2


def test_a_file_that_is_no_database_is_told_and_kept(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("not a database " * 100, encoding="utf-8")
    with pytest.raises(RegistryError, match=r"cannot be read: file is not a database(.|\n)*backup"):
        ModelRegistry(tmp_path).champion("shop-churn")
    assert (tmp_path / "mlflow.db").read_text(encoding="utf-8") == "not a database " * 100
