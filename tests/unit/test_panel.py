"""The insight card as HTML: what it says in every state, and that nothing of a customer is markup."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from kernel.types import Band
from serving.answers import AnswerContext
from serving.insights import Insight
from serving.panel import Notice, Words, card_page, content_security_policy, insight_card, notice_page
from serving.panel.gauge import churn_gauge
from serving.panel.markup import Html, element
from tests.doubles.insights import HOSTILE_ID, LOWER, PAST, SCORED, SCORES, InsightDouble, decision, insight

CONTEXT = AnswerContext.of(InsightDouble())
EN, DE = Words.of("en"), Words.of("de")


class Reader(HTMLParser):
    """The words of a page outside style and script, and its tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._silent = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._silent = tag in {"style", "script"}

    def handle_endtag(self, tag: str) -> None:
        self._silent = False

    def handle_data(self, data: str) -> None:
        if not self._silent and data.strip():
            self.words.append(data.strip())

    def with_attribute(self, name: str) -> list[str | None]:
        return [attributes[name] for _, attributes in self.tags if name in attributes]


def panel(position: int = 0, words: Words = EN, **options: Any) -> Reader:
    return Reader(insight_card(words, insight(SCORES[position]), CONTEXT, **options))


def test_a_scored_customer() -> None:
    words = panel().words
    for text in (
        "1609",
        "High value",
        "As of 1 Nov 2017",
        "Risk of leaving within 28 days",
        "34%",
        "Medium risk",
        "Likely 27% to 42%",
        "Top 18% of risk among customers",
        "Expected value over 56 days",
        "$283",
        "Likely $190 to $402",
        "88%",
        "chance on 1 Nov 2017",
        "9.5",
        "within 56 days",
        "“Likely” is a 90% interval. Amounts in USD.",
        "Raises the risk:",
        "No purchase for 31 days; usual is 6 days",
        "Lowers the risk:",
        "Personal coupon",
        "$12.50",
        "· likely $10.00 to $15.00 · cost $1.00",
        "Why 1 action is not offered",
        "It asks for eligibility: days_since > 56.",
        "churn:3 · value:2 · policy:1",
    ):
        assert text in words, text


def test_a_scored_customer_in_german() -> None:
    card = panel(words=DE, changes=[LOWER], past=PAST)
    for text in (
        "Stand 1. Nov. 2017",
        "34\u00a0%",
        "Mittleres Risiko",
        "283\u00a0$",
        "Wahrscheinlich 27\u00a0% bis 42\u00a0%",
        "Obere 18\u00a0% der Kunden nach Risiko",
        "12,50\u00a0$",
        "Warum 1 Maßnahme nicht angeboten wird",
        "Modellwechsel am 1. Aug. 2017 (churn:2 → churn:3)",
    ):
        assert text in card.words, text
    assert card.with_attribute("lang")[0] == "de"


def test_what_is_said_in_another_language_is_marked_as_such() -> None:
    spoken = {(tag, attributes["lang"]) for tag, attributes in panel(words=DE).tags if "lang" in attributes}
    assert spoken == {("article", "de"), ("span", "en"), ("p", "en")}
    spoken = {
        (attributes.get("class"), attributes["lang"])
        for tag, attributes in panel(language="de").tags
        if "lang" in attributes and tag == "span"
    }
    assert spoken == {(None, "de"), (None, "en")}


def test_what_would_change_it() -> None:
    shown = panel(changes=[LOWER]).words
    assert "What would change it" in shown
    assert "More purchases" in shown
    assert ": orders in the last 30 days: 3 instead of 1" in shown
    assert "The risk would read 12%:" in shown
    assert "Low risk" in shown
    assert "What would change it" not in panel().words


def test_reasons_come_strongest_first() -> None:
    words = panel().words
    texts = [reason.text for reason in SCORED.churn_reasons]
    assert [word for word in words if word in texts] == texts


def test_every_action_has_its_buttons_and_the_decision_they_are_of() -> None:
    live = panel()
    assert live.with_attribute("data-action") == ["coupon", "mailing"]
    assert live.with_attribute("data-event") == ["accepted", "dismissed"] * 2
    assert live.with_attribute("data-decision") == ["decision-of-1609"]
    undecided = Reader(insight_card(EN, Insight(SCORED, None), CONTEXT))
    assert undecided.with_attribute("data-event") == []
    assert undecided.with_attribute("data-decision") == []
    assert "No action fits this customer now." in undecided.words


