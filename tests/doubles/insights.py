"""A test double: an InsightSource over a handful of plain objects, with no model behind it."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx
import uvicorn

from kernel.errors import DataError, NotFoundError
from kernel.types import Band, GroupEffect, LowerBand, Reason, Score, Status
from kernel.uplift_predictor import EffectStatus
from serving.decisioning.decision import Candidate, Decision, Recommendation
from serving.fresh_events import moment_of
from serving.http.deployment import Deployment
from serving.insights import Insight, ModelVersions
from serving.schemas import EventsInput, ProfileInput
from serving.scoring.ledger import PastScore
from serving.what_if import WhatIf, WhatIfError

AS_OF = datetime(2017, 11, 1, tzinfo=UTC)
SCORED_AT = datetime(2017, 11, 1, 2, 30, tzinfo=UTC)
HOSTILE_ID = "<b>O'Neil & Sons</b>"

_BOUNDS = (("", 1.0), ("_low", 0.5), ("_high", 2.0))
SCORED = Score(
    customer_id="1609",
    as_of=AS_OF,
    scored_at=SCORED_AT,
    status=Status.SCORED,
    churn_probability=0.34375,
    churn_score=34,
    churn_percentile=82.0,
    churn_band=Band.MEDIUM,
    churn_reasons=(
        Reason("rfm_recency_days", "No purchase for 31 days; usual is 6 days", 31.0, 0.91, "rfm", 6.0, 4.5),
        Reason("coupons_90d", "Redeemed 4 coupons in 90 days; usual is 0", 4.0, -0.18, "engagement", None, 0.0),
        Reason("favourite_category", "Buys mostly <i>GROCERY</i>", "<i>GROCERY</i>", 0.05, "attributes", None, None),
    ),
    churn_groups=(GroupEffect("rfm", "Recency", 0.91), GroupEffect("engagement", "Reactions", -0.18)),
    churn_base=-1.5,
    probability_alive=0.875,
    expected_purchases=9.5,
    lifetime_value=283.4000244140625,
    lifetime_value_low=190.0,
    lifetime_value_high=401.5,
    churn_probability_low=0.27,
    churn_probability_high=0.42,
    value_percentile=64.0,
    is_high_value=True,
    churn_model="churn:3",
    value_model="value:2",
    **{f"value_{months}m{bound}": 5.0 * months * factor for months in (1, 3, 6, 12, 24) for bound, factor in _BOUNDS},
    value_discounted=110.5,
    value_margin=None,
    value_at_risk=97.4,
    historic_value=1200.25,
    expected_order_value=29.75,
    next_order_days=4.5,
    order_overdue_days=25.0,
)
LOWER = LowerBand(
    behaviour="purchases",
    label="More purchases",
    code="orders_30d",
    text="orders in the last 30 days: 3 instead of 1",
    value=1.0,
    target=3.0,
    probability=0.125,
    percentile=55.0,
    band=Band.LOW,
)
_NO_CHURN = {
    "value_at_risk": None,
    "churn_probability": None,
    "churn_score": None,
    "churn_percentile": None,
    "churn_band": None,
    "churn_reasons": (),
    "churn_groups": (),
    "churn_base": None,
    "churn_probability_low": None,
    "churn_probability_high": None,
}
_NO_VALUE = {
    "probability_alive": None,
    "expected_purchases": None,
    "lifetime_value": None,
    "lifetime_value_low": None,
    "lifetime_value_high": None,
    "value_percentile": None,
    "is_high_value": None,
    **{f"value_{months}m{bound}": None for months in (1, 3, 6, 12, 24) for bound, _ in _BOUNDS},
    "value_discounted": None,
    "historic_value": None,
    "expected_order_value": None,
    "next_order_days": None,
    "order_overdue_days": None,
}
SCORES = (
    SCORED,
    dataclasses.replace(SCORED, customer_id="2", status=Status.INACTIVE, **_NO_CHURN),
    dataclasses.replace(SCORED, customer_id="3", status=Status.INSUFFICIENT_HISTORY, **_NO_CHURN),
    dataclasses.replace(SCORED, customer_id="4", status=Status.NO_CONSENT, **_NO_CHURN, **_NO_VALUE),
    dataclasses.replace(SCORED, customer_id=HOSTILE_ID),
    dataclasses.replace(SCORED, customer_id="5", status=Status.INSUFFICIENT_EVIDENCE, **_NO_CHURN),
)


PAST = tuple(
    PastScore(
        customer_id=SCORED.customer_id,
        as_of=datetime(2017, month, 1, tzinfo=UTC),
        scored_at=datetime(2017, month, 1, 2, 30, tzinfo=UTC),
        status=Status.SCORED,
        churn_probability=risk,
        churn_percentile=50.0,
        churn_band=band,
        lifetime_value=250.0,
        value_percentile=60.0,
        churn_model=model,
        value_model="value:2",
    )
    for month, risk, band, model in (
        (5, 0.08, Band.LOW, "churn:2"),
        (6, 0.11, Band.LOW, "churn:2"),
        (7, 0.09, Band.LOW, "churn:2"),
        (8, 0.17, Band.LOW, "churn:3"),
        (9, 0.24, Band.MEDIUM, "churn:3"),
        (10, 0.22, Band.MEDIUM, "churn:3"),
    )
)


def history(customer_id: str, until: datetime) -> list[PastScore]:
    """The past scores of the double's scored customer."""
    return [one for one in PAST if one.customer_id == customer_id and one.as_of <= until]


