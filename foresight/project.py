"""One project: the same features, labels, models and scores in a notebook as in the jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path

import pandas as pd
import pyarrow as pa

from features.contract.findings import Finding
from features.contract.profiles import Profiles, load_profiles
from features.definitions import feature_set
from features.engine.build import build_features
from features.engine.definition import FeatureSet
from features.engine.store import Snapshot, SnapshotStore
from features.usability.report import UsabilityReport, usability
from kernel.clock import parse_as_of, utc_now
from kernel.errors import UsageError
from kernel.model_registry import ModelRegistry
from kernel.settings import Settings, load_settings
from serving.answers import AnswerContext
from serving.batch import score_all, write_scores, writer_of
from serving.insights import Insight
from serving.runtime import Runtime, load_scorer, open_runtime_on
from training.backtest import BacktestResult, Trainer, backtest
from training.dataset import DatasetBuilder, TrainingSet
from training.train import TrainingOutcome, train

Moment = str | date | datetime


@dataclass(frozen=True)
class Project:
    """Unified profiles, with what can be asked of them. Every question takes ``as_of``: what was known then."""

    settings: Settings
    profiles: Profiles

    @classmethod
    def open(cls, path: str | Path) -> Project:
        """Read and check the project's tables.

        Raises:
            UsageError: the configuration is wrong.
            DataError: the tables do not keep the contract.
        """
        settings = load_settings(path)
        project = cls(settings, load_profiles(settings, now=utc_now()))
        project.use_registry()
        return project

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was wrong in the tables when they were read; ``usability`` says all."""
        return self.profiles.findings

    def usability(self, *, as_of: Moment | None = None) -> UsabilityReport:
        """Whether the tables are fit for training: every check, looking back from ``as_of``.

        None: from the midnight after the last transaction that has happened.
        """
        moment = None if as_of is None else self.moment(as_of)
        return usability(self.profiles, self.settings, now=utc_now(), as_of=moment)

    @cached_property
    def feature_set(self) -> FeatureSet:
        """The project's features, in order."""
        return feature_set(self.profiles.attributes)

    @cached_property
    def registry(self) -> ModelRegistry:
        """The project's models in MLflow."""
        return ModelRegistry.of(self.settings)

    @cached_property
    def trainer(self) -> Trainer:
        """Fits models; keeps the features of cut-offs it has seen."""
        return Trainer(DatasetBuilder(self.profiles, self.feature_set, self.settings))

    def use_registry(self) -> None:
        """Let ``mlflow.pyfunc.load_model("models:/churn@champion")`` find this project's models, once there are any."""
        if self.registry.database.file.exists():
            self.registry.activate()

    def features(self, *, as_of: Moment) -> pd.DataFrame:
        """Features of every customer: index customer_id, one column per feature."""
        return build_features(self.profiles, self.feature_set, self.moment(as_of))

    def training_set(self, cutoffs: Sequence[Moment], *, known_at: Moment) -> TrainingSet:
        """Features as of several cut-offs, with labels as known at ``known_at``."""
        return self.trainer.builder.training_set([self.moment(c) for c in cutoffs], self.moment(known_at))

    def train(self, *, as_of: Moment, say: Callable[[str], None] = lambda step: None) -> TrainingOutcome:
        """Train, register, and promote what passes the gate."""
        from training.evaluation.plots import write_plots

        currency = self.settings.project.currency
        return train(
            self.trainer,
            self.registry,
            self.moment(as_of),
            say=say,
            files=lambda result, folder: write_plots(result, folder, currency),
        )

    def backtest(self, *, as_of: Moment) -> BacktestResult:
        """Train as of a past date and compare with the window after it."""
        return backtest(self.trainer, self.moment(as_of))

    def snapshot(self, *, as_of: Moment) -> Snapshot:
        """Build and publish the features of a moment; the service looks customers up in them."""
        return SnapshotStore(self.settings.state_folder).publish(self.profiles, self.feature_set, self.moment(as_of))

    def runtime(self, *, as_of: Moment) -> Runtime:
        """The champions over the snapshot of a moment: what the service would answer."""
        return open_runtime_on(self.settings, load_scorer(self.settings), self.snapshot(as_of=as_of))

    def score(self, *, as_of: Moment) -> pd.DataFrame:
        """Score every customer: the columns of the scores file."""
        return pa.concat_tables(score_all(self.runtime(as_of=as_of))).to_pandas()

    def write_scores(
        self, path: Path, *, as_of: Moment, advance: Callable[[int], None] = lambda rows: None
    ) -> pa.Table:
        """Score every customer into a Parquet or CSV file.

        Raises:
            UsageError: another file type, or a folder that does not exist; nothing was published then.
        """
        writer_of(path)
        return write_scores(self.runtime(as_of=as_of), path, advance)

    def insight(self, customer_id: str, *, as_of: Moment) -> tuple[Insight, AnswerContext]:
        """One customer's scores, reasons and actions, as the service would answer.

        Raises:
            NotFoundError: an unknown id.
        """
        runtime = self.runtime(as_of=as_of)
        return runtime.by_ids([customer_id])[0], AnswerContext.of(runtime)

    def default_as_of(self) -> datetime:
        """Midnight after the last transaction that has happened: everything in the tables is known then."""
        _, last = self.profiles.span()
        known = min(last, utc_now().replace(tzinfo=None))
        return parse_as_of(known.date() + timedelta(days=1))

    def moment(self, as_of: Moment) -> datetime:
        """``as_of`` in UTC.

        Raises:
            UsageError: no date, in the future, or before the first transaction.
        """
        moment = parse_as_of(as_of)
        first, _ = self.profiles.span()
        if moment > utc_now():
            raise UsageError(
                f"{moment:%Y-%m-%d} lies in the future.", where="as_of", fix="Name a moment that has come."
            )
        if moment.replace(tzinfo=None) <= first:
            raise UsageError(
                f"Nothing was known at {moment:%Y-%m-%d}: the first transaction is of {first:%Y-%m-%d}.",
                where="as_of",
                fix="Name a later date.",
            )
        return moment
