"""Training sets: features as of each cut-off, with what came after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from features.contract.profiles import Profiles
from features.engine.build import build_features
from features.engine.definition import FeatureSet
from kernel.settings import Settings
from training.cohorts import active_customers
from training.labels.future_spend import future_spend
from training.labels.transaction_churn import transaction_churn
from training.labels.window import LabelWindow


@dataclass(frozen=True)
class TrainingSet:
    """Rows of (customer, cut-off). All parts share one index (customer_id, cutoff), cut-offs rising.

    Attributes:
        features: one column per feature.
        churned: 1.0 or 0.0.
        spend: net spend in the value horizon.
    """

    features: pd.DataFrame
    churned: pd.Series
    spend: pd.Series

    def __len__(self) -> int:
        return len(self.features)

    @property
    def customers(self) -> pd.Index:
        """The customer of each row."""
        return self.features.index.get_level_values("customer_id")


class DatasetBuilder:
    """Builds training sets of one project and keeps the rows of cut-offs already built.

    A row is kept under (cut-off, known_at): the same cut-off may have a richer label later, when late rows arrived.
    """

    def __init__(self, profiles: Profiles, features: FeatureSet, settings: Settings) -> None:
        self.profiles = profiles
        self.feature_set = features
        self.settings = settings
        self._features: dict[datetime, pd.DataFrame] = {}

    def cohort_features(self, cutoff: datetime) -> pd.DataFrame:
        """Features of the customers active before ``cutoff``."""
        if cutoff not in self._features:
            cohort = active_customers(self.profiles, cutoff, self.settings.churn.active_days)
            built = build_features(self.profiles, self.feature_set, cutoff)
            self._features[cutoff] = built.loc[built.index.intersection(cohort)]
        return self._features[cutoff]

    def training_set(self, cutoffs: Sequence[datetime], known_at: datetime) -> TrainingSet:
        """The cohorts of several cut-offs, with labels as known at ``known_at``.

        Raises:
            NotEnoughDataError: a label is not ripe at ``known_at``.
        """
        churn_window = LabelWindow(self.settings.churn.horizon_days)
        value_window = LabelWindow(self.settings.value.horizon_days)
        features, churned, spend = [], [], []
        for cutoff in cutoffs:
            frame = self.cohort_features(cutoff)
            features.append(frame)
            churned.append(transaction_churn(self.profiles, frame.index, cutoff, churn_window, known_at))
            spend.append(future_spend(self.profiles, frame.index, cutoff, value_window, known_at))
        stack = {"keys": list(cutoffs), "names": ["cutoff", "customer_id"]}
        return TrainingSet(
            *(pd.concat(parts, **stack).swaplevel() for parts in (features, churned, spend))  # type: ignore[arg-type]
        )
