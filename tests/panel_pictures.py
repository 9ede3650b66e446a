"""The pictures of the insight card in docs/images: ``python -m tests.panel_pictures [ADDRESS CUSTOMER]``.

The states are those of the tests' double; the pictures of a whole card are of a customer of a running service, and
left as they are without one.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser

from serving.http.deployment import Limits
from tests.panel_browser import Foreign, chromium, quiet_page, service

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "images"
WIDTH, SCALE = 720, 1.5
# name, query of the panel's address, width of the window
WHOLE = (
    ("insight-card", "theme=light&lang=en", WIDTH),
    ("card-wide", "theme=light&lang=en", 1200),
    ("card-dark-german", "theme=dark&lang=de", WIDTH),
    ("card-narrow", "theme=light&lang=en", 340),
)
# name, customer of the double, query
STATES = (("card-inactive", "2", "theme=light&lang=en"), ("card-no-consent", "4", "theme=dark&lang=en"))


def main(arguments: list[str]) -> None:
    """Take them."""
    with chromium() as browser:
        with tempfile.TemporaryDirectory() as folder, service(Path(folder) / "decisions.db", Limits(50_000, 10)) as own:
            for name, customer, query in STATES:
                _panel(browser, f"{own}/panel/{customer}?{query}", name, WIDTH)
            with quiet_page(browser, WIDTH, SCALE) as page:
                Foreign(page, own, fault=401).open('<customer-insight customer="2" lang="en"></customer-insight>')
                page.get_by_role("alert").wait_for()
                page.locator("customer-insight").screenshot(path=FOLDER / "card-expired.png")
        if arguments:
            address, customer = arguments
            for name, query, width in WHOLE:
                _panel(browser, f"{address}/panel/{customer}?{query}", name, width)


def _panel(browser: Browser, address: str, name: str, width: int) -> None:
    with quiet_page(browser, width, SCALE) as page:
        page.goto(address)
        page.set_viewport_size({"width": width, "height": page.evaluate("document.body.offsetHeight")})
        page.screenshot(path=FOLDER / f"{name}.png")


if __name__ == "__main__":
    main(sys.argv[1:])
