"""One action against all customers: which may have it, what it is worth to each, and why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import cast

import numpy as np

from kernel.errors import DataError
from kernel.uplift_predictor import EffectStatus
from serving.decisioning.action import DO_NOTHING, Action, DoNothing
from serving.decisioning.belief import Belief, assumed
from serving.decisioning.catalogue import STAGES, Catalogue
from serving.decisioning.columns import Bools, Columns, Floats, Ints, Kind, spread
from serving.decisioning.decision import Candidate
from serving.decisioning.rules import Rule
from serving.decisioning.value import ActionTerms, ValueParts, incremental_value

INTERVAL = (0.05, 0.95)  # quantiles of the belief: 90 % lies between


@dataclass(frozen=True)
class Offer:
    """An action with its terms.

    Attributes:
        action: of the catalogue.
        belief: about its uplift.
        terms: with ``value`` of shape (customers,), or (1,) when it is the same for all.
        reasons: per customer, every reason why the action is out; empty when it is in.
        eligible: shape (customers,).
        parts: of the expected incremental value; each broadcasts to (customers,).
        total: expected incremental value, shape (customers,); NaN where the customer's value is unknown.
    """

    action: Action
    belief: Belief
    terms: ActionTerms
    reasons: list[tuple[str, ...]]
    eligible: Bools
    parts: ValueParts
    total: Floats

    def candidates(self, probability: Floats, language: str) -> list[Candidate]:
        """What is recorded for each customer; ``probability``: of being chosen, shape (customers,)."""
        unknown, known = np.isnan(self.total), np.zeros(len(self.total), dtype=np.bool_)
        bounds = [self.belief.quantile(end) for end in INTERVAL]
        ends = [incremental_value(bound, self.terms).total for bound in bounds]
        candidate = _builder(self, language)
        return [
            candidate(*row)
            for row in zip(
                self.reasons,
                *(_listed(uplift, known) for uplift in (self.belief.mean, *bounds)),
                _listed(self.terms.value, unknown),
                _listed(self.parts.incentive_cost, known),
                _listed(self.parts.expected_margin, unknown),
                _listed(self.parts.lever_effect, unknown),
                _listed(self.total, unknown),
                _listed(np.minimum(*ends), unknown),
                _listed(np.maximum(*ends), unknown),
                probability.tolist(),
                strict=True,
            )
        ]


def _builder(offer: Offer, language: str) -> Callable[..., Candidate]:
    terms, status = offer.terms, offer.belief.status
    action_id, label = offer.action.id, offer.action.label_in(language)

    def candidate(
        reasons: tuple[str, ...],
        uplift: float,
        low: float,
        high: float,
        value: float | None,
        incentive: float,
        margin: float | None,
        lever_effect: float | None,
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
        )

    return candidate


def _listed(values: Floats, unknown: Bools) -> list[float | None]:
    full = spread(values, unknown.shape).tolist()
    if not unknown.any():
        return full
    return [None if gap else value for value, gap in zip(full, unknown.tolist(), strict=True)]


def nothing_candidates(nothing: DoNothing, probability: Floats, language: str) -> list[Candidate]:
    """Doing nothing for each customer: all amounts are 0 by definition."""
    label = nothing.label_in(language)
    return [
        Candidate(
            action_id=DO_NOTHING,
            label=label,
            eligible=True,
            reason_codes=(),
            uplift=0.0,
            uplift_low=0.0,
            uplift_high=0.0,
            value=0.0,
            cost=0.0,
            lever=1.0,
            expected_margin=0.0,
            contact_cost=0.0,
            incentive_cost=0.0,
            lever_effect=0.0,
            expected_incremental_value=0.0,
            eiv_low=0.0,
            eiv_high=0.0,
            probability=chance,
            status=EffectStatus.EXACT,
        )
        for chance in probability.tolist()
    ]


def make_offers(catalogue: Catalogue, beliefs: Mapping[str, Belief], day: date, columns: Columns) -> list[Offer]:
    """Every action of the catalogue, by what is believed of its effect; where nothing is, by its prior."""
    return [
        make_offer(action, catalogue.rules[action.id], beliefs.get(action.id) or assumed(action.prior), day, columns)
        for action in catalogue.actions
    ]


def make_offer(action: Action, rules: Mapping[str, Rule], belief: Belief, day: date, columns: Columns) -> Offer:
    """The action on ``day`` (UTC) against the customers in ``columns``.

    Raises:
        DataError: a column is missing or of the wrong type.
        UsageError: a column's type does not fit a rule.
    """
    value, unknown = _value(action, columns)
    terms = ActionTerms(
        value=value,
        lever=action.lever_weight(day),
        contact=action.cost.contact,
        incentive=action.cost.incentive_if_converted,
        taken_anyway=action.cost.incentive_taken_anyway,
    )
    reasons = _reasons(rules, day, action, columns, unknown)
    parts = incremental_value(belief.mean, terms)
    return Offer(
        action=action,
        belief=belief,
        terms=terms,
        eligible=np.fromiter((not codes for codes in reasons), dtype=np.bool_, count=len(reasons)),
        reasons=reasons,
        parts=parts,
        total=np.where(unknown, np.nan, spread(parts.total, (columns.rows,))),
    )


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


def _reasons(
    rules: Mapping[str, Rule], day: date, action: Action, columns: Columns, value_unknown: Bools
) -> list[tuple[str, ...]]:
    """Per customer, every reason why the action is out; empty when it is in."""
    tables: list[tuple[str, ...]] = []
    codes: list[Ints] = []
    calendar = (
        "not_started" if action.start and day < action.start else "ended" if action.end and day > action.end else ""
    )
    tables.append(("", calendar))
    codes.append(np.full(columns.rows, 1 if calendar else 0, dtype=np.int64))
    for stage in STAGES:
        if rule := rules.get(stage):
            tables.append(tuple(_reason_code(stage, reason) for reason in rule.reasons))
            codes.append(rule.evaluate(columns).reason)
    tables.append(("", "missing:lifetime_value"))
    codes.append(value_unknown.astype(np.int64))
    combined = np.ravel_multi_index(tuple(codes), tuple(len(table) for table in tables))
    distinct, positions = np.unique(combined, return_inverse=True)
    parts = np.unravel_index(distinct, tuple(len(table) for table in tables))
    lists = [
        tuple(dict.fromkeys(filter(None, (table[part[row]] for table, part in zip(tables, parts, strict=True)))))
        for row in range(len(distinct))
    ]
    return [lists[position] for position in positions.tolist()]


def _reason_code(stage: str, reason: str) -> str:
    return reason if not reason or reason.startswith("missing:") else f"{stage}: {reason}"
