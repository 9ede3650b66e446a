"""Challenger and champion side by side, on customers whose outcome neither was told."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from features.engine.definition import FeatureSet
from kernel.artefacts import SpendModel
from kernel.churn_predictor import ChurnPredictor
from kernel.errors import RegistryError
from kernel.model_registry import ModelRegistry, ModelVersion
from kernel.predictions import Predictor, load_predictor
from kernel.settings import Settings
from kernel.uplift_predictor import UpliftPredictor
from kernel.value_predictor import ValuePredictor
from training.backtest import BacktestResult
from training.evaluation.band_changes import band_changes
from training.promotion import Gain, Kind, Verdict, churn_gains, judge, value_gains


@dataclass(frozen=True)
class Champion:
    """The model in use, as far as it can be compared with one that is trained now.

    Attributes:
        obstacle: why it cannot, as the rest of a sentence; None where it can.
    """

    predictor: Predictor | None
    obstacle: str | None

    @classmethod
    def of(cls, registry: ModelRegistry, version: ModelVersion, settings: Settings, features: FeatureSet) -> Champion:
        """Read it."""
        try:
            predictor = load_predictor(registry.download(version))
        except RegistryError as error:
            return cls(None, f"cannot be read ({error.what})")
        return cls(predictor, _obstacle(predictor, settings, features))

    def verdict(self, kind: Kind, result: BacktestResult | None, spend_model: SpendModel) -> Verdict:
        """Whether a challenger may take its place.

        Args:
            result: the back-test of the challenger's kind of fit on the newest labelled window.
        """
        if self.obstacle is not None:
            return Verdict(True, f"the champion {self.obstacle}")
        if result is None or self.predictor is None:
            return Verdict(False, "there is too little history for a back-test, and so for a comparison")
        return judge(self._gains(result, spend_model), self._note(result))

    def band_changes(self, challenger: ChurnPredictor, population: pd.DataFrame) -> pd.DataFrame | None:
        """Who changes band with the challenger; None where the two cannot be compared."""
        if self.obstacle is not None or not isinstance(self.predictor, ChurnPredictor):
            return None
        return band_changes(self.predictor, challenger, population)

    def _gains(self, result: BacktestResult, spend_model: SpendModel) -> tuple[Gain, ...]:
        champion = self.predictor
        if isinstance(champion, ChurnPredictor):
            before = champion.probability(champion.inputs(result.features))
            return churn_gains(result.probability, before, result.churned)
        assert isinstance(champion, ValuePredictor)
        return value_gains(result.expected_by[spend_model], champion.expected_spend(result.features), result.spend)

    def _note(self, result: BacktestResult) -> str:
        assert self.predictor is not None
        known = self.predictor.manifest.as_of
        if known <= result.as_of:
            return ""
        # In its favour: it was trained on outcomes of the beginning of the window.
        return f"; the champion knew the first {(known - result.as_of).days} days of the window"


def questions(
    model: ChurnPredictor | ValuePredictor, settings: Settings
) -> tuple[tuple[object, ...], tuple[object, ...]]:
    """What is asked of such a model now, and what this one answers: of whom, and how far ahead."""
    manifest = model.manifest
    if isinstance(model, ValuePredictor):
        return (settings.value.horizon_days,), (manifest.horizon_days,)
    churn, of = settings.churn, model.manifest
    return (churn.definition, churn.active_days, churn.horizon_days), (of.definition, of.active_days, of.horizon_days)


def _obstacle(champion: Predictor, settings: Settings, features: FeatureSet) -> str | None:
    assert not isinstance(champion, UpliftPredictor)  # models of effects are judged by logged decisions
    asked, answered = questions(champion, settings)
    if asked != answered:
        return f"answers another question: {_said(answered)}, and not {_said(asked)}"
    versions = {feature.name: feature.version for feature in features}
    for column in champion.manifest.columns:
        if versions.get(column.name) != column.version:
            return f"reads the feature '{column.name}', version {column.version}, which is no longer computed"
    return None


def _said(question: tuple[object, ...]) -> str:
    return ", ".join(f"{one} days" if isinstance(one, int) else str(one) for one in question)