@pytest.mark.parametrize(
    ("position", "title", "has_value", "has_actions"),
    [
        (1, "Already inactive", True, True),
        (2, "Not enough history yet", True, True),
        (3, "No consent to profiling", False, False),
        (5, "Unlike the customers we know", True, True),
    ],
)
def test_other_states(position: int, title: str, has_value: bool, has_actions: bool) -> None:
    words = panel(position, past=PAST).words
    assert title in words
    assert "Risk of leaving within 28 days" not in words
    assert "How the risk has moved" not in words
    assert ("$283" in words) is has_value
    assert ("Personal coupon" in words) is has_actions


def test_nothing_of_a_customer_becomes_markup() -> None:
    card = panel(4)
    assert card.words.count(HOSTILE_ID) == 1
    assert "Buys mostly <i>GROCERY</i>" in card.words
    assert {"b", "i"}.isdisjoint(tag for tag, _ in card.tags)
    hostile = dataclasses.replace(
        decision().recommended[0], label='"><script>x</script>', explanation="</main><img src=x onerror=x>"
    )
    made = dataclasses.replace(decision(), recommended=(hostile,))
    attacked = Reader(insight_card(EN, Insight(SCORED, made), CONTEXT))
    assert [tag for tag, _ in attacked.tags if tag in {"script", "img"}] == []
    assert attacked.with_attribute("onerror") == []
    page = Reader(notice_page(Notice.UNKNOWN, EN, '"><img src=x>'))
    assert "img" not in [tag for tag, _ in page.tags]
    assert page.with_attribute("customer") == ['"><img src=x>']


def test_the_page_loads_nothing_from_elsewhere() -> None:
    card = insight_card(EN, insight(SCORED), CONTEXT)
    for page in (card_page(EN, card, "1609", nonce="abc"), notice_page(Notice.LOCKED, EN, "1609")):
        assert not re.search(r"https?://|@import|url\(", page)
        assert re.findall(r"""src=["'][^"']*["']""", page) == ['src="../customer-insight.js"']
        assert "style=" not in page.replace("<style", "")
        assert page.count("<!doctype html>") == 1


def test_the_nonce_is_on_styles_and_scripts_and_in_the_policy() -> None:
    page = Reader(card_page(EN, insight_card(EN, insight(SCORED), CONTEXT), "1609", nonce="abc"))
    assert [
        tag for tag, attributes in page.tags if tag in {"style", "script"} and attributes.get("nonce") != "abc"
    ] == []
    assert [tag for tag, _ in page.tags if tag in {"style", "script"}] == ["style", "style", "script", "script"]
    assert "script-src 'nonce-abc'" in content_security_policy("abc")
    assert content_security_policy("abc", ("https://crm.example",)).endswith("frame-ancestors https://crm.example")


def test_a_theme_that_was_asked_for_is_the_pages_too() -> None:
    page = Reader(notice_page(Notice.EXPIRED, DE, "1609", theme="dark"))
    assert page.with_attribute("theme") == ["dark"]
    assert ("meta", {"name": "color-scheme", "content": "dark"}) in page.tags
    assert ("html", {"lang": "de"}) in page.tags


def test_the_gauge_speaks() -> None:
    gauge = Reader(churn_gauge(EN, 0.34375, 0.27, 0.42, Band.MEDIUM))
    meter = gauge.tags[0][1]
    assert (meter["role"], meter["aria-valuenow"], meter["aria-valuemin"], meter["aria-valuemax"]) == (
        "meter",
        "34",
        "0",
        "100",
    )
    assert meter["aria-valuetext"] == "34%, Medium risk, likely 27% to 42%"


def test_the_gauge_ends_where_the_probability_is() -> None:
    for probability, end in ((0.5, "110.00 24.00"), (1.0, "194.00 108.00")):
        gauge = Reader(churn_gauge(EN, probability, None, None, None))
        [path] = [attributes["d"] for _, attributes in gauge.tags if attributes.get("class") == "gauge-value"]
        assert path == f"M26.00 108.00A84 84 0 0 1 {end}"


def test_elements_escape_text_and_attributes() -> None:
    assert element("p", "<&", Html("<br>"), title='"x"') == '<p title="&quot;x&quot;">&lt;&amp;<br></p>'
