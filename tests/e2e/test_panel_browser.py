"""The insight card in headless Chromium, against the real service over HTTP with a test double for the models."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from serving.feedback.store import DecisionStore
from serving.http.deployment import Deployment, Limits
from serving.http.keys import ApiKey
from tests.doubles.insights import InsightDouble, running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
KEY = "panel key"
NOW = datetime(2017, 11, 2, 9, tzinfo=UTC)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt-get install chromium)"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # BentoML's own
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state") / "decisions.db"


@pytest.fixture(scope="module")
def address(file: Path) -> Iterator[str]:
    yield from _address(file, Limits(50_000, 10))


@pytest.fixture(scope="module")
def locked_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    yield from _address(
        tmp_path_factory.mktemp("locked") / "decisions.db", Limits(50_000, 10, (ApiKey("crm", digest),))
    )


def _address(file: Path, limits: Limits) -> Iterator[str]:
    store = DecisionStore(f"sqlite:///{file}")
    with running(lambda: Deployment(InsightDouble(), store, limits, clock=lambda: NOW)) as client:
        yield str(client.base_url)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 360, "height": 700})
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if "Security Policy" in said.text else None)
    yield page
    page.close()
    assert complaints == []


def events(file: Path, event: str) -> list[tuple[str, str]]:
    connection = sqlite3.connect(file)
    try:
        sql = "SELECT decision_id, action FROM feedback WHERE event = ? ORDER BY received_at, action"
        return connection.execute(sql, (event,)).fetchall()
    finally:
        connection.close()


def test_accept_and_dismiss_are_stored(page: Page, address: str, file: Path) -> None:
    page.goto(f"{address}/panel/1609")
    page.get_by_role("button", name="Accept: Personal coupon").click()
    expect(page.get_by_role("status")).to_have_text("Personal coupon: accepted and saved.")
    expect(page.get_by_role("button", name="Accept: Personal coupon")).to_have_attribute("aria-pressed", "true")
    assert events(file, "accepted") == [("decision-of-1609", "coupon")]
    page.get_by_role("button", name="Dismiss: Category mailing").press("Enter")
    expect(page.get_by_role("status")).to_have_text("Category mailing: dismissed and saved.")
    assert events(file, "dismissed") == [("decision-of-1609", "mailing")]
    assert events(file, "shown") == [("decision-of-1609", "coupon"), ("decision-of-1609", "mailing")]


@pytest.mark.parametrize("customer_id", ["1609", "2", "3", "4", "nobody"])
def test_no_state_needs_sideways_scrolling_at_360_pixels(page: Page, address: str, customer_id: str) -> None:
    page.goto(f"{address}/panel/{customer_id}")
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_buttons_are_reached_by_keyboard(page: Page, address: str) -> None:
    page.goto(f"{address}/panel/1609")
    names: list[str | None] = []
    for _ in range(5):
        page.keyboard.press("Tab")
        names.append(
            page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.tagName")
        )
    assert names == [
        "Accept: Personal coupon",
        "Dismiss: Personal coupon",
        "Accept: Category mailing",
        "Dismiss: Category mailing",
        "SUMMARY",
    ]


def test_dark_and_light_differ(browser: Browser, address: str) -> None:
    colours: list[str] = []
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        page.goto(f"{address}/panel/1609")
        colours.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.close()
    assert colours == ["rgb(244, 245, 247)", "rgb(14, 17, 23)"]


def test_a_locked_panel_opens_with_the_key_and_keeps_it_nowhere(page: Page, locked_address: str) -> None:
    page.goto(f"{locked_address}/panel/1609")
    expect(page.get_by_role("heading", level=1)).to_have_text("This page needs a key")
    page.get_by_label("API key").fill("wrong")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("status")).to_have_text("This API key is not accepted.")
    page.get_by_label("API key").fill(KEY)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("1609")
    page.get_by_role("button", name="Accept: Personal coupon").click()
    expect(page.get_by_role("status")).to_have_text("Personal coupon: accepted and saved.")
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie, location.search]") == [
        0,
        0,
        "",
        "",
    ]
    assert KEY not in page.content()
