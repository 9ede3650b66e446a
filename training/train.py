"""The training job: back-test, fit, register, and promote what passes the gate."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from kernel.artefacts import SpendModel
from kernel.churn_predictor import ChurnPredictor
from kernel.errors import NotEnoughDataError
from kernel.model_registry import CHALLENGER, ModelRegistry, ModelVersion, TrainingData, TrainingRun
from kernel.value_predictor import ValuePredictor
from training.backtest import BacktestResult, Trainer, backtest
from training.comparison import Champion
from training.evaluation.band_changes import summed
from training.models.boosting import SHARED
from training.monitoring.figures import churn_figures, value_figures
from training.monitoring.reference import Promise, write_reference
from training.promotion import Kind, Verdict

if TYPE_CHECKING:
    from training.tuning import Tuned

Say = Callable[[str], None]


@dataclass(frozen=True)
class TrainedModel:
    """A registered model, its figures, and whether it became the champion.

    Attributes:
        changes: who would change, or has changed, band by it (``training.evaluation.band_changes``); None where there
            was no champion, or none that says bands.
    """

    version: ModelVersion
    metrics: dict[str, float]
    verdict: Verdict
    changes: pd.DataFrame | None = None


@dataclass(frozen=True)
class TrainingOutcome:
    """What one training did; ``backtest`` is None where the history is too short for one."""

    as_of: datetime
    churn: TrainedModel
    value: TrainedModel
    spend_model: SpendModel
    backtest: BacktestResult | None
    tuned: Tuned | None = None


def train(
    trainer: Trainer,
    registry: ModelRegistry,
    as_of: datetime,
    *,
    tune_minutes: float = 0.0,
    say: Say = lambda step: None,
    files: Callable[[BacktestResult, Path], tuple[Path, ...]] = lambda result, folder: (),
) -> TrainingOutcome:
    """Train both models on what is known at ``as_of``, register them, and promote those that pass the gate.

    Args:
        tune_minutes: how long to search for better trees of the churn model first; 0 for not at all.
        say: told each step before it begins.
        files: writes report and plots of the back-test into a folder; they are logged with both models.

    Raises:
        NotEnoughDataError: too few customers, days, churners or repeat buyers; nothing is registered then.
    """
    tuned = None
    if tune_minutes > 0:
        say(f"search for better trees, {tune_minutes:g} minutes at most")
        tuned = _tuned(trainer, as_of, tune_minutes)
        trainer = trainer.with_trees(tuned.trees)
    say("back-test on the newest labelled window")
    result = newest_backtest(trainer, as_of)
    spend_model = choose_spend_model(result)
    say("fit churn")
    data = trainer.data(as_of)
    churn = trainer.fit_churn(as_of, data)
    say("fit lifetime value")
    value = trainer.fit_value(as_of, data, spend_model)
    with tempfile.TemporaryDirectory() as folder:
        plots = files(result, Path(folder)) if result is not None else ()
        job = _Registration(trainer, registry, as_of, len(data), result, plots, spend_model)
        # Both are fitted before either is registered: a failure leaves nothing half done.
        say("register churn")
        trained_churn = job.register("churn", churn, _churn_metrics(result))
        say("register lifetime value")
        trained_value = job.register("value", value, _value_metrics(result, spend_model))
    return TrainingOutcome(as_of, trained_churn, trained_value, spend_model, result, tuned)


def newest_backtest(trainer: Trainer, as_of: datetime) -> BacktestResult | None:
    """The back-test of the newest window whose labels are ripe; None where the history before it is too short."""
    try:
        return backtest(trainer, as_of - timedelta(days=trainer.window.days))
    except NotEnoughDataError:
        return None


def _tuned(trainer: Trainer, as_of: datetime, minutes: float) -> Tuned:
    # What is chosen is back-tested on the newest window: the search must not have seen it.
    try:
        return trainer.tune_churn(as_of - timedelta(days=trainer.window.days), minutes)
    except NotEnoughDataError:
        return trainer.tune_churn(as_of, minutes)


def choose_spend_model(result: BacktestResult | None) -> SpendModel:
    """The spend model with the lowest error on a window that none has seen; of equal ones the first.

    Without a back-test the trees are taken: they are calibrated on customers they did not see.
    """
    if result is None:
        return "trees"
    return min(result.expected_by, key=lambda name: result.value[name]["mae"])


@dataclass(frozen=True)
class _Registration:
    trainer: Trainer
    registry: ModelRegistry
    as_of: datetime
    rows: int
    result: BacktestResult | None
    plots: tuple[Path, ...]
    spend_model: SpendModel

    def register(
        self, kind: Kind, predictor: ChurnPredictor | ValuePredictor, metrics: dict[str, float]
    ) -> TrainedModel:
        settings = self.trainer.settings
        name = settings.model_name(kind)
        champion = self._champion(name)
        verdict, changes = Verdict(True, "there was no champion yet"), None
        if champion is not None:
            verdict = champion.verdict(kind, self.result, self.spend_model)
            if isinstance(predictor, ChurnPredictor):
                changes = champion.band_changes(predictor, self.trainer.churn_cohort(self.as_of))
        with tempfile.TemporaryDirectory() as written:
            folder = Path(written)
            predictor.save(folder)
            write_reference(folder, self.trainer.reference(predictor, self._promise(predictor)))
            version = self.registry.log_and_register(
                TrainingRun(
                    name=name,
                    kind=kind,
                    project=settings.project.name,
                    folder=folder,
                    parameters=self._parameters(predictor),
                    metrics=metrics,
                    data=TrainingData(
                        settings.project.name, predictor.manifest.data_fingerprint, self.as_of, self.rows
                    ),
                    input_example=self._example(predictor),
                    files=self.plots,
                    tables={} if changes is None or changes.empty else {"band_changes": summed(changes)},
                    tags={"verdict": verdict.reason},
                )
            )
        self.registry.set_alias(name, CHALLENGER, version.version)
        if verdict.promote:
            self.registry.promote(name, version.version)
        return TrainedModel(version, metrics, verdict, changes)

    def _champion(self, name: str) -> Champion | None:
        version = self.registry.champion(name)
        if version is None:
            return None
        return Champion.of(self.registry, version, self.trainer.settings, self.trainer.builder.feature_set)

    def _parameters(self, predictor: ChurnPredictor | ValuePredictor) -> Mapping[str, object]:
        settings, manifest = self.trainer.settings, predictor.manifest
        shared = {
            "horizon_days": manifest.horizon_days,
            "step_days": settings.training.step_days,
            "history_days": settings.training.history_days,
            "seed": settings.training.seed,
            "columns": len(manifest.columns),
            "backtest_as_of": "none" if self.result is None else self.result.as_of.date().isoformat(),
        }
        if isinstance(predictor, ChurnPredictor):
            own: dict[str, object] = {
                "trees_weight": predictor.manifest.trees_weight,
                "calibration_slope": predictor.manifest.slope,
                "calibration_intercept": predictor.manifest.intercept,
                "drift": predictor.manifest.drift,
            }
            trees = SHARED | self.trainer.settings.churn.trees.model_dump()
            return shared | own | {f"lightgbm_{name}": value for name, value in trees.items()}
        value = predictor.manifest
        own = {"spend_model": value.spend_model, "scale": value.scale, "purchases": value.purchases.family}
        own |= {f"{value.purchases.family}_{name}": number for name, number in value.purchases.parameters.items()}
        own |= {f"gamma_gamma_{name}": number for name, number in value.order_values.model_dump().items()}
        own |= {f"pace_{name}": number for name, number in value.pace_weights.items()}
        return shared | own

    def _promise(self, predictor: ChurnPredictor | ValuePredictor) -> Promise | None:
        result = self.result
        if result is None:
            return None
        if isinstance(predictor, ChurnPredictor):
            return Promise(as_of=result.as_of, churn=churn_figures(result.probability, result.churned))
        expected = result.expected_by[self.spend_model]
        bounds = result.value_model.interval(expected, result.features) if self.spend_model == "trees" else (None, None)
        return Promise(as_of=result.as_of, value=value_figures(expected, result.spend, *bounds))

    def _example(self, predictor: ChurnPredictor | ValuePredictor):
        # All features, not only the model's: the value model reads its paces and histories beside its columns.
        return self.trainer.builder.population(self.as_of).head(5)


def _churn_metrics(result: BacktestResult | None) -> dict[str, float]:
    if result is None:
        return {}
    own = result.churn["model"]
    others = {
        f"{metric}_{name}": value
        for name, metrics in result.churn.items()
        if name != "model"
        for metric, value in metrics.items()
    }
    return own | others


def _value_metrics(result: BacktestResult | None, spend_model: SpendModel) -> dict[str, float]:
    if result is None:
        return {}
    own = result.value[spend_model] | {"interval_coverage": result.interval_coverage}
    others = {
        f"{metric}_{name}": value
        for name, metrics in result.value.items()
        if name != spend_model
        for metric, value in metrics.items()
    }
    return own | others
