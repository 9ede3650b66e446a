"""Self-contained HTML pages: one customer's card, or a notice in its place."""

from __future__ import annotations

from collections.abc import Sequence
from string import Template
from typing import Literal

from serving.panel.markup import Html, element, join
from serving.panel.notices import Notice, notice_card
from serving.panel.script import package_text
from serving.panel.words import Words

Theme = Literal["light", "dark"]
_DEFAULT_ANCESTORS = ("'self'",)
_SCRIPT = "../customer-insight.js"  # seen from /panel/{customer_id}, so it holds behind any proxy's prefix


def card_page(words: Words, card: Html, customer_id: str, *, nonce: str, theme: Theme | None = None) -> str:
    """The element ``<customer-insight>``, its card sent along: it shows at once, and the script has only to bind it.

    Args:
        words: of the page's language.
        card: of ``insight_card`` or ``notice_card``.
        customer_id: whom the element loads when it is asked again.
        nonce: the one-time word of the page's content security policy.
        theme: None follows the browser.
    """
    style = element("style", Html(package_text("card.css")), nonce=nonce)
    insight = element(
        "customer-insight",
        element("template", style, card, shadowrootmode="open"),
        customer=customer_id,
        lang=words.language,
        theme=theme or "auto",
    )
    scripts = (
        element("script", Html(package_text("page.js")), nonce=nonce),
        element("script", nonce=nonce, src=_SCRIPT),
    )
    title = words.say("head.page", customer=customer_id)
    body = join(element("main", element("h1", title, class_="hidden"), insight), *scripts)
    return page(title, body, nonce, language=words.language, schemes=theme or "light dark")


def notice_page(notice: Notice, words: Words, customer_id: str, *, nonce: str = "", theme: Theme | None = None) -> str:
    """The page that stands in for a card: a failure, an expired token, the question for an API key."""
    return card_page(words, notice_card(notice, words), customer_id, nonce=nonce, theme=theme)


def content_security_policy(nonce: str, frame_ancestors: Sequence[str] = _DEFAULT_ANCESTORS) -> str:
    """The header under which the page runs: its own style and script, its own service, nothing else."""
    return (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
        f"base-uri 'none'; form-action 'none'; frame-ancestors {' '.join(frame_ancestors)}"
    )


def page(title: str, body: Html, nonce: str, *, language: str = "en", schemes: str = "light dark") -> str:
    """A whole HTML document."""
    return Template(package_text("page.html")).substitute(
        title=join(title),
        nonce=nonce,
        language=language,
        schemes=schemes,
        css=package_text("page.css"),
        body=body,
    )
