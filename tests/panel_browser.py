"""Headless Chromium, the service with a test double for the models, and a page of another origin around the card."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright

from serving.feedback.store import DecisionStore
from serving.http.deployment import Deployment, Limits
from tests.doubles.insights import InsightDouble, history, running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
IN_BROWSER = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt-get install chromium)"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # BentoML's own
]
NOW = datetime(2017, 11, 2, 9, tzinfo=UTC)
HOST = "https://crm.example"
SERVICE = "https://insight.example"
# The strictest policy that a page can have: no style but constructed ones, scripts by nonce, Trusted Types.
HOST_POLICY = (
    f"default-src 'none'; script-src 'nonce-host'; connect-src {SERVICE}; frame-src {SERVICE}; base-uri 'none'; "
    "require-trusted-types-for 'script'; trusted-types customer-insight"
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser, for all tests of a file."""
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The service, for all tests of a file."""
    with service(tmp_path_factory.mktemp("state") / "decisions.db", Limits(50_000, 10)) as address:
        yield address


@contextmanager
def service(file: Path, limits: Limits) -> Iterator[str]:
    """The address of a running service that keeps decisions in ``file``."""
    store = DecisionStore(f"sqlite:///{file}")
    with running(
        lambda: Deployment(InsightDouble(), store, limits, clock=lambda: NOW, history=history, language="en")
    ) as client:
        yield str(client.base_url).rstrip("/")


@contextmanager
def quiet_page(browser: Browser, width: int = 360, scale: float = 1) -> Iterator[Page]:
    """A page that must neither fail nor break a content security policy."""
    page = browser.new_page(viewport={"width": width, "height": 700}, device_scale_factor=scale, locale="en-GB")
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if "Security Policy" in said.text else None)
    yield page
    page.close()
    assert complaints == []


@dataclass
class Foreign:
    """A page of ``HOST`` around a service that the browser knows as ``SERVICE``: there only ``token`` is good.

    Attributes:
        page: the browser's.
        address: of the real service, which answers behind it.
        token: the only good one.
        fault: what the service answers instead: a status, 0 for no answer at all, None for none.
        asked: method, path and Authorization of every request but that for the element's file.
    """

    page: Page
    address: str
    token: str = "good"
    fault: int | None = None
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)

    def open(self, body: str, script: str = "") -> None:
        """The page with ``body``, in which ``script`` runs before the element's file; events land in ``told``."""
        html = f"""<!doctype html><html lang="en"><meta name="viewport" content="width=device-width, initial-scale=1">
        <title>A CRM</title><body><main><h1>Customer</h1>{body}</main>
        <script nonce="host">window.told = [];
        for (const name of ["insight-loaded", "insight-feedback", "insight-error"])
          addEventListener(name, (event) => told.push([name, event.detail]));
        {script}</script>
        <script nonce="host" src="{SERVICE}/customer-insight.js"></script></body></html>"""
        headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": HOST_POLICY}
        self.page.route(f"{HOST}/**", lambda route: route.fulfill(body=html, headers=headers))
        self.page.route(f"{SERVICE}/**", self._answer)
        self.page.goto(f"{HOST}/")

    def told(self, name: str) -> list[dict[str, object]]:
        """What the events of one name said."""
        return [detail for event, detail in self.page.evaluate("told") if event == name]

    def _answer(self, route: Route) -> None:
        request = route.request
        path = request.url.removeprefix(SERVICE)
        allowed = {"Access-Control-Allow-Origin": HOST}
        if path != "/customer-insight.js" and not path.startswith("/panel/"):
            given = request.headers.get("authorization")
            self.asked.append((request.method, path, given))
            refused = 401 if given != f"Bearer {self.token}" else None
            status = self.fault if self.fault is not None else refused
            if status == 0:
                route.abort()
                return
            if status is not None:
                route.fulfill(status=status, headers=allowed, body="<html>Sign in</html>")
                return
        answer = route.fetch(url=self.address + path)
        route.fulfill(response=answer, headers={**answer.headers, **allowed, "content-security-policy": ""})
