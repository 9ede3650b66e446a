"""The model registry: MLflow on SQLite in one folder. No other module of ours imports MLflow, except the stored script.

Registered names are ``settings.model_name(kind)``; aliases are ``champion`` and ``challenger``.
"""

from __future__ import annotations

import importlib
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pandas as pd

from kernel.artefacts import MANIFEST
from kernel.clock import iso
from kernel.errors import RegistryError, did_you_mean
from kernel.golden import keep_golden
from kernel.predictions import load_predictor, predictions
from kernel.registry_database import RegistryDatabase
from kernel.settings import Settings

CHAMPION, CHALLENGER = "champion", "challenger"
_BEFORE = "champion_before"
NATIVE = "native"  # the folder of native files within a stored model
SCRIPT = Path(__file__).with_name("pyfunc_model.py")
REQUIREMENTS = ("lightgbm", "numpy", "pandas", "pydantic", "scipy")
DIGEST_LENGTH = 36  # MLflow's limit; the whole fingerprint is in the data set's source
TRAIN_FIRST = "Run foresight train first."

# What MLflow does that its libraries announce to change; nothing we could do otherwise.
OWN_WARNINGS = ("Operation with range is deprecated", "For backward compatibility, 'str' dtypes are included")

# Telemetry off, and neither the network nor pip asked while logging; a value that the user set stays.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOG_UV_FILES": "false",
    "MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK": "true",
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}


@dataclass(frozen=True)
class ModelVersion:
    """A registered model."""

    name: str
    version: int
    run_id: str

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"


@dataclass(frozen=True)
class StoredModel:
    """A registered model, and the folder of its native files."""

    version: ModelVersion
    folder: Path


@dataclass(frozen=True)
class TrainingData:
    """What a model was trained on.

    Attributes:
        name: the data set's.
        fingerprint: hash of the training rows.
        as_of: the moment of knowledge.
        rows: (customer, cut-off) pairs.
    """

    name: str
    fingerprint: str
    as_of: datetime
    rows: int


@dataclass(frozen=True)
class TrainingRun:
    """All that a training hands over.

    Attributes:
        name: the registered name, which is the experiment's too.
        kind: ``churn`` or ``value``.
        project: the owner of the name.
        folder: the native files, written by the predictor's ``save``; copied as they are.
        parameters: what the training was told and what it chose.
        metrics: figures of the back-test such as ``auc`` beside ``auc_recency_rule``.
        data: the training data.
        input_example: a few rows of the features that the model reads; the index (customers) is not stored.
        files: plots and reports.
        tables: small tables, by name.
        tags: further tags of the run.
    """

    name: str
    kind: str
    project: str
    folder: Path
    parameters: Mapping[str, object]
    metrics: Mapping[str, float]
    data: TrainingData
    input_example: pd.DataFrame
    files: tuple[Path, ...] = ()
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict[str, pd.DataFrame])
    tags: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def all_tags(self) -> dict[str, str]:
        """The tags by which runs and versions are found."""
        moment = {"as_of": iso(self.data.as_of), "data_fingerprint": self.data.fingerprint}
        return {**self.tags, "project": self.project, "kind": self.kind, **moment}

    @property
    def anonymous_example(self) -> pd.DataFrame:
        """The input example without its customers, numbers as float64, which is what the features are."""
        example = self.input_example.reset_index(drop=True)
        return example.astype({name: "float64" for name in example.columns if _is_numeric(example, name)})


