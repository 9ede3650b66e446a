"""What a marketer may write for one action: typed, closed, and checked on its own."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from math import sqrt
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

DO_NOTHING = "do_nothing"

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Z]{2})?$")]
Money = Annotated[float, Field(ge=0)]
Probability = Annotated[float, Field(ge=0, le=1)]
Days = Annotated[int, Field(ge=1, le=3650)]


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
    window_days: Days
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
        margin: money per conversion, in the project's currency; of an outcome of money, what is kept of one unit.
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
        per_day: decisions a day, UTC.
        per_campaign: in one planned campaign.
    """

    per_day: Annotated[int, Field(ge=0)] | None = None
    per_campaign: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _some(self) -> Capacity:
        if self.per_day is None and self.per_campaign is None:
            raise ValueError("give per_day, per_campaign or both")
        return self


class Suppression(Part):
    """Leave a customer alone with an action that he did not want: after ``count`` events within ``window_days`` it is
    out for ``for_days`` from the last of them on."""

    event: Literal["shown", "opened", "accepted", "dismissed", "converted", "unsubscribed"]
    count: Annotated[int, Field(ge=1)] = 1
    window_days: Days = 365
    for_days: Days


class Exploration(Part):
    """Whether chance may give the action, or withhold it, in order to learn.

    Attributes:
        mode: "off": neither; where it is the best it is always given, elsewhere never. What it does cannot be learned
            from such decisions, and no other policy can be judged on them.
        where: a rule: chance plays a part for these customers only; where it is NULL, it does not.
        floor: least probability with which a customer who may have the action gets it; by default an equal part of
            the policy's uniform share.
    """

    mode: Literal["on", "off"] = "on"
    where: Words | None = None
    floor: Annotated[float, Field(ge=0, le=0.2)] | None = None


class LegalBasis(StrEnum):
    """On which ground of data-protection law a customer is addressed."""

    CONSENT = "consent"
    LEGITIMATE_INTEREST = "legitimate_interest"
    CONTRACT = "contract"
    LEGAL_OBLIGATION = "legal_obligation"

    @property
    def is_owed(self) -> bool:
        """The customer has a right to the message, so that it is neither rolled dice for nor left out."""
        return self in (LegalBasis.CONTRACT, LegalBasis.LEGAL_OBLIGATION)


class ActionText(Part):
    """What is shown in one language."""

    label: Words
    description: str = ""


class Labelled(Part):
    """What people read.

    Attributes:
        texts: by language, such as ``en`` or ``pt-BR``.
    """

    label: Words
    description: str = ""
    texts: dict[Language, ActionText] = {}

    def label_in(self, language: str) -> str:
        """The label in ``language``, or the general one."""
        return self.texts[language].label if language in self.texts else self.label


class Offerable(Labelled):
    """What every action has, also one that is owed to the customer.

    Attributes:
        channels: the first that is open to the customer is used.
        eligibility: a rule: may the customer have it?
        applicability: a rule: does it make sense now?
        suitability: a rule: is it in the customer's interest?
        cooldown_days: after it reached the customer, it is out for so long.
        suppress: events after which it is out.
        start: first day, UTC.
        end: last day, UTC, inclusive.
    """

    id: Identifier
    group: Identifier
    channels: Annotated[tuple[Identifier, ...], Field(min_length=1, strict=False)]
    eligibility: Words | None = None
    applicability: Words | None = None
    suitability: Words | None = None
    cooldown_days: Days | None = None
    suppress: Annotated[tuple[Suppression, ...], Field(strict=False)] = ()
    capacity: Capacity | None = None
    legal_basis: Annotated[LegalBasis, Field(strict=False)] = LegalBasis.CONSENT
    start: date | None = None
    end: date | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Offerable:
        if self.start and self.end and self.end < self.start:
            raise ValueError("'end' lies before 'start'")
        return self

    def calendar(self, day: date) -> str:
        """Why the action is out on ``day`` (UTC): ``not_started``, ``ended``, or "" where it is not."""
        if self.start and day < self.start:
            return "not_started"
        return "ended" if self.end and day > self.end else ""


class Action(Offerable):
    """One action of the catalogue, weighed by what it brings.

    Attributes:
        group: sibling actions share one.
        budget: money for its contacts and expected incentives, from its first decision on.
    """

    mandatory: Literal[False] = False
    outcome: Outcome
    cost: Cost
    value: Value
    lever: Lever | None = None
    budget: Money | None = None
    exploration: Exploration | None = None
    prior: Prior

    @model_validator(mode="after")
    def _sound(self) -> Action:
        if self.prior.kind != self.outcome.kind:
            needed = "rate and strength" if self.outcome.kind == "binary" else "mean and deviation"
            raise ValueError(f"the outcome's kind is {self.outcome.kind}: its prior has {needed}")
        if self.outcome.kind == "value" and (self.value.margin is None or self.cost.incentive_if_converted):
            raise ValueError("an outcome of money has a margin as its value, and no incentive for converting")
        if (self.prior.rate or 0.0) + self.cost.incentive_taken_anyway > 1:
            raise ValueError("the prior's rate and incentive_taken_anyway are together more than 1")
        return self

    @property
    def explores(self) -> bool:
        """Whether chance may play a part at all."""
        return not self.legal_basis.is_owed if self.exploration is None else self.exploration.mode == "on"

    @property
    def floor(self) -> float | None:
        """Least probability where the action may be given; None for the policy's equal share."""
        return None if self.exploration is None else self.exploration.floor

    def lever_weight(self, day: date) -> float:
        """The lever's weight on ``day`` (UTC); 1 without a lever or outside its days."""
        return self.lever.weight if self.lever and self.lever.start <= day <= self.lever.end else 1.0


class MandatoryAction(Offerable):
    """A service or regulatory message: given before anything is weighed, and left out of learning. Where several are
    open to a customer, the first of the file is given.

    Attributes:
        contact_cost: money of one contact.
    """

    mandatory: Literal[True]
    contact_cost: Money = 0.0

    @property
    def needs_no_consent(self) -> bool:
        """It is owed, and choosing its receivers looks at nobody's behaviour: nobody is profiled by it."""
        ruled = (self.eligibility, self.applicability, self.suitability)
        return self.legal_basis.is_owed and all(rule is None for rule in ruled)


class Channel(Part):
    """A way to reach customers.

    Attributes:
        permission: a rule: may this customer be reached so? NULL is no.
    """

    id: Identifier
    permission: Words


class ContactLimit(Part):
    """At most so many actions that reach one customer within so many days.

    Attributes:
        channel: of this channel only; None for all together.
    """

    at_most: Annotated[int, Field(ge=0)]
    window_days: Days
    channel: Identifier | None = None


class Fatigue(Part):
    """What one more contact costs beyond its own price, because customers tire.

    Attributes:
        cost_per_contact: money, for each action that reached the customer within the window.
    """

    cost_per_contact: Annotated[float, Field(gt=0)]
    window_days: Days


class DoNothing(Labelled):
    """How doing nothing is called; it has no cost, no value and no rules."""

    id: Literal["do_nothing"] = DO_NOTHING
    label: Words = "Do nothing"
