"""The champions, the catalogue and the current snapshot, opened as one source of insights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.contract.profiles import profiles_from_frames
from features.definitions import project_features
from features.engine.build import build_features
from features.engine.definition import FeatureSet
from features.engine.store import Snapshot, SnapshotStore
from kernel.churn_predictor import ChurnPredictor
from kernel.clock import utc_now
from kernel.errors import NotFoundError, UsageError, did_you_mean
from kernel.model_registry import ModelRegistry
from kernel.settings import Settings, load_settings
from kernel.value_predictor import ValuePredictor
from serving.decisioning.catalogue import Catalogue, load_catalogue
from serving.decisioning.columns import Kind
from serving.decisioning.decide import decide
from serving.decisioning.decision import Decision
from serving.decisioning.policy import PolicySettings
from serving.insights import Insight, ModelVersions
from serving.schemas import ProfileInput
from serving.scoring.scorer import Scorer, Scores


@dataclass(frozen=True)
class Runtime:
    """Scores and decides for stored customers and for profiles in a request (an ``InsightSource``).

    Nothing in it changes after it is opened, so that any number of threads may use it.
    """

    settings: Settings
    scorer: Scorer
    features: FeatureSet
    snapshot: Snapshot
    catalogue: Catalogue | None
    policy: PolicySettings
    clock: Callable[[], datetime]

    @property
    def project(self) -> str:
        """The project's name."""
        return self.settings.project.name

    @property
    def currency(self) -> str:
        """ISO 4217."""
        return self.settings.project.currency

    @property
    def horizon_days(self) -> int:
        """Days that the lifetime value covers."""
        return self.scorer.value.manifest.horizon_days

    @property
    def churn_horizon_days(self) -> int:
        """Days ahead in which a churner does not purchase."""
        return self.scorer.churn.manifest.horizon_days

    @property
    def as_of(self) -> datetime:
        """The moment of knowledge of stored customers."""
        return self.snapshot.as_of

    def versions(self) -> ModelVersions:
        """The models and the policy that answer now."""
        policy = "none" if self.catalogue is None else self.policy.version(self.catalogue.hash)
        return ModelVersions(self.scorer.churn_version, self.scorer.value_version, policy)

    def by_ids(self, customer_ids: Sequence[str]) -> list[Insight]:
        """One insight for each id, in the same order.

        Raises:
            NotFoundError: with the number of unknown ids.
        """
        rows = self.snapshot.features.index.get_indexer(pd.Index(customer_ids, dtype=object))
        unknown = int((rows < 0).sum())
        if unknown:
            raise NotFoundError(
                f"{unknown} of {len(customer_ids)} customers are not in the snapshot of {self.as_of:%Y-%m-%d}.",
                where="customer_id",
                fix="Check the id, or send the whole profile.",
            )
        # One customer may be asked for twice; each is decided once.
        chosen, inverse = np.unique(rows, return_inverse=True)
        consent = self.snapshot.consent.to_numpy()[chosen]
        insights = self.insights(self.snapshot.features.iloc[chosen], consent, self.as_of)
        return [insights[i] for i in inverse]

    def by_profile(self, profile: ProfileInput) -> Insight:
        """The insight of a profile that is not stored, computed on the spot by the same definitions.

        Raises:
            UsageError: an attribute that the project does not have.
        """
        as_of = profile.as_of or self.clock()
        attributes = self.snapshot.manifest.attributes
        for name in profile.customer.attributes:
            if name not in attributes:
                raise UsageError(
                    f"'{name}' is no attribute of this project.",
                    where="customer.attributes",
                    fix=did_you_mean(name, attributes),
                )
        profiles = profiles_from_frames(_frames(profile), attributes, self.settings.project.timezone)
        with profiles:
            built = build_features(profiles, self.features, as_of)
        consent = np.array([profile.customer.consent])
        return self.insights(built, consent, as_of)[0]

    def insights(self, features: pd.DataFrame, consent: NDArray[np.bool_], as_of: datetime) -> list[Insight]:
        """Score and decide for every row of ``features``, in order."""
        scores = self.scorer.score(features, consent, as_of=as_of, scored_at=self.clock())
        decisions = self._decide(scores, features, as_of)
        return [Insight(scores.score(row), decisions[row]) for row in range(len(scores))]

    def _decide(self, scores: Scores, features: pd.DataFrame, as_of: datetime) -> Sequence[Decision | None]:
        if self.catalogue is None or not len(scores):
            return [None] * len(scores)
        return decide(
            self.catalogue,
            scores.for_rules(features),
            as_of=as_of,
            settings=self.policy,
            currency=self.currency,
            model_versions=(self.scorer.churn_version, self.scorer.value_version),
            top_k=self.settings.actions.top_k,
        )


def open_runtime(config: str | Path, *, clock: Callable[[], datetime] = utc_now) -> Runtime:
    """Open what a project's service or batch job needs.

    Raises:
        UsageError: the configuration or the catalogue is wrong.
        RegistryError: a champion is missing.
        NotFoundError: no snapshot was published yet.
    """
    settings = load_settings(config)
    scorer = load_scorer(settings)
    return open_runtime_on(settings, scorer, SnapshotStore(settings.state_folder).current(), clock=clock)


def open_runtime_on(
    settings: Settings, scorer: Scorer, snapshot: Snapshot, *, clock: Callable[[], datetime] = utc_now
) -> Runtime:
    """The runtime of a snapshot at hand."""
    features = project_features(settings, snapshot.manifest.attributes)
    catalogue = _catalogue(settings, features)
    return Runtime(settings, scorer, features, snapshot, catalogue, PolicySettings(), clock)


def load_scorer(settings: Settings) -> Scorer:
    """The champions of both models.

    Raises:
        RegistryError: one of them is missing.
    """
    registry = ModelRegistry.of(settings)
    churn = registry.require(settings.model_name("churn"))
    value = registry.require(settings.model_name("value"))
    return Scorer(
        ChurnPredictor.load(registry.download(churn)),
        ValuePredictor.load(registry.download(value)),
        str(churn),
        str(value),
    )


def _catalogue(settings: Settings, features: FeatureSet) -> Catalogue | None:
    if settings.actions.catalogue is None:
        return None
    kinds = {feature.name: Kind.TEXT if feature.is_word else Kind.NUMBER for feature in features}
    return load_catalogue(settings.path(settings.actions.catalogue), kinds)


def _frames(profile: ProfileInput) -> dict[str, pd.DataFrame]:
    customer = profile.customer
    tables = {
        "customers": [customer.model_dump(exclude={"attributes"}) | customer.attributes],
        "transactions": [line.model_dump() for line in profile.transactions],
        "activities": [activity.model_dump() for activity in profile.activities],
        "subscriptions": [version.model_dump() for version in profile.subscriptions],
    }
    frames = {name: pd.DataFrame(rows) for name, rows in tables.items() if rows}
    for frame in frames.values():
        frame["customer_id"] = customer.customer_id
        for column in ("created_at", "event_time", "ingested_at"):
            if column in frame:
                frame[column] = pd.to_datetime(frame[column], utc=True).dt.tz_localize(None)
        if "ingested_at" in frame:
            frame["ingested_at"] = frame["ingested_at"].fillna(frame["event_time"])
    return frames