class ModelRegistry:
    """Writes and reads models. Reading leaves MLflow's global state alone, so that a service may do it in a thread."""

    def __init__(self, folder: Path) -> None:
        self.database = RegistryDatabase(folder.resolve())

    @classmethod
    def of(cls, settings: Settings) -> ModelRegistry:
        """The registry of a project."""
        return cls(settings.registry_folder)

    def activate(self) -> None:
        """Make this MLflow's registry in this process, for ``mlflow.pyfunc.load_model("models:/churn@champion")``.

        Raises:
            RegistryError: there is no registry yet, or its folder was moved.
        """
        self._check_place()
        mlflow = _mlflow()
        mlflow.set_tracking_uri(self.database.uri)
        mlflow.set_registry_uri(self.database.uri)

    def log_and_register(self, run: TrainingRun) -> ModelVersion:
        """Store a run with its model and register that as the next version, without an alias; activates the registry.

        The stored model is loaded and must answer as the native files do before it gets a version.

        Raises:
            RegistryError: the name belongs to another project, the folder was moved, the model does not load, or the
                database cannot be written.
        """
        expected = predictions(load_predictor(run.folder), run.anonymous_example)
        with self._told():
            self.database.create(_initialise)
            self.activate()
            self._claim(run)
            with _without_mlflows_own_warnings():
                return self._store(run, self._experiment(run), expected)

    def resolve(self, name: str, alias: str) -> ModelVersion | None:
        """The version under an alias; None when there is no such alias, model or registry.

        Raises:
            RegistryError: the folder was moved.
        """
        if not self.database.file.exists():
            return None
        self._check_place()
        with self._told():
            model = self._registered(name)
            version = None if model is None else model.aliases.get(alias)
            return None if version is None else self._version(name, int(version))

    def champion(self, name: str) -> ModelVersion | None:
        """The version in use; None when there is none yet."""
        return self.resolve(name, CHAMPION)

    def aliased(self) -> dict[tuple[str, str], StoredModel]:
        """Registered name and alias -> what the alias points at, all as of one moment.

        It asks the database and not MLflow, so that a service can look often and without MLflow in its memory.

        Raises:
            RegistryError: there is no registry (any more), it was moved, or it does not answer.
        """
        self._check_place()
        return {
            (one.name, one.alias): StoredModel(ModelVersion(one.name, one.version, one.run_id), _native(one.place))
            for one in self.database.aliased()
        }

    def require(self, name: str, alias: str = CHAMPION) -> ModelVersion:
        """The version under an alias.

        Raises:
            RegistryError: there is none.
        """
        found = self.resolve(name, alias)
        if found is None:
            raise RegistryError(f"There is no {alias} of the model '{name}'.", where=self._where, fix=TRAIN_FIRST)
        return found

    def set_alias(self, name: str, alias: str, version: int) -> None:
        """Point an alias at a version. Raises RegistryError when there is no such version."""
        self._check_place()
        with self._told():
            self._version(name, version)
            self._client.set_registered_model_alias(name, alias, str(version))

    def promote(self, name: str, version: int) -> None:
        """Make a version the champion; it remembers whom it replaces. Raises RegistryError when there is none such."""
        before = self.champion(name)
        if before is not None and before.version != version:
            with self._told():
                self._version(name, version)
                self._client.set_model_version_tag(name, str(version), _BEFORE, str(before.version))
        self.set_alias(name, CHAMPION, version)

    def rollback(self, name: str) -> ModelVersion:
        """Make the version champion that the present one replaced; again, and it is the one before that. What is taken
        back is no challenger any more.

        Raises:
            RegistryError: there is no champion, or it replaced none.
        """
        champion = self.require(name)
        with self._told():
            before = self._client.get_model_version(name, str(champion.version)).tags.get(_BEFORE)
        if before is None:
            raise RegistryError(
                f"{champion} replaced no other version: there is nothing to go back to.",
                where=self._where,
                fix="Train again, or set the alias 'champion' in MLflow.",
            )
        self.set_alias(name, CHAMPION, int(before))
        if self.resolve(name, CHALLENGER) == champion:
            # Else a service with a canary would go on to answer some customers with what was just taken back.
            with self._told():
                self._client.delete_registered_model_alias(name, CHALLENGER)
        return self.require(name)

    def versions(self, name: str) -> tuple[ModelVersion, ...]:
        """All versions of a model, rising; none when there is no such model."""
        if not self.database.file.exists():
            return ()
        self._check_place()
        with self._told():
            found = self._client.search_model_versions(f"name = '{name}'", max_results=10_000)
            versions = (ModelVersion(name, int(one.version), str(one.run_id)) for one in found)
            return tuple(sorted(versions, key=lambda one: one.version))

    def metrics(self, version: ModelVersion) -> dict[str, float]:
        """The figures of the run that made a version."""
        self._check_place()
        with self._told():
            return dict(self._client.get_run(version.run_id).data.metrics)

    def verdict(self, version: ModelVersion) -> str | None:
        """What the gate said of a version when it was trained; None where it was not asked."""
        with self._told():
            return self._client.get_model_version(version.name, str(version.version)).tags.get("verdict")

    def download(self, version: ModelVersion) -> Path:
        """The folder of a version's native files, in place, to be read only.

        Raises:
            RegistryError: there is no such version, or its files are gone.
        """
        self._check_place()
        with self._told():
            self._version(version.name, version.version)
            place = self._client.get_model_version_download_uri(version.name, str(version.version))
        folder = _native(place)
        if not (folder / MANIFEST).is_file():
            raise RegistryError(
                f"The files of {version} are gone.", where=str(folder), fix="Run foresight train again."
            )
        return folder

    def relocate(self) -> int:
        """Repair a registry whose folder was moved or copied; the number of places rewritten.

        Raises:
            RegistryError: there is no registry, or files did not come along.
        """
        self._check_exists()
        return self.database.relocate()

    @property
    def _where(self) -> str:
        return str(self.database.folder)

    @property
    def _client(self) -> Any:
        return _mlflow().MlflowClient(tracking_uri=self.database.uri, registry_uri=self.database.uri)

    def _check_exists(self) -> None:
        if not self.database.file.exists():
            raise RegistryError("There is no model registry here.", where=self._where, fix=TRAIN_FIRST)

    def _check_place(self) -> None:
        self._check_exists()
        if self.database.former_folders():
            raise RegistryError(
                "The model registry was moved or copied: its database names another folder.",
                where=self._where,
                fix="Run foresight relocate.",
            )

    def _registered(self, name: str) -> Any | None:
        try:
            return self._client.get_registered_model(name)
        except _mlflow().MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise

    def _version(self, name: str, version: int) -> ModelVersion:
        known = {one.version: one for one in self.versions(name)}
        if not known:
            raise RegistryError(f"There is no model '{name}'.", where=self._where, fix=TRAIN_FIRST)
        if version not in known:
            fix = did_you_mean(str(version), map(str, known))
            raise RegistryError(f"The model '{name}' has no version {version}.", where=self._where, fix=fix)
        return known[version]

    def _claim(self, run: TrainingRun) -> None:
        # Created first and checked after: of two projects at once, one gets the name and the other the error.
        client = self._client
        try:
            client.create_registered_model(run.name, tags={"project": run.project, "kind": run.kind})
        except _mlflow().MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        owner = client.get_registered_model(run.name).tags.get("project")
        if owner != run.project:
            raise RegistryError(
                f"The model name '{run.name}' belongs to the project '{owner or 'unknown'}', not '{run.project}'.",
                where=self._where,
                fix="Set another model_prefix or folder in the section [registry].",
            )

    def _experiment(self, run: TrainingRun) -> str:
        client, mlflow = self._client, _mlflow()
        try:
            tags = {"project": run.project, "kind": run.kind}
            return client.create_experiment(run.name, str(self.database.artifacts / run.name), tags=tags)
        except mlflow.MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        experiment = client.get_experiment_by_name(run.name)
        if experiment.lifecycle_stage == "deleted":
            client.restore_experiment(experiment.experiment_id)
        return experiment.experiment_id

    def _store(self, run: TrainingRun, experiment_id: str, expected: pd.DataFrame) -> ModelVersion:
        mlflow = _mlflow()
        # Nested, because a notebook may have a run of its own open.
        with mlflow.start_run(experiment_id=experiment_id, tags=run.all_tags, nested=True) as active:
            run_id = active.info.run_id
            data = _data_set(run)
            mlflow.log_input(data, context="training", tags={"as_of": iso(run.data.as_of), "rows": str(run.data.rows)})
            mlflow.log_params(dict(run.parameters))
            model = _log_model(run, expected)
            mlflow.log_metrics(dict(run.metrics), model_id=model.model_id, dataset=data)
            for path in run.files:
                mlflow.log_artifact(str(path), "report")
            for name, table in run.tables.items():
                mlflow.log_table(table, f"tables/{name}.json")
            _check_answer(run, model.model_uri, expected)
            made = self._client.create_model_version(
                run.name, model.model_uri, run_id=run_id, tags=run.all_tags, model_id=model.model_id
            )
        return ModelVersion(run.name, int(made.version), run_id)

    @contextmanager
    def _told(self) -> Generator[None]:
        """Tells MLflow's and the database's failures in three parts."""
        mlflow = _mlflow()
        try:
            yield
        except mlflow.MlflowException as error:
            if error.error_code == "TEMPORARILY_UNAVAILABLE":
                raise self.database.busy() from error
            raise RegistryError(
                f"MLflow refused ({error.error_code}): {error.message}",
                where=self._where,
                fix="Correct that, and retry.",
            ) from error


