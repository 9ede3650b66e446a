"""The record of one decision: every candidate with its value, probability and reasons, and what was drawn."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime
from typing import Any, Literal

from kernel.clock import iso
from kernel.record import record, values_of
from kernel.uplift_predictor import EffectStatus

Mode = Literal["greedy", "explore", "holdout", "mandatory"]


@record
class Candidate:
    """One action as it stood for one customer. Money in the project's currency; None where a part is unknown.

    Attributes:
        action_id: in the catalogue.
        label: for people.
        eligible: it survived every filter.
        reason_codes: why it did not: ``<stage>: <clause>``, ``missing:<field>``, ``not_started``, ``ended``,
            ``channel:<name>: <clause>``, ``cooldown: until <day>``, ``suppressed: until <day>``,
            ``contact_limit: ...``, ``capacity: ...``, ``budget: ...``.
        uplift: additional probability of the outcome; ``uplift_low`` and ``uplift_high`` enclose 90 % of the belief.
        value: of one additional conversion.
        cost: contact and expected incentive.
        lever: weight on the value on that day.
        expected_margin, contact_cost, incentive_cost, lever_effect, fatigue_cost, price: the parts;
            ``expected_margin - contact_cost - incentive_cost + lever_effect - fatigue_cost - price`` is exactly the
            next. ``price``: what a running campaign's limits make of it.
        expected_incremental_value: against doing nothing; ``eiv_low`` and ``eiv_high`` belong to the uplift's interval.
        probability: with which the policy chooses it; 0 when not eligible.
        status: where the uplift comes from; ``prior`` is a business assumption.
        channel: by which it would reach the customer; None for doing nothing, and where every channel is closed.
        why_not: the reason codes in plain words; "" when eligible.
    """

    action_id: str
    label: str
    eligible: bool
    reason_codes: tuple[str, ...]
    uplift: float
    uplift_low: float
    uplift_high: float
    value: float | None
    cost: float | None
    lever: float
    expected_margin: float | None
    contact_cost: float
    incentive_cost: float
    lever_effect: float | None
    expected_incremental_value: float | None
    eiv_low: float | None
    eiv_high: float | None
    probability: float
    status: EffectStatus
    channel: str | None = None
    fatigue_cost: float = 0.0
    price: float = 0.0
    why_not: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Primitive values only."""
        return values_of(self) | {"reason_codes": list(self.reason_codes), "status": self.status.value}


@record
class Recommendation:
    """One line of what a person is shown.

    Attributes:
        position: from 1; only the first was drawn, and only it has a propensity.
        action_id: in the catalogue.
        label: for people, in the language that was asked for.
        expected_incremental_value: against doing nothing, in the project's currency.
        explanation: why, in plain words with unit and currency.
        what_would_change: from which effect or amount on the order would be another, in plain words; "" where nothing
            would.
    """

    position: int
    action_id: str
    label: str
    expected_incremental_value: float
    explanation: str
    what_would_change: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Primitive values only."""
        return values_of(self)


@record
class Decision:
    """What was decided for one customer, complete enough to be replayed and to be judged later.

    Attributes:
        decision_id: the same for the same customer, moment, placement, policy, models and rulings of contact policy, so
            that the same question asked twice is one decision.
        customer_id: whose.
        as_of: moment of knowledge, UTC.
        placement: where it is shown.
        policy_version: algorithm, settings and catalogue.
        model_versions: of the scores behind it, sorted.
        catalogue_hash: SHA-256 of the catalogue's content.
        currency: of every amount.
        seed: of the draw.
        mode: ``greedy`` when the drawn action is the one of the highest expected value, else ``explore``; ``holdout``
            for a customer of the global holdout, ``mandatory`` when a message that is owed came first.
        reason_codes: why nothing was decided at all (``no_consent``); else empty.
        candidates: doing nothing, the actions that are weighed, and those that are owed, each in the catalogue's order;
            their probabilities sum to 1.
        chosen: the drawn action; None when nothing was decided.
        propensity: the probability with which it was drawn.
        recommended: the drawn action, then others worth more than doing nothing, by expected value.
        channel: by which the drawn action reaches the customer.
        holdout: whether the customer is in the global holdout of the quarter.
        feature_snapshot: the stored features behind it; None for features that were computed on the spot.
        latency_ms: from the question to the decision, milliseconds; None where nobody measured it. No part of what was
            decided: decisions are equal whatever they took.
    """

    decision_id: str
    customer_id: str
    as_of: datetime
    placement: str
    policy_version: str
    model_versions: tuple[str, ...]
    catalogue_hash: str
    currency: str
    seed: int
    mode: Mode | None
    reason_codes: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    chosen: str | None
    propensity: float | None
    recommended: tuple[Recommendation, ...]
    channel: str | None = None
    holdout: bool = False
    feature_snapshot: str | None = None
    latency_ms: float | None = field(default=None, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Primitive values only (texts, numbers, booleans, None, lists, dictionaries): any JSON writer takes it."""
        return values_of(self) | {
            "as_of": iso(self.as_of),
            "model_versions": list(self.model_versions),
            "reason_codes": list(self.reason_codes),
            "candidates": [candidate.to_dict() for candidate in self.candidates],
            "recommended": [recommendation.to_dict() for recommendation in self.recommended],
        }
