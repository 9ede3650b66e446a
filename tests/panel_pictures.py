"""The pictures of the insight card in docs/images: ``python -m tests.panel_pictures [ADDRESS CUSTOMER]``.

The states are those of the tests' double. With the address of a running service and a customer of it, insight-card.png
is taken there.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser

from serving.http.deployment import Limits
from tests.panel_browser import Foreign, chromium, quiet_page, service

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "images"
WIDTH = 720
# name, path of the panel, width of the window
PANELS = (
    ("card-wide", "1609?theme=light&lang=en", 1200),
    ("card-dark-german", "1609?theme=dark&lang=de", WIDTH),
    ("card-narrow", "1609?theme=light&lang=en", 360),
    ("card-inactive", "2?theme=light&lang=en", WIDTH),
    ("card-insufficient-history", "3?theme=light&lang=en", WIDTH),
    ("card-no-consent", "4?theme=dark&lang=en", WIDTH),
)
# name, what the service answers (0: nothing)
NOTICES = (("card-expired", 401), ("card-unreachable", 0))


def main(arguments: list[str]) -> None:
    """Take them all."""
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        with service(Path(folder) / "decisions.db", Limits(50_000, 10)) as address:
            for name, path, width in PANELS:
                _panel(browser, f"{address}/panel/{path}", name, width)
            for name, fault in NOTICES:
                with quiet_page(browser, WIDTH) as page:
                    Foreign(page, address, fault=fault).open('<customer-insight customer="1609" lang="en">')
                    page.get_by_role("alert").wait_for()
                    page.locator("customer-insight").screenshot(path=FOLDER / f"{name}.png")
        if arguments:
            address, customer = arguments
            _panel(browser, f"{address}/panel/{customer}?theme=light&lang=en", "insight-card", WIDTH)


def _panel(browser: Browser, address: str, name: str, width: int) -> None:
    with quiet_page(browser, width) as page:
        page.goto(address)
        page.set_viewport_size({"width": width, "height": page.evaluate("document.body.offsetHeight")})
        page.screenshot(path=FOLDER / f"{name}.png")


if __name__ == "__main__":
    main(sys.argv[1:])
