"""Back-tests: train on what was known at a date, predict, and compare with what came."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from features.cohorts import has_history
from kernel.artefacts import Floats, SpendModel, Unseen
from kernel.churn_predictor import ChurnPredictor
from kernel.settings import Settings, TreesSettings
from kernel.value_predictor import ValuePredictor
from training.dataset import DatasetBuilder, RecentPast, TrainingSet
from training.evaluation.calibration import ReliabilityBin, calibration_metrics, reliability
from training.evaluation.discrimination import ranking_metrics
from training.evaluation.economics import contacts
from training.evaluation.factors import BandFactors, band_factors
from training.evaluation.grade import Grade, grade_churn, recency_rules
from training.evaluation.groups import coverage
from training.evaluation.leaks import suspects
from training.evaluation.missed import Group, fates
from training.evaluation.segments import SegmentCoverage, segment_coverage
from training.evaluation.value import value_metrics
from training.evaluation.value_grade import ValueGrade, grade_value
from training.labels.contracts import ContractLives, contract_lives
from training.labels.label import churn_label, spend_label
from training.labels.window import LabelWindow
from training.models.baselines import logistic_churn, recency_rule
from training.models.churn import churn_recipe, fit_churn
from training.models.drift import FEWEST_DAYS, MOST_MOMENTS
from training.models.value import ValueJob, fit_behaviour, fit_value
from training.models.value_baselines import value_baselines
from training.monitoring.reference import Promise, Reference, make_reference
from training.splits import training_cutoffs

if TYPE_CHECKING:
    from training.tuning import Tuned

Metrics = dict[str, dict[str, float]]  # model or baseline -> metric -> value


@dataclass(frozen=True)
class BacktestResult:
    """One date looked at as if it were the present.

    Attributes:
        as_of: models knew what was known then, nothing later.
        customers: size of the test cohort.
        churn, value: figures of the model ("model") and of each baseline.
        reliability: predicted against observed churn.
        probability, churned, expected, spend: the test cohort's predictions and outcomes, each of shape (customers,).
        expected_by: expected spend by each of the spend models, of which ``expected`` is the first.
        value_model: the lifetime-value model that was judged.
        segments: what the intervals of totals held.
        value_grade: of the lifetime-value model; None where too few customers were of high value.
        recency: days since the last purchase, the score of the recency rule, shape (customers,).
        interval_coverage: share of customers whose actual spend lay in their interval.
        grade: of the churn model; None where only one outcome occurred.
        rate_held: whether the churn rate of each group of 100 similar customers lay in its interval, by rising
            prediction, shape (groups,).
        fates: whom the churn model found, whom it missed, and who stayed.
        factors: what drives the risk in each band.
        suspects: features that tell the outcome almost alone -> their AUC; there should be none.
        unseen: the fit on customers that it had not seen, before ``as_of``.
        treated: customers left out because a retention action reached them in the label window.
        features: of the test cohort, for a comparison with another model.
    """

    as_of: datetime
    customers: int
    training_rows: int
    cutoffs: int
    churn: Metrics
    value: Metrics
    reliability: list[ReliabilityBin]
    probability: Floats
    churned: Floats
    expected: Floats
    expected_by: dict[SpendModel, Floats]
    value_model: ValuePredictor
    segments: SegmentCoverage
    value_grade: ValueGrade | None
    spend: Floats
    recency: Floats
    interval_coverage: float
    grade: Grade | None
    rate_held: Floats
    fates: list[Group]
    factors: list[BandFactors]
    suspects: dict[str, float]
    unseen: Unseen | None
    treated: int
    features: pd.DataFrame


class Trainer:
    """Fits the models of one project as of a moment."""

    def __init__(self, builder: DatasetBuilder) -> None:
        self.builder = builder

    @property
    def settings(self) -> Settings:
        """The project's settings."""
        return self.builder.settings

    @property
    def window(self) -> LabelWindow:
        """The longest label window: a row is used only when all its labels are ripe."""
        both = (churn_label(self.settings.churn).window, spend_label(self.settings.value).window)
        return max(both, key=lambda window: window.days)

    def data(self, as_of: datetime) -> TrainingSet:
        """Every ripe row known at ``as_of``.

        Raises:
            NotEnoughDataError: the history is too short for two cut-offs.
        """
        first, _ = self.builder.profiles.span(as_of)
        known = training_cutoffs(first.replace(tzinfo=as_of.tzinfo), as_of, self.window, self.settings.training)
        return self.builder.training_set(known, as_of).at_most(self.settings.training.max_rows)

    def fit_churn(self, as_of: datetime, data: TrainingSet | None = None) -> ChurnPredictor:
        """The churn model as of a moment."""
        rows, cohort = (data or self.data(as_of)).churn_cohort, self.churn_cohort(as_of)
        features, settings = self.builder.feature_set, self.settings
        return fit_churn(rows, cohort, features, settings, as_of, self._fingerprint(as_of), self._recent(as_of))

    def churn_cohort(self, as_of: datetime) -> pd.DataFrame:
        """Features of the customers of whom churn is predicted."""
        population = self.builder.population(as_of)
        return population.loc[churn_label(self.settings.churn).cohort(population)]

    def tune_churn(self, as_of: datetime, minutes: float, *, trials: int | None = None) -> Tuned:
        """Search for better trees among rows that are ripe at ``as_of``, for so many minutes at most."""
        # Here, since only a search needs Optuna.
        from training.tuning import tune_trees

        rows = self.data(as_of).churn_cohort
        return tune_trees(rows, churn_recipe(rows, self.builder.feature_set, self.settings), minutes, trials=trials)

    def with_trees(self, trees: TreesSettings) -> Trainer:
        """The same, with other trees."""
        return Trainer(self.builder.with_settings(self.settings.with_trees(trees)))

    def _recent(self, as_of: datetime) -> RecentPast | None:
        churn, step = self.settings.churn, self.settings.training.step_days
        if churn.definition == "subscriptions":
            return None  # what a contract's end means is known only after its days of grace
        days = [step * back for back in range(1, MOST_MOMENTS + 1) if FEWEST_DAYS <= step * back < churn.horizon_days]
        return self.builder.recent_past(days, as_of)

    def fit_value(
        self, as_of: datetime, data: TrainingSet | None = None, spend_model: SpendModel = "trees"
    ) -> ValuePredictor:
        """The lifetime-value model as of a moment."""
        return fit_value(self.value_job(as_of, data), spend_model)

    def value_job(self, as_of: datetime, data: TrainingSet | None = None) -> ValueJob:
        """What a fit of the lifetime value is given as of a moment."""
        population = self.builder.population(as_of)
        return ValueJob(
            (data or self.data(as_of)).buyers,
            population.loc[has_history(population)],
            partial(self.builder.spend_within, known_at=as_of),
            self.builder.feature_set,
            self.settings,
            as_of,
            self._fingerprint(as_of),
            self._contracts(as_of),
        )

    def reference(self, predictor: ChurnPredictor | ValuePredictor, promise: Promise | None = None) -> Reference:
        """The customers of a model at the moment of its training, beside those of its newest labelled window."""
        now = predictor.manifest.as_of
        before = self.builder.population(now - timedelta(days=self.window.days))
        return make_reference(predictor, self.builder.population(now), before, promise)

    def _contracts(self, as_of: datetime) -> ContractLives | None:
        churn = self.settings.churn
        if churn.definition != "subscriptions":
            return None
        return contract_lives(self.builder.profiles, as_of, churn.competing_ends, grace_days=churn.grace_days)

    def _fingerprint(self, as_of: datetime) -> str:
        return self.builder.profiles.fingerprint(as_of)


