"""The other parts of the insight card: who, in which state, why, what would change it, and who answered."""

from __future__ import annotations

from collections.abc import Sequence

from kernel.types import LowerBand, Status
from serving.panel.markup import Html, element
from serving.panel.words import Words
from serving.schemas import CustomerInsight, ReasonAnswer

_NOTHING = Html("")
_MOST_REASONS = 5


def heading(words: Words, score: CustomerInsight, project: str) -> Html:
    """Who, at which moment of knowledge, in which state."""
    chips: list[Html] = []
    if score.status is not Status.SCORED:
        chips.append(element("span", words.say(f"statuses.{score.status.value}"), class_="chip"))
    if score.is_high_value:
        chips.append(element("span", words.say("head.high_value"), class_="chip accent"))
    return element(
        "header",
        element(
            "div",
            element("p", f"{words.say('head.insight')} · {project}", class_="quiet"),
            element("h2", score.customer_id, id="customer", tabindex=-1),
        ),
        element(
            "div",
            element("div", *chips, class_="chips") if chips else _NOTHING,
            element("p", words.say("head.as_of", day=words.day(score.as_of)), class_="quiet"),
        ),
        class_="head",
    )


def status_note(words: Words, status: Status) -> Html:
    """Why numbers are missing; nothing for a customer with all of them."""
    if status is Status.SCORED:
        return _NOTHING
    title, text = (words.say(f"notes.{status.value}.{part}") for part in ("title", "text"))
    return element("div", element("div", element("h3", title), element("p", text)), class_="note")


def reasons(words: Words, items: Sequence[ReasonAnswer], language: str) -> Html:
    """What raises and lowers the risk most, the strongest first; bars are relative to the strongest.

    Args:
        words: of the card's language.
        items: all reasons; their texts are in the project's language.
        language: the project's.
    """
    if not items:
        return _NOTHING
    strongest = sorted(items, key=lambda reason: -abs(reason.effect))[:_MOST_REASONS]
    largest = abs(strongest[0].effect) or 1.0
    return element(
        "section",
        element("h3", words.say("reasons.title")),
        element("p", words.say("reasons.legend"), class_="quiet", aria_hidden="true"),
        element(
            "ul",
            *(_reason(words, reason, abs(reason.effect) / largest, language) for reason in strongest),
            class_="reasons",
        ),
        class_="section",
    )


def _reason(words: Words, reason: ReasonAnswer, share: float, language: str) -> Html:
    kind = "raises" if reason.effect > 0 else "lowers"
    bar = element(
        "svg",
        element("rect", class_=kind, x=0, y=0, width=f"{max(100 * share, 2):.1f}", height=10),
        class_="bar",
        viewBox="0 0 100 10",
        preserveAspectRatio="none",
        aria_hidden="true",
        focusable="false",
    )
    return element(
        "li",
        element("span", "▲" if kind == "raises" else "▼", class_=f"arrow {kind}", aria_hidden="true"),
        element(
            "div",
            element(
                "p",
                element("span", words.say(f"reasons.{kind}") + " ", class_="hidden"),
                element("span", reason.text, lang=language),
            ),
            bar,
        ),
    )


def changes(words: Words, items: Sequence[LowerBand], language: str) -> Html:
    """What would bring the customer into a lower band; nothing where no single behaviour would. ``language`` is the
    project's, that of the items' texts."""
    if not items:
        return _NOTHING
    lines = (
        element(
            "li",
            element("p", element("strong", item.label), f": {item.text}", lang=language),
            element(
                "p",
                words.say("changes.then", percent=words.percent(item.probability)),
                " ",
                element("span", words.say(f"bands.{item.band.value}"), class_=f"chip band-{item.band.value}"),
                class_="quiet",
            ),
        )
        for item in items
    )
    return element(
        "section",
        element("h3", words.say("changes.title")),
        element("ul", *lines, class_="changes"),
        element("p", words.say("changes.caution"), class_="quiet"),
        class_="section",
    )


def footer(words: Words, score: CustomerInsight) -> Html:
    """What "likely" means, which models and policy answered, and when."""
    versions = [text for text in (score.churn_model, score.value_model, score.policy) if text]
    return element(
        "footer",
        element("span", words.say("foot.ranges", currency=score.currency)),
        element("span", " · ".join(versions)),
        element("span", words.say("foot.scored", day=words.day(score.scored_at))),
        class_="foot",
    )
