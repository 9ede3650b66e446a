"""Features to scores: the same arithmetic for one customer and for a million."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import cohorts
from kernel.artefacts import Floats
from kernel.churn_predictor import ChurnPredictor
from kernel.types import Band, GroupEffect, Reason, Score, Status
from kernel.value_predictor import HORIZON_MONTHS, ValuePredictor
from serving.scoring.reasons import group_effects, top_reasons
from serving.scoring.wording import Wording

# The numbers of a score, in the order of Score; absent ones are NaN here and None for a person.
NUMBERS = (
    "churn_probability",
    "churn_probability_low",
    "churn_probability_high",
    "churn_percentile",
    "probability_alive",
    "expected_purchases",
    "lifetime_value",
    "lifetime_value_low",
    "lifetime_value_high",
    "value_percentile",
    *(f"value_{months}m{bound}" for months in HORIZON_MONTHS for bound in ("", "_low", "_high")),
    "value_discounted",
    "value_margin",
    "value_at_risk",
    "historic_value",
    "expected_order_value",
    "next_order_days",
    "order_overdue_days",
)
_PLACE = {name: place for place, name in enumerate(NUMBERS)}
_PRIOR = (Status.INSUFFICIENT_HISTORY, Status.INSUFFICIENT_EVIDENCE)
"""Of whom the population's figures are said."""


@dataclass(frozen=True)
class Scores:
    """Scores of many customers: ``numbers`` and ``words`` have one row each, in the order of ``reasons``.

    Attributes:
        numbers: index customer_id, columns NUMBERS, float64, NaN where no number may be given.
        status, band, high_value: shape (rows,); band and high_value are None where not given.
        groups: what each group of features adds to the log-odds of churn.
        base: what is left of the log-odds without them, shape (rows,); NaN where there are none.
        held: the bands of the scores before that ``band`` goes out from.
    """

    as_of: datetime
    scored_at: datetime
    numbers: pd.DataFrame
    status: NDArray[np.object_]
    band: NDArray[np.object_]
    high_value: NDArray[np.object_]
    reasons: list[tuple[Reason, ...]]
    groups: list[tuple[GroupEffect, ...]]
    base: Floats
    churn_model: str
    value_model: str
    held: Mapping[str, Band] = field(default_factory=dict[str, Band])

    def __len__(self) -> int:
        return len(self.numbers)

    @cached_property
    def _values(self) -> Floats:
        return self.numbers.to_numpy()  # once: a row of a frame costs more than its whole score

    def score(self, row: int) -> Score:
        """One customer's score."""
        given = dict(zip(NUMBERS, map(_number, self._values[row]), strict=True))
        probability = given["churn_probability"]
        return Score(
            customer_id=self.numbers.index[row],
            as_of=self.as_of,
            scored_at=self.scored_at,
            status=self.status[row],
            churn_score=None if probability is None else round(100 * probability),
            churn_band=self.band[row],
            is_high_value=self.high_value[row],
            churn_reasons=self.reasons[row],
            churn_groups=self.groups[row],
            churn_base=_number(float(self.base[row])),
            churn_model=self.churn_model,
            value_model=self.value_model,
            **given,
        )

    def for_rules(self, features: pd.DataFrame) -> pd.DataFrame:
        """Scores, features and attributes side by side: what the rules of the action catalogue may name."""
        words = pd.DataFrame(
            {
                "customer_id": self.numbers.index,
                "status": self.status,
                "churn_band": self.band,
                "is_high_value": self.high_value,
            },
            index=self.numbers.index,
        )
        return pd.concat([words, self.numbers, features.drop(columns="customer_id", errors="ignore")], axis=1)


