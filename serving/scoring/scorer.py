"""Features to scores: the same arithmetic for one customer and for a million."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import cohorts
from kernel.artefacts import Floats
from kernel.churn_predictor import ChurnPredictor
from kernel.feature_rows import FeatureRows, Features, rows_of
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
    """Scores of some customers, one row each.

    Attributes:
        customer_ids: in the order of the rows.
        values: shape (rows, NUMBERS), NaN where no number may be given.
        status, band, high_value: shape (rows,); band and high_value are None where not given.
        groups: what each group of features adds to the log-odds of churn.
        base: what is left of the log-odds without them, shape (rows,); NaN where there are none.
        held: the bands of the scores before that ``band`` goes out from.
    """

    as_of: datetime
    scored_at: datetime
    customer_ids: list[str]
    values: Floats
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
        return len(self.customer_ids)

    @cached_property
    def numbers(self) -> pd.DataFrame:
        """``values`` as a frame: index customer_id, columns NUMBERS."""
        index = pd.Index(self.customer_ids, name="customer_id", dtype="object")
        return pd.DataFrame(self.values, index=index, columns=list(NUMBERS))

    def score(self, row: int) -> Score:
        """One customer's score."""
        given = dict(zip(NUMBERS, map(_number, self.values[row].tolist()), strict=True))
        probability = given["churn_probability"]
        return Score(
            customer_id=self.customer_ids[row],
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

    def for_rules(self, features: Features) -> RuleFields:
        """What the rules of the action catalogue may name."""
        return RuleFields(self, rows_of(features))


_WORDS: Mapping[str, Callable[[Scores], Any]] = {
    "customer_id": lambda scores: np.array(scores.customer_ids, dtype=object),
    "status": lambda scores: scores.status,
    "churn_band": lambda scores: scores.band,
    "is_high_value": lambda scores: scores.high_value,
}


@dataclass(frozen=True)
class RuleFields:
    """Scores, features and attributes side by side. An unknown name is a KeyError."""

    scores: Scores
    rows: FeatureRows
    places: NDArray[np.intp] | None = None  # of the scores that ``rows`` are of, where it is not all of them

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def names(self) -> Collection[str]:
        """Of all fields."""
        return {*_WORDS, *NUMBERS, *self.rows.names}

    def column(self, name: str) -> Any:
        """A field's values, shape (rows,): numbers with NaN, or objects with None, where unknown."""
        if name in _PLACE:
            values = self.scores.values[:, _PLACE[name]]
        elif name in _WORDS:
            values = _WORDS[name](self.scores)
        else:
            return self.rows.column(name)
        return values if self.places is None else values[self.places]

    def take(self, places: NDArray[np.intp]) -> RuleFields:
        """Some of the customers, by position."""
        of = places if self.places is None else self.places[places]
        return RuleFields(self.scores, self.rows.take(places), of)

    @property
    def frame(self) -> pd.DataFrame:
        """As a data frame, index customer_id."""
        index = pd.Index(self.rows.customer_ids, name="customer_id", dtype="object")
        words = pd.DataFrame({name: self.column(name) for name in _WORDS}, index=index)
        numbers = pd.DataFrame({name: self.column(name) for name in NUMBERS}, index=index)
        return pd.concat([words, numbers, self.rows.frame.drop(columns="customer_id", errors="ignore")], axis=1)


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
        features: Features,
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
        rows = rows_of(features)
        status = self._status(rows, consent)
        numbers = _Numbers.empty(len(rows))
        reasons: list[tuple[Reason, ...]] = [()] * len(rows)
        groups: list[tuple[GroupEffect, ...]] = [()] * len(rows)
        base = np.full(len(rows), np.nan)
        at_risk = np.flatnonzero(status == Status.SCORED)
        inputs = self.churn.inputs(_some(rows, at_risk))
        outside = self.churn.manifest.trained_range.is_outside(inputs)
        status[at_risk[outside]] = Status.INSUFFICIENT_EVIDENCE
        scored, inputs, line = at_risk[~outside], inputs[~outside], None
        known = np.flatnonzero((status == Status.SCORED) | (status == Status.INACTIVE))
        if len(scored):
            line = self.churn.line(inputs)  # once: it is a part of the probability and of the reasons
            found = self._churn_numbers(inputs, line)
            numbers.put(scored, found)
            told = found["churn_percentile"] >= reasons_from
            if not told.all():
                scored, inputs, line = scored[told], inputs[told], None if line is None else line[told]
        if len(scored):
            parts = self.churn.contributions(inputs, line)
            columns, base[scored] = self.churn.manifest.columns, parts[:, -1]
            wording = Wording.of(self.language, self.churn.manifest.currency)
            texts = top_reasons(_some(rows, scored), inputs, parts, columns, wording)
            effects = group_effects(parts, self.churn.manifest.groups, wording)
            for place, text, effect in zip(scored.tolist(), texts, effects, strict=True):
                reasons[place], groups[place] = text, effect
        if len(known):
            numbers.put(known, self._value_numbers(_some(rows, known)))
            risked = numbers.column("churn_probability") * numbers.column("lifetime_value")
            numbers.values[:, _PLACE["value_at_risk"]] = risked
        unknown = np.flatnonzero(_is_any(status, _PRIOR))
        if len(unknown):
            numbers.put(unknown, self._priors(len(unknown)))
        return Scores(
            as_of=as_of,
            scored_at=scored_at,
            customer_ids=rows.customer_ids,
            values=numbers.values,
            status=status,
            band=self._bands(numbers.column("churn_percentile"), rows.customer_ids, held),
            high_value=self._high_value(numbers.column("lifetime_value"), status),
            reasons=reasons,
            groups=groups,
            base=base,
            churn_model=self.churn_version,
            value_model=self.value_version,
            held=held,
        )

    def _status(self, rows: FeatureRows, consent: NDArray[np.bool_]) -> NDArray[np.object_]:
        churn = self.churn.manifest
        active = cohorts.at_risk(rows, churn.definition, churn.active_days)
        status = np.empty(len(rows), dtype=object)
        status[:] = Status.SCORED
        status[~active] = Status.INACTIVE
        status[~cohorts.is_known(rows, churn.definition)] = Status.INSUFFICIENT_HISTORY
        status[~consent] = Status.NO_CONSENT
        return status

    def _churn_numbers(self, inputs: Floats, line: Floats | None) -> dict[str, Floats]:
        probability = self.churn.probability(inputs, line)
        low, high = self.churn.interval(probability)
        return {
            "churn_probability": probability,
            "churn_probability_low": low,
            "churn_probability_high": high,
            "churn_percentile": self.churn.percentile(probability),
        }

    def _value_numbers(self, rows: FeatureRows) -> dict[str, Floats]:
        return self.value.numbers(rows).columns() | {"historic_value": rows.number("net_spend")}

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

    def _bands(self, percentile: Floats, customers: list[str], held: Mapping[str, Band]) -> NDArray[np.object_]:
        before = np.array([held.get(name) for name in customers], dtype=object) if held else None
        return self.churn.bands(percentile, before)

    def _high_value(self, expected: Floats, status: NDArray[np.object_]) -> NDArray[np.object_]:
        flags = self.value.is_high_value(expected).astype(object)
        flags[_is_any(status, (Status.NO_CONSENT, *_PRIOR))] = None
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
        self.values[rows[:, None], [_PLACE[name] for name in columns]] = np.array([*columns.values()]).T

    def column(self, name: str) -> Floats:
        return self.values[:, _PLACE[name]]


def _is_any(status: NDArray[np.object_], wanted: Collection[Status]) -> NDArray[np.bool_]:
    # One comparison after the other: what numpy has for it costs one customer more than all of them.
    found = np.zeros(len(status), dtype=np.bool_)
    for one in wanted:
        found |= status == one
    return found


def _some(rows: FeatureRows, places: NDArray[np.intp]) -> FeatureRows:
    return rows if len(places) == len(rows) else rows.take(places)


def _number(value: float) -> float | None:
    return None if value != value else value
