"""<customer-insight> in a page of another origin with a strict content security policy, in headless Chromium."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.panel_browser import IN_BROWSER, SERVICE, Foreign, quiet_page

CARD = "/v1/card/1609"
TAG = '<customer-insight customer="1609" token="good" lang="en"></customer-insight>'
RENEWING = """window.asked = [];
  document.querySelector("customer-insight").getToken = async (customer) => { asked.push(customer); return "good"; };"""
pytestmark = IN_BROWSER


@pytest.fixture
def foreign(browser: Browser, address: str) -> Iterator[Foreign]:
    with quiet_page(browser) as page:
        yield Foreign(page, address)
        page.unroute_all(behavior="ignoreErrors")


def title(foreign: Foreign, text: str) -> None:
    expect(foreign.page.get_by_role("heading", level=2)).to_have_text(text)


def test_it_shows_the_same_card_as_the_panel(foreign: Foreign) -> None:
    html = "document.querySelector('customer-insight').shadowRoot.querySelector('article').outerHTML"
    foreign.open(TAG)
    title(foreign, "1609")
    embedded = foreign.page.evaluate(html)
    assert foreign.told("insight-loaded") == [{"customer": "1609", "decision": "decision-of-1609"}]
    foreign.page.goto(f"{foreign.address}/panel/1609?lang=en")
    assert foreign.page.evaluate(html) == embedded


def test_feedback_is_told_to_the_page_around_it(foreign: Foreign) -> None:
    foreign.open(TAG)
    foreign.page.get_by_role("button", name="Accept: Personal coupon").click()
    expect(foreign.page.get_by_text("Personal coupon: accepted and saved.")).to_be_visible()
    assert foreign.told("insight-feedback") == [
        {"decision": "decision-of-1609", "action": "coupon", "event": "accepted"}
    ]
    assert {given for _, _, given in foreign.asked} == {"Bearer good"}
    assert foreign.page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]


def test_an_expired_token_is_renewed_unseen(foreign: Foreign) -> None:
    foreign.open(TAG.replace('"good"', '"old"'), RENEWING)
    title(foreign, "1609")
    assert foreign.asked[:2] == [("GET", f"{CARD}?lang=en", "Bearer old"), ("GET", f"{CARD}?lang=en", "Bearer good")]
    assert foreign.page.evaluate("asked") == ["1609"]
    assert foreign.told("insight-error") == []


def test_without_a_token_one_is_asked_for_before_anything_is_sent(foreign: Foreign) -> None:
    foreign.open(TAG.replace(' token="good"', ""), RENEWING)
    title(foreign, "1609")
    assert {given for _, _, given in foreign.asked} == {"Bearer good"}


def test_a_token_that_expires_while_the_card_is_open_is_renewed_with_the_feedback(foreign: Foreign) -> None:
    foreign.open(TAG, RENEWING)
    title(foreign, "1609")
    foreign.page.evaluate("document.querySelector('customer-insight').token = 'old'")
    foreign.page.get_by_role("button", name="Dismiss: Personal coupon").click()
    expect(foreign.page.get_by_text("Personal coupon: dismissed and saved.")).to_be_visible()
    assert foreign.page.evaluate("asked") == ["1609"]


def test_who_can_renew_nothing_sees_it_and_may_set_a_new_token(foreign: Foreign) -> None:
    foreign.open(TAG.replace('"good"', '"old"'))
    title(foreign, "Your access has expired")
    assert foreign.told("insight-error") == [{"kind": "expired", "status": 401}]
    foreign.page.evaluate("document.querySelector('customer-insight').setAttribute('token', 'good')")
    title(foreign, "1609")


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (0, "unreachable", "Der Dienst ist nicht erreichbar"),
        (403, "forbidden", "Kein Zugang zu diesem Kunden"),
        (404, "unknown", "Kein solcher Kunde"),
        (503, "unavailable", "Zurzeit keine Auskunft"),
    ],
)
def test_failures_are_said_in_the_language_of_the_element(foreign: Foreign, fault: int, kind: str, said: str) -> None:
    foreign.fault = fault
    foreign.open(TAG.replace('"en"', '"de-CH"'))
    title(foreign, said)
    expect(foreign.page.get_by_role("alert")).to_contain_text(said)
    assert foreign.told("insight-error") == [{"kind": kind, "status": fault}]


def test_trying_again_by_keyboard_leads_to_the_card(foreign: Foreign) -> None:
    foreign.fault = 0
    foreign.open(TAG)
    title(foreign, "The service cannot be reached")
    foreign.fault = None
    foreign.page.keyboard.press("Tab")
    foreign.page.keyboard.press("Enter")
    title(foreign, "1609")
    expect(foreign.page.get_by_role("heading", level=2)).to_be_focused()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (0, "Not saved: the service cannot be reached."),
        (403, "Not saved: the service refused it."),
        (401, "Not saved: your access has expired."),
    ],
)
def test_feedback_that_is_not_saved_is_said_and_can_be_repeated(foreign: Foreign, fault: int, said: str) -> None:
    foreign.open(TAG)
    title(foreign, "1609")
    foreign.fault = fault
    accept = foreign.page.get_by_role("button", name="Accept: Category mailing")
    accept.press("Space")
    expect(foreign.page.get_by_text(said)).to_be_visible()
    expect(accept).to_be_focused()
    expect(accept).to_have_attribute("aria-pressed", "false")
    assert foreign.told("insight-error") == [{"kind": "feedback", "status": fault}]
    foreign.fault = None
    accept.press("Space")
    expect(foreign.page.get_by_text("Category mailing: accepted and saved.")).to_be_visible()


def test_without_a_customer_it_is_empty_and_follows_the_page(foreign: Foreign) -> None:
    foreign.open(TAG.replace(' customer="1609"', ""))
    title(foreign, "No customer chosen")
    assert foreign.asked == []
    foreign.page.evaluate("document.querySelector('customer-insight').setAttribute('customer', '2')")
    title(foreign, "2")
    expect(foreign.page.get_by_role("heading", name="Already inactive")).to_be_visible()
    # Only the last of several changes is asked for.
    foreign.page.evaluate(
        """() => { const insight = document.querySelector("customer-insight");
           insight.setAttribute("customer", "3"); insight.setAttribute("customer", "1609"); insight.lang = "de"; }"""
    )
    title(foreign, "1609")
    assert [path for method, path, _ in foreign.asked if method == "GET"] == ["/v1/card/2?lang=en", f"{CARD}?lang=de"]


def test_an_answer_that_is_no_card_is_not_shown(foreign: Foreign) -> None:
    foreign.fault = 200  # such as the sign-in page of a proxy
    foreign.open(TAG)
    title(foreign, "No insight at the moment")


def test_while_it_loads_it_says_so_and_keeps_still_where_that_is_wished(foreign: Foreign) -> None:
    foreign.page.emulate_media(reduced_motion="reduce")
    foreign.open(
        TAG.replace("good", "old"), 'document.querySelector("customer-insight").getToken = () => new Promise(() => {});'
    )
    expect(foreign.page.get_by_role("status")).to_have_text("Loading the insight …")
    bone = foreign.page.locator(".bone").first
    assert bone.evaluate("(bone) => getComputedStyle(bone).animationName") == "none"
    foreign.page.emulate_media(reduced_motion="no-preference")
    assert bone.evaluate("(bone) => getComputedStyle(bone).animationName") == "waiting"


def test_the_theme_is_that_of_the_page_unless_the_element_says_otherwise(foreign: Foreign) -> None:
    foreign.page.emulate_media(color_scheme="dark")
    foreign.open(TAG)
    card = foreign.page.locator("article")
    white, dark = "rgb(255, 255, 255)", "rgb(23, 27, 35)"
    expect(card).to_have_css("background-color", white)  # the page knows light only
    for theme, colour in (("dark", dark), ("light", white), ("auto", dark)):
        foreign.page.evaluate(f"document.querySelector('customer-insight').setAttribute('theme', '{theme}')")
        expect(card).to_have_css("background-color", colour)


def test_a_panel_in_a_frame_asks_the_page_around_it_for_a_new_token(foreign: Foreign) -> None:
    answering = f"""addEventListener("message", (message) => {{
      if (message.origin === {json.dumps(SERVICE)} && message.data.type === "foresight-token-expired")
        message.source.postMessage({{ type: "foresight-token", token: "good" }}, message.origin); }});"""
    foreign.open(
        f'<iframe title="Insight" src="{SERVICE}/panel/1609?t=old" width="340" height="600"></iframe>', answering
    )
    panel = foreign.page.frame_locator("iframe")
    panel.get_by_role("button", name="Accept: Personal coupon").click()
    expect(panel.get_by_text("Personal coupon: accepted and saved.")).to_be_visible()
    assert foreign.asked[-1] == ("POST", "/v1/feedback", "Bearer good")