@dataclass(frozen=True)
class Scorer:
    """The champions, loaded. ``churn_version`` and ``value_version`` are ``name/version`` of the registry; ``language``
    is that of the reasons."""

    churn: ChurnPredictor
    value: ValuePredictor
    churn_version: str
    value_version: str
    language: str = "en"

    def score(
        self,
        features: pd.DataFrame,
        consent: NDArray[np.bool_],
        *,
        as_of: datetime,
        scored_at: datetime,
        held: Mapping[str, Band] = {},
        reasons_from: float = 0.0,
    ) -> Scores:
        """Score every row.

        Args:
            features: index customer_id, a column per feature, as of ``as_of``.
            consent: whether each customer may be profiled, shape (rows,).
            held: the band of each customer in the scores before, where there was one.
            reasons_from: only customers of this churn percentile or a higher one get reasons and groups.

        Raises:
            RegistryError: the models need a feature that is not there.
        """
        status = self._status(features, consent)
        numbers = _Numbers.empty(len(features))
        reasons: list[tuple[Reason, ...]] = [()] * len(features)
        groups: list[tuple[GroupEffect, ...]] = [()] * len(features)
        base = np.full(len(features), np.nan)
        at_risk = np.flatnonzero(status == Status.SCORED)
        inputs = self.churn.inputs(features if len(at_risk) == len(features) else features.iloc[at_risk])
        outside = self.churn.manifest.trained_range.is_outside(inputs)
        status[at_risk[outside]] = Status.INSUFFICIENT_EVIDENCE
        scored, inputs = at_risk[~outside], inputs[~outside]
        known = np.flatnonzero((status == Status.SCORED) | (status == Status.INACTIVE))
        if len(scored):
            found = self._churn_numbers(inputs)
            numbers.put(scored, found)
            told = found["churn_percentile"] >= reasons_from
            scored, inputs = (scored, inputs) if told.all() else (scored[told], inputs[told])
        if len(scored):
            rows = features if len(scored) == len(features) else features.iloc[scored]
            parts = self.churn.contributions(inputs)
            columns, base[scored] = self.churn.manifest.columns, parts[:, -1]
            wording = Wording.of(self.language, self.churn.manifest.currency)
            texts, effects = top_reasons(rows, inputs, parts, columns, wording), group_effects(parts, columns, wording)
            for place, text, effect in zip(scored, texts, effects, strict=True):
                reasons[place], groups[place] = text, effect
        if len(known):
            rows = features if len(known) == len(features) else features.iloc[known]
            numbers.put(known, self._value_numbers(rows))
            risked = numbers.column("churn_probability") * numbers.column("lifetime_value")
            numbers.put(np.arange(len(features)), {"value_at_risk": risked})
        unknown = np.flatnonzero(np.isin(status, _PRIOR))
        if len(unknown):
            numbers.put(unknown, self._priors(len(unknown)))
        return Scores(
            as_of=as_of,
            scored_at=scored_at,
            numbers=pd.DataFrame(numbers.values, index=features.index, columns=list(NUMBERS)),
            status=status,
            band=self._bands(numbers.column("churn_percentile"), features.index, held),
            high_value=self._high_value(numbers.column("lifetime_value"), status),
            reasons=reasons,
            groups=groups,
            base=base,
            churn_model=self.churn_version,
            value_model=self.value_version,
            held=held,
        )

    def _status(self, features: pd.DataFrame, consent: NDArray[np.bool_]) -> NDArray[np.object_]:
        churn = self.churn.manifest
        active = cohorts.at_risk(features, churn.definition, churn.active_days)
        status = np.where(active, Status.SCORED, Status.INACTIVE).astype(object)
        status[~cohorts.is_known(features, churn.definition)] = Status.INSUFFICIENT_HISTORY
        status[~consent] = Status.NO_CONSENT
        return status

    def _churn_numbers(self, inputs: Floats) -> dict[str, Floats]:
        probability = self.churn.probability(inputs)
        low, high = self.churn.interval(probability)
        return {
            "churn_probability": probability,
            "churn_probability_low": low,
            "churn_probability_high": high,
            "churn_percentile": self.churn.percentile(probability),
        }

    def _value_numbers(self, rows: pd.DataFrame) -> dict[str, Floats]:
        return self.value.numbers(rows).columns() | {"historic_value": rows["net_spend"].to_numpy(dtype="float64")}

    def _priors(self, rows: int) -> dict[str, Floats]:
        # Nothing is known of the customer: the population's figures with the population's whole spread.
        value = self.value.manifest
        low, high = self.churn.population_interval()
        prior = {
            "churn_probability": self.churn.manifest.base_rate,
            "churn_probability_low": low,
            "churn_probability_high": high,
            "expected_purchases": self.value.prior_purchases(),
            "lifetime_value": value.prior_spend,
            "lifetime_value_low": value.prior_low,
            "lifetime_value_high": value.prior_high,
        }
        return {name: np.full(rows, number) for name, number in prior.items()}

    def _bands(self, percentile: Floats, customers: pd.Index, held: Mapping[str, Band]) -> NDArray[np.object_]:
        before = np.array([held.get(name) for name in customers], dtype=object) if held else None
        return self.churn.bands(percentile, before)

    def _high_value(self, expected: Floats, status: NDArray[np.object_]) -> NDArray[np.object_]:
        flags = self.value.is_high_value(expected).astype(object)
        flags[np.isin(status, (Status.NO_CONSENT, *_PRIOR))] = None
        return flags


@dataclass(frozen=True)
class _Numbers:
    """The numbers while they are made, shape (rows, len(NUMBERS)): to put a column into a frame costs one customer
    more than to compute it."""

    values: Floats

    @classmethod
    def empty(cls, rows: int) -> _Numbers:
        return cls(np.full((rows, len(NUMBERS)), np.nan))

    def put(self, rows: NDArray[np.intp], columns: Mapping[str, Floats]) -> None:
        for name, values in columns.items():
            self.values[rows, _PLACE[name]] = values

    def column(self, name: str) -> Floats:
        return self.values[:, _PLACE[name]]


def _number(value: float) -> float | None:
    return None if value != value else float(value)
