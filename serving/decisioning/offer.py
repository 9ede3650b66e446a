"""Actions against all customers: which may have one, what it is worth to each, and why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np

from kernel.errors import DataError
from kernel.uplift_predictor import EffectStatus
from serving.decisioning.action import DO_NOTHING, Action, DoNothing, MandatoryAction
from serving.decisioning.belief import Belief, Draws, assumed, beside
from serving.decisioning.catalogue import Catalogue
from serving.decisioning.columns import Bools, Columns, Floats, Kind, spread
from serving.decisioning.contact_policy import NO_RULINGS, Rulings
from serving.decisioning.decision import Candidate
from serving.decisioning.explain import ActionExplainer, Explainers
from serving.decisioning.filters import Filtered, Filters
from serving.decisioning.state import CampaignPrices
from serving.decisioning.value import ActionTerms, ValueParts, incremental_value

INTERVAL = (0.05, 0.95)  # quantiles of the belief: 90 % lies between


@dataclass(frozen=True)
class Fixed:
    """What of a catalogue is the same for all customers of a day; arrays of shape (actions,).

    Attributes:
        beliefs: the catalogue's own.
        uplift: expected by them, shape (1, actions).
        margin: of a conversion, NaN where it is a share of the lifetime value.
        share: of the lifetime value, NaN where it is a margin.
        explores: whether chance may play a part at all.
    """

    actions: Sequence[Action]
    beliefs: Sequence[Belief]
    uplift: Floats
    lever: Floats
    contact: Floats
    incentive: Floats
    taken_anyway: Floats
    margin: Floats
    share: Floats
    explores: Bools
    _quantiles: dict[float, Floats] = field(default_factory=dict[float, Floats])
    _draws: dict[tuple[int, str], Draws] = field(default_factory=dict[tuple[int, str], Draws])

    @classmethod
    @lru_cache(maxsize=16)
    def of(cls, catalogue: Catalogue, day: date) -> Fixed:
        """Made once: for one customer it would take longer than all that depends on the customer."""
        actions = catalogue.actions
        beliefs = [assumed(action.prior) for action in actions]
        values = [action.value for action in actions]
        return cls(
            actions,
            beliefs,
            beside([belief.mean for belief in beliefs]),
            lever=np.array([action.lever_weight(day) for action in actions]),
            contact=np.array([action.cost.contact for action in actions]),
            incentive=np.array([action.cost.incentive_if_converted for action in actions]),
            taken_anyway=np.array([action.cost.incentive_taken_anyway for action in actions]),
            margin=np.array([np.nan if value.margin is None else value.margin for value in values]),
            share=np.array([np.nan if value.margin is not None else value.lifetime_value_share for value in values]),
            explores=np.array([action.explores for action in actions]),
        )

    def quantile(self, probability: float) -> Floats:
        """Of the catalogue's own beliefs, shape (1, actions)."""
        if probability not in self._quantiles:
            self._quantiles[probability] = beside([belief.quantile(probability) for belief in self.beliefs])
        return self._quantiles[probability]

    def draws(self, count: int, salt: str) -> Draws:
        """From the catalogue's own beliefs."""
        if (count, salt) not in self._draws:
            self._draws[count, salt] = _drawn(self.actions, self.beliefs, count, salt)
        return self._draws[count, salt]


@dataclass(frozen=True)
class Offers:
    """All actions that are weighed, against some customers: a column for each action, so that one customer and twenty
    actions are as few steps as one action and twenty customers.

    Attributes:
        fixed: what is the same for all customers.
        beliefs: about the uplift of each action.
        terms: with ``value`` of shape (customers, actions), or (1, actions) when it is the same for all.
        filtered: of each action: who may have it, by which channel, and why not.
        eligible: who may have which, shape (customers, actions).
        explores: where chance may play a part, shape (customers, actions).
        uplift: expected, shape (customers or 1, actions).
        parts: of the expected incremental value, shape (customers, actions), or (1, actions).
        total: expected incremental value, shape (customers, actions); NaN where the customer's value is unknown.
    """

    fixed: Fixed
    beliefs: Sequence[Belief]
    terms: ActionTerms
    filtered: Sequence[Filtered]
    eligible: Bools
    explores: Bools
    uplift: Floats
    parts: ValueParts
    total: Floats

    @property
    def actions(self) -> Sequence[Action]:
        """Of the catalogue, in its order."""
        return self.fixed.actions

    def quantile(self, probability: float) -> Floats:
        """The effects below which they lie with ``probability``, of the shape of ``uplift``."""
        if self.beliefs is self.fixed.beliefs:
            return self.fixed.quantile(probability)
        return beside([belief.quantile(probability) for belief in self.beliefs])

    def draws(self, count: int, salt: str) -> Draws:
        """Of the effects of all actions."""
        if self.beliefs is self.fixed.beliefs:
            return self.fixed.draws(count, salt)
        return _drawn(self.actions, self.beliefs, count, salt)

    def candidates(self, probability: Floats, language: str, explainers: Explainers) -> list[list[Candidate]]:
        """What is recorded of each action for each customer, by action.

        Args:
            probability: of being chosen, shape (customers, actions).
        """
        bounds = [self.quantile(end) for end in INTERVAL]
        ends = [incremental_value(bound, self.terms).total for bound in bounds]
        parts, terms, shape = self.parts, self.terms, self.total.shape
        gaps = np.isnan(self.total) if np.isnan(self.total).any() else None
        numbers = [
            *(_listed(uplift, shape) for uplift in (self.uplift, *bounds)),
            _listed(terms.value, shape, gaps),
            _listed(parts.incentive_cost, shape),
            _listed(parts.expected_margin, shape, gaps),
            _listed(parts.lever_effect, shape, gaps),
            *(_amounts(part, shape) for part in (parts.fatigue_cost, parts.price)),
            _listed(self.total, shape, gaps),
            _listed(np.minimum(*ends), shape, gaps),
            _listed(np.maximum(*ends), shape, gaps),
            probability.T.tolist(),
        ]
        contact, lever = (np.broadcast_to(of, len(self.actions)).tolist() for of in (terms.contact, terms.lever))
        made: list[list[Candidate]] = []
        for n, (action, belief, filtered) in enumerate(zip(self.actions, self.beliefs, self.filtered, strict=True)):
            label, why_not = action.label_in(language), explainers[action.id].why_not
            rows = zip(filtered.reasons, filtered.channel, *(every[n] for every in numbers), strict=True)
            made.append(
                [
                    Candidate(
                        action_id=action.id,
                        label=label,
                        eligible=not reasons,
                        reason_codes=reasons,
                        uplift=uplift,
                        uplift_low=low,
                        uplift_high=high,
                        value=value,
                        cost=contact[n] + incentive,
                        lever=lever[n],
                        expected_margin=margin,
                        contact_cost=contact[n],
                        incentive_cost=incentive,
                        lever_effect=levered,
                        expected_incremental_value=total,
                        eiv_low=total_low,
                        eiv_high=total_high,
                        probability=chance,
                        status=belief.status,
                        channel=channel,
                        fatigue_cost=fatigue,
                        price=price,
                        why_not=why_not(reasons) if reasons else "",
                    )
                    for (
                        reasons,
                        channel,
                        uplift,
                        low,
                        high,
                        value,
                        incentive,
                        margin,
                        levered,
                        fatigue,
                        price,
                        total,
                        total_low,
                        total_high,
                        chance,
                    ) in rows
                ]
            )
        return made


