"""What a trained model leaves on disk: native files and one JSON manifest, never a pickled object.

The manifest is the contract between training (which writes it) and serving (which reads it): it says everything
about the model that a score needs, so that neither imports the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import pandas as pd
from pydantic import ValidationError

from kernel.behaviours import Behaviour
from kernel.errors import RegistryError
from kernel.feature_rows import FeatureRows, Features, rows_of
from kernel.linear_part import LinearPart
from kernel.part import Floats, Part
from kernel.purchases import PurchaseParameters
from kernel.trained_range import TrainedRange

MANIFEST = "manifest.json"
_MANY = 100  # rows from which an index of words is quicker than a dictionary
GRID_POINTS = 1001  # percentiles are read from a grid a tenth of a point fine

SomeManifest = TypeVar("SomeManifest", bound=Part)


class FeatureColumn(Part):
    """A model input: its words become the positions in ``categories``; unknown words are missing."""

    name: str
    group: str
    phrase: str
    unit: str
    version: int
    categories: tuple[str, ...] | None = None
    typical: float | None = None  # the median of the training population
    usual: str | None = None  # the feature that says the customer's own usual level of the same thing


class Similar(Part):
    """What became of customers with similar predictions in the back-test: an interval for one prediction.

    ``prediction`` rises; ``low`` and ``high`` are the bounds there, as multiples of the prediction.
    """

    method: str
    confidence: float
    customers_per_point: int
    prediction: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def bounds(self, prediction: Floats) -> tuple[Floats, Floats]:
        """Lower and upper bound at each prediction, shape (n,), interpolated between the points."""
        points, low, high = self._points
        return np.interp(prediction, points, low), np.interp(prediction, points, high)

    # As arrays, once: for a single customer, making them costs more than using them.
    @cached_property
    def _points(self) -> tuple[Floats, Floats, Floats]:
        return np.array(self.prediction), np.array(self.low), np.array(self.high)


class GroupInterval(Part):
    """Where the rate among ``customers`` similar customers lies: ``half_width`` to both sides of the prediction on the
    scale of arcsin(sqrt(rate)), on which chance spreads all rates alike (Anscombe 1948).

    Attributes:
        groups: back-tested groups that the width comes from.
        level: by how much the log-odds of all may lie beside what is predicted, to both sides.
    """

    method: str
    confidence: float
    customers: int
    half_width: float
    groups: int
    level: float = 0.0

    def bounds(self, prediction: Floats) -> tuple[Floats, Floats]:
        """Lower and upper bound of the rate at each prediction, shape (n,), in [0, 1]; they enclose it."""
        angle = np.arcsin(np.sqrt(prediction))
        # A step of log-odds is one of sqrt(p (1 - p)) / 2 on this scale.
        width = np.hypot(self.half_width, self.level * np.sqrt(prediction * (1 - prediction)) / 2)
        low, high = np.maximum(angle - width, 0), np.minimum(angle + width, np.pi / 2)
        return np.minimum(np.sin(low) ** 2, prediction), np.maximum(np.sin(high) ** 2, prediction)


class Manifest(Part):
    """What every model says of itself. Moments are UTC, money is in ``currency``."""

    kind: str
    format: Literal[1] = 1
    project: str
    currency: str
    as_of: datetime
    horizon_days: int
    data_fingerprint: str
    columns: tuple[FeatureColumn, ...]
    percentile_grid: tuple[float, ...]

    @cached_property
    def inputs(self) -> ModelInputs:
        """Takes the model's inputs from features."""
        return ModelInputs(self.columns)

    @cached_property
    def groups(self) -> ColumnGroups:
        """The groups of its columns."""
        return ColumnGroups(self.columns)

    def percentile(self, values: Floats) -> Floats:
        """Percentile (0-100) of each value within the population of the grid; the same for one row or a million."""
        grid, ranks = self._grid
        return np.interp(values, grid, ranks)

    @cached_property
    def _grid(self) -> tuple[Floats, Floats]:
        return np.array(self.percentile_grid), np.linspace(0, 100, len(self.percentile_grid))


