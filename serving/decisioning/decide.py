"""From scores to a decision: filters, value, policy, draw, ranking, explanation, for one customer or a million."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property

import numpy as np
import orjson
import pandas as pd

from kernel.clock import iso, parse_as_of
from kernel.errors import DataError, UsageError, did_you_mean
from kernel.record import record
from kernel.types import Status
from serving.decisioning.belief import Belief
from serving.decisioning.catalogue import Catalogue
from serving.decisioning.columns import Columns, Fields, Floats, Ints, fields_of
from serving.decisioning.contact_policy import NO_RULINGS, Rulings, rulings
from serving.decisioning.decision import Candidate, Decision, Mode, Recommendation
from serving.decisioning.explain import Explainers, explain_holdout, explain_nothing
from serving.decisioning.offer import Offers, make_offers, nothing_candidates
from serving.decisioning.owed import NO_CONSENT, Owed
from serving.decisioning.policy import (
    Chance,
    PolicySettings,
    choice_probabilities,
    draw,
    greedy_choice,
    in_holdout,
    seed_of,
    thompson_share,
)
from serving.decisioning.state import CampaignPrices, DecisionState

_NAMESPACE = uuid.UUID("6f0f5c4e-6a53-5d0c-9d0e-6c1a3a1f2b77")  # of decision ids; changing it changes every id


@record
class _Customer:
    """Whom a decision is for.

    Attributes:
        seed: of the draw.
        holdout: whether the customer is in the quarter's holdout.
    """

    customer_id: str
    decision_id: str
    seed: int
    holdout: bool


@dataclass(frozen=True)
class _Context:
    """What all decisions of one call share."""

    catalogue: Catalogue
    as_of: datetime
    settings: PolicySettings
    model_versions: tuple[str, ...]
    currency: str
    placement: str
    policy_version: str
    language: str
    snapshot: str | None
    state: DecisionState | None
    besides: str | None

    @property
    def day(self) -> date:
        """The day of the decision."""
        return self.as_of.date()

    @property
    def prices(self) -> CampaignPrices | None:
        """Of a campaign that runs and was planned with this catalogue."""
        if self.state is None or self.state.prices is None:
            return None
        prices = self.state.prices
        return prices if prices.catalogue_hash == self.catalogue.hash and self.state.now < prices.until else None

    @cached_property
    def _shared_key(self) -> list[str]:
        prices = [] if self.prices is None else [f"prices={self.prices.version}"]
        besides = [] if self.besides is None else [f"besides={self.besides}"]
        return [iso(self.as_of), self.placement, self.policy_version, *self.model_versions, *prices, *besides]

    def decision_id(self, customer_id: str, ruled: Sequence[str]) -> str:
        return str(uuid.uuid5(_NAMESPACE, orjson.dumps([customer_id, *self._shared_key, *ruled]).decode()))

    def customer(self, customer_id: str, ruled: Sequence[str]) -> _Customer:
        decision_id = self.decision_id(customer_id, ruled)
        holdout = in_holdout(customer_id, self.day, self.settings)
        return _Customer(customer_id, decision_id, seed_of(decision_id, self.settings), holdout)

    def decision(
        self,
        who: _Customer,
        *,
        mode: Mode | None = None,
        reason_codes: tuple[str, ...] = (),
        candidates: tuple[Candidate, ...] = (),
        chosen: Candidate | None = None,
        recommended: tuple[Recommendation, ...] = (),
    ) -> Decision:
        return Decision(
            decision_id=who.decision_id,
            customer_id=who.customer_id,
            as_of=self.as_of,
            placement=self.placement,
            policy_version=self.policy_version,
            model_versions=self.model_versions,
            catalogue_hash=self.catalogue.hash,
            currency=self.currency,
            seed=who.seed,
            mode=mode,
            reason_codes=reason_codes,
            candidates=candidates,
            chosen=chosen.action_id if chosen else None,
            propensity=chosen.probability if chosen else None,
            recommended=recommended,
            channel=chosen.channel if chosen else None,
            holdout=who.holdout,
            feature_snapshot=self.snapshot,
        )


def decide(
    catalogue: Catalogue,
    frame: pd.DataFrame | Fields,
    *,
    as_of: datetime,
    settings: PolicySettings,
    currency: str,
    model_versions: tuple[str, ...] = (),
    top_k: int = 3,
    placement: str = "card",
    language: str = "en",
    beliefs: Mapping[str, Belief] | None = None,
    state: DecisionState | None = None,
    feature_snapshot: str | None = None,
    besides: str | None = None,
) -> list[Decision]:
    """One decision per row of ``frame``, in its order. A customer gets the same decision alone and in any batch.

    Messages that are owed come first; then contact policy and rules filter, the policy draws among what is left, and
    customers of the global holdout get nothing.

    Args:
        catalogue: from ``load_catalogue``.
        frame: one row per customer: ``customer_id``, ``status``, the scores, and every feature or attribute that a rule
            of the catalogue reads.
        as_of: moment of knowledge; a naive time is UTC.
        settings: of the policy.
        currency: of every amount, for the words.
        model_versions: of the scores, such as ``churn/3``.
        top_k: how many recommendations at most, at least 1.
        placement: where the decision is shown; part of its identity.
        language: of the labels.
        beliefs: action id -> what is known about its effect on all customers or on each; where absent, the catalogue's
            prior. Their version belongs in ``model_versions``, since other beliefs make another decision.
        state: what was decided before and what came of it; None for customers of whom nothing was.
        feature_snapshot: the stored features that ``frame`` is of, for the record.
        besides: what was known besides the stored customers, such as the digest of new events; part of a decision's
            identity, or two questions would share one decision.

    Returns:
        Decisions of the same length; a customer with ``status`` ``no_consent`` has no candidates, but for messages that
        are owed and choose by nobody's behaviour.

    Raises:
        DataError: a column is missing or of the wrong type, or a customer appears twice.
        UsageError: ``top_k`` is below 1, a column's type does not fit a rule, or the floors leave nothing to choose by.
    """
    if top_k < 1:
        raise UsageError(f"top_k is {top_k}.", where="decide", fix="Ask for at least one recommendation.")
    fields = fields_of(frame)
    names, statuses = _identities(fields)
    context = _Context(
        catalogue,
        parse_as_of(as_of),
        settings,
        tuple(sorted(model_versions)),
        currency,
        placement,
        settings.version(catalogue.hash),
        language,
        feature_snapshot,
        state,
        besides,
    )
    explainers = Explainers.of(catalogue, currency)
    rows = [row for row, status in enumerate(statuses) if status != Status.NO_CONSENT.value]
    if len(rows) == len(names):
        return _weighed(context, names, fields, beliefs or {}, explainers, top_k)
    known = {action: belief.take(np.array(rows, dtype=np.int64)) for action, belief in (beliefs or {}).items()}
    some = [names[row] for row in rows]
    weighed = _weighed(context, some, fields.take(np.array(rows, dtype=np.intp)), known, explainers, top_k)
    decisions = dict(zip(rows, weighed, strict=True))
    others = [row for row in range(len(names)) if row not in decisions]
    some = [names[row] for row in others]
    unprofiled = _unprofiled(context, some, fields.take(np.array(others, dtype=np.intp)), explainers)
    decisions |= dict(zip(others, unprofiled, strict=True))
    return [decisions[row] for row in range(len(names))]


def _customers(context: _Context, names: Sequence[str]) -> tuple[list[_Customer], Rulings]:
    """The customers, and what contact policy rules about them."""
    ruled = NO_RULINGS if context.state is None else rulings(context.catalogue, context.state, names)
    return [context.customer(name, ruled.of(row)) for row, name in enumerate(names)], ruled


def _weighed(
    context: _Context,
    names: Sequence[str],
    fields: Fields,
    beliefs: Mapping[str, Belief],
    explainers: Explainers,
    top_k: int,
) -> list[Decision]:
    """Of customers who may be profiled."""
    catalogue, language = context.catalogue, context.language
    customers, ruled = _customers(context, names)
    columns = Columns(fields)
    offers = make_offers(catalogue, beliefs, context.day, columns, ruled, context.prices)
    owed = Owed.to_profiled(catalogue, context.day, columns, ruled)
    greedy, probabilities = _policy(offers, context.settings)
    for row, customer in enumerate(customers):
        if customer.holdout:
            probabilities[row] = np.eye(1, probabilities.shape[1])
    owed.settle(probabilities)
    chosen = draw(probabilities, [customer.seed for customer in customers])
    candidates = [nothing_candidates(catalogue.do_nothing, probabilities[:, 0], language)]
    candidates += offers.candidates(probabilities[:, 1:], language, explainers)
    candidates += owed.candidates(language, explainers)
    decisions: list[Decision] = []
    for row, customer in enumerate(customers):
        own = tuple(of[row] for of in candidates)
        first = int(owed.first[row])
        drawn = int(chosen[row]) if first < 0 else 1 + len(offers.actions) + first
        mode: Mode = "greedy" if drawn == greedy[row] else "explore"
        if first >= 0 or customer.holdout:
            mode = "holdout" if first < 0 else "mandatory"
        shown = _recommended(context, top_k, explainers, own, drawn, mode)
        decisions.append(context.decision(customer, mode=mode, candidates=own, chosen=own[drawn], recommended=shown))
    return decisions


def _unprofiled(context: _Context, names: Sequence[str], fields: Fields, explainers: Explainers) -> list[Decision]:
    """Of customers who may not be profiled."""
    customers, ruled = _customers(context, names)
    owed = Owed.to_unprofiled(context.catalogue, context.day, Columns(fields), ruled)
    candidates = [nothing_candidates(context.catalogue.do_nothing, np.zeros(len(fields)), context.language)]
    candidates += owed.candidates(context.language, explainers)
    decisions: list[Decision] = []
    for row, customer in enumerate(customers):
        if owed.first[row] < 0:
            decisions.append(context.decision(customer, reason_codes=(NO_CONSENT,)))
            continue
        own = tuple(of[row] for of in candidates)
        drawn = 1 + int(owed.first[row])
        shown = _recommended(context, 1, explainers, own, drawn, "mandatory")
        decisions.append(
            context.decision(customer, mode="mandatory", candidates=own, chosen=own[drawn], recommended=shown)
        )
    return decisions


def _policy(offers: Offers, settings: PolicySettings) -> tuple[Ints, Floats]:
    """The greedy candidate, shape (customers,), and the choice probabilities, shape (customers, 1 + actions)."""
    eligible = offers.eligible
    greedy = greedy_choice(offers.total, eligible)
    share = thompson_share(offers.terms, offers.draws(settings.draws, settings.salt), eligible)
    floors = [np.nan if action.floor is None else action.floor for action in offers.actions]
    if settings.thompson + settings.uniform + np.nansum(floors) > 1:
        raise UsageError(
            "The floors of all actions and the policy's exploration are together more than 1.",
            where="exploration.floor",
            fix="Lower some floor of the catalogue.",
        )
    chance = Chance(offers.explores, np.array(floors))
    return greedy, choice_probabilities(greedy, share, eligible, settings, chance)


def _identities(fields: Fields) -> tuple[list[str], list[str]]:
    """Customer ids and statuses, checked."""
    where = "the customers to decide for"
    known_fields = fields.names
    for name in ("customer_id", "status"):
        if name not in known_fields:
            near = did_you_mean(name, known_fields)
            raise DataError(f"The column '{name}' is missing.", where=where, fix=f"Give one row per customer. {near}")
    names, statuses = [str(one) for one in fields.column("customer_id").tolist()], fields.column("status").tolist()
    known = {status.value for status in Status}
    if not known.issuperset(statuses):
        raise DataError("A customer's status is unknown.", where=where, fix=f"Known: {', '.join(sorted(known))}.")
    if len(set(names)) < len(names):
        raise DataError("A customer appears twice.", where=where, fix="Give one row per customer.")
    return names, statuses


def _recommended(
    context: _Context,
    top_k: int,
    explainers: Explainers,
    candidates: Sequence[Candidate],
    drawn: int,
    mode: Mode,
) -> tuple[Recommendation, ...]:
    """The drawn candidate, then the other actions worth more than doing nothing, by value (ties: the file's order); for
    the holdout nothing else."""
    value = [candidate.expected_incremental_value or 0.0 for candidate in candidates]
    worth = sorted((-value[n], n) for n, one in enumerate(candidates) if n and one.eligible and value[n] > 0)
    ranked = [number for _, number in worth]
    order = [drawn, *(number for number in ranked if number != drawn and mode != "holdout")][:top_k]
    shown: list[Recommendation] = []
    for position, number in enumerate(order, start=1):
        candidate = candidates[number]
        exploring = mode == "explore" and number == drawn
        if number == 0:
            text = _nothing_explained(context, candidates, mode)
        else:
            text = explainers[candidate.action_id].explain(candidate, explored=exploring)
        rival = None if mode in ("holdout", "mandatory") else _rival(candidates, value, ranked, number)
        change = "" if rival is None else explainers.would_change(candidates, candidate, candidates[rival])
        shown.append(Recommendation(position, candidate.action_id, candidate.label, value[number], text, change))
    return tuple(shown)


def _nothing_explained(context: _Context, candidates: Sequence[Candidate], mode: Mode) -> str:
    if mode == "holdout":
        return explain_holdout(context.day.year, (context.day.month + 2) // 3)
    open_actions = any(other.eligible for other in candidates[1:])
    return explain_nothing(candidates[0], explored=mode == "explore", alternatives=open_actions)


def _rival(candidates: Sequence[Candidate], value: Sequence[float], ranked: Sequence[int], number: int) -> int | None:
    """The candidate that would change places first: of the best the second, of any other the best; doing nothing where
    there is none."""
    if number == 0:
        open_actions = [n for n, one in enumerate(candidates) if n and one.eligible]
        return max(open_actions, key=lambda n: (value[n], -n), default=None)
    rivals = [n for n in ranked if n != number]
    return rivals[0] if rivals else 0
