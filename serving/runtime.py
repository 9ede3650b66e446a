"""The champions, the catalogue and the stored features, opened as one source of insights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.contract.policies import Policies
from features.definitions import project_features
from features.engine.definition import FeatureSet
from features.engine.histories import unpacked
from features.engine.snapshot import Snapshot, StoredFeatures, StoredRows
from kernel.churn_predictor import ChurnPredictor
from kernel.clock import utc_now
from kernel.errors import NotFoundError, UsageError, did_you_mean
from kernel.feature_rows import Features, rows_of
from kernel.model_registry import ModelRegistry
from kernel.segment import SegmentValue
from kernel.settings import Settings
from kernel.types import LowerBand
from kernel.uplift_predictor import UpliftPredictor
from kernel.value_predictor import ValuePredictor
from serving.decisioning.belief import Belief, LearnedBelief
from serving.decisioning.catalogue import SCORE_FIELDS, Catalogue, load_catalogue
from serving.decisioning.columns import Kind
from serving.decisioning.decide import decide
from serving.decisioning.decision import Decision
from serving.decisioning.policy import PolicySettings
from serving.decisioning.rules import compile_rule
from serving.decisioning.state import DecisionState
from serving.feedback.state_reader import StateReader
from serving.fresh_events import NoHistoryError, moment_of, with_events
from serving.insights import Insight, ModelVersions
from serving.profile import ProfileEngine, profile_features
from serving.schemas import EventsInput, ProfileInput
from serving.scoring.band_log import BandLog
from serving.scoring.changes import lower_bands
from serving.scoring.scorer import Scorer, Scores
from serving.telemetry import span
from serving.what_if import WhatIf, with_what_if

_CHUNK = 20_000
_NO_REASONS = 101.0  # no percentile is so high


@dataclass(frozen=True)
class LearnedEffects:
    """A stored model of what actions change, and its version, such as ``uplift/2``."""

    model: UpliftPredictor
    version: str

    def beliefs(self, features: Features) -> dict[str, Belief]:
        """Action -> what is believed of its effect on each row of ``features``."""
        return {action: LearnedBelief(effects) for action, effects in self.model.effects(features).items()}


@dataclass(frozen=True)
class Runtime:
    """Scores and decides for stored customers and for profiles in a request (an ``InsightSource``).

    Nothing in it changes after it is opened, so that any number of threads may use it. What ``stored`` answers may: a
    snapshot that is published meanwhile is in the next answer.

    Attributes:
        stored: where customers are looked up by id: a snapshot at hand, or the online store.
        attributes: customer attribute -> "string" or "float64".
        bands: the churn bands of earlier scores.
        learned: the model of the actions' effects; None while decisions go by the catalogue's assumptions alone.
        state: what was decided before and what came of it.
        decided_at: the moment whose contacts and prices count; None for the present one.
    """

    settings: Settings
    scorer: Scorer
    features: FeatureSet
    stored: StoredFeatures
    attributes: Mapping[str, str]
    catalogue: Catalogue | None
    policy: PolicySettings
    clock: Callable[[], datetime]
    bands: BandLog
    learned: LearnedEffects | None = None
    state: StateReader | None = None
    decided_at: datetime | None = None

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
    def value_shown_months(self) -> int:
        """The longest of the value's horizons that outcomes could be compared with, in months; 0 for none."""
        return max((one.months for one in self.scorer.value.manifest.horizons if one.is_shown), default=0)

    @property
    def churn_horizon_days(self) -> int:
        """Days ahead in which a churner does not purchase."""
        return self.scorer.churn.manifest.horizon_days

    @property
    def churn_bands(self) -> tuple[float, float]:
        """The percentiles at which the medium and the high churn band begin."""
        return self.scorer.churn.manifest.bands

    @property
    def as_of(self) -> datetime:
        """The moment of knowledge of stored customers, now."""
        return self.stored.current_manifest().as_of

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot that this was opened over.

        Raises:
            UsageError: customers are looked up in the online store, which has no order and no whole.
        """
        if isinstance(self.stored, Snapshot):
            return self.stored
        raise UsageError(
            "The service looks customers up by id and does not list them.",
            where="snapshot",
            fix="Use Project.runtime(as_of=...).",
        )

    def versions(self) -> ModelVersions:
        """The models and the policy that answer now."""
        return self._versions

    @cached_property
    def _versions(self) -> ModelVersions:
        policy = "none" if self.catalogue is None else self.policy.version(self.catalogue.hash)
        return ModelVersions(self.scorer.churn_version, self.scorer.value_version, policy)

    def models_as_of(self) -> Mapping[str, datetime]:
        """Kind of model -> the moment of knowledge that it was trained with."""
        return {"churn": self.scorer.churn.manifest.as_of, "value": self.scorer.value.manifest.as_of}

    def by_ids(self, customer_ids: Sequence[str]) -> list[Insight]:
        """One insight for each id, in the same order.

        Raises:
            NotFoundError: with the number of unknown ids.
        """
        # One customer may be asked for twice; each is decided once. All are from one snapshot.
        found = self._found(customer_ids)
        insights = self.insights(found.rows, found.consent, found.manifest.as_of, found.manifest.id)
        place = {name: row for row, name in enumerate(found.rows.customer_ids)}
        return [insights[place[name]] for name in customer_ids]

    def _found(self, customer_ids: Sequence[str]) -> StoredRows:
        with span("look-up"):
            found = self.stored.look_up(customer_ids)
        known = set(found.rows.customer_ids)
        unknown = sum(name not in known for name in customer_ids)
        if unknown:
            raise NotFoundError(
                f"{unknown} of {len(customer_ids)} customers are not in the snapshot of "
                f"{found.manifest.as_of:%Y-%m-%d}.",
                where="customer_id",
                fix="Check the id, or send the whole profile.",
            )
        return found

    def by_what_if(self, customer_id: str, what_if: WhatIf) -> Insight:
        """The insight of a stored customer if some features were others; the decision is of no use but to be shown.

        Raises:
            NotFoundError: an unknown id.
            WhatIfError: an unknown feature, or a value that it cannot have.
        """
        found = self._found([customer_id])
        return self._what_if(found.rows, found.consent, found.manifest.as_of, what_if)

    def by_events(self, customer_id: str, events: EventsInput, what_if: WhatIf | None = None) -> Insight:
        """The insight of a stored customer with new events; ``what_if``: if some features were others.

        Raises:
            NotFoundError: an unknown id.
            NoHistoryError: the customer's history is not stored.
            EventsError: an event is still to come.
            WhatIfError: an unknown feature, or a value that it cannot have.
        """
        found = self._found([customer_id])
        as_of = moment_of(events, found.manifest.as_of, self.clock())
        if not found.consent[0]:
            return self.insights(found.rows, found.consent, as_of)[0]
        content = self.stored.history(customer_id)
        if content is None:
            raise NoHistoryError
        profile = with_events(customer_id, unpacked(content), events, as_of)
        besides = hashlib.sha256(events.model_dump_json().encode()).hexdigest()[:16]
        return self.by_profile(profile, what_if, besides=besides)

    def _what_if(self, features: Features, consent: NDArray[np.bool_], as_of: datetime, what_if: WhatIf) -> Insight:
        [insight] = self.insights(with_what_if(rows_of(features), what_if, self.features), consent, as_of)
        return replace(insight, what_if=True)

    def by_profile(
        self, profile: ProfileInput, what_if: WhatIf | None = None, *, besides: str | None = None
    ) -> Insight:
        """The insight of a profile that is not stored, computed on the spot by the same definitions; ``what_if``: if
        some features were others; ``besides``: see :func:`serving.decisioning.decide.decide`.

        Raises:
            UsageError: an attribute that the project does not have.
            WhatIfError: an unknown feature, or a value that it cannot have.
        """
        as_of = profile.as_of or self.clock()
        attributes = self.attributes
        for name in profile.customer.attributes:
            if name not in attributes:
                raise UsageError(
                    f"'{name}' is no attribute of this project.",
                    where="customer.attributes",
                    fix=did_you_mean(name, attributes),
                )
        built = profile_features(self.engine, profile, as_of, Policies.of(self.settings))
        consent = np.array([profile.customer.consent])
        if what_if is not None:
            return self._what_if(built, consent, as_of, what_if)
        return self.insights(built, consent, as_of, besides=besides)[0]

    @cached_property
    def engine(self) -> ProfileEngine:
        """What computes the features of a profile that is not stored."""
        return ProfileEngine(self.features, self.attributes, self.settings.project.timezone)

    def insights(
        self,
        features: Features,
        consent: NDArray[np.bool_],
        as_of: datetime,
        snapshot: str | None = None,
        *,
        besides: str | None = None,
    ) -> list[Insight]:
        """Score and decide for every row of ``features``, in order; ``snapshot``: what they are stored in; ``besides``:
        what was known besides."""
        with span("score"):
            scores = self.scores(features, consent, as_of)
        with span("decide"):
            decisions = self.decide(scores, features, as_of, snapshot, besides=besides)
        return [Insight(scores.score(row), decisions[row]) for row in range(len(scores))]

    def scores(
        self, features: Features, consent: NDArray[np.bool_], as_of: datetime, *, reasons_from: float = 0.0
    ) -> Scores:
        """Score every row of ``features``; see :meth:`serving.scoring.scorer.Scorer.score`.

        Raises:
            BandsUnavailableError: the bands of earlier scores cannot be read.
        """
        return self.scorer.score(
            features,
            consent,
            as_of=as_of,
            scored_at=self.clock(),
            held=self.bands.before(as_of, rows_of(features).customer_ids),
            reasons_from=reasons_from,
        )

    def with_changes(self, customer_id: str) -> tuple[Insight, list[LowerBand]]:
        """The insight of a stored customer, and what would bring it into a lower churn band, the nearest first.

        Raises:
            NotFoundError: an unknown id.
        """
        found = self._found([customer_id])
        as_of = found.manifest.as_of
        scores = self.scores(found.rows, found.consent, as_of)
        [decision] = self.decide(scores, found.rows, as_of, found.manifest.id)
        return Insight(scores.score(0), decision), lower_bands(self.scorer, found.rows, scores)

    def total_value(self, where: str | None = None) -> SegmentValue:
        """Expected net spend over the learnt horizon of all customers of the snapshot who may be profiled and have a
        value, and where the actual total lies.

        Args:
            where: a SQL condition over scores, features and attributes, as in the rules of the catalogue; None for all.

        Raises:
            UsageError: the condition is none, or names an unknown field.
        """
        fields = {**_kinds(self.features), **SCORE_FIELDS}
        rule = None if where is None else compile_rule(where, fields, where="the condition on customers")
        parts = [np.empty(0)]
        for _, frame in self.frames():
            spend = frame["lifetime_value"].to_numpy(np.float64)
            wanted = ~np.isnan(spend)
            if rule is not None:
                wanted &= rule.evaluate(frame).passed
            parts.append(spend[wanted])
        return self.scorer.value.total(np.concatenate(parts))

    def state_of(self, customer_ids: Sequence[str]) -> DecisionState | None:
        """What decisions for these customers depend on besides their features.

        Raises:
            StoreUnavailableError: the database does not answer.
        """
        if self.state is None or self.catalogue is None:
            return None
        return self.state.read(self.catalogue, customer_ids, self.decided_at or self.clock())

    def frames(self) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
        """The snapshot in parts: the features, and beside them what rules read: scores, features and attributes.

        Raises:
            UsageError: customers are looked up in the online store, which has no whole.
            BandsUnavailableError: the bands of earlier scores cannot be read.
        """
        for chunk in self.snapshot.chunks(_CHUNK):
            scores = self.scores(chunk.rows, chunk.consent, chunk.manifest.as_of, reasons_from=_NO_REASONS)
            yield chunk.features, scores.for_rules(chunk.rows).frame

    def decide(
        self,
        scores: Scores,
        features: Features,
        as_of: datetime,
        snapshot: str | None = None,
        *,
        besides: str | None = None,
    ) -> Sequence[Decision | None]:
        """A decision for each row; None without a catalogue.

        Raises:
            StoreUnavailableError: the database of earlier decisions does not answer.
        """
        if self.catalogue is None or not len(scores):
            return [None] * len(scores)
        learned = () if self.learned is None else (self.learned.version,)
        return decide(
            self.catalogue,
            scores.for_rules(features),
            as_of=as_of,
            settings=self.policy,
            currency=self.currency,
            model_versions=(self.scorer.churn_version, self.scorer.value_version, *learned),
            top_k=self.settings.actions.top_k,
            beliefs=None if self.learned is None else self.learned.beliefs(features),
            state=self.state_of(scores.customer_ids),
            feature_snapshot=snapshot,
            besides=besides,
        )


def open_runtime_on(
    settings: Settings,
    scorer: Scorer,
    stored: StoredFeatures,
    *,
    learned: LearnedEffects | None = None,
    clock: Callable[[], datetime] = utc_now,
    decided_at: datetime | None = None,
) -> Runtime:
    """The runtime over stored features: a snapshot at hand, or the online store.

    Args:
        learned: the model of the actions' effects that decisions go by; None for the catalogue's assumptions.
        decided_at: of a past moment: what was decided and reported later does not count; None for the present.
    """
    manifest = stored.current_manifest()
    features = project_features(settings, manifest.attributes).only(manifest.feature_versions)
    catalogue = open_catalogue(settings, features)
    bands = BandLog.of(settings)
    return Runtime(
        settings=settings,
        scorer=scorer,
        features=features,
        stored=stored,
        attributes=manifest.attributes,
        catalogue=catalogue,
        policy=PolicySettings(holdout=settings.actions.holdout),
        clock=clock,
        bands=bands,
        learned=None if catalogue is None else learned,
        state=StateReader.of(settings),
        decided_at=decided_at,
    )


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
        settings.project.language,
    )


def load_effects(settings: Settings) -> LearnedEffects | None:
    """The champion of the models of effects; None where none was learned yet."""
    registry = ModelRegistry.of(settings)
    version = registry.champion(settings.model_name("uplift"))
    return None if version is None else LearnedEffects(UpliftPredictor.load(registry.download(version)), str(version))


def open_catalogue(settings: Settings, features: FeatureSet) -> Catalogue | None:
    """The project's action catalogue; None where it has none. Raises UsageError when something in it is wrong."""
    if settings.actions.catalogue is None:
        return None
    return load_catalogue(settings.path(settings.actions.catalogue), _kinds(features))


def required(catalogue: Catalogue | None) -> Catalogue:
    """The catalogue. Raises UsageError where the project has none."""
    if catalogue is None:
        raise UsageError(
            "The project has no action catalogue.", where="[actions] catalogue", fix="Name an actions.toml there."
        )
    return catalogue


def _kinds(features: FeatureSet) -> dict[str, Kind]:
    return {feature.name: Kind.TEXT if feature.is_word else Kind.NUMBER for feature in features}