class OrderValues(Part):
    """Gamma-Gamma, in the project's currency, of values as they would be at the usual frequency.

    Attributes:
        slope: a customer's values rise with (1 + frequency) ** slope; 0 where frequency says nothing of them.
        usual: 1 + frequency at which that makes no difference.
    """

    p: float
    q: float
    v: float
    slope: float = 0.0
    usual: float = 1.0


class ContractParameters(Part):
    """Shifted-beta-geometric, of contracts that renew every ``days_per_period`` days."""

    alpha: float
    beta: float
    days_per_period: float


class HorizonValue(Part):
    """Expected spend over another horizon than the one that was learnt.

    Attributes:
        months, days: its length.
        level: what came over what the curve of purchases foretold, beside the learnt horizon.
        intervals: of one customer's spend, as multiples of the expectation.
        is_shown: whether outcomes of this length were there to look at; else all is carried on from the longest.
    """

    months: int
    days: int
    level: float
    intervals: Similar
    is_shown: bool


class SumSpread(Part):
    """How far the actual total of a segment lies from the expected one: the variance of one customer's spend is
    ``scale`` x expectation ** ``power``, and the level of all may be off by ``level`` (a standard deviation, as a
    share)."""

    method: str
    confidence: float
    scale: float
    power: float
    level: float


class Unseen(Part):
    """How the fit did on customers that it had not seen, in the newer half of the cut-offs of training.

    Attributes:
        rows, customers, churners: (customer, cut-off) pairs; customers in them; customers who churned in one.
        auc: None where it cannot be told.
    """

    rows: int
    customers: int
    churners: int
    auc: float | None


class ChurnManifest(Manifest):
    """Churn: log-odds = ``slope`` x raw score + ``intercept``; the raw score is that of the trees and of ``linear``, as
    ``trees_weight`` mixes them. ``definition`` and ``active_days`` say of whom it is predicted
    (features.cohorts.at_risk)."""

    kind: Literal["churn"] = "churn"  # pyright: ignore[reportIncompatibleVariableOverride]  (frozen: read only)
    definition: Literal["transactions", "subscriptions", "event"] = "transactions"
    active_days: int
    trees_weight: float = 1.0
    linear: LinearPart | None = None  # where ``trees_weight`` is below 1
    slope: float
    intercept: float
    drift: float = 0.0  # the part of the intercept by which the level of as_of lies above that of training
    interval: GroupInterval
    base_rate: float
    trained_range: TrainedRange
    bands: tuple[float, float]
    band_margin: float = 0.0
    behaviours: tuple[Behaviour, ...] = ()
    unseen: Unseen | None = None


SpendModel = Literal["trees", "two_part", "btyd"]


class ValueManifest(Manifest):
    """Lifetime value. ``spend_model`` is the winner of the back-test; the models of purchases and of order values are
    always there: they give P(alive), expected purchases, and the course over other horizons."""

    kind: Literal["value"] = "value"  # pyright: ignore[reportIncompatibleVariableOverride]  (frozen: read only)
    spend_model: SpendModel
    intervals: Similar
    newcomers: Similar | None = None  # intervals of customers of at most NEWCOMER_DAYS; None where too few are known
    purchases: PurchaseParameters
    contracts: ContractParameters | None = None  # of customers with a running contract, where these churn
    order_values: OrderValues
    net_share: float  # net spend / gross spend of the past: what returns leave
    pace_weights: dict[str, float]  # of the paces that make the expected spend if nothing changes
    scale: float  # of the model's own total
    sums: SumSpread
    horizons: tuple[HorizonValue, ...] = ()
    discount_rate: float  # a year
    margin: float | None = None  # the share of net spend that is profit
    prior_spend: float
    prior_low: float
    prior_high: float
    high_value_from: float  # expected spend at which a customer is of high value


