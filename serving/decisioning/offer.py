"""Actions against all customers: which may have one, what it is worth to each, and why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, cast

import numpy as np

from kernel.errors import DataError
from kernel.uplift_predictor import EffectStatus
from serving.decisioning.action import DO_NOTHING, Action, DoNothing, MandatoryAction
from serving.decisioning.belief import Belief, assumed
from serving.decisioning.catalogue import Catalogue
from serving.decisioning.columns import Bools, Columns, Floats, Kind, spread
from serving.decisioning.contact_policy import NO_RULINGS, Rulings
from serving.decisioning.decision import Candidate
from serving.decisioning.explain import ActionExplainer
from serving.decisioning.filters import Filtered, Filters
from serving.decisioning.rules import Rule
from serving.decisioning.state import CampaignPrices
from serving.decisioning.value import ActionTerms, ValueParts, incremental_value

INTERVAL = (0.05, 0.95)  # quantiles of the belief: 90 % lies between


@dataclass(frozen=True)
class Offer:
    """An action with its terms.

    Attributes:
        action: of the catalogue.
        belief: about its uplift.
        terms: with ``value`` of shape (customers,), or (1,) when it is the same for all.
        filtered: who may have it, by which channel, and why not.
        explores: where chance may play a part, shape (customers,).
        parts: of the expected incremental value; each broadcasts to (customers,).
        total: expected incremental value, shape (customers,); NaN where the customer's value is unknown.
    """

    action: Action
    belief: Belief
    terms: ActionTerms
    filtered: Filtered
    explores: Bools
    parts: ValueParts
    total: Floats

    @property
    def eligible(self) -> Bools:
        """Who may have it, shape (customers,)."""
        return self.filtered.eligible

    def candidates(self, probability: Floats, language: str, explainer: ActionExplainer) -> list[Candidate]:
        """What is recorded for each customer; ``probability``: of being chosen, shape (customers,)."""
        rows = len(self.total)
        gaps = np.isnan(self.total).tolist()
        unknown = gaps if any(gaps) else None
        bounds = [self.belief.quantile(end) for end in INTERVAL]
        ends = [incremental_value(bound, self.terms).total for bound in bounds]
        candidate = _builder(self, language)
        return [
            candidate(*row)
            for row in zip(
                self.filtered.reasons,
                map(explainer.why_not, self.filtered.reasons),
                self.filtered.channel,
                *(_listed(uplift, rows) for uplift in (self.belief.mean, *bounds)),
                _listed(self.terms.value, rows, unknown),
                _listed(self.parts.incentive_cost, rows),
                _listed(self.parts.expected_margin, rows, unknown),
                _listed(self.parts.lever_effect, rows, unknown),
                *(_amounts(part, rows) for part in (self.parts.fatigue_cost, self.parts.price)),
                _listed(self.total, rows, unknown),
                _listed(np.minimum(*ends), rows, unknown),
                _listed(np.maximum(*ends), rows, unknown),
                probability.tolist(),
                strict=True,
            )
        ]


def _builder(offer: Offer, language: str) -> Callable[..., Candidate]:
    terms, status = offer.terms, offer.belief.status
    action_id, label = offer.action.id, offer.action.label_in(language)

    def candidate(
        reasons: tuple[str, ...],
        why_not: str,
        channel: str | None,
        uplift: float,
        low: float,
        high: float,
        value: float | None,
        incentive: float,
        margin: float | None,
        lever_effect: float | None,
        fatigue: float,
        price: float,
        total: float | None,
        total_low: float | None,
        total_high: float | None,
        probability: float,
    ) -> Candidate:
        return Candidate(
            action_id=action_id,
            label=label,
            eligible=not reasons,
            reason_codes=reasons,
            uplift=uplift,
            uplift_low=low,
            uplift_high=high,
            value=value,
            cost=terms.contact + incentive,
            lever=terms.lever,
            expected_margin=margin,
            contact_cost=terms.contact,
            incentive_cost=incentive,
            lever_effect=lever_effect,
            expected_incremental_value=total,
            eiv_low=total_low,
            eiv_high=total_high,
            probability=probability,
            status=status,
            channel=channel,
            fatigue_cost=fatigue,
            price=price,
            why_not=why_not,
        )

    return candidate


def _amounts(values: Floats | None, rows: int) -> list[Any]:
    return [0.0] * rows if values is None else _listed(values, rows)


def _listed(values: Floats, rows: int, unknown: list[bool] | None = None) -> list[float | None]:
    full: list[float | None] = values.tolist()
    if len(full) != rows:
        full *= rows
    return full if unknown is None else [None if gap else value for value, gap in zip(full, unknown, strict=True)]


def nothing_candidates(nothing: DoNothing, probability: Floats, language: str) -> list[Candidate]:
    """Doing nothing for each customer: all amounts are 0 by definition."""
    label = nothing.label_in(language)
    return [_without_effect(DO_NOTHING, label, (), chance, 0.0, None) for chance in probability.tolist()]


def mandatory_candidates(
    action: MandatoryAction, filtered: Filtered, given: Bools, language: str, explainer: ActionExplainer
) -> list[Candidate]:
    """A message that is owed, for each customer; ``given``: who gets it, shape (customers,)."""
    label = action.label_in(language)
    rows = zip(filtered.reasons, given.tolist(), filtered.channel, strict=True)
    return [
        replace(
            _without_effect(action.id, label, reasons, float(is_given), action.contact_cost, channel),
            why_not=explainer.why_not(reasons),
        )
        for reasons, is_given, channel in rows
    ]


def _without_effect(
    action_id: str, label: str, reasons: tuple[str, ...], probability: float, contact: float, channel: str | None
) -> Candidate:
    """What is not weighed by an effect: by definition it has none."""
    return Candidate(
        action_id=action_id,
        label=label,
        eligible=not reasons,
        reason_codes=reasons,
        uplift=0.0,
        uplift_low=0.0,
        uplift_high=0.0,
        value=0.0,
        cost=contact,
        lever=1.0,
        expected_margin=0.0,
        contact_cost=contact,
        incentive_cost=0.0,
        lever_effect=0.0,
        expected_incremental_value=0.0 - contact,
        eiv_low=0.0 - contact,
        eiv_high=0.0 - contact,
        probability=probability,
        status=EffectStatus.EXACT,
        channel=channel,
    )


def make_offers(
    catalogue: Catalogue,
    beliefs: Mapping[str, Belief],
    day: date,
    columns: Columns,
    ruled: Rulings = NO_RULINGS,
    prices: CampaignPrices | None = None,
) -> list[Offer]:
    """Every action that is weighed, by what is believed of its effect; where nothing is, by its prior.

    Args:
        day: of the decision, UTC.
        ruled: by contact policy, of the rows of ``columns``.
        prices: of a campaign that runs.

    Raises:
        DataError: a column is missing or of the wrong type.
        UsageError: a column's type does not fit a rule.
    """
    filters = Filters(day, columns, catalogue.permissions, ruled)
    offers: list[Offer] = []
    for action in catalogue.actions:
        belief = beliefs.get(action.id) or assumed(action.prior)
        value, unknown = _value(action, columns)
        terms = ActionTerms(
            value=value,
            lever=action.lever_weight(day),
            contact=action.cost.contact,
            incentive=action.cost.incentive_if_converted,
            taken_anyway=action.cost.incentive_taken_anyway,
            fatigue=ruled.fatigue,
            budget_price=0.0 if prices is None else prices.budget,
            capacity_price=0.0 if prices is None else prices.capacity.get(action.id, 0.0),
        )
        rules = catalogue.rules[action.id]
        parts = incremental_value(belief.mean, terms)
        offers.append(
            Offer(
                action=action,
                belief=belief,
                terms=terms,
                filtered=filters.apply(action, rules, unknown),
                explores=_explores(action, rules, columns),
                parts=parts,
                total=np.where(unknown, np.nan, spread(parts.total, (columns.rows,))),
            )
        )
    return offers


def _explores(action: Action, rules: Mapping[str, Rule], columns: Columns) -> Bools:
    where = rules.get("exploration")
    if action.explores and where is not None:
        return where.evaluate(columns).passed
    return np.full(columns.rows, action.explores)


def _value(action: Action, columns: Columns) -> tuple[Floats, Bools]:
    """Money per conversion, shape (1,) or (customers,), and where it is unknown, shape (customers,)."""
    if action.value.margin is not None:
        return np.array([action.value.margin]), np.zeros(columns.rows, dtype=np.bool_)
    lifetime = columns.vector("lifetime_value")
    if lifetime.kind not in (Kind.NUMBER, Kind.UNKNOWN):
        raise DataError(
            f"The column 'lifetime_value' holds {lifetime.kind}, not numbers.",
            where="the customers to decide for",
            fix="Give the expected spend over the horizon.",
        )
    return lifetime.values.astype(np.float64) * cast("float", action.value.lifetime_value_share), lifetime.null