def _native(place: str) -> Path:
    return Path(unquote(urlparse(place).path) if place.startswith("file:") else place) / "artifacts" / NATIVE


@cache
def _mlflow() -> Any:
    """MLflow, imported at first need: it takes seconds."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # Its log repeats, with a traceback, each failure that we raise.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        # MLflow warns of itself and of SQLAlchemy while it is imported; the stores it would import at first use.
        warnings.simplefilter("ignore")
        import mlflow

        importlib.import_module("mlflow.store.tracking.sqlalchemy_store")
        importlib.import_module("mlflow.pyfunc")
    return mlflow


@contextmanager
def _without_mlflows_own_warnings() -> Generator[None]:
    with warnings.catch_warnings():
        for message in OWN_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        yield


def _initialise(uri: str) -> None:
    client = _mlflow().MlflowClient(tracking_uri=uri, registry_uri=uri)
    client.search_experiments(max_results=1)
    client.search_registered_models(max_results=1)


def _data_set(run: TrainingRun) -> Any:
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.meta_dataset import MetaDataset

    facts = {"project": run.project, "as_of": iso(run.data.as_of), "rows": run.data.rows}
    source = CodeDatasetSource({**facts, "fingerprint": run.data.fingerprint})
    return MetaDataset(source, name=run.data.name, digest=run.data.fingerprint[:DIGEST_LENGTH])


def _log_model(run: TrainingRun, expected: pd.DataFrame) -> Any:
    from mlflow.models import ModelSignature

    example = run.anonymous_example
    with tempfile.TemporaryDirectory() as scratch:
        native = Path(scratch) / NATIVE  # MLflow keeps the folder's name, which is how download finds it
        shutil.copytree(run.folder, native)
        keep_golden(native, example, expected)
        return _mlflow().pyfunc.log_model(
            name=run.kind,
            python_model=str(SCRIPT),
            artifacts={NATIVE: str(native)},
            signature=ModelSignature(inputs=_schema(example), outputs=_schema(expected)),
            input_example=example,
            pip_requirements=[f"{package}=={installed_version(package)}" for package in REQUIREMENTS],
            metadata=run.all_tags,
        )


def _schema(frame: pd.DataFrame) -> Any:
    # Ours rather than inferred: a column of words that are all missing would have no type.
    from mlflow.types import ColSpec, Schema

    return Schema([ColSpec("double" if _is_numeric(frame, name) else "string", name) for name in frame.columns])


def _is_numeric(frame: pd.DataFrame, name: str) -> bool:
    return pd.api.types.is_numeric_dtype(frame.dtypes[name])


def _check_answer(run: TrainingRun, model_uri: str, expected: pd.DataFrame) -> None:
    stored = _mlflow().pyfunc.load_model(model_uri)
    answer = stored.predict(run.anonymous_example)
    if not answer.equals(expected):
        raise RegistryError(
            f"The stored model '{run.name}' does not answer as the trained one does.",
            where=model_uri,
            fix="Report this: the files of the model do not survive being stored.",
        )
