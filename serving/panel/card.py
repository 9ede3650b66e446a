"""The insight card: the same HTML in the panel's page and in the element ``<customer-insight>``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kernel.types import LowerBand, Status
from serving.answers import AnswerContext, customer_insight
from serving.insights import Insight
from serving.panel import sections
from serving.panel.actions import actions
from serving.panel.markup import Html, element
from serving.panel.numbers import facts, numbers
from serving.panel.trend import churn_trend
from serving.panel.words import Words

if TYPE_CHECKING:
    from serving.scoring.ledger import PastScore

_FAILURES = ("refused", "unreachable", "expired")


def insight_card(
    words: Words,
    insight: Insight,
    context: AnswerContext,
    *,
    changes: Sequence[LowerBand] = (),
    past: Sequence[PastScore] = (),
    language: str = "en",
) -> Html:
    """The card of one customer.

    Args:
        words: of the language it speaks.
        insight: whom it is about.
        context: project, currency, horizons.
        changes: what would bring the customer into a lower churn band.
        past: earlier scores, rising by ``as_of``.
        language: the project's, in which reasons and changes are worded.
    """
    score = customer_insight(insight, context, kept=True)
    left = (
        sections.status_note(words, score.status),
        numbers(words, score),
        churn_trend(words, past, score),
        sections.reasons(words, score.churn_reasons, language),
    )
    right = (
        Html("") if score.status is Status.NO_CONSENT else actions(words, score),
        sections.changes(words, changes, language),
        facts(words, score),
    )
    columns = [element("div", *parts, class_="column") for parts in (left, right) if any(parts)]
    live = score.decision_id is not None
    failures = {f"data_{name}": words.say(f"actions.{name}") for name in _FAILURES} if live else {}
    return element(
        "article",
        sections.heading(words, score, context.project),
        element("div", *columns, class_="columns"),
        sections.footer(words, score),
        class_="card",
        lang=words.language,
        aria_labelledby="customer",
        data_decision=score.decision_id,
        **failures,
    )
