"""Training sets: features as of each cut-off, with what came after."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.cohorts import has_history, is_known
from features.contract.profiles import Profiles
from features.engine.build import build_many
from features.engine.definition import FeatureSet
from kernel.settings import Settings
from training.labels.future_spend import future_spend
from training.labels.label import Label, churn_label, spend_label
from training.labels.window import LabelWindow
from training.treatment import treatment_of

FeatureBuilder = Callable[[Sequence[datetime]], dict[datetime, pd.DataFrame]]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class TrainingSet:
    """Rows of (customer, cut-off), cut-offs rising; every array has one value per row.

    Attributes:
        features: one column per feature; index customer_id, which repeats over cut-offs.
        cutoff: the moment each row looks from, datetime64 (UTC).
        churned: 1.0 or 0.0, by ``[churn] definition``; NaN where the customer has no such outcome.
        spend: net spend in the value horizon, in the project's currency.
        active: whether the row belongs to the churn cohort.
        weight: what each row counts for in the churn model; None for one each.
        treated: whether a retention action reached the customer in the label window; ``churned`` is NaN then. None
            where no such actions are set.
    """

    features: pd.DataFrame
    cutoff: NDArray[np.datetime64]
    churned: Floats
    spend: Floats
    active: Flags
    weight: Floats | None = None
    treated: Flags | None = None

    def __len__(self) -> int:
        return len(self.features)

    def rows(self, chosen: Flags) -> TrainingSet:
        """The rows where ``chosen`` is true."""
        return TrainingSet(
            self.features.loc[chosen],
            self.cutoff[chosen],
            self.churned[chosen],
            self.spend[chosen],
            self.active[chosen],
            None if self.weight is None else self.weight[chosen],
            None if self.treated is None else self.treated[chosen],
        )

    @property
    def churn_cohort(self) -> TrainingSet:
        """The rows of customers at risk at their cut-off, whose outcome is known."""
        return self.rows(self.active & ~np.isnan(self.churned))

    @property
    def buyers(self) -> TrainingSet:
        """The rows of customers with a purchase before their cut-off."""
        return self.rows(has_history(self.features))

    def customer_share(self, purpose: str) -> Floats:
        """A number in [0, 1) for each row, by a hash of the customer: equal for all rows of one, and without a seed.

        Args:
            purpose: the numbers of different purposes have nothing to do with each other.
        """
        # MD5 for its spread, not for secrecy: similar ids must not land beside each other.
        known = {customer: _share(f"{purpose}/{customer}") for customer in self.customers.unique()}
        return np.array([known[customer] for customer in self.customers], dtype=np.float64)

    def at_most(self, rows: int, purpose: str = "sample") -> TrainingSet:
        """About ``rows`` rows, or all if there are fewer: whole customers are left out, chosen by hash."""
        return self if len(self) <= rows else self.rows(self.customer_share(purpose) < rows / len(self))

    @property
    def customers(self) -> pd.Index:
        """The customer of each row."""
        return self.features.index


@dataclass(frozen=True)
class LabelledSet:
    """Rows of (customer, cut-off) with one label, cut-offs in the order they were asked for.

    Attributes:
        features: one column per feature; index customer_id, which repeats over cut-offs.
        cutoff: the moment each row looks from, datetime64 (UTC), shape (rows,).
        label: the outcome in the window after it, float64, shape (rows,).
        in_cohort: whether the row is one that the prediction is made for, shape (rows,).
        window: where the outcome was looked for, with its gap.
        name: of the label.
    """

    features: pd.DataFrame
    cutoff: NDArray[np.datetime64]
    label: Floats
    in_cohort: Flags
    window: LabelWindow
    name: str

    def __len__(self) -> int:
        return len(self.features)

    def rows(self, chosen: Flags) -> LabelledSet:
        """The rows where ``chosen`` is true."""
        return LabelledSet(
            self.features.loc[chosen],
            self.cutoff[chosen],
            self.label[chosen],
            self.in_cohort[chosen],
            self.window,
            self.name,
        )

    @property
    def cohort(self) -> LabelledSet:
        """The rows of the cohort whose outcome is known."""
        return self.rows(self.in_cohort & ~np.isnan(self.label))


@dataclass(frozen=True)
class RecentPast:
    """The label windows that are not over yet.

    Attributes:
        beginnings: (days, rows): how long each has been watched, and the cohort of its cut-off, with what the label
            says of these days alone as ``churned``.
        early: (rows, days) -> what the label says of the first days of the rows' windows alone, shape (rows,).
    """

    beginnings: tuple[tuple[int, TrainingSet], ...]
    early: Callable[[TrainingSet, int], Floats]


class DatasetBuilder:
    """Builds training sets of one project, and keeps the features of cut-offs already built."""

    def __init__(
        self, profiles: Profiles, features: FeatureSet, settings: Settings, build: FeatureBuilder | None = None
    ) -> None:
        """``build`` makes features as of several moments; by default all of them are computed."""
        self.profiles = profiles
        self.feature_set = features
        self.settings = settings
        self._build = build or partial(build_many, profiles, features)
        self._without_consent = profiles.without_consent()
        self._treatment = treatment_of(settings.churn)
        self._features: dict[datetime, pd.DataFrame] = {}

    def with_settings(self, settings: Settings) -> DatasetBuilder:
        """The same tables and features, with other settings of the models; cut-offs already built stay."""
        other = DatasetBuilder(self.profiles, self.feature_set, settings, self._build)
        other._features = self._features
        return other

    def population(self, as_of: datetime) -> pd.DataFrame:
        """Features of the customers who have a history (purchases; contracts where these churn) and may be profiled."""
        self.prepare([as_of])
        return self._features[as_of]

    def prepare(self, as_ofs: Sequence[datetime]) -> None:
        """Build the features of these moments that are not there yet; together they cost less than one by one."""
        missing = [as_of for as_of in as_ofs if as_of not in self._features]
        for as_of, built in self._build(missing).items():
            usable = is_known(built, self.settings.churn.definition) & ~built.index.isin(list(self._without_consent))
            self._features[as_of] = built.loc[usable]

    def training_set(self, cutoffs: Sequence[datetime], known_at: datetime) -> TrainingSet:
        """The population of several cut-offs, with labels as known at ``known_at``.

        Raises:
            NotEnoughDataError: a label is not ripe at ``known_at``.
        """
        self.prepare(cutoffs)
        parts = [self._one_cutoff(cutoff, known_at) for cutoff in cutoffs]
        rows = TrainingSet(
            pd.concat([part.features for part in parts]),
            np.concatenate([part.cutoff for part in parts]),
            np.concatenate([part.churned for part in parts]),
            np.concatenate([part.spend for part in parts]),
            np.concatenate([part.active for part in parts]),
        )
        return rows if self._treatment is None else self._treatment.left_out(self.profiles, rows, known_at)

    def labelled(self, cutoffs: Sequence[datetime], label: Label, known_at: datetime) -> LabelledSet:
        """The population of several cut-offs with one label, as known at ``known_at``.

        Raises:
            NotEnoughDataError: the label's window is not over at ``known_at``.
        """
        self.prepare(cutoffs)
        frames = [self.population(cutoff) for cutoff in cutoffs]
        outcomes = [
            label.outcomes(self.profiles, frame.index, cutoff, label.window, known_at).to_numpy()
            for cutoff, frame in zip(cutoffs, frames, strict=True)
        ]
        return LabelledSet(
            pd.concat(frames),
            np.concatenate([_moments(cutoff, frame) for cutoff, frame in zip(cutoffs, frames, strict=True)]),
            np.concatenate(outcomes),
            np.concatenate([label.cohort(frame) for frame in frames]),
            label.window,
            label.name,
        )

    def recent_past(self, days: Sequence[int], known_at: datetime) -> RecentPast:
        """The windows of ``[churn]`` that began so many days before ``known_at``, as far as they are known then."""
        moments = [known_at - timedelta(days=count) for count in days]
        self.prepare(moments)
        beginnings = [
            (count, self._beginning(moment, count, known_at)) for count, moment in zip(days, moments, strict=True)
        ]
        return RecentPast(tuple(beginnings), partial(self._early, known_at=known_at))

    def spend_within(self, rows: TrainingSet, days: int, *, known_at: datetime) -> Floats:
        """What each row spent in so many days after its cut-off; NaN where they are not over at ``known_at``."""
        window, found = LabelWindow(days), np.full(len(rows), np.nan)
        for cutoff in np.unique(rows.cutoff):
            moment, here = cutoff.item().replace(tzinfo=known_at.tzinfo), rows.cutoff == cutoff
            if window.is_ripe(moment, known_at):
                spend = future_spend(self.profiles, rows.customers[here], moment, window, known_at)
                found[here] = spend.to_numpy()
        return found

    def _beginning(self, cutoff: datetime, days: int, known_at: datetime) -> TrainingSet:
        frame = self.population(cutoff)
        frame = frame.loc[churn_label(self.settings.churn).cohort(frame)]
        unknown = np.full(len(frame), np.nan)
        rows = TrainingSet(frame, _moments(cutoff, frame), unknown, unknown, np.ones(len(frame), dtype=bool))
        rows = replace(rows, churned=self._early(rows, days, known_at))
        if self._treatment is None:
            return rows
        return self._treatment.left_out(self.profiles, rows, known_at, days).churn_cohort

    def _early(self, rows: TrainingSet, days: int, known_at: datetime) -> Floats:
        label, window = churn_label(self.settings.churn), LabelWindow(days)
        found = np.empty(len(rows))
        for cutoff in np.unique(rows.cutoff):
            here = rows.cutoff == cutoff
            moment = cutoff.item().replace(tzinfo=known_at.tzinfo)
            found[here] = label.outcomes(self.profiles, rows.customers[here], moment, window, known_at).to_numpy()
        return found

    def _one_cutoff(self, cutoff: datetime, known_at: datetime) -> TrainingSet:
        frame = self.population(cutoff)
        churn, spend = churn_label(self.settings.churn), spend_label(self.settings.value)
        outcomes = (
            label.outcomes(self.profiles, frame.index, cutoff, label.window, known_at).to_numpy()
            for label in (churn, spend)
        )
        return TrainingSet(frame, _moments(cutoff, frame), *outcomes, active=churn.cohort(frame))


def _share(text: str) -> float:
    return int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest()[:4], "big") / 2**32


def _moments(cutoff: datetime, rows: pd.DataFrame) -> NDArray[np.datetime64]:
    return np.full(len(rows), np.datetime64(cutoff.replace(tzinfo=None), "us"))
