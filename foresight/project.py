"""One project: the same features, labels, models and scores in a notebook as in the jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, overload

import pandas as pd
import pyarrow as pa

from features.contract.findings import Finding
from features.contract.profiles import Profiles, load_profiles
from features.definitions import project_features
from features.engine.build import build_features, build_many
from features.engine.definition import FeatureSet
from features.engine.online import OnlineStore
from features.engine.provenance import SourceState, source_states
from features.engine.snapshot import Snapshot
from features.engine.store import SnapshotStore
from features.usability.report import UsabilityReport, usability
from kernel.clock import parse_as_of, utc_now
from kernel.errors import UsageError
from kernel.model_registry import ModelRegistry
from kernel.segment import SegmentValue
from kernel.settings import Settings, load_settings
from kernel.types import LowerBand
from serving.answers import AnswerContext
from serving.batch import ScoresWritten, score_all, write_scores
from serving.batch_targets import target_of
from serving.campaign import Campaign, plan_campaign
from serving.decisioning.state import CampaignPrices
from serving.feedback.store import DecisionStore
from serving.insights import Insight
from serving.runtime import Runtime, load_effects, load_scorer, open_runtime_on
from serving.scoring.scorer import Scorer
from training.backtest import BacktestResult, Trainer, backtest
from training.dataset import DatasetBuilder, LabelledSet, TrainingSet
from training.labels.label import Label, churn_label, spend_label
from training.train import TrainingOutcome, train

if TYPE_CHECKING:
    from foresight.action_training import ActionTraining
    from foresight.effect_check import EffectCheck
    from foresight.pilot_plan import PilotPlan, PilotQuestion
    from training.evaluation.policy_report import PolicyPage

Moment = str | date | datetime


@dataclass(frozen=True)
class Project:
    """Unified profiles, with what can be asked of them. Every question takes ``as_of``: what was known then.

    ``sources``: the state of the user's files as they were read; snapshots keep it.
    """

    settings: Settings
    profiles: Profiles
    sources: Mapping[str, SourceState] = field(default_factory=dict)

    @classmethod
    def open(cls, path: str | Path) -> Project:
        """Read and check the project's tables.

        Raises:
            UsageError: the configuration is wrong.
            DataError: the tables do not keep the contract.
        """
        settings = load_settings(path)
        project = cls(settings, load_profiles(settings, now=utc_now()), source_states(settings))
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
        return project_features(self.settings, self.profiles.attributes, self.profiles.mapped)

    @cached_property
    def snapshots(self) -> SnapshotStore:
        """The project's stored features."""
        return SnapshotStore.of(self.settings)

    @cached_property
    def registry(self) -> ModelRegistry:
        """The project's models in MLflow."""
        return ModelRegistry.of(self.settings)

    @cached_property
    def trainer(self) -> Trainer:
        """Fits models; keeps the features of cut-offs it has seen."""
        return Trainer(DatasetBuilder(self.profiles, self.feature_set, self.settings, self.features_of))

    def use_registry(self) -> None:
        """Let ``mlflow.pyfunc.load_model("models:/churn@champion")`` find this project's models, once there are any."""
        if self.registry.database.file.exists():
            self.registry.activate()

    def features(self, *, as_of: Moment) -> pd.DataFrame:
        """Features of every customer: index customer_id, one column per feature."""
        return build_features(self.profiles, self.feature_set, self.moment(as_of))

    @overload
    def training_set(self, cutoffs: Sequence[Moment], *, known_at: Moment) -> TrainingSet: ...

    @overload
    def training_set(self, cutoffs: Sequence[Moment], *, known_at: Moment, label: Label) -> LabelledSet: ...

    def training_set(
        self, cutoffs: Sequence[Moment], *, known_at: Moment, label: Label | None = None
    ) -> TrainingSet | LabelledSet:
        """Features as of several cut-offs, with labels as known at ``known_at``.

        The cut-offs share whatever does not depend on them; stored snapshots of the same data are read, not computed.

        Args:
            label: one outcome, with its window, gap and cohort (``project.labels``, or one of your own); without it
                both outcomes that the models are trained on.

        Raises:
            NotEnoughDataError: a label's window is not over at ``known_at``.
        """
        moments, known = [self.moment(c) for c in cutoffs], self.moment(known_at)
        if label is None:
            return self.trainer.builder.training_set(moments, known)
        return self.trainer.builder.labelled(moments, label, known)

    @property
    def labels(self) -> dict[str, Label]:
        """The project's labels by name: ``churned`` and ``spend``."""
        both = (churn_label(self.settings.churn), spend_label(self.settings.value))
        return {label.name: label for label in both}

    def features_of(self, moments: Sequence[datetime]) -> dict[datetime, pd.DataFrame]:
        """Features of every customer as of several moments (UTC); stored snapshots of the same data are read."""
        stored = {moment: self.snapshots.same(self.profiles, self.feature_set, moment) for moment in moments}
        missing = [moment for moment, snapshot in stored.items() if snapshot is None]
        built = build_many(self.profiles, self.feature_set, missing)
        return built | {moment: found.features for moment, found in stored.items() if found is not None}

    def train(
        self, *, as_of: Moment, tune_minutes: float = 0.0, say: Callable[[str], None] = lambda step: None
    ) -> TrainingOutcome:
        """Train, register, and promote what passes the gate.

        Args:
            tune_minutes: how long to search for better trees of the churn model first; 0 for not at all.
        """
        from foresight.reporting import training_files

        return train(
            self.trainer,
            self.registry,
            self.moment(as_of),
            tune_minutes=tune_minutes,
            say=say,
            files=partial(training_files, self),
        )

    def train_actions(
        self, *, known_until: Moment | None = None, say: Callable[[str], None] = lambda step: None
    ) -> ActionTraining:
        """Learn from the log of decisions what the catalogue's actions change; None: from all that is known now."""
        from foresight.action_training import train_actions

        return train_actions(self, utc_now() if known_until is None else self.moment(known_until), say=say)

    def evaluate_policy(
        self,
        *,
        known_until: Moment | None = None,
        effects: str | None = None,
        catalogue: Path | None = None,
        margin_rate: float | None = None,
        more_contacts: float | None = None,
        say: Callable[[str], None] = lambda step: None,
    ) -> PolicyPage:
        """Judge on logged decisions whether a policy may take the place of the one in use; see
        :func:`foresight.policy_evaluation.evaluate_policy`. ``known_until``: None for all that is known now."""
        from foresight.policy_evaluation import MORE_CONTACTS, evaluate_policy

        return evaluate_policy(
            self,
            utc_now() if known_until is None else self.moment(known_until),
            effects=effects,
            catalogue=catalogue,
            margin_rate=margin_rate,
            more_contacts=MORE_CONTACTS if more_contacts is None else more_contacts,
            say=say,
        )

    def backtest(self, *, as_of: Moment) -> BacktestResult:
        """Train as of a past date and compare with the window after it."""
        return backtest(self.trainer, self.moment(as_of))

    def snapshot(self, *, as_of: Moment) -> Snapshot:
        """The features of a moment as they are stored, built where they are not; nothing is put in service.

        Raises:
            BusyError: another build did not end in time.
        """
        moment, write = self.moment(as_of), self.snapshots.writer()
        return self.snapshots.build(self.profiles, self.feature_set, moment, sources=self.sources, write=write)

    def publish(self, *, as_of: Moment) -> Snapshot:
        """The same, and put it in service: the service looks customers up in it from now on.

        Raises:
            BusyError: another build did not end in time.
        """
        moment = self.moment(as_of)
        with OnlineStore.of(self.settings) as online:
            return self.snapshots.publish(
                self.profiles,
                self.feature_set,
                moment,
                online=online,
                histories=self.settings.state.online_histories,
                sources=self.sources,
                write=self.snapshots.writer(),
            )

    def runtime(self, *, as_of: Moment) -> Runtime:
        """The champions over the snapshot of a moment: what the service would answer."""
        return self._runtime(load_scorer(self.settings), self.snapshot(as_of=as_of))

    def _runtime(self, scorer: Scorer, snapshot: Snapshot) -> Runtime:
        # Of a past moment, what was decided and reported later is not known.
        past = snapshot.as_of < self.default_as_of()
        decided_at = snapshot.as_of if past else None
        learned = load_effects(self.settings)
        return open_runtime_on(self.settings, scorer, snapshot, learned=learned, decided_at=decided_at)

    def score(self, *, as_of: Moment) -> pd.DataFrame:
        """Score every customer: the columns of the scores file."""
        return pa.concat_tables(score_all(self.runtime(as_of=as_of))).to_pandas()

    def write_scores(
        self,
        out: str | Path,
        *,
        as_of: Moment,
        reasons_for: float = 100.0,
        again: bool = False,
        only_changes: bool = False,
        advance: Callable[[int], None] = lambda rows: None,
    ) -> ScoresWritten:
        """Score every customer into a Parquet or CSV file or a table of PostgreSQL, and put the features of that moment
        in service. See :func:`serving.batch.write_scores`.

        Args:
            out: a path, or ``postgresql://user@host/database?table=name``.
            reasons_for: the percent of customers at the highest risk who get reasons.
            again: score anew even where the target has the same scores.
            only_changes: write the rows only that differ materially from what was written for an earlier moment.
            advance: is told the number of customers after each part.

        Raises:
            UsageError: another file type, or a folder that does not exist; nothing was published then.
            BusyError: another build or another batch did not end in time.
            BandsUnavailableError: the bands of earlier scores cannot be read, or the new ones not kept.
        """
        target_of(out)
        scorer = load_scorer(self.settings)  # first: without a champion nothing is published
        runtime = self._runtime(scorer, self.publish(as_of=as_of))
        return write_scores(runtime, out, advance, reasons_for=reasons_for, again=again, only_changes=only_changes)

    def total_value(self, *, as_of: Moment, where: str | None = None) -> SegmentValue:
        """Expected total spend of a segment over the learnt horizon, with the interval of the total.

        Args:
            where: a SQL condition over scores, features and attributes, such as ``churn_band = 'high'``; None for all.

        Raises:
            UsageError: the condition is none, or names an unknown field.
        """
        return self.runtime(as_of=as_of).total_value(where)

    def plan_campaign(self, *, as_of: Moment, budget: float | None = None) -> Campaign:
        """Who gets which action of the catalogue under a budget, in the project's currency; None for no limit.

        Raises:
            UsageError: the project has no catalogue, or the budget is negative.
        """
        return plan_campaign(self.runtime(as_of=as_of), budget)

    def use_prices(self, planned: Campaign, *, until: datetime) -> CampaignPrices:
        """Let the decisions of the service and of the jobs go by what a campaign's limits are worth.

        Args:
            until: when the prices expire, UTC; later ones replace them before.

        Raises:
            StoreUnavailableError: the database of decisions does not answer; nothing was kept.
        """
        prices = planned.prices(until)
        store = DecisionStore(self.settings.state_url)
        try:
            store.keep_prices(prices, utc_now())
        finally:
            store.close()
        return prices

    def plan_pilot(self, action: str, question: PilotQuestion | None = None, *, as_of: Moment) -> PilotPlan:
        """How many customers and days a randomised pilot of an action of the catalogue takes; None: to find its prior.

        Raises:
            UsageError: the catalogue has no such action, or a number is out of range.
        """
        from foresight.pilot_plan import PilotQuestion, plan_pilot

        return plan_pilot(self, action, question or PilotQuestion(), self.moment(as_of))

    def check_effect(
        self,
        kind: str,
        *,
        start: Moment,
        days: int,
        detail: str | None = None,
        entry_days: int = 1,
        known_at: Moment | None = None,
    ) -> EffectCheck:
        """Whether an effect of an activity on net spend may be claimed, where nobody drew to whom it happens.

        Args:
            kind: of the activity, such as ``campaign_received``.
            start: when it happened; features are as of then.
            days: length of the window in which net spend counts.
            detail: of the activity; None for any.
            entry_days: it happened to the treated within so many days from the start.
            known_at: None: all that is known.

        Raises:
            UsageError: no such activity is in the tables then.
            NotEnoughDataError: the window is not over, or too few customers are treated or untreated.
        """
        from foresight.effect_check import Treatment, check_effect

        known = self.default_as_of() if known_at is None else self.moment(known_at)
        treatment = Treatment(kind, detail, self.moment(start), entry_days)
        return check_effect(self, treatment, days=days, known_at=known)

    def what_would_change(self, customer_id: str, *, as_of: Moment) -> list[LowerBand]:
        """What would bring one customer into a lower churn band, the nearest first.

        Raises:
            NotFoundError: an unknown id.
        """
        return self.runtime(as_of=as_of).with_changes(customer_id)[1]

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
