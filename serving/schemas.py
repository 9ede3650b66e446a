"""What the service accepts and answers; field names are those of the batch file (docs/reference/scores.md)."""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from kernel.types import Band, Status

_Day = TypeVar("_Day", bound=date)
_YEARS = range(1000, 9000)
"""Of moments and days: nearer to the ends of the calendar, reckoning with them would leave it."""


def _in_calendar(day: _Day) -> _Day:
    if day.year not in _YEARS:
        raise ValueError(f"give a year from {_YEARS[0]} to {_YEARS[-1]}")
    return day


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


# Control characters have no place in a key, and PostgreSQL cannot store NUL; a key of spaces would be trimmed to none.
Key = Annotated[
    str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$")
]
Word = Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")]
Moment = Annotated[
    datetime,
    AfterValidator(_in_calendar),
    AfterValidator(_in_utc),
    Field(description="ISO 8601; a time without an offset is UTC", strict=False),
]
Amount = Annotated[float, Field(ge=-1e13, le=1e13)]
Day = Annotated[date, AfterValidator(_in_calendar), Field(description="ISO 8601", strict=False)]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217")]
Probability = Annotated[float, Field(ge=0, le=1)]


class FeedbackEvent(StrEnum):
    """What became of a recommended action; *not shown* is not *dismissed*."""

    SHOWN = "shown"
    OPENED = "opened"
    ACCEPTED = "accepted"
    DISMISSED = "dismissed"
    CONVERTED = "converted"
    UNSUBSCRIBED = "unsubscribed"
    OUTCOME_VALUE = "outcome_value"


class Body(BaseModel):
    """A part of a request or an answer: unknown fields are errors, numbers are finite, errors never echo a value."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False, protected_namespaces=()
    )


class CustomerInput(Body):
    """The customer's row of the contract; ``attributes`` are those that ``foresight.toml`` maps."""

    customer_id: Key
    created_at: Moment | None = None
    consent: bool = True
    account_id: Key | None = None
    attributes: dict[Key, float | Word | None] = Field(
        default={}, max_length=200, description="a number may be written as a text"
    )


class TransactionInput(Body):
    """One order line; lines that share a ``transaction_id`` are one order, a return has a negative amount."""

    transaction_id: Key
    line_id: Key | None = None
    event_time: Moment
    ingested_at: Moment | None = None
    amount: Amount
    discount: Amount = 0.0
    quantity: Amount = 1.0
    product_id: Key | None = None
    category: Word | None = None
    channel: Word | None = None
    currency: Currency | None = None
    status: Word | None = None


class ActivityInput(Body):
    """Something the customer did or met that is no purchase."""

    activity_id: Key | None = None
    event_time: Moment
    ingested_at: Moment | None = None
    kind: Key
    value: Amount | None = None
    detail: Word | None = None
    sentiment: float | None = Field(default=None, ge=-1, le=1)


class SubscriptionInput(Body):
    """What a contract is from ``event_time`` on; a change is a further row with the same ``subscription_id``."""

    subscription_id: Key
    event_time: Moment
    ingested_at: Moment | None = None
    start_date: Day
    end_date: Day | None = None
    end_reason: Word | None = None
    amount: Amount | None = None
    recurrence_months: float | None = Field(default=None, gt=0, le=1200)
    plan: Word | None = None
    is_recurring: bool | None = None


class ProfileInput(Body):
    """A whole profile with its history; ``as_of`` defaults to the service's own moment of knowledge."""

    customer: CustomerInput
    transactions: tuple[TransactionInput, ...] = ()
    activities: tuple[ActivityInput, ...] = ()
    subscriptions: tuple[SubscriptionInput, ...] = ()
    as_of: Moment | None = None


class EventsInput(Body):
    """What happened to a stored customer since; ``as_of`` defaults to the moment just after the newest event."""

    transactions: tuple[TransactionInput, ...] = ()
    activities: tuple[ActivityInput, ...] = ()
    subscriptions: tuple[SubscriptionInput, ...] = ()
    as_of: Moment | None = None


