"""What a marketer may write for one action: typed, closed, and checked on its own."""

from __future__ import annotations

from datetime import date
from math import sqrt
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

DO_NOTHING = "do_nothing"

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Z]{2})?$")]
Money = Annotated[float, Field(ge=0)]
Probability = Annotated[float, Field(ge=0, le=1)]


class Part(BaseModel):
    """A closed table: an unknown key, a text where a number belongs, or an infinite number is an error."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True, allow_inf_nan=False)


class Outcome(Part):
    """What the action is meant to bring about, and within how many days it counts.

    Attributes:
        name: a verb phrase with underscores that completes "more likely to ...": ``redeem_a_coupon``.
        kind: "binary": it happens or not; "value": money.
        measured_by: "feedback": the events that the CRM reports; "purchases": what the customer bought in the window,
            at all ("binary") or for how much, net ("value").
    """

    name: Identifier
    window_days: Annotated[int, Field(ge=1, le=3650)]
    kind: Literal["binary", "value"] = "binary"
    measured_by: Literal["feedback", "purchases"] = "feedback"


class Cost(Part):
    """Money in the project's currency.

    Attributes:
        contact: of one contact, whatever comes of it.
        incentive_if_converted: of the discount or gift, for each customer who takes it.
        incentive_taken_anyway: probability that a customer takes the incentive although it changes nothing (the outcome
            would have come about without it). A business assumption.
    """

    contact: Money
    incentive_if_converted: Money = 0.0
    incentive_taken_anyway: Probability = 0.0


class Value(Part):
    """What one additional conversion is worth: exactly one of the two.

    Attributes:
        margin: money per conversion, in the project's currency.
        lifetime_value_share: fraction of the customer's lifetime value (the margin rate, when that value is spend).
    """

    margin: Annotated[float, Field(gt=0)] | None = None
    lifetime_value_share: Annotated[float, Field(gt=0, le=1)] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Value:
        if (self.margin is None) == (self.lifetime_value_share is None):
            raise ValueError("give either margin or lifetime_value_share")
        return self


class Lever(Part):
    """A dated, owned weight on the value, with which the business reranks actions.

    Attributes:
        start: first day, UTC; ``from`` in the file.
        end: last day, UTC, inclusive; ``to`` in the file.
    """

    weight: Annotated[float, Field(ge=0.5, le=2)]
    start: date = Field(alias="from")
    end: date = Field(alias="to")
    owner: Words

    @model_validator(mode="after")
    def _in_order(self) -> Lever:
        if self.end < self.start:
            raise ValueError("'to' lies before 'from'")
        return self


class Prior(Part):
    """A business assumption about the effect on the outcome: with the action, less without. Not a measurement.

    Attributes:
        rate: of a binary outcome: the assumed mean of the additional probability.
        strength: how many observations that assumption is worth.
        mean: of an outcome of money: the assumed mean, in the project's currency.
        deviation: how unsure it is: the standard deviation of what is believed of it.
    """

    rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    strength: Annotated[float, Field(gt=0, le=1e6)] | None = None
    mean: float | None = None
    deviation: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _one_pair(self) -> Prior:
        given = [name for name in ("rate", "strength", "mean", "deviation") if getattr(self, name) is not None]
        if given not in (["rate", "strength"], ["mean", "deviation"]):
            raise ValueError("give rate and strength (binary outcome), or mean and deviation (outcome of money)")
        return self

    @property
    def kind(self) -> Literal["binary", "value"]:
        """The kind of outcome that it is about."""
        return "value" if self.rate is None else "binary"

    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation; of Beta(rate * strength, (1 - rate) * strength) for a binary outcome."""
        if self.rate is None or self.strength is None:
            return self.mean or 0.0, self.deviation or 0.0
        return self.rate, sqrt(self.rate * (1 - self.rate) / (self.strength + 1))


class Capacity(Part):
    """How many customers may get the action.

    Attributes:
        per_campaign: in one planned campaign.
    """

    per_campaign: Annotated[int, Field(ge=0)]


class ActionText(Part):
    """What is shown in one language."""

    label: Words
    description: str = ""


class Action(Part):
    """One action of the catalogue.

    Attributes:
        group: sibling actions share one.
        eligibility: a rule: may the customer have it?
        applicability: a rule: does it make sense now?
        suitability: a rule: is it in the customer's interest?
        start: first day, UTC.
        end: last day, UTC, inclusive.
        texts: by language, such as ``en`` or ``pt-BR``.
    """

    id: Identifier
    label: Words
    description: str = ""
    group: Identifier
    channels: Annotated[tuple[Identifier, ...], Field(min_length=1, strict=False)]
    outcome: Outcome
    eligibility: Words | None = None
    applicability: Words | None = None
    suitability: Words | None = None
    cost: Cost
    value: Value
    lever: Lever | None = None
    capacity: Capacity | None = None
    prior: Prior
    start: date | None = None
    end: date | None = None
    texts: dict[Language, ActionText] = {}

    @model_validator(mode="after")
    def _sound(self) -> Action:
        if self.start and self.end and self.end < self.start:
            raise ValueError("'end' lies before 'start'")
        if self.prior.kind != self.outcome.kind:
            needed = "rate and strength" if self.outcome.kind == "binary" else "mean and deviation"
            raise ValueError(f"the outcome's kind is {self.outcome.kind}: its prior has {needed}")
        if (self.prior.rate or 0.0) + self.cost.incentive_taken_anyway > 1:
            raise ValueError("the prior's rate and incentive_taken_anyway are together more than 1")
        return self

    def label_in(self, language: str) -> str:
        """The label in ``language``, or the general one."""
        return self.texts[language].label if language in self.texts else self.label

    def lever_weight(self, day: date) -> float:
        """The lever's weight on ``day`` (UTC); 1 without a lever or outside its days."""
        return self.lever.weight if self.lever and self.lever.start <= day <= self.lever.end else 1.0


class DoNothing(Part):
    """How doing nothing is called; it has no cost, no value and no rules."""

    id: Literal["do_nothing"] = DO_NOTHING
    label: Words = "Do nothing"
    description: str = ""
    texts: dict[Language, ActionText] = {}

    def label_in(self, language: str) -> str:
        """The label in ``language``, or the general one."""
        return self.texts[language].label if language in self.texts else self.label