def candidate(action_id: str, label: str, value: float, probability: float, *reason_codes: str) -> Candidate:
    """A candidate of the double; with reason codes it is not eligible."""
    return Candidate(
        action_id=action_id,
        label=label,
        eligible=not reason_codes,
        reason_codes=reason_codes,
        uplift=0.03,
        uplift_low=0.0,
        uplift_high=0.06,
        value=80.0,
        cost=1.0,
        lever=1.0,
        expected_margin=value + 1.0,
        contact_cost=1.0,
        incentive_cost=0.0,
        lever_effect=0.0,
        expected_incremental_value=value,
        eiv_low=value - 2.5,
        eiv_high=value + 2.5,
        probability=probability,
        status=EffectStatus.PRIOR,
        channel="mail",
        why_not=f"It asks for {', '.join(reason_codes)}." if reason_codes else "",
    )


def decision(customer_id: str = "1609", decision_id: str | None = None) -> Decision:
    """A decision of the double: two actions offered, one withheld."""
    candidates = (
        candidate("do_nothing", "Do nothing", 0.0, 0.05),
        candidate("coupon", "Personal coupon", 12.5, 0.8),
        candidate("mailing", "Category mailing", 4.0, 0.15),
        candidate("win_back", "Win-back voucher", 1.0, 0.0, "eligibility: days_since > 56"),
    )
    return Decision(
        decision_id=decision_id or f"decision-of-{customer_id}",
        customer_id=customer_id,
        as_of=AS_OF,
        placement="card",
        policy_version="policy:1",
        model_versions=("churn:3", "value:2"),
        catalogue_hash="c" * 64,
        currency="USD",
        seed=11,
        mode="greedy",
        reason_codes=(),
        candidates=candidates,
        chosen="coupon",
        propensity=0.8,
        recommended=(
            Recommendation(1, "coupon", "Personal coupon", 12.5, "Has redeemed coupons before."),
            Recommendation(2, "mailing", "Category mailing", 4.0, "Buys mostly in one category."),
        ),
    )


def insight(score: Score) -> Insight:
    """The score with its decision; none without consent."""
    return Insight(score, None if score.status is Status.NO_CONSENT else decision(score.customer_id))


class InsightDouble:
    """Answers from ``SCORES``; ``broken_id`` raises an error that quotes a customer, as a careless library would."""

    project = "double"
    currency = "USD"
    horizon_days = 56
    churn_horizon_days = 28
    churn_bands = (70.0, 90.0)
    value_shown_months = 3
    as_of = AS_OF
    broken_id = "broken"

    def versions(self) -> ModelVersions:
        return ModelVersions("churn:3", "value:2", "policy:1")

    def models_as_of(self) -> dict[str, datetime]:
        return {"churn": AS_OF, "value": AS_OF}

    def by_ids(self, customer_ids: Sequence[str]) -> list[Insight]:
        if self.broken_id in customer_ids:
            raise ValueError("cannot convert 'secret attribute' to float")
        known = {score.customer_id: score for score in SCORES}
        unknown = sum(customer_id not in known for customer_id in customer_ids)
        if unknown:
            raise NotFoundError(
                f"{unknown} of {len(customer_ids)} customers are unknown.", where="customer_ids", fix="Check the ids."
            )
        return [insight(known[customer_id]) for customer_id in customer_ids]

    def with_changes(self, customer_id: str) -> tuple[Insight, list[LowerBand]]:
        [found] = self.by_ids([customer_id])
        return found, [] if found.score.churn_band is None else [LOWER]

    def by_what_if(self, customer_id: str, what_if: WhatIf) -> Insight:
        if "orders_30d" not in what_if:
            raise WhatIfError("That is no feature.", where=f"what_if.{min(what_if)}", fix="Known: orders_30d.")
        [found] = self.by_ids([customer_id])
        score = dataclasses.replace(found.score, expected_purchases=float(what_if["orders_30d"] or 0))
        return Insight(score, found.decision, what_if=True)

    def by_events(self, customer_id: str, events: EventsInput, what_if: WhatIf | None = None) -> Insight:
        [found] = self.by_ids([customer_id])
        spent = sum(line.amount for line in events.transactions)
        score = dataclasses.replace(found.score, as_of=moment_of(events, AS_OF, SCORED_AT), lifetime_value=spent)
        return Insight(score, found.decision, what_if=what_if is not None)

    def by_profile(self, profile: ProfileInput, what_if: WhatIf | None = None) -> Insight:
        if "unmapped" in profile.customer.attributes:
            raise DataError("'unmapped' is no attribute here.", where="customer.attributes", fix="Known: age.")
        spent = sum(line.amount for line in profile.transactions)
        return insight(
            dataclasses.replace(
                SCORED,
                customer_id=profile.customer.customer_id,
                as_of=profile.as_of or AS_OF,
                lifetime_value=spent,
            )
        )


@contextmanager
def running(open_deployment: Callable[[], Deployment]) -> Iterator[httpx.Client]:
    """The real BentoML application on a free loopback port, in a thread of this process."""
    from serving.service import make_service

    server = uvicorn.Server(uvicorn.Config(make_service(open_deployment).to_asgi(), port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until = time.monotonic() + 30
        while not server.started and thread.is_alive() and time.monotonic() < until:
            time.sleep(0.01)
        assert server.started, "the service did not start"
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(timeout=30)
