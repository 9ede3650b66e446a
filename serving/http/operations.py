"""What each call does, between its types: look up, decide, keep, answer."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

from anyio import to_thread

from kernel.errors import DataError, UsageError
from kernel.types import LowerBand
from serving.answers import AnswerContext, changes_answer, customer_score, decisions_of, recommendation
from serving.http.deployment import Deployment
from serving.http.problems import Problem
from serving.insights import Insight
from serving.schemas import (
    ChangesAnswer,
    CustomerScore,
    FeedbackAnswer,
    FeedbackRequest,
    FieldProblem,
    ProfileInput,
    RecommendationAnswer,
    ScoreAnswer,
    ScoreRequest,
)


async def score(deployment: Deployment, request: ScoreRequest) -> ScoreAnswer:
    """Scores of the customers asked for; nothing is kept."""
    insights = await _insights(deployment, request)
    context = AnswerContext.of(deployment.source)
    return ScoreAnswer(scores=tuple(customer_score(insight, context) for insight in insights))


async def recommend(deployment: Deployment, request: ScoreRequest) -> RecommendationAnswer:
    """Decisions for the customers asked for, on disk before they are answered."""
    asked = perf_counter()
    insights = await _insights(deployment, request)
    await _keep(deployment, insights, asked)
    context = AnswerContext.of(deployment.source)
    return RecommendationAnswer(recommendations=tuple(recommendation(insight, context) for insight in insights))


async def record_feedback(deployment: Deployment, event: FeedbackRequest) -> FeedbackAnswer:
    """Keep what became of an action."""
    status = await deployment.store.keep_feedback(event, deployment.clock())
    return FeedbackAnswer(event_id=event.event_id, status=status)


async def customer(deployment: Deployment, customer_id: str) -> CustomerScore:
    """The score of one stored customer."""
    [insight] = deployment.source.by_ids([customer_id])
    return customer_score(insight, AnswerContext.of(deployment.source))


async def changes(deployment: Deployment, customer_id: str) -> ChangesAnswer:
    """What would bring one stored customer into a lower churn band."""
    return changes_answer(*deployment.source.with_changes(customer_id))


async def insight_to_show(deployment: Deployment, customer_id: str) -> tuple[Insight, list[LowerBand]]:
    """The insight of one stored customer, its decision kept because a person is about to see it; and what would bring
    the customer into a lower churn band."""
    asked = perf_counter()
    insight, found = deployment.source.with_changes(customer_id)
    await _keep(deployment, [insight], asked)
    return insight, found


async def _insights(deployment: Deployment, request: ScoreRequest) -> list[Insight]:
    if request.customer_id is not None:
        # One look-up is shorter than a change of thread.
        return deployment.source.by_ids([request.customer_id])
    if request.profile is not None:
        return [await _insight_of_profile(deployment, request.profile)]
    customer_ids = request.customer_ids or ()
    given, most = len(customer_ids), deployment.limits.max_ids
    if given > most:
        raise Problem(
            413, "too-many-ids", f"The request names {given:,} customers; at most {most:,} are answered at once."
        )
    return await to_thread.run_sync(deployment.source.by_ids, customer_ids)


async def _insight_of_profile(deployment: Deployment, profile: ProfileInput) -> Insight:
    try:
        return await to_thread.run_sync(deployment.source.by_profile, profile)
    except (DataError, UsageError) as error:
        # Here the data are the client's, not the project's.
        wrong = FieldProblem(field=f"profile.{error.where}", message=error.what)
        raise Problem(400, "invalid-profile", f"{error.what} {error.fix}", errors=(wrong,)) from error


async def _keep(deployment: Deployment, insights: list[Insight], asked: float) -> None:
    """``asked``: when, by ``perf_counter``."""
    latency = 1000 * (perf_counter() - asked)
    decisions = [replace(decision, latency_ms=latency) for decision in decisions_of(insights)]
    await deployment.store.keep_decisions(decisions, deployment.clock())