def backtest(trainer: Trainer, as_of: datetime) -> BacktestResult:
    """Train as of a past date and look at the window after it.

    Raises:
        NotEnoughDataError: the history before ``as_of`` is too short.
    """
    settings, builder = trainer.settings, trainer.builder
    data = trainer.data(as_of)
    every = builder.training_set([as_of], as_of + timedelta(days=trainer.window.days))
    test = every.churn_cohort
    churn, job = trainer.fit_churn(as_of, data), trainer.value_job(as_of, data)
    names: tuple[SpendModel, ...] = ("trees", *settings.value.alternatives)
    behaviour = fit_behaviour(job)
    values = {name: fit_value(job, name, behaviour) for name in names}
    value: ValuePredictor = values["trees"]
    expected_by: dict[SpendModel, Floats] = {name: values[name].expected_spend(test.features) for name in names}
    inputs = churn.inputs(test.features)
    probability, expected = churn.probability(inputs), expected_by["trees"]
    low, high = value.interval(expected, test.features)
    logistic = logistic_churn(data.churn_cohort, test.features)
    baselines = value_baselines(data.buyers, test.features, settings.value.horizon_days)
    recency = recency_rule(test.features)
    by_purchases = settings.churn.definition == "transactions"
    rules = recency_rules(recency, settings.churn.horizon_days) if by_purchases else {}
    gone = {"p_alive": 1 - value.probability_alive(test.features)} if by_purchases else {}
    return BacktestResult(
        as_of=as_of,
        customers=len(test),
        training_rows=len(data),
        cutoffs=len(np.unique(data.cutoff)),
        churn={
            "model": ranking_metrics(probability, test.churned) | calibration_metrics(probability, test.churned),
            "logistic_regression": ranking_metrics(logistic, test.churned)
            | calibration_metrics(logistic, test.churned),
            **{name: ranking_metrics(score, test.churned) for name, score in gone.items()},
            "recency_rule": ranking_metrics(recency, test.churned),
        },
        value={name: value_metrics(spend, test.spend) for name, spend in (expected_by | baselines).items()},
        reliability=reliability(probability, test.churned),
        probability=probability,
        churned=test.churned,
        expected=expected,
        expected_by=expected_by,
        value_model=value,
        segments=segment_coverage(value, expected, test.spend, seed=settings.training.seed),
        value_grade=grade_value(
            expected,
            test.spend,
            baselines["formula"],
            share=settings.value.top_share,
            seed=settings.training.seed,
        ),
        spend=test.spend,
        recency=recency,
        interval_coverage=float(np.mean((test.spend >= low) & (test.spend <= high))),
        grade=grade_churn(probability, test.churned, test.customers, rules, seed=settings.training.seed),
        rate_held=coverage(probability, test.churned, churn.manifest.interval),
        fates=fates(test.features, probability, test.churned, contacts(len(test), settings.churn.contacts)),
        factors=band_factors(churn, inputs),
        suspects=suspects(test.features, [column.name for column in churn.manifest.columns], test.churned),
        unseen=churn.manifest.unseen,
        treated=0 if every.treated is None else int((every.treated & every.active).sum()),
        features=test.features,
    )