def percentile_grid(values: Floats) -> tuple[float, ...]:
    """The grid of a population's predictions from which percentiles are read."""
    return tuple(float(value) for value in np.quantile(values, np.linspace(0, 1, GRID_POINTS)))


class ColumnGroups:
    """Groups of features, and what contributions come to in each.

    Attributes:
        names: of the groups, in the order of their first columns.
    """

    def __init__(self, columns: tuple[FeatureColumn, ...]) -> None:
        places: dict[str, list[int]] = {}
        for i, column in enumerate(columns):
            places.setdefault(column.group, []).append(i)
        self.names = tuple(places)
        self._order = np.array([place for group in places.values() for place in group], dtype=np.intp)
        self._starts = np.cumsum([0, *map(len, places.values())], dtype=np.intp)[:-1]

    def sums(self, contributions: Floats) -> Floats:
        """What each group adds to the log-odds, shape (rows, names).

        Args:
            contributions: of ``ChurnPredictor.contributions``.
        """
        # Each row's own sum, not a product of matrices, whose last digit depends on how many rows there are.
        return np.add.reduceat(contributions.take(self._order, axis=1), self._starts, axis=1)


def model_matrix(features: Features, columns: tuple[FeatureColumn, ...]) -> Floats:
    """Model inputs, shape (rows, columns): words as positions in their categories, NaN where unknown.

    Raises:
        RegistryError: a feature that the model was trained on is not there.
    """
    return ModelInputs(columns).matrix(rows_of(features))


class ModelInputs:
    """The inputs of one model, ready to be taken from features again and again."""

    def __init__(self, columns: tuple[FeatureColumn, ...]) -> None:
        self._width = len(columns)
        self._numbers = np.array([i for i, column in enumerate(columns) if column.categories is None], dtype=np.intp)
        self._names = tuple(column.name for column in columns if column.categories is None)
        self._words = [
            (i, column.name, column.categories, {word: float(code) for code, word in enumerate(column.categories)})
            for i, column in enumerate(columns)
            if column.categories
        ]

    def matrix(self, rows: FeatureRows) -> Floats:
        """See :func:`model_matrix`."""
        matrix = np.full((len(rows), self._width), np.nan)
        try:
            # All numbers at once: for a single customer, taking columns one by one costs more than the model.
            matrix[:, self._numbers] = rows.numbers(self._names)
            for i, name, categories, known in self._words:
                matrix[:, i] = _codes(rows.values(name), categories, known)
        except KeyError:
            raise self._lacking(rows) from None
        return matrix

    def _lacking(self, rows: FeatureRows) -> RegistryError:
        needed = (*self._names, *(name for _, name, *_ in self._words))
        missing = [name for name in needed if name not in rows.names]
        return RegistryError(
            f"The model needs the feature '{missing[0]}', which this project does not have ({len(missing)} missing).",
            where="features",
            fix="Train again: the features or attributes changed since the model was made.",
        )


def _codes(words: list[str | None], categories: tuple[str, ...], known: Mapping[str, float]) -> Floats:
    if len(words) >= _MANY:
        codes = pd.Index(categories, dtype="object").get_indexer(np.array(words, dtype="object"))
        return np.where(codes < 0, np.nan, codes.astype(np.float64))
    return np.array([np.nan if word is None else known.get(word, np.nan) for word in words], dtype=np.float64)


def write_manifest(folder: Path, manifest: Part) -> None:
    """Write the manifest into a model's folder."""
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")


def read_manifest(folder: Path, kind: type[SomeManifest]) -> SomeManifest:
    """Read a model's manifest.

    Raises:
        RegistryError: it is missing, or of another kind or format.
    """
    try:
        return kind.model_validate_json((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise RegistryError(
            f"The model's manifest cannot be read as {kind.__name__} ({type(error).__name__}).",
            where=str(folder / MANIFEST),
            fix="Train again with this version.",
        ) from error
