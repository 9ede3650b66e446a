"""From scores to a decision: filters, value, policy, draw, ranking, explanation, for one customer or a million."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import orjson
import pandas as pd

from kernel.clock import iso, parse_as_of
from kernel.errors import DataError, UsageError, did_you_mean
from kernel.types import Status
from serving.decisioning.belief import Belief
from serving.decisioning.catalogue import Catalogue
from serving.decisioning.columns import Columns, Floats, Ints
from serving.decisioning.decision import Candidate, Decision, Mode, Recommendation
from serving.decisioning.explain import ActionExplainer, explain_nothing
from serving.decisioning.offer import Offer, make_offers, nothing_candidates
from serving.decisioning.policy import (
    PolicySettings,
    choice_probabilities,
    draw,
    greedy_choice,
    seed_of,
    thompson_share,
)

NO_CONSENT = "no_consent"
_NAMESPACE = uuid.UUID("6f0f5c4e-6a53-5d0c-9d0e-6c1a3a1f2b77")  # of decision ids; changing it changes every id


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

    def decision_id(self, customer_id: str) -> str:
        key = [customer_id, iso(self.as_of), self.placement, self.policy_version, *self.model_versions]
        return str(uuid.uuid5(_NAMESPACE, orjson.dumps(key).decode()))

    def decision(
        self,
        customer_id: str,
        decision_id: str,
        seed: int,
        *,
        mode: Mode | None = None,
        reason_codes: tuple[str, ...] = (),
        candidates: tuple[Candidate, ...] = (),
        chosen: Candidate | None = None,
        recommended: tuple[Recommendation, ...] = (),
    ) -> Decision:
        return Decision(
            decision_id=decision_id,
            customer_id=customer_id,
            as_of=self.as_of,
            placement=self.placement,
            policy_version=self.policy_version,
            model_versions=self.model_versions,
            catalogue_hash=self.catalogue.hash,
            currency=self.currency,
            seed=seed,
            mode=mode,
            reason_codes=reason_codes,
            candidates=candidates,
            chosen=chosen.action_id if chosen else None,
            propensity=chosen.probability if chosen else None,
            recommended=recommended,
        )


def decide(
    catalogue: Catalogue,
    frame: pd.DataFrame,
    *,
    as_of: datetime,
    settings: PolicySettings,
    currency: str,
    model_versions: tuple[str, ...] = (),
    top_k: int = 3,
    placement: str = "card",
    language: str = "en",
    beliefs: Mapping[str, Belief] | None = None,
) -> list[Decision]:
    """One decision per row of ``frame``, in its order. A customer gets the same decision alone and in any batch.

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

    Returns:
        Decisions of the same length; a customer with ``status`` ``no_consent`` has no candidates.

    Raises:
        DataError: a column is missing or of the wrong type, or a customer appears twice.
        UsageError: ``top_k`` is below 1, or a column's type does not fit a rule.
    """
    if top_k < 1:
        raise UsageError(f"top_k is {top_k}.", where="decide", fix="Ask for at least one recommendation.")
    _check_frame(frame)
    context = _Context(
        catalogue,
        parse_as_of(as_of),
        settings,
        tuple(sorted(model_versions)),
        currency,
        placement,
        settings.version(catalogue.hash),
    )
    customer_ids = [str(customer) for customer in frame["customer_id"].tolist()]
    decision_ids = [context.decision_id(customer) for customer in customer_ids]
    seeds = [seed_of(decision, settings) for decision in decision_ids]
    consented = np.asarray(frame["status"].astype(object) != Status.NO_CONSENT.value, dtype=np.bool_)
    rows = np.flatnonzero(consented)
    decisions = [
        context.decision(*identity, reason_codes=(NO_CONSENT,))
        for identity in zip(customer_ids, decision_ids, seeds, strict=True)
    ]
    columns = Columns(frame if len(rows) == len(frame) else frame.iloc[rows])
    known = {action: belief.take(rows) for action, belief in (beliefs or {}).items()}
    offers = make_offers(catalogue, known, context.as_of.date(), columns)
    greedy, probabilities = _policy(offers, settings)
    chosen = draw(probabilities, [seeds[row] for row in rows])
    candidates = [nothing_candidates(catalogue.do_nothing, probabilities[:, 0], language)]
    candidates += [offer.candidates(probabilities[:, number], language) for number, offer in enumerate(offers, start=1)]
    explainers = [ActionExplainer(action, catalogue.rules[action.id], currency) for action in catalogue.actions]
    for position, row in enumerate(rows.tolist()):
        own = tuple(of[position] for of in candidates)
        drawn, best = int(chosen[position]), int(greedy[position])
        decisions[row] = context.decision(
            customer_ids[row],
            decision_ids[row],
            seeds[row],
            mode="greedy" if drawn == best else "explore",
            candidates=own,
            chosen=own[drawn],
            recommended=_recommended(top_k, explainers, own, drawn, explored=drawn != best),
        )
    return decisions


def _policy(offers: Sequence[Offer], settings: PolicySettings) -> tuple[Ints, Floats]:
    """The greedy candidate, shape (customers,), and the choice probabilities, shape (customers, 1 + actions)."""
    eligible = np.stack([offer.eligible for offer in offers], axis=1)
    greedy = greedy_choice(np.stack([offer.total for offer in offers], axis=1), eligible)
    draws = [offer.belief.draws(offer.action.id, settings.draws, settings.salt) for offer in offers]
    share = thompson_share([offer.terms for offer in offers], draws, eligible)
    return greedy, choice_probabilities(greedy, share, eligible, settings)


def _check_frame(frame: pd.DataFrame) -> None:
    where = "the customers to decide for"
    for name in ("customer_id", "status"):
        if name not in frame.columns:
            near = did_you_mean(name, map(str, frame.columns))
            raise DataError(f"The column '{name}' is missing.", where=where, fix=f"Give one row per customer. {near}")
    known = {status.value for status in Status}
    if not known.issuperset(frame["status"].astype(object).unique()):
        raise DataError("A customer's status is unknown.", where=where, fix=f"Known: {', '.join(sorted(known))}.")
    if frame["customer_id"].astype(str).duplicated().any():
        raise DataError("A customer appears twice.", where=where, fix="Give one row per customer.")


def _recommended(
    top_k: int, explainers: Sequence[ActionExplainer], candidates: Sequence[Candidate], drawn: int, *, explored: bool
) -> tuple[Recommendation, ...]:
    """The drawn candidate, then the other actions worth more than doing nothing, by value (ties: the file's order)."""
    worth = [
        (-(candidate.expected_incremental_value or 0.0), index)
        for index, candidate in enumerate(candidates)
        if index not in (0, drawn) and candidate.eligible and (candidate.expected_incremental_value or 0.0) > 0
    ]
    order = [drawn, *(index for _, index in sorted(worth))][:top_k]
    shown: list[Recommendation] = []
    for position, index in enumerate(order, start=1):
        candidate = candidates[index]
        exploring = explored and index == drawn
        if index == 0:
            open_actions = any(other.eligible for other in candidates[1:])
            text = explain_nothing(candidate, explored=exploring, alternatives=open_actions)
        else:
            text = explainers[index - 1].explain(candidate, explored=exploring)
        value = candidate.expected_incremental_value or 0.0
        shown.append(Recommendation(position, candidate.action_id, candidate.label, value, text))
    return tuple(shown)
