"""What the policy to judge would have done in the contexts of logged decisions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kernel.errors import UsageError, did_you_mean
from kernel.model_registry import CHALLENGER, ModelVersion
from kernel.part import Floats
from kernel.uplift_predictor import UpliftPredictor
from serving.decisioning.catalogue import Catalogue
from serving.decisioning.columns import Fields
from serving.decisioning.decide import decide
from serving.decisioning.decision import Decision
from serving.decisioning.policy import PolicySettings
from serving.runtime import LearnedEffects, load_scorer
from serving.scoring.band_log import BandLog
from training.models.uplift_learners import Ints

if TYPE_CHECKING:
    from foresight.project import Project

PRIOR = "prior"
NO_BAND = "no band"
_NO_REASONS = 101.0  # no percentile is so high
_AT_ONCE = 20_000


@dataclass(frozen=True)
class Replay:
    """What was known of some customers at some moments, and what the judged policy would have done.

    Attributes:
        place: (moment, customer) -> row; a customer who was not known then, or may not be profiled, is in none.
        features: a row each.
        lifetime_value: NaN where there is none, shape (rows,).
        band: of churn, shape (rows,).
        probability, allowed, worth, uplift: of doing nothing and the catalogue's actions, in order, shape
            (rows, 1 + actions). ``worth`` is NaN where not allowed.
    """

    place: dict[tuple[datetime, str], int]
    features: pd.DataFrame
    lifetime_value: Floats
    band: NDArray[np.object_]
    probability: Floats
    allowed: NDArray[np.bool_]
    worth: Floats
    uplift: Floats

    def rows(self, decisions: pd.DataFrame) -> Ints:
        """The row of each decision's context, -1 where there is none, shape (decisions,)."""
        keys = zip(decisions["as_of"].tolist(), decisions["customer_id"].tolist(), strict=True)
        return np.array([self.place.get(key, -1) for key in keys], dtype=np.int64)


def chosen_effects(project: Project, wanted: str | None) -> LearnedEffects | None:
    """The model of effects that the judged policy goes by; None for the catalogue's assumptions alone.

    Args:
        wanted: ``uplift/3``, the version's own name, or ``prior``; None for the challenger if it is newer than the
            champion, else the champion, else the assumptions.

    Raises:
        UsageError: there is no such version.
    """
    registry, name = project.registry, project.settings.model_name("uplift")
    if wanted == PRIOR:
        return None
    if wanted is None:
        known = [registry.champion(name), registry.resolve(name, CHALLENGER)]
        newest = max((one for one in known if one is not None), key=lambda one: one.version, default=None)
        return None if newest is None else _loaded(project, newest)
    named, _, number = wanted.rpartition("/")
    versions = {one.version: one for one in registry.versions(name)}
    if named not in ("uplift", name) or not number.isdecimal() or int(number) not in versions:
        options = [PRIOR, *(f"uplift/{version}" for version in versions)]
        raise UsageError(
            f"There is no model of effects '{wanted}'.", where="--effects", fix=did_you_mean(wanted, options)
        )
    return _loaded(project, versions[int(number)])


def without_closed(probability: Floats, worth: Floats, closed: NDArray[np.bool_]) -> Floats:
    """Probabilities of the judged policy where contact policy had closed some actions: what it would have given to
    those goes to the best that is left.

    Args:
        probability: of doing nothing and each action, shape (decisions, 1 + actions).
        worth: expected incremental value, NaN where not allowed, of the same shape.
        closed: of the same shape.
    """
    left = np.where(closed, 0.0, probability)
    best = np.where(closed | np.isnan(worth), -np.inf, worth).argmax(axis=1)
    left[np.arange(len(left)), best] += 1.0 - left.sum(axis=1)
    return np.where(closed.any(axis=1, keepdims=True), left, probability)


def replay(
    project: Project,
    catalogue: Catalogue,
    effects: LearnedEffects | None,
    asked: pd.DataFrame,
    say: Callable[[str], None],
) -> Replay:
    """Score and decide anew for each (``as_of``, ``customer_id``) of ``asked``, as the service would have then.

    Raises:
        RegistryError: a champion is missing, or the model of effects needs a feature that is not there.
    """
    pairs = asked[["as_of", "customer_id"]].drop_duplicates()
    moments = sorted({moment.to_pydatetime() for moment in pairs["as_of"].tolist()})
    scorer, bands = load_scorer(project.settings), BandLog.of(project.settings)
    versions = (scorer.churn_version, scorer.value_version, *(() if effects is None else (effects.version,)))
    without = project.profiles.without_consent()
    say(f"compute what was known of the customers at {len(moments):,} moments")
    built = project.features_of(moments)
    place: dict[tuple[datetime, str], int] = {}
    frames: list[pd.DataFrame] = []
    decisions: list[Decision] = []
    lifetime, band = [np.empty(0)], [np.empty(0, dtype=object)]
    for moment in moments:
        known = built[moment]
        ids = pairs.loc[(pairs["as_of"] == moment).to_numpy(bool), "customer_id"].tolist()
        ids = [name for name in ids if name in known.index and name not in without]
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            say(f"decide anew for {len(some):,} customers as of {moment:%Y-%m-%d}")
            features = known.loc[some]
            scores = scorer.score(
                features,
                np.ones(len(some), dtype=np.bool_),
                as_of=moment,
                scored_at=moment,
                held=bands.before(moment, some),
                reasons_from=_NO_REASONS,
            )
            place |= {(moment, name): len(place) + i for i, name in enumerate(some)}
            frames.append(features)
            lifetime.append(scores.numbers["lifetime_value"].to_numpy(float))
            band.append(scores.band)
            decisions += _decided(project, catalogue, effects, scores.for_rules(features), features, moment, versions)
    return _replay(place, frames, np.concatenate(lifetime), np.concatenate(band), decisions, 1 + len(catalogue.actions))


def _loaded(project: Project, version: ModelVersion) -> LearnedEffects:
    return LearnedEffects(UpliftPredictor.load(project.registry.download(version)), str(version))


def _decided(
    project: Project,
    catalogue: Catalogue,
    effects: LearnedEffects | None,
    fields: Fields,
    features: pd.DataFrame,
    moment: datetime,
    versions: tuple[str, ...],
) -> list[Decision]:
    return decide(
        # Messages that are owed are no part of the policy: decisions for them are not judged either.
        dataclasses.replace(catalogue, mandatory=()),
        fields,
        as_of=moment,
        settings=PolicySettings(),
        currency=project.settings.project.currency,
        model_versions=versions,
        top_k=1,
        beliefs=None if effects is None else effects.beliefs(features),
    )


def _replay(
    place: dict[tuple[datetime, str], int],
    frames: list[pd.DataFrame],
    lifetime: Floats,
    band: NDArray[np.object_],
    decisions: list[Decision],
    actions: int,
) -> Replay:
    def table(name: str) -> Floats:
        rows = [[getattr(one, name) for one in decision.candidates] for decision in decisions]
        return np.array(rows, dtype=np.float64).reshape(len(decisions), actions)

    allowed = table("eligible") > 0
    worth = np.where(allowed, table("expected_incremental_value"), np.nan)
    worth[:, 0] = 0.0
    return Replay(
        place=place,
        features=pd.concat(frames) if frames else pd.DataFrame(),
        lifetime_value=lifetime,
        band=np.array([NO_BAND if one is None else str(one) for one in band.tolist()], dtype=object),
        probability=table("probability"),
        allowed=allowed,
        worth=worth,
        uplift=table("uplift"),
    )
