"""One self-contained HTML page about one customer, for a CRM screen or a file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from string import Template

from kernel.types import LowerBand
from serving.answers import AnswerContext, customer_score, recommendation
from serving.insights import Insight
from serving.panel import sections
from serving.panel.markup import Html, element, join

FEEDBACK_PATH = "../v1/feedback"  # seen from /panel/{customer_id}, so it holds behind any proxy's prefix
_DEFAULT_ANCESTORS = ("'self'",)


def render_panel(
    insight: Insight,
    context: AnswerContext,
    *,
    changes: Sequence[LowerBand] = (),
    nonce: str = "",
    feedback_url: str | None = None,
) -> str:
    """The insight card.

    Args:
        insight: whom it is about.
        context: project, currency, horizons.
        changes: what would bring the customer into a lower churn band.
        nonce: the one-time word of the page's content security policy; empty in a file.
        feedback_url: where buttons post what became of an action; None leaves the buttons out (a page in a file has no
            service to post to).
    """
    score, decided = customer_score(insight, context), recommendation(insight, context)
    live = feedback_url is not None and bool(decided.recommended_actions)
    card = element(
        "main",
        sections.heading(score, context.project),
        sections.status_note(score.status),
        sections.numbers(score),
        sections.reasons(score.churn_reasons),
        sections.changes(changes),
        sections.actions(decided.recommended_actions, decided.not_offered, score, live=live),
        sections.footer(score),
        class_="card",
        data_feedback=feedback_url if live else None,
        data_decision=decided.decision_id if live else None,
    )
    return page(f"Customer {score.customer_id}", card, nonce)


def render_message(title: str, text: str, *, nonce: str = "") -> str:
    """A page with nothing but a message: an unknown customer, a failure."""
    body = element("section", element("p", text), class_="section")
    card = element("main", _message_head(title), body, class_="card")
    return page(title, card, nonce)


def render_locked(*, nonce: str = "") -> str:
    """A page that asks for the API key and then loads the card with it, in the header where keys belong."""
    title = "This page needs a key"
    card = element(
        "main",
        _message_head(title),
        element(
            "section",
            element(
                "p", "The service answers only with an API key. It is kept until this page is closed, nowhere else."
            ),
            sections.key_form(hidden=False),
            element("p", class_="said", role="status", aria_live="polite"),
            class_="section",
        ),
        class_="card",
        data_locked=True,
    )
    return page(title, card, nonce)


def content_security_policy(nonce: str, frame_ancestors: Sequence[str] = _DEFAULT_ANCESTORS) -> str:
    """The header under which the page runs: its own style and script, its own service, nothing else."""
    return (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
        f"base-uri 'none'; form-action 'none'; frame-ancestors {' '.join(frame_ancestors)}"
    )


def _message_head(title: str) -> Html:
    return element(
        "header",
        element("div", element("p", "Customer insight", class_="quiet"), element("h1", title, tabindex=-1)),
        class_="head",
    )


def page(title: str, card: Html, nonce: str) -> str:
    """A whole HTML document around a card."""
    template, css, js = (_package_text(name) for name in ("panel.html", "panel.css", "panel.js"))
    return Template(template).substitute(title=join(title), nonce=nonce, css=css, js=js, content=card)


@cache
def _package_text(name: str) -> str:
    return files("serving.panel").joinpath(name).read_text(encoding="utf-8")
