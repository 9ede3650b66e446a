"""axe finds nothing in any state of the card, light or dark, from 320 to 1,200 pixels; and none scrolls sideways."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from serving.http.deployment import Limits
from serving.http.keys import ApiKey
from tests.doubles.insights import InsightDouble
from tests.panel_browser import IN_BROWSER, Foreign, quiet_page, service

AXE = Axe()
pytestmark = IN_BROWSER


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with quiet_page(browser) as page:
        yield page
        page.unroute_all(behavior="ignoreErrors")


NARROW_AND_WIDE = (("light", 320), ("dark", 1200))
ALL = (*NARROW_AND_WIDE, ("dark", 320), ("light", 1200), ("light", 700))


def check(page: Page, sizes: Sequence[tuple[Literal["light", "dark"], int]] = NARROW_AND_WIDE) -> None:
    page.emulate_media(reduced_motion="reduce")
    for scheme, width in sizes:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 700})
        found = AXE.run(page).response["violations"]
        told = [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found]
        assert told == [], (scheme, width)
        assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("customer_id", ["2", "3", "4", "5", "nobody", InsightDouble.broken_id])
def test_the_panel(page: Page, address: str, customer_id: str) -> None:
    page.goto(f"{address}/panel/{customer_id}?lang=de")
    check(page)


def test_the_panel_with_everything_open_and_answered(page: Page, address: str) -> None:
    page.goto(f"{address}/panel/1609")
    page.get_by_role("button", name="Dismiss: Personal coupon").click()
    page.get_by_role("button", name="Accept: Category mailing").click()
    expect(page.get_by_text("accepted and saved")).to_be_visible()
    for summary in page.locator("summary").all():
        summary.click()
    check(page, ALL)


def test_the_locked_panel(page: Page, tmp_path_factory: pytest.TempPathFactory) -> None:
    limits = Limits(50_000, 10, (ApiKey("crm", hashlib.sha256(b"key").hexdigest()),))
    with service(tmp_path_factory.mktemp("locked") / "decisions.db", limits) as address:
        page.goto(f"{address}/panel/1609")
        check(page)


@pytest.mark.parametrize(
    ("customer_id", "fault", "said"),
    [
        ("", None, "No customer chosen"),
        ("1609", 0, "The service cannot be reached"),
        ("1609", 401, "Your access has expired"),
        ("1609", 403, "No access to this customer"),
        ("1609", 404, "No such customer"),
        ("1609", 503, "No insight at the moment"),
    ],
)
def test_the_notices_of_the_element(page: Page, address: str, customer_id: str, fault: int | None, said: str) -> None:
    foreign = Foreign(page, address, fault=fault)
    foreign.open(f'<customer-insight customer="{customer_id}" token="good" theme="auto" lang="en"></customer-insight>')
    expect(page.get_by_role("heading", level=2)).to_have_text(said)
    check(page)


def test_the_element_while_it_loads(page: Page, address: str) -> None:
    waiting = 'document.querySelector("customer-insight").getToken = () => new Promise(() => {});'
    Foreign(page, address).open('<customer-insight customer="1609" theme="auto" lang="en"></customer-insight>', waiting)
    expect(page.get_by_role("status")).to_be_attached()
    check(page)


def test_the_start_page(page: Page, address: str) -> None:
    page.goto(address)
    check(page)
