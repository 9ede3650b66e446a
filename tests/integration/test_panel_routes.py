"""The card over HTTP: its HTML, the page around it and the element's file, over a test double."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serving.feedback.store import DecisionStore
from serving.http.deployment import Deployment, Limits
from serving.http.keys import ApiKey
from tests.doubles.insights import InsightDouble, decision, history, running
from tests.panel_browser import NOW

KEY = "panel key"
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's own


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> DecisionStore:
    return DecisionStore(f"sqlite:///{tmp_path_factory.mktemp('state') / 'decisions.db'}")


@pytest.fixture(scope="module")
def service(store: DecisionStore) -> Iterator[httpx.Client]:
    limits = Limits(50_000, 3, (ApiKey("crm", hashlib.sha256(KEY.encode()).hexdigest()),))
    with running(
        lambda: Deployment(InsightDouble(), store, limits, clock=lambda: NOW, history=history, language="de")
    ) as client:
        yield client


def card(service: httpx.Client, path: str, **headers: str) -> httpx.Response:
    return service.get(path, headers={"X-API-Key": KEY, **headers})


def test_the_card_is_the_one_of_the_page_and_its_decision_is_kept(service: httpx.Client, store: DecisionStore) -> None:
    shown = card(service, "/v1/card/1609?lang=en")
    assert shown.status_code == 200
    assert (shown.headers["content-type"], shown.headers["content-language"]) == ("text/html; charset=utf-8", "en")
    assert shown.headers["cache-control"] == "no-store"
    assert shown.text.startswith('<article class="card" lang="en"')
    assert "7 scorings from 1 May 2017 to 1 Nov 2017" in shown.text
    assert store.decision("decision-of-1609") == decision("1609")
    assert shown.text in card(service, "/panel/1609?lang=en").text


@pytest.mark.parametrize(
    ("query", "accepted", "language"), [("", "en", "en"), ("?lang=de", "en", "de"), ("", "fr", "de")]
)
def test_the_language_of_the_card(service: httpx.Client, query: str, accepted: str, language: str) -> None:
    shown = card(service, f"/v1/card/1609{query}", **{"Accept-Language": accepted})
    assert shown.headers["content-language"] == language


def test_failures_of_the_card_are_problems(service: httpx.Client) -> None:
    assert card(service, "/v1/card/nobody").json()["status"] == 404
    assert card(service, f"/v1/card/{InsightDouble.broken_id}").json()["status"] == 500
    assert service.get("/v1/card/1609").json()["status"] == 401


def test_the_elements_file_needs_no_key_and_is_kept_by_its_tag(service: httpx.Client) -> None:
    first = service.get("/customer-insight.js")
    assert (first.status_code, first.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert first.headers["cache-control"] == "public, max-age=300"
    assert first.headers["cross-origin-resource-policy"] == "cross-origin"
    again = service.get("/customer-insight.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]


@pytest.mark.parametrize("path", ["/panel/1609", "/v1/card/1609"])
def test_head_of_a_card_is_refused_and_keeps_no_decision(tmp_path: Path, path: str) -> None:
    store = DecisionStore(f"sqlite:///{tmp_path / 'decisions.db'}")
    with running(lambda: Deployment(InsightDouble(), store, Limits(50_000, 3))) as client:
        answer = client.head(path)
        assert (answer.status_code, answer.content, answer.headers["allow"]) == (405, b"", "GET")
        assert store.decision("decision-of-1609") is None
        assert client.get(path).status_code == 200
        assert store.decision("decision-of-1609") == decision("1609")


def test_a_card_without_its_history_is_still_a_card(tmp_path: Path) -> None:
    def lost(_customer_id: str, _until: object) -> list[object]:
        raise FileNotFoundError("removed for its age")

    store = DecisionStore(f"sqlite:///{tmp_path / 'decisions.db'}")
    with running(lambda: Deployment(InsightDouble(), store, Limits(50_000, 3), history=lost)) as client:
        page = client.get("/panel/1609")
        assert page.status_code == 200
        assert "Risk of leaving within 28 days" in page.text
