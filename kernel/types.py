"""Nouns with one meaning that features, training and serving share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from kernel.record import record

FURTHEST_ORDER_DAYS = 3650


class Status(StrEnum):
    """Why a customer has, or has not, each number."""

    SCORED = "scored"
    INACTIVE = "inactive"  # outside the churn cohort: already gone by its definition; value and P(alive) still hold
    INSUFFICIENT_HISTORY = "insufficient_history"  # nothing known before as_of: the population's prior is given
    INSUFFICIENT_EVIDENCE = "insufficient_evidence"  # unlike all that was trained on: the population's prior is given
    NO_CONSENT = "no_consent"  # profiling is not allowed: no number at all


class Band(StrEnum):
    """Churn bands a person acts on; their limits are configuration, stored with the model."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@record
class Reason:
    """One exact part of a customer's churn score.

    Attributes:
        code: the feature's name.
        text: the same in words, with value and unit, and the usual level of active customers.
        value: the feature's value; None when it is unknown, a string for an attribute.
        effect: additive contribution to the log-odds of churn; above 0 raises the risk.
        group: of the feature.
        usual: this customer's own usual level of the same thing; None where there is none.
        typical: the median of the customers the model was trained on; None for a word.
    """

    code: str
    text: str
    value: float | str | None
    effect: float
    group: str
    usual: float | None
    typical: float | None


@record
class GroupEffect:
    """What a group of features adds to the log-odds of churn; ``label`` is the group in words."""

    group: str
    label: str
    effect: float


@dataclass(frozen=True, slots=True)
class LowerBand:
    """A change of one behaviour with which the model would say a lower churn band.

    Attributes:
        behaviour: its name, such as "purchases"; ``label`` is the same in words.
        code: the feature that tells it, which is ``value`` and would be ``target``.
        text: the change in words.
        probability, percentile: of churn, then.
        band: the band that they mean.
    """

    behaviour: str
    label: str
    code: str
    text: str
    value: float
    target: float
    probability: float
    percentile: float
    band: Band


@record
class Score:
    """What is predicted for one customer at one moment of knowledge. Probabilities in [0, 1], money in the project's
    currency, percentiles in [0, 100]; a number that may not be given is None. ``churn_score`` is the probability as
    a whole number from 0 to 100, ``value_3m`` the expected spend over three months, and so on; every column is
    explained in docs/reference/scores.md."""

    customer_id: str
    as_of: datetime
    scored_at: datetime
    status: Status
    churn_probability: float | None
    churn_score: int | None
    churn_percentile: float | None
    churn_band: Band | None
    churn_reasons: tuple[Reason, ...]
    churn_groups: tuple[GroupEffect, ...]
    churn_base: float | None
    probability_alive: float | None
    expected_purchases: float | None
    lifetime_value: float | None
    lifetime_value_low: float | None
    lifetime_value_high: float | None
    churn_probability_low: float | None
    churn_probability_high: float | None
    value_percentile: float | None
    is_high_value: bool | None
    churn_model: str
    value_model: str
    value_1m: float | None = None
    value_1m_low: float | None = None
    value_1m_high: float | None = None
    value_3m: float | None = None
    value_3m_low: float | None = None
    value_3m_high: float | None = None
    value_6m: float | None = None
    value_6m_low: float | None = None
    value_6m_high: float | None = None
    value_12m: float | None = None
    value_12m_low: float | None = None
    value_12m_high: float | None = None
    value_24m: float | None = None
    value_24m_low: float | None = None
    value_24m_high: float | None = None
    value_discounted: float | None = None
    value_margin: float | None = None
    value_at_risk: float | None = None
    historic_value: float | None = None
    expected_order_value: float | None = None
    next_order_days: float | None = None
    order_overdue_days: float | None = None

    @property
    def next_order_date(self) -> date | None:
        """When the next order is expected, in UTC; None beyond ``FURTHEST_ORDER_DAYS``, which is as good as never."""
        if self.next_order_days is None or self.next_order_days > FURTHEST_ORDER_DAYS:
            return None
        return (self.as_of + timedelta(days=self.next_order_days)).date()
