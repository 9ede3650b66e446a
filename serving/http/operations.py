"""What each call does, between its types: look up, decide, keep, answer."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from time import perf_counter

from anyio import to_thread

from kernel.errors import DataError, UsageError
from serving.answers import AnswerContext, changes_answer, customer_insight, decisions_of
from serving.http.callers import CALLER
from serving.http.deployment import Deployment
from serving.http.failures import log_failure
from serving.http.problems import Problem
from serving.http.tokens import TOKEN_SECRET_VARIABLE, PanelToken, expiry, panel_path, sign_token
from serving.insights import Insight, InsightSource
from serving.panel import Html, Words, insight_card
from serving.schemas import (
    ChangesAnswer,
    CustomerInsight,
    CustomersRequest,
    EventsInput,
    FeedbackAnswer,
    FeedbackRequest,
    FieldProblem,
    PanelTokenAnswer,
    PanelTokenRequest,
    ProfileInput,
    RecommendationAnswer,
    ScoreAnswer,
    ScoreRequest,
)
from serving.shadow import Again
from serving.telemetry import span
from serving.what_if import WhatIf

Answered = tuple[Insight, AnswerContext]
"""An insight, and what all answers of the models that made it share."""


async def score(deployment: Deployment, request: ScoreRequest) -> ScoreAnswer:
    """Insights of the customers asked for; nothing is kept."""
    answers = await _insights(deployment, request, request.what_if)
    _count(deployment, [insight for insight, _ in answers if not insight.what_if])
    return ScoreAnswer(scores=tuple(customer_insight(insight, context, kept=False) for insight, context in answers))


async def recommend(deployment: Deployment, request: CustomersRequest) -> RecommendationAnswer:
    """Insights of the customers asked for, their decisions on disk before they are answered."""
    asked = perf_counter()
    answers = await _insights(deployment, request)
    insights = [insight for insight, _ in answers]
    _count(deployment, insights)
    await _keep(deployment, insights, asked)
    told = tuple(customer_insight(insight, context, kept=True) for insight, context in answers)
    return RecommendationAnswer(recommendations=told)


async def record_feedback(deployment: Deployment, event: FeedbackRequest) -> FeedbackAnswer:
    """Keep what became of an action; who came with a token sends it for that customer's decisions only."""
    only = CALLER.get().customer
    if only is not None:
        decision = await to_thread.run_sync(deployment.store.decision, event.decision_id)
        if decision is None or decision.customer_id != only:
            raise Problem(403, "token-elsewhere", "The token is not for the customer of this decision.")
    with span("log"):
        status = await deployment.store.keep_feedback(event, deployment.clock())
    if deployment.metrics is not None:
        deployment.metrics.fed_back(event.event.value, status.value)
    return FeedbackAnswer(event_id=event.event_id, status=status)


def make_panel_token(deployment: Deployment, request: PanelTokenRequest) -> PanelTokenAnswer:
    """A token that opens one customer's panel."""
    if not deployment.limits.token_secrets:
        raise Problem(409, "no-token-secret", f"This service signs no tokens: {TOKEN_SECRET_VARIABLE} is not set.")
    ends = expiry(deployment.clock(), request.seconds)
    token = PanelToken(request.customer_id, request.user, deployment.source.project, ends, feedback=request.feedback)
    text = sign_token(token, deployment.limits.token_secrets[0])
    return PanelTokenAnswer(token=text, expires_at=ends, path=panel_path(request.customer_id, text))


async def customer(deployment: Deployment, customer_id: str) -> CustomerInsight:
    """The insight of one stored customer; nothing is kept."""
    [(insight, context)] = _of_ids(deployment, [customer_id])
    _count(deployment, [insight])
    return customer_insight(insight, context, kept=False)


async def changes(deployment: Deployment, customer_id: str) -> ChangesAnswer:
    """What would bring one stored customer into a lower churn band."""
    return changes_answer(*deployment.source_for(customer_id).with_changes(customer_id))


async def card(deployment: Deployment, customer_id: str, words: Words) -> Html:
    """The insight card of one stored customer; its decision is kept, because a person is about to see it."""
    asked = perf_counter()
    source = deployment.source_for(customer_id)
    insight, found = source.with_changes(customer_id)
    _count(deployment, [insight])
    await _keep(deployment, [insight], asked)
    try:
        past = await to_thread.run_sync(deployment.history, customer_id, insight.score.as_of)
    except OSError as error:
        log_failure(error)  # such as a file that was just removed for its age: a card without a trend is still a card
        past = ()
    context = AnswerContext.of(source)
    return insight_card(words, insight, context, changes=found, past=past, language=deployment.language)