def _amounts(values: Floats | None, shape: tuple[int, ...]) -> list[list[Any]]:
    return _listed(np.zeros(shape) if values is None else values, shape)


def _listed(values: Floats, shape: tuple[int, ...], unknown: Bools | None = None) -> list[list[Any]]:
    """By action, each customer's amount; None where ``unknown``."""
    full: list[list[Any]] = spread(values, shape).T.tolist()
    if unknown is None:
        return full
    return [
        [None if gap else value for value, gap in zip(of, gaps, strict=True)]
        for of, gaps in zip(full, unknown.T.tolist(), strict=True)
    ]


def _drawn(actions: Sequence[Action], beliefs: Sequence[Belief], count: int, salt: str) -> Draws:
    pairs = zip(actions, beliefs, strict=True)
    return Draws.beside([belief.draws(action.id, count, salt) for action, belief in pairs])


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
) -> Offers:
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
    fixed, shape = Fixed.of(catalogue, day), (columns.rows, len(catalogue.actions))
    believed, uplift = fixed.beliefs, fixed.uplift
    if beliefs:
        believed = [beliefs.get(action.id) or own for action, own in zip(fixed.actions, fixed.beliefs, strict=True)]
        uplift = beside([belief.mean for belief in believed])
    value, unknown = _value(fixed, columns)
    terms = ActionTerms(
        value=value,
        lever=fixed.lever,
        contact=fixed.contact,
        incentive=fixed.incentive,
        taken_anyway=fixed.taken_anyway,
        fatigue=None if ruled.fatigue is None else ruled.fatigue[:, None],
        budget_price=0.0 if prices is None else prices.budget,
        capacity_price=0.0 if prices is None else np.array([prices.capacity.get(one.id, 0.0) for one in fixed.actions]),
    )
    parts = incremental_value(uplift, terms)
    total = np.array(spread(parts.total, shape))
    by_share = ~np.isnan(fixed.share)
    some_unknown = bool(unknown.any())
    if some_unknown:
        total[unknown[:, None] & by_share] = np.nan
    filtered = [
        filters.apply(action, catalogue.stages[action.id], unknown if shared and some_unknown else None)
        for action, shared in zip(fixed.actions, by_share.tolist(), strict=True)
    ]
    return Offers(
        fixed,
        believed,
        terms,
        filtered,
        np.array([[not codes for codes in of.reasons] for of in filtered], dtype=np.bool_).T,
        _explores(fixed, catalogue, columns),
        uplift,
        parts,
        total,
    )


def _explores(fixed: Fixed, catalogue: Catalogue, columns: Columns) -> Bools:
    explores = np.empty((columns.rows, len(fixed.actions)), dtype=np.bool_)
    explores[:] = fixed.explores
    for number, action in enumerate(fixed.actions):
        where = catalogue.rules[action.id].get("exploration")
        if action.explores and where is not None:
            explores[:, number] = where.evaluate(columns).passed
    return explores


def _value(fixed: Fixed, columns: Columns) -> tuple[Floats, Bools]:
    """Money per conversion, shape (1, actions) or (customers, actions); and of whom the lifetime value is not known,
    where it counts, shape (customers,)."""
    by_share = ~np.isnan(fixed.share)
    if not by_share.any():
        return fixed.margin[None, :], np.zeros(columns.rows, dtype=np.bool_)
    lifetime = columns.vector("lifetime_value")
    if lifetime.kind not in (Kind.NUMBER, Kind.UNKNOWN):
        raise DataError(
            f"The column 'lifetime_value' holds {lifetime.kind}, not numbers.",
            where="the customers to decide for",
            fix="Give the expected spend over the horizon.",
        )
    return np.where(by_share, lifetime.values.astype(np.float64)[:, None] * fixed.share, fixed.margin), lifetime.null
