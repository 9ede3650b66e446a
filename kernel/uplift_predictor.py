"""What each action changes for one customer, from a stored model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from math import hypot
from pathlib import Path
from typing import Literal

import lightgbm as lgb
import numpy as np
from scipy.special import expit

from kernel.artefacts import FeatureColumn, ModelInputs, read_manifest, write_manifest
from kernel.encoding import Encoding, straight
from kernel.feature_rows import Features, rows_of
from kernel.part import Floats, Part
from kernel.trees import predicted


class EffectStatus(StrEnum):
    """Where the knowledge about an action's effect comes from."""

    EXACT = "exact"  # doing nothing: its effect is 0 by definition
    PRIOR = "prior"  # the catalogue's business assumption, or what sibling actions do
    LEARNING = "learning"  # with outcomes of logged decisions, still too few to be calibrated
    CALIBRATED = "calibrated"


class ActionEffect(Part):
    """One action's mean effect on its outcome.

    Attributes:
        action: its id in the catalogue.
        effect: additional probability of the outcome, or money, of the average customer.
        error: its standard error.
        centre: what each learner says of the average customer; effects of others are told from there.
        positives: outcomes that came after the action; ``controls``: decisions to do nothing they are compared with.
        status: where the knowledge comes from.
        spread: by how much customers differ beyond what is said of each, as a standard deviation: much, where the
            action was seldom tried and its siblings work for some only.
    """

    action: str
    effect: float
    error: float
    centre: tuple[float, ...]
    positives: int
    controls: int
    status: EffectStatus
    spread: float = 0.0


class Learners(Part):
    """Three learners of the same effects, beside the trees' file.

    Attributes:
        kind: of the outcome: "binary" for a probability, "value" for money.
        encoding: of the inputs of the lines.
        line: weights of the line of every arm, doing nothing first, each on the design and a one.
        robust: weights of the line of every action's effect, each on the design and a one.
        level, spread: of the trees' outputs, by action.
    """

    kind: Literal["binary", "value"]
    encoding: Encoding
    line: tuple[tuple[float, ...], ...]
    robust: tuple[tuple[float, ...], ...]
    level: tuple[float, ...]
    spread: tuple[float, ...]

    def effects(self, booster: lgb.Booster, inputs: Floats) -> Floats:
        """What each learner says, uncalibrated, shape (3, rows, actions)."""
        design = self.encoding.design(inputs)
        design = np.hstack([design, np.ones((len(design), 1))])
        outcome = straight(design, np.array(self.line).T)
        if self.kind == "binary":
            outcome = expit(outcome)
        trees = predicted(booster, inputs, "raw")
        return np.stack(
            [
                outcome[:, 1:] - outcome[:, :1],
                np.array(self.level) + np.array(self.spread) * trees.reshape(len(inputs), -1),
                straight(design, np.array(self.robust).T),
            ]
        )


class OutcomeEffects(Part):
    """What the actions with one outcome do to it: the learners, weighed by what data confirm of them.

    Attributes:
        outcome: its name in the catalogue.
        actions: in the order of the learners' outputs.
        weights: of what each learner says beyond its mean.
        uncertainty: the weights' covariance, row by row.
        booster: the trees' file.
    """

    outcome: str
    actions: tuple[ActionEffect, ...]
    learners: Learners
    weights: tuple[float, ...]
    uncertainty: tuple[tuple[float, ...], ...]
    booster: str


class UpliftManifest(Part):
    """What the model of all effects says of itself; see :class:`kernel.artefacts.Manifest`.

    Attributes:
        outcomes: effects that were learned from outcomes of their own.
        siblings: effects of actions that were hardly tried, from the actions of their group; the same for everybody.
    """

    kind: Literal["uplift"] = "uplift"
    format: Literal[1] = 1
    project: str
    currency: str
    as_of: datetime
    data_fingerprint: str
    columns: tuple[FeatureColumn, ...]
    outcomes: tuple[OutcomeEffects, ...]
    siblings: tuple[ActionEffect, ...] = ()

    @cached_property
    def inputs(self) -> ModelInputs:
        """Takes the model's inputs from features."""
        return ModelInputs(self.columns)


@dataclass(frozen=True, slots=True)
class Effects:
    """One action's effect on each customer.

    Attributes:
        mean: expected, shape (customers,), or (1,) where it is the same for all.
        error: standard deviation of what is believed, of the same shape.
        status: where the knowledge comes from.
    """

    mean: Floats
    error: Floats
    status: EffectStatus


@dataclass(frozen=True)
class UpliftPredictor:
    """The stored model; its numbers do not depend on how many customers are asked for."""

    manifest: UpliftManifest
    boosters: Mapping[str, lgb.Booster]

    @classmethod
    def load(cls, folder: Path) -> UpliftPredictor:
        """Read a model's folder. Raises RegistryError when it is none."""
        manifest = read_manifest(folder, UpliftManifest)
        boosters = {of.booster: lgb.Booster(model_file=str(folder / of.booster)) for of in manifest.outcomes}
        return cls(manifest, boosters)

    def save(self, folder: Path) -> None:
        """Write the model's native files."""
        for name, booster in self.boosters.items():
            booster.save_model(str(folder / name))
        write_manifest(folder, self.manifest)

    def effects(self, features: Features) -> dict[str, Effects]:
        """Action -> its effect on each customer.

        Raises:
            RegistryError: a feature is missing.
        """
        inputs = self.manifest.inputs.matrix(rows_of(features))
        found = {
            of.action: Effects(np.array([of.effect]), np.array([hypot(of.error, of.spread)]), of.status)
            for of in self.manifest.siblings
        }
        for of in self.manifest.outcomes:
            found |= _effects(of, self.boosters[of.booster], inputs)
        return found


def _effects(of: OutcomeEffects, booster: lgb.Booster, inputs: Floats) -> dict[str, Effects]:
    raw = of.learners.effects(booster, inputs)
    found: dict[str, Effects] = {}
    for number, action in enumerate(of.actions):
        away = raw[:, :, number].T - np.array(action.centre)
        # What is not known: the average effect, by how much this customer differs, and what the learners are worth.
        learners = np.maximum((straight(away, np.array(of.uncertainty)) * away).sum(axis=1), 0.0)
        error = np.sqrt(action.error**2 + action.spread**2 + learners)
        mean = action.effect + straight(away, np.array([of.weights]).T)[:, 0]
        found[action.action] = Effects(mean, error, action.status)
    return found