async def _insights(deployment: Deployment, request: CustomersRequest, what_if: WhatIf | None = None) -> list[Answered]:
    if request.customer_id is not None and request.events is not None:
        return [await _of_events(deployment, request.customer_id, request.events, what_if)]
    if request.customer_id is not None and what_if is not None:
        source = deployment.source_for(request.customer_id)
        return [(source.by_what_if(request.customer_id, what_if), AnswerContext.of(source))]
    if request.customer_id is not None:
        # One look-up is shorter than a change of thread.
        return _of_ids(deployment, [request.customer_id])
    if request.profile is not None:
        return [await _of_profile(deployment, request.profile, what_if)]
    customer_ids = request.customer_ids or ()
    given, most = len(customer_ids), deployment.limits.max_ids
    if given > most:
        raise Problem(
            413, "too-many-ids", f"The request names {given:,} customers; at most {most:,} are answered at once."
        )
    return await to_thread.run_sync(_of_ids, deployment, customer_ids)


def _of_ids(deployment: Deployment, customer_ids: Sequence[str]) -> list[Answered]:
    sources = [deployment.source_for(name) for name in customer_ids]
    found: dict[str, Answered] = {}
    # Compared by identity: a source of several customers is asked once.
    for source in {id(source): source for source in sources}.values():
        names = [name for name, its in zip(customer_ids, sources, strict=True) if its is source]
        insights = source.by_ids(names)
        context = AnswerContext.of(source)
        found |= {name: (insight, context) for name, insight in zip(names, insights, strict=True)}
        _shadowed(deployment, source, context, insights, partial(_by_ids, customer_ids=names))
    return [found[name] for name in customer_ids]


def _by_ids(source: InsightSource, customer_ids: Sequence[str]) -> list[Insight]:
    return source.by_ids(customer_ids)


async def _of_profile(deployment: Deployment, profile: ProfileInput, what_if: WhatIf | None) -> Answered:
    source = deployment.source_for(profile.customer.customer_id)
    try:
        insight = await to_thread.run_sync(source.by_profile, profile, what_if)
    except (DataError, UsageError) as error:
        # Here the data are the client's, not the project's.
        wrong = FieldProblem(field=f"profile.{error.where}", message=error.what)
        raise Problem(400, "invalid-profile", f"{error.what} {error.fix}", errors=(wrong,)) from error
    context = AnswerContext.of(source)
    if what_if is None:
        _shadowed(deployment, source, context, [insight], lambda other: [other.by_profile(profile)])
    return insight, context


async def _of_events(deployment: Deployment, customer_id: str, events: EventsInput, what_if: WhatIf | None) -> Answered:
    source = deployment.source_for(customer_id)
    try:
        insight = await to_thread.run_sync(source.by_events, customer_id, events, what_if)
    except (DataError, UsageError) as error:
        wrong = FieldProblem(field="events", message=error.what)
        raise Problem(400, "invalid-profile", f"{error.what} {error.fix}", errors=(wrong,)) from error
    return insight, AnswerContext.of(source)


def _shadowed(
    deployment: Deployment, source: InsightSource, context: AnswerContext, insights: Sequence[Insight], again: Again
) -> None:
    """Let the challenger say afterwards what it would have said, where it is compared."""
    other = deployment.challenger
    if other is not None and other.shadow is not None and source is deployment.source:
        other.shadow.offer(other.source, context.versions, insights, again)


async def _keep(deployment: Deployment, insights: list[Insight], asked: float) -> None:
    """``asked``: when, by ``perf_counter``."""
    latency = 1000 * (perf_counter() - asked)
    decisions = [replace(decision, latency_ms=latency) for decision in decisions_of(insights)]
    if decisions:
        counted = nullcontext() if deployment.metrics is None else deployment.metrics.keeping(insights)
        with span("log"), counted:
            await deployment.store.keep_decisions(decisions, deployment.clock())


def _count(deployment: Deployment, insights: list[Insight]) -> None:
    if deployment.metrics is not None:
        deployment.metrics.scored(insights)
