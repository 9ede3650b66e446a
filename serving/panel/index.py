"""The service's start page: what runs here, and where its paths are. It loads nothing from elsewhere."""

from __future__ import annotations

from datetime import datetime

from serving.answers import AnswerContext
from serving.panel.markup import Html, element
from serving.panel.render import page
from serving.panel.words import day

_PATHS = (
    ("POST", "v1/score", "scores of customers by id, or of a whole profile"),
    ("POST", "v1/recommendations", "the next best actions, each decision kept"),
    ("POST", "v1/feedback", "what became of an action"),
    ("GET", "v1/customers/{id}", "the score of one customer"),
    ("GET", "panel/{id}", "the insight card of one customer"),
    ("GET", "openapi.json", "this interface, for machines"),
    ("GET", "metrics", "for Prometheus"),
    ("GET", "livez", "whether the process runs"),
    ("GET", "readyz", "whether it can answer"),
)


def render_index(context: AnswerContext, as_of: datetime, *, nonce: str = "") -> str:
    """The page."""
    versions = context.versions
    lines = (
        element("li", element("span", method, class_="chip accent"), " ", element("strong", f"/{path}"), f" – {text}")
        for method, path, text in _PATHS
    )
    card = element(
        "main",
        element(
            "header",
            element("div", element("p", "foresight", class_="quiet"), element("h1", context.project)),
            element("p", f"As of {day(as_of)}", class_="quiet"),
            class_="head",
        ),
        element("section", element("h2", "Paths"), element("ul", *lines, class_="paths"), class_="section"),
        element("footer", _versions(versions.churn_model, versions.value_model, versions.policy), class_="foot"),
        class_="card",
    )
    return page(f"foresight · {context.project}", card, nonce)


def _versions(*names: str) -> Html:
    return element("span", " · ".join(names))
