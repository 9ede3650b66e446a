"""The data that is measured on: Complete Journey as it is, or the same households several times under new ids."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

import pandas as pd

from benchmarks.synthetic import Size
from features.contract.profiles import Profiles, load_profiles
from features.contract.tables import TABLES
from foresight.project import Project
from kernel.churn_predictor import ChurnPredictor
from kernel.clock import parse_as_of
from kernel.model_registry import CHAMPION, TrainingData, TrainingRun
from kernel.settings import Settings
from kernel.value_predictor import ValuePredictor
from serving.runtime import Runtime
from training.dataset import TrainingSet

EXAMPLE = Path(__file__).parents[1] / "examples" / "complete_journey"
AS_OF = parse_as_of("2017-11-01")

_REPLICA = """
[project]
name = "replica"
currency = "USD"

[sources]
customers = "customers.parquet"
transactions = "transactions.parquet"
activities = "activities.parquet"
"""
_REPLICATED = ("customers", "transactions", "activities")
# Keys that must stay unique when a household appears again.
_KEYS = ("customer_id", "transaction_id", "activity_id")


@dataclass(frozen=True)
class Bench:
    """What the questions share: a temporary folder, and what is dear to make, made once.

    Attributes:
        folder: for models, snapshots and made-up tables; nothing of the user's project is touched.
        size: of the made-up tables.
    """

    folder: Path
    size: Size = field(default_factory=Size)

    @cached_property
    def project(self) -> Project:
        """Complete Journey with a registry and a state folder of its own."""
        place = self.folder / "project"
        place.mkdir()
        text = (EXAMPLE / "foresight.toml").read_text(encoding="utf-8")
        text = text.replace('"../../mlruns"', '"mlruns"').replace('"../../.foresight"', '"state"')
        (place / "foresight.toml").write_text(text, encoding="utf-8")
        shutil.copy(EXAMPLE / "actions.toml", place)
        return Project.open(place)

    @cached_property
    def training_rows(self) -> TrainingSet:
        """Every ripe row known at AS_OF."""
        return self.project.trainer.data(AS_OF)

    @cached_property
    def churn(self) -> ChurnPredictor:
        """The churn model as of AS_OF."""
        return self.project.trainer.fit_churn(AS_OF, self.training_rows)

    @cached_property
    def runtime(self) -> Runtime:
        """Both models in the temporary registry as champions, without a back-test, over the snapshot of AS_OF."""
        value = self.project.trainer.fit_value(AS_OF, self.training_rows)
        self._register("churn", self.churn)
        self._register("value", value)
        self.project.publish(as_of=AS_OF)
        return self.project.runtime(as_of=AS_OF)

    def _register(self, kind: str, predictor: ChurnPredictor | ValuePredictor) -> None:
        project = self.project
        name, owner = project.settings.model_name(kind), project.settings.project.name
        data = TrainingData(owner, predictor.manifest.data_fingerprint, AS_OF, len(self.training_rows))
        example = project.trainer.builder.population(AS_OF).head(5)
        with tempfile.TemporaryDirectory() as folder:
            predictor.save(Path(folder))
            run = TrainingRun(name, kind, owner, Path(folder), {}, {}, data, example)
            version = project.registry.log_and_register(run)
        project.registry.set_alias(name, CHAMPION, version.version)


def write_replica(profiles: Profiles, copies: int, folder: Path) -> None:
    """Write the semantic tables ``copies`` times as Parquet, with a ``foresight.toml`` that maps them by name."""
    cursor = profiles.connection.cursor()
    lines = [_REPLICA]
    for name in _REPLICATED:
        columns = [row[0] for row in cursor.execute(f"DESCRIBE {name}").fetchall()]
        renamed = [f"{c} || '-' || copy AS {c}" if c in _KEYS else f'"{c}"' for c in columns]
        cursor.execute(
            f"COPY (SELECT {', '.join(renamed)} FROM {name}, range({copies}) copies(copy)) "
            f"TO '{folder / name}.parquet' (FORMAT parquet)"
        )
        known = [column for column in columns if column in TABLES[name].mappable]
        pairs = ", ".join(f'{column} = "{column}"' for column in known)
        lines += [f"[tables.{name}]", f'from = "{name}"', f"columns = {{ {pairs} }}"]
        others = ", ".join(f'{column} = "{column}"' for column in columns if column not in known)
        lines += [f"attributes = {{ {others} }}"] if others else []
    (folder / "foresight.toml").write_text("\n".join(lines), encoding="utf-8")


def loaded(settings: Settings) -> Profiles:
    """The tables of a project, in DuckDB."""
    return load_profiles(settings)


def naive(moment: datetime) -> pd.Timestamp:
    """The moment in UTC without a zone, as the tables hold it."""
    return pd.Timestamp(moment.replace(tzinfo=None))


def datasets_folder() -> Path:
    """Where the package lifetimes keeps CDNOW."""
    spec = importlib.util.find_spec("lifetimes")
    assert spec is not None and spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "datasets"
