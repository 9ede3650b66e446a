"""From insights to what the service answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from kernel.types import LowerBand, Score
from serving.insights import Insight, InsightSource, ModelVersions
from serving.schemas import (
    ActionAnswer,
    ChangeAnswer,
    ChangesAnswer,
    CustomerInsight,
    GroupAnswer,
    ReasonAnswer,
    WithheldActionAnswer,
)

if TYPE_CHECKING:
    from serving.decisioning import decision as decisioning
    from serving.decisioning.decision import Decision


_HOUR = timedelta(hours=1)
_MADE_HERE = {"churn_reasons", "churn_groups"}
_SAME_NAME = [name for name in CustomerInsight.model_fields if hasattr(Score, name) and name not in _MADE_HERE]
"""What an answer says as the score does."""


@dataclass(frozen=True, slots=True)
class AnswerContext:
    """What every answer of one project shares.

    Attributes:
        project: the project's name.
        currency: ISO 4217.
        horizon_days: days that the lifetime value covers.
        churn_horizon_days: days ahead in which a churner does not purchase.
        churn_bands: the percentiles at which the medium and the high churn band begin.
        value_shown_months: the longest of the value's horizons that outcomes could be compared with.
        versions: the models and the policy that answer.
    """

    project: str
    currency: str
    horizon_days: int
    churn_horizon_days: int
    churn_bands: tuple[float, float]
    value_shown_months: int
    versions: ModelVersions

    @classmethod
    def of(cls, source: InsightSource) -> AnswerContext:
        """The context of a source, as it answers now."""
        return cls(
            source.project,
            source.currency,
            source.horizon_days,
            source.churn_horizon_days,
            source.churn_bands,
            source.value_shown_months,
            source.versions(),
        )


def customer_insight(insight: Insight, context: AnswerContext, *, kept: bool) -> CustomerInsight:
    """Everything that is said of one customer.

    Args:
        insight: whom it is about.
        context: of the models that made it.
        kept: whether its decision is kept: only then it has an id that feedback may name.
    """
    score, decision = insight.score, insight.decision
    same = {name: getattr(score, name) for name in _SAME_NAME}
    return CustomerInsight(
        **same,
        what_if=insight.what_if,
        features_age_hours=max(0.0, (score.scored_at - score.as_of) / _HOUR),
        churn_horizon_days=context.churn_horizon_days,
        churn_medium_from=context.churn_bands[0],
        churn_high_from=context.churn_bands[1],
        churn_reasons=_reasons(score),
        churn_groups=tuple(
            GroupAnswer(group=one.group, label=one.label, effect=one.effect) for one in score.churn_groups
        ),
        value_horizon_days=context.horizon_days,
        value_shown_months=context.value_shown_months,
        currency=context.currency,
        recommended_actions=tuple(ActionAnswer(**fields) for fields in recommended_actions(decision)),
        not_offered=_withheld(decision),
        decision_id=decision.decision_id if decision and kept else None,
        placement=decision.placement if decision else None,
        chosen=decision.chosen if decision else None,
        propensity=decision.propensity if decision else None,
        mode=decision.mode if decision else None,
        holdout=decision.holdout if decision else False,
        policy=decision.policy_version if decision else context.versions.policy,
    )


def changes_answer(insight: Insight, changes: Sequence[LowerBand]) -> ChangesAnswer:
    """What would bring one customer into a lower churn band."""
    score = insight.score
    return ChangesAnswer(
        customer_id=score.customer_id,
        as_of=score.as_of,
        churn_band=score.churn_band,
        changes=tuple(ChangeAnswer(**asdict(change)) for change in changes),
        churn_model=score.churn_model,
    )


def decisions_of(insights: Sequence[Insight]) -> list[Decision]:
    """The decisions that must be kept before they are answered."""
    return [insight.decision for insight in insights if insight.decision is not None]


def _reasons(score: Score) -> tuple[ReasonAnswer, ...]:
    return tuple(
        ReasonAnswer(
            code=reason.code,
            text=reason.text,
            value=None if isinstance(reason.value, str) else reason.value,
            effect=reason.effect,
            group=reason.group,
            usual=reason.usual,
            typical=reason.typical,
        )
        for reason in score.churn_reasons
    )


def recommended_actions(decision: Decision | None) -> list[dict[str, Any]]:
    """The fields of ``ActionAnswer`` for each recommended action, by rank; none without a decision."""
    if decision is None:
        return []
    candidates = {candidate.action_id: candidate for candidate in decision.candidates}
    return [_action(item, candidates[item.action_id]) for item in decision.recommended]


def _action(item: decisioning.Recommendation, candidate: decisioning.Candidate) -> dict[str, Any]:
    expected = item.expected_incremental_value
    return {
        "action": item.action_id,
        "label": item.label,
        "rank": item.position,
        "expected_value": expected,
        "expected_value_low": expected if candidate.eiv_low is None else candidate.eiv_low,
        "expected_value_high": expected if candidate.eiv_high is None else candidate.eiv_high,
        "expected_margin": candidate.expected_margin or 0.0,
        "contact_cost": candidate.contact_cost,
        "incentive_cost": candidate.incentive_cost,
        "lever_effect": candidate.lever_effect or 0.0,
        "fatigue_cost": candidate.fatigue_cost,
        "price": candidate.price,
        "probability": candidate.probability,
        "explanation": item.explanation,
        "what_would_change": item.what_would_change,
        "cost": 0.0 if candidate.cost is None else candidate.cost,
        "uplift": candidate.uplift,
        "channel": candidate.channel,
        "status": candidate.status.value,
    }


def _withheld(decision: Decision | None) -> tuple[WithheldActionAnswer, ...]:
    if decision is None:
        return ()
    return tuple(
        WithheldActionAnswer(
            action=item.action_id,
            label=item.label,
            reason_codes=tuple(item.reason_codes),
            explanation=item.why_not,
        )
        for item in decision.candidates
        if not item.eligible
    )
