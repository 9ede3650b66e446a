"""The service's start page: what runs here, and where its paths are. It loads nothing from elsewhere."""

from __future__ import annotations

from datetime import datetime

from serving.answers import AnswerContext
from serving.panel.markup import Html, element, join
from serving.panel.render import page
from serving.panel.script import package_text
from serving.panel.words import Words

_PATHS = (
    ("POST", "v1/score", "scores of customers by id, or of a whole profile"),
    ("POST", "v1/recommendations", "the next best actions, each decision kept"),
    ("POST", "v1/feedback", "what became of an action"),
    ("GET", "v1/customers/{id}", "the score of one customer"),
    ("GET", "panel/{id}", "the insight card of one customer"),
    ("GET", "customer-insight.js", "the same card as an element for other pages"),
    ("GET", "openapi.json", "this interface, for machines"),
    ("GET", "metrics", "for Prometheus"),
    ("GET", "livez", "whether the process runs"),
    ("GET", "readyz", "whether it can answer"),
)


def render_index(context: AnswerContext, as_of: datetime, *, nonce: str = "") -> str:
    """The page."""
    versions, words = context.versions, Words.of("en")
    lines = (
        element("li", element("span", method, class_="chip accent"), " ", element("strong", f"/{path}"), f" – {text}")
        for method, path, text in _PATHS
    )
    card = element(
        "main",
        element(
            "header",
            element("div", element("p", "foresight", class_="quiet"), element("h1", context.project)),
            element("p", words.say("head.as_of", day=words.day(as_of)), class_="quiet"),
            class_="head",
        ),
        element("section", element("h2", "Paths"), element("ul", *lines, class_="paths"), class_="section"),
        element("footer", _versions(versions.churn_model, versions.value_model, versions.policy), class_="foot"),
        class_="card",
    )
    body = join(element("style", Html(package_text("card.css")), nonce=nonce), card)
    return page(f"foresight · {context.project}", body, nonce)


def _versions(*names: str) -> Html:
    return element("span", " · ".join(names))