class CustomersRequest(Body):
    """Whom it is about: exactly one of ``customer_id``, ``customer_ids`` and ``profile``."""

    # The description's way of saying "exactly one" without a union, which importers do not read.
    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 2})

    customer_id: Key | None = None
    customer_ids: tuple[Key, ...] | None = Field(default=None, min_length=1)
    profile: ProfileInput | None = None
    events: EventsInput | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> CustomersRequest:
        given = [part for part in (self.customer_id, self.customer_ids, self.profile) if part is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of customer_id, customer_ids and profile")
        if self.events is not None and self.customer_id is None:
            raise ValueError("events are of one stored customer: give customer_id")
        return self


class ScoreRequest(CustomersRequest):
    """Whom to score: exactly one of ``customer_id``, ``customer_ids`` and ``profile``. With ``what_if``, one customer
    as if some features were others."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 3})

    what_if: dict[Key, float | Word | None] | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="feature -> its value instead, null for unknown; a number may be written as a text",
    )

    @model_validator(mode="after")
    def _of_one_customer(self) -> ScoreRequest:
        if self.what_if is not None and self.customer_ids is not None:
            raise ValueError("what_if is for one customer: give customer_id or profile")
        return self


class RecommendationRequest(CustomersRequest):
    """Whom to recommend actions for: exactly one of ``customer_id``, ``customer_ids`` and ``profile``."""


class FeedbackRequest(Body):
    """One thing that happened to a recommended action; sending the same ``event_id`` again changes nothing."""

    event_id: Key
    decision_id: Key
    action: Key
    event: FeedbackEvent
    event_time: Moment | None = Field(default=None, description="when it happened; the time of arrival where missing")
    value: Amount | None = Field(default=None, description="money, in the project's currency")

    @model_validator(mode="after")
    def _value_where_needed(self) -> FeedbackRequest:
        if self.event is FeedbackEvent.OUTCOME_VALUE and self.value is None:
            raise ValueError("outcome_value needs 'value'")
        return self


class PanelTokenRequest(Body):
    """For whom the token is, and what it opens."""

    customer_id: Key
    user: Key = Field(description="who looks, in your words; each has a rate limit of their own")
    seconds: int = Field(default=300, ge=10, le=3600)
    feedback: bool = Field(default=False, description="whether feedback on this customer's decisions may be sent too")


class PanelTokenAnswer(Body):
    """A token that opens one customer, and the panel's path with it."""

    token: str
    expires_at: datetime
    path: str


class ReasonAnswer(Body):
    """One part of the churn score: additive on the log-odds, above 0 raises the risk."""

    code: str
    text: str
    value: float | None = Field(description="the feature's value; null for a word, which stands in the text")
    effect: float
    group: str
    usual: float | None = Field(description="this customer's own usual level of the same thing")
    typical: float | None = Field(description="the median of the customers that the model was trained on")


class GroupAnswer(Body):
    """What a group of features adds to the log-odds of churn; all groups and ``churn_base`` make them."""

    group: str
    label: str
    effect: float


class ActionAnswer(Body):
    """A recommended action; ``expected_value`` is the expected gain over doing nothing, in the currency: exactly
    ``expected_margin - contact_cost - incentive_cost + lever_effect - fatigue_cost - price``, in this order."""

    action: str
    label: str
    rank: int = Field(ge=1)
    expected_value: float
    expected_value_low: float
    expected_value_high: float
    expected_margin: float = Field(description="uplift x what one more conversion is worth")
    contact_cost: float
    incentive_cost: float
    lever_effect: float = Field(description="what the weight on the value adds")
    fatigue_cost: float = Field(description="of one more contact, because of those before")
    price: float = Field(description="what the action takes from a running campaign that is short of money or places")
    probability: Probability = Field(description="the probability with which the policy chooses this action")
    explanation: str
    what_would_change: str = Field(description="from which effect on the order would be another; empty where none is")
    cost: float
    uplift: float
    channel: str | None = Field(description="by which it reaches the customer; null for doing nothing")
    status: str = Field(description="what the effect rests on: prior, learning, calibrated, or exact for doing nothing")


class WithheldActionAnswer(Body):
    """An action that was not offered, and why."""

    action: str
    label: str
    reason_codes: tuple[str, ...]
    explanation: str = Field(description="the reasons in plain words")


class CustomerInsight(Body):
    """Everything predicted for one customer, and what to do. Probabilities in [0, 1], percentiles in [0, 100], money in
    ``currency``; a number that may not be given is null, and ``status`` says why."""

    customer_id: str
    as_of: datetime
    scored_at: datetime
    what_if: bool = Field(description="whether the request's what_if replaced features: then it is not what is so")
    features_age_hours: float = Field(ge=0, description="from as_of to scored_at")
    churn_probability: Probability | None
    churn_probability_low: Probability | None
    churn_probability_high: Probability | None
    churn_horizon_days: int
    churn_score: int | None = Field(description="churn_probability as a whole number from 0 to 100")
    churn_percentile: float | None
    churn_band: Band | None
    churn_medium_from: float = Field(description="the percentile at which the medium band begins")
    churn_high_from: float = Field(description="the percentile at which the high band begins")
    churn_reasons: tuple[ReasonAnswer, ...]
    churn_groups: tuple[GroupAnswer, ...]
    churn_base: float | None = Field(description="the log-odds of churn before any group of features is added")
    probability_alive: Probability | None
    expected_purchases: float | None
    lifetime_value: float | None
    lifetime_value_low: float | None
    lifetime_value_high: float | None
    value_horizon_days: int
    currency: str
    value_percentile: float | None
    is_high_value: bool | None
    value_1m: float | None
    value_1m_low: float | None
    value_1m_high: float | None
    value_3m: float | None
    value_3m_low: float | None
    value_3m_high: float | None
    value_6m: float | None
    value_6m_low: float | None
    value_6m_high: float | None
    value_12m: float | None
    value_12m_low: float | None
    value_12m_high: float | None
    value_24m: float | None
    value_24m_low: float | None
    value_24m_high: float | None
    value_shown_months: int = Field(description="the longest of these horizons that outcomes could be compared with")
    value_discounted: float | None = Field(description="expected net spend over 24 months, at today's worth")
    value_margin: float | None = Field(description="the share of lifetime_value that is profit")
    value_at_risk: float | None = Field(description="churn_probability x lifetime_value")
    historic_value: float | None = Field(description="net spend so far, less returns")
    expected_order_value: float | None = Field(description="of a purchase day to come, less the usual returns")
    next_order_date: date | None = Field(description="half of such customers come again by then, if they still buy")
    order_overdue_days: float | None = Field(description="days since half of such customers had come again")
    recommended_actions: tuple[ActionAnswer, ...]
    not_offered: tuple[WithheldActionAnswer, ...]
    decision_id: str | None = Field(description="of the kept decision; null where none was kept, as by /v1/score")
    placement: str | None = Field(description="where the decision is shown")
    chosen: str | None = Field(description="the action that the policy drew; null where nothing may be decided")
    propensity: Probability | None = Field(description="the probability with which it was drawn")
    mode: str | None = Field(description="how it was drawn: greedy, explore, holdout or mandatory")
    holdout: bool = Field(description="whether the customer is in the quarter's control group, which gets no action")
    status: Status
    churn_model: str
    value_model: str
    policy: str


class ChangeAnswer(Body):
    """A change of one behaviour with which the model would say a lower churn band; ``value`` and ``target`` are those
    of the feature ``code`` that tells the behaviour. Whether an action brings it about, only an experiment tells."""

    behaviour: str
    label: str
    code: str
    text: str
    value: float
    target: float
    probability: Probability
    percentile: float
    band: Band


class ChangesAnswer(Body):
    """What would bring a customer into a lower churn band, the nearest first; empty where no single behaviour would."""

    customer_id: str
    as_of: datetime
    churn_band: Band | None
    changes: tuple[ChangeAnswer, ...]
    churn_model: str


class ScoreAnswer(Body):
    """One insight for each customer asked for, in the same order; nothing is kept."""

    scores: tuple[CustomerInsight, ...]


class RecommendationAnswer(Body):
    """One insight for each customer asked for, in the same order; each decision is kept under its ``decision_id``."""

    recommendations: tuple[CustomerInsight, ...]


class FeedbackStatus(StrEnum):
    """Whether the event is new."""

    STORED = "stored"
    ALREADY_STORED = "already_stored"


class FeedbackAnswer(Body):
    """The event is durable."""

    event_id: str
    status: FeedbackStatus


class FieldProblem(Body):
    """Which field of the request is wrong, as a path (``profile.transactions.3.amount``), and why."""

    field: str
    message: str


class ProblemAnswer(Body):
    """Every error of the service (RFC 9457, ``application/problem+json``)."""

    type: str
    title: str
    status: int
    detail: str
    errors: tuple[FieldProblem, ...] = ()
