"""The panel's page in headless Chromium, against the real service over HTTP with a test double for the models."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from serving.http.deployment import Limits
from serving.http.keys import ApiKey
from tests.panel_browser import IN_BROWSER, quiet_page, service

KEY = "panel key"
pytestmark = IN_BROWSER


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state") / "decisions.db"


@pytest.fixture(scope="module")
def address(file: Path) -> Iterator[str]:
    with service(file, Limits(50_000, 10)) as address:
        yield address


@pytest.fixture(scope="module")
def locked_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    limits = Limits(50_000, 10, (ApiKey("crm", digest),))
    with service(tmp_path_factory.mktemp("locked") / "decisions.db", limits) as address:
        yield address


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with quiet_page(browser) as page:
        yield page


def events(file: Path, event: str) -> list[tuple[str, str]]:
    connection = sqlite3.connect(file)
    try:
        sql = "SELECT decision_id, action FROM feedback WHERE event = ? ORDER BY received_at, action"
        return connection.execute(sql, (event,)).fetchall()
    finally:
        connection.close()


def test_accept_and_dismiss_are_stored(page: Page, address: str, file: Path) -> None:
    page.goto(f"{address}/panel/1609")
    accept = page.get_by_role("button", name="Accept: Personal coupon")
    accept.click()
    expect(page.get_by_text("Personal coupon: accepted and saved.")).to_be_visible()
    expect(accept).to_have_attribute("aria-pressed", "true")
    expect(accept).to_be_focused()
    assert events(file, "accepted") == [("decision-of-1609", "coupon")]
    page.get_by_role("button", name="Dismiss: Category mailing").press("Enter")
    expect(page.get_by_text("Category mailing: dismissed and saved.")).to_be_visible()
    assert events(file, "dismissed") == [("decision-of-1609", "mailing")]
    assert events(file, "shown") == [("decision-of-1609", "coupon"), ("decision-of-1609", "mailing")]


def test_what_was_saved_is_announced(page: Page, address: str) -> None:
    page.goto(f"{address}/panel/1609")
    region = page.get_by_role("listitem").filter(has_text="Personal coupon").first.get_by_role("status")
    expect(region).to_have_count(0)  # hidden while it is empty
    page.get_by_role("button", name="Dismiss: Personal coupon").click()
    expect(region).to_have_text("Personal coupon: dismissed and saved.")


def test_everything_is_reached_by_keyboard_in_the_order_of_reading(page: Page, address: str) -> None:
    page.goto(f"{address}/panel/1609")
    names: list[str] = []
    for _ in range(8):
        page.keyboard.press("Tab")
        names.append(
            page.evaluate(
                """() => { const at = document.querySelector("customer-insight").shadowRoot.activeElement;
                   return at.getAttribute("aria-label") ?? at.textContent; }"""
            )
        )
    assert names == [
        "All values",
        "Accept: Personal coupon",
        "Dismiss: Personal coupon",
        "Why: Personal coupon",
        "Accept: Category mailing",
        "Dismiss: Category mailing",
        "Why: Category mailing",
        "Why 1 action is not offered",
    ]
    page.keyboard.press("Enter")
    expect(page.get_by_text("It asks for eligibility: days_since > 56.")).to_be_visible()


def test_why_is_told_on_request(page: Page, address: str) -> None:
    page.goto(f"{address}/panel/1609")
    reason = page.get_by_text("Has redeemed coupons before.")
    expect(reason).to_be_hidden()
    page.get_by_text("Why: Personal coupon").click()
    expect(reason).to_be_visible()
    expect(page.get_by_text("Chance of being chosen first: 80%. Channel: mail.")).to_be_visible()


def test_the_trend_is_an_image_with_words_and_a_table(page: Page, address: str) -> None:
    page.goto(f"{address}/panel/1609")
    expect(page.get_by_role("img")).to_have_accessible_name(
        "7 scorings from 1 May 2017 to 1 Nov 2017: the risk went from 8% to 34%, lowest 8%, highest 34%."
    )
    page.get_by_text("All values").click()
    expect(page.get_by_role("row")).to_have_count(8)


def test_language_by_address_browser_and_project(browser: Browser, address: str) -> None:
    for locale, query, title in (
        ("de-DE", "", "Abwanderungsrisiko in 28 Tagen"),
        ("de-DE", "?lang=en", "Risk of leaving within 28 days"),
        ("fr-FR", "", "Risk of leaving within 28 days"),
    ):
        page = browser.new_page(locale=locale)
        page.goto(f"{address}/panel/1609{query}")
        expect(page.get_by_role("heading", name=title)).to_be_visible()
        page.close()


def test_dark_and_light_by_the_browser_or_the_address(browser: Browser, address: str) -> None:
    light, dark = ["rgb(244, 245, 247)", "rgb(255, 255, 255)"], ["rgb(14, 17, 23)", "rgb(23, 27, 35)"]
    for scheme, query, wanted in (
        ("light", "", light),
        ("dark", "", dark),
        ("dark", "?theme=light", light),
        ("light", "?theme=dark", dark),
    ):
        page = browser.new_page(color_scheme=scheme)
        page.goto(f"{address}/panel/1609{query}")
        body = page.evaluate("getComputedStyle(document.body).backgroundColor")
        card = page.locator("article").evaluate("(card) => getComputedStyle(card).backgroundColor")
        assert [body, card] == wanted, (scheme, query)
        page.close()


def test_high_contrast_keeps_the_gauge_and_stillness_is_kept(page: Page, address: str) -> None:
    page.emulate_media(forced_colors="active", reduced_motion="reduce")
    page.goto(f"{address}/panel/1609")
    strokes = [
        page.locator(f".{part}").first.evaluate("(part) => getComputedStyle(part).stroke")
        for part in ("gauge-track", "gauge-value")
    ]
    assert strokes[0] != strokes[1]


def test_the_token_leaves_the_address_and_goes_with_every_call(page: Page, address: str) -> None:
    sent: list[str | None] = []
    page.on("request", lambda request: sent.append(request.headers.get("authorization")))
    page.goto(f"{address}/panel/1609?t=the-token&theme=dark")
    page.get_by_role("button", name="Accept: Category mailing").click()
    expect(page.get_by_text("Category mailing: accepted and saved.")).to_be_visible()
    assert page.evaluate("location.search") == "?theme=dark"
    # The page and the element's file carry none; both actions are told as shown, then one is accepted.
    assert sent == [None, None, *["Bearer the-token"] * 3]
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]


def test_a_locked_panel_opens_with_the_key_and_keeps_it_nowhere(page: Page, locked_address: str) -> None:
    page.goto(f"{locked_address}/panel/1609")
    expect(page.get_by_role("heading", level=2)).to_have_text("This page needs a key")
    page.get_by_label("API key").fill("wrong")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("status")).to_have_text("This API key is not accepted.")
    page.get_by_label("API key").fill(KEY)
    page.get_by_label("API key").press("Enter")
    expect(page.get_by_role("heading", level=2)).to_have_text("1609")
    expect(page.get_by_role("heading", level=2)).to_be_focused()
    page.get_by_role("button", name="Accept: Personal coupon").click()
    expect(page.get_by_text("Personal coupon: accepted and saved.")).to_be_visible()
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie, location.search]") == [
        0,
        0,
        "",
        "",
    ]
    assert KEY not in page.content()
