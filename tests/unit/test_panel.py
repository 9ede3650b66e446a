"""The insight card as HTML: what it says in every state, and that nothing of a customer is markup."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import pytest

from kernel.types import Band
from serving.answers import AnswerContext
from serving.insights import Insight
from serving.panel import content_security_policy, render_locked, render_message, render_panel
from serving.panel.gauge import churn_gauge
from serving.panel.markup import Html, element
from serving.panel.words import money, percent, top_share
from tests.doubles.insights import HOSTILE_ID, LOWER, SCORED, SCORES, InsightDouble, decision, insight

CONTEXT = AnswerContext.of(InsightDouble())


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


def panel(position: int = 0, **options: str) -> Reader:
    return Reader(render_panel(insight(SCORES[position]), CONTEXT, **options))


def test_a_scored_customer() -> None:
    words = panel(feedback_url="../v1/feedback").words
    for text in (
        "1609",
        "High value",
        "As of 1 Nov 2017",
        "Risk of leaving within 28 days",
        "34%",
        "Medium risk",
        "Likely between 27% and 42%",
        "Top 18% of risk among customers",
        "Expected value over 56 days",
        "$283",
        "Likely $190 to $402",
        "88%",
        "9.5",
        "USD",
        "▲ Raises risk",
        "No purchase for 31 days; usual is 6 days",
        "▼ Lowers risk",
        "Personal coupon",
        "$12.50",
        "Why 1 action is not offered",
        "– It asks for eligibility: days_since > 56.",
        "churn:3 · value:2 · policy:1",
    ):
        assert text in words, text


def test_what_would_change_it() -> None:
    shown = Reader(render_panel(insight(SCORED), CONTEXT, changes=[LOWER])).words
    assert "What would change it" in shown
    assert "More purchases" in shown
    assert ": orders in the last 30 days: 3 instead of 1. The risk would read 12%," in shown
    assert "low risk" in shown
    assert "What would change it" not in panel().words


def test_reasons_come_strongest_first() -> None:
    words = panel().words
    texts = [reason.text for reason in SCORED.churn_reasons]
    assert [word for word in words if word in texts] == texts


def test_every_action_has_its_buttons_only_where_feedback_can_go() -> None:
    live = panel(feedback_url="../v1/feedback")
    assert live.with_attribute("data-action") == ["coupon", "mailing"]
    assert live.with_attribute("data-event") == ["accepted", "dismissed"] * 2
    assert live.with_attribute("data-decision") == ["decision-of-1609"]
    in_a_file = panel()
    assert in_a_file.with_attribute("data-event") == []
    assert in_a_file.with_attribute("data-decision") == []
    assert "Personal coupon" in in_a_file.words


@pytest.mark.parametrize(
    ("position", "title", "has_value", "has_actions"),
    [
        (1, "Already inactive", True, True),
        (2, "Not enough history yet", True, True),
        (3, "No consent to profiling", False, False),
    ],
)
def test_other_states(position: int, title: str, has_value: bool, has_actions: bool) -> None:
    words = panel(position, feedback_url="../v1/feedback").words
    assert title in words
    assert "Risk of leaving within 28 days" not in words
    assert ("$283" in words) is has_value
    assert ("Personal coupon" in words) is has_actions


def test_nothing_of_a_customer_becomes_markup() -> None:
    page = panel(4, feedback_url="../v1/feedback")
    assert page.words.count(HOSTILE_ID) == 1
    assert page.words[0] == f"Customer {HOSTILE_ID}"
    assert "Buys mostly <i>GROCERY</i>" in page.words
    assert {"b", "i"}.isdisjoint(tag for tag, _ in page.tags)
    hostile = dataclasses.replace(
        decision().recommended[0], label='"><script>x</script>', explanation="</main><img src=x onerror=x>"
    )
    made = dataclasses.replace(decision(), recommended=(hostile,))
    attacked = Reader(render_panel(Insight(SCORED, made), CONTEXT, feedback_url="../v1/feedback"))
    assert [tag for tag, _ in attacked.tags if tag in {"script", "img"}] == ["script"]
    assert attacked.with_attribute("onerror") == []


def test_the_page_loads_nothing_from_elsewhere() -> None:
    for page in (render_panel(insight(SCORED), CONTEXT), render_locked(), render_message("Title", "Text")):
        assert not re.search(r"https?://|src=|@import|url\(", page)
        assert "style=" not in page.replace("<style", "")
        assert page.count("<!doctype html>") == 1


def test_the_nonce_is_on_style_and_script_and_in_the_policy() -> None:
    page = panel(nonce="abc")
    assert [(tag, attributes["nonce"]) for tag, attributes in page.tags if "nonce" in attributes] == [
        ("style", "abc"),
        ("script", "abc"),
    ]
    assert "script-src 'nonce-abc'" in content_security_policy("abc")
    assert content_security_policy("abc", ("https://crm.example",)).endswith("frame-ancestors https://crm.example")


def test_the_gauge_speaks() -> None:
    gauge = Reader(churn_gauge(0.34375, 0.27, 0.42, Band.MEDIUM))
    meter = gauge.tags[0][1]
    assert (meter["role"], meter["aria-valuenow"], meter["aria-valuemin"], meter["aria-valuemax"]) == (
        "meter",
        "34",
        "0",
        "100",
    )
    assert meter["aria-valuetext"] == "34%, Medium risk, likely between 27% and 42%"


def test_the_gauge_ends_where_the_probability_is() -> None:
    for probability, end in ((0.5, "110.00 24.00"), (1.0, "194.00 108.00")):
        gauge = Reader(churn_gauge(probability, None, None, None))
        [path] = [attributes["d"] for _, attributes in gauge.tags if attributes.get("class") == "gauge-value"]
        assert path == f"M26.00 108.00A84 84 0 0 1 {end}"


def test_elements_escape_text_and_attributes() -> None:
    assert element("p", "<&", Html("<br>"), title='"x"') == '<p title="&quot;x&quot;">&lt;&amp;<br></p>'


def test_words() -> None:
    assert [money(amount, "USD") for amount in (0, 3.2, 99.994, 1240.5, -3.1)] == [
        "$0.00",
        "$3.20",
        "$99.99",
        "$1,240",
        "\N{MINUS SIGN}$3.10",
    ]
    assert (money(12, "CHF"), money(12.4, "JPY")) == ("12.00 CHF", "¥12")
    assert [percent(share) for share in (0, 0.004, 0.345, 0.996, 1)] == ["0%", "<1%", "34%", ">99%", "100%"]
    assert (top_share(82), top_share(100), top_share(4)) == ("top 18%", "top 1%", "bottom 4%")
