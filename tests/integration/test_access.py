"""Who may do what, over HTTP: keys and scopes, rates, panel tokens, framing, other origins, deep bodies."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest

from kernel.service_settings import ServiceSettings
from serving.feedback.store import DecisionStore
from serving.http.deployment import Deployment, Limits
from serving.http.tokens import PanelToken, sign_token
from tests.doubles.insights import InsightDouble, running

NOW = datetime.fromisoformat("2017-11-02T09:00:00+00:00")
READ, WRITE, ADMIN, OLD, SLOW, ROOT = "reader-key", "writer-key", "admin-key", "old-key", "slow-key", "root-key"
SECRET = "a signing secret"
CRM = "https://crm.shop.example"
HTML = {"Accept": "text/html"}
EVENT = {"event_id": "e", "decision_id": "decision-of-1609", "action": "coupon", "event": "accepted"}
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's own


def key(name: str, plain: str, *scopes: str, **given: Any) -> dict[str, Any]:
    return {"name": name, "sha256": hashlib.sha256(plain.encode()).hexdigest(), "scopes": scopes, **given}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    settings = ServiceSettings.model_validate(
        {
            "keys": [
                key("viewer", READ, "read"),
                key("crm", WRITE, "write", expires="2017-11-03"),
                key("prometheus", ADMIN, "admin"),
                key("crm", OLD, "read", "write", expires="2017-11-02"),
                key("batch", SLOW, "read", requests_per_minute=3),
            ],
            "frame_ancestors": ["'self'", CRM, "https://*.dynamics.com"],
            "cors_origins": [CRM],
            "max_body_bytes": 50_000,
        }
    )
    limits = Limits.of(settings, {"FORESIGHT_API_KEY": ROOT, "FORESIGHT_TOKEN_SECRET": f"{SECRET},older secret"})
    url = f"sqlite:///{tmp_path_factory.mktemp('access') / 'decisions.db'}"
    with running(lambda: Deployment(InsightDouble(), DecisionStore(url), limits, clock=lambda: NOW)) as client:
        yield client


def by(plain: str) -> dict[str, str]:
    return {"X-API-Key": plain}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def token(customer: str = "1609", tenant: str = "double", secret: str = SECRET, **given: Any) -> str:
    ends = NOW + timedelta(seconds=given.pop("seconds", 300))
    return sign_token(PanelToken(customer, "rep-7", tenant, ends, **given), secret)


def outcome(answer: httpx.Response) -> tuple[int, str]:
    """Status, and the kind of the problem."""
    if answer.status_code < 400:
        return answer.status_code, ""
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["type"].removeprefix("urn:foresight:problem:")


def calls(client: httpx.Client, headers: dict[str, str]) -> dict[str, tuple[int, str]]:
    body = {"customer_id": "1609"}
    return {
        "customer": outcome(client.get("/v1/customers/1609", headers=headers)),
        "changes": outcome(client.get("/v1/changes/1609", headers=headers)),
        "panel": outcome(client.get("/panel/1609", headers=headers)),
        "score": outcome(client.post("/v1/score", json=body, headers=headers)),
        "recommend": outcome(client.post("/v1/recommendations", json=body, headers=headers)),
        "feedback": outcome(client.post("/v1/feedback", json=EVENT, headers=headers)),
        "token": outcome(client.post("/v1/panel-tokens", json={**body, "user": "rep-7"}, headers=headers)),
        "metrics": outcome(client.get("/metrics", headers=headers)),
        "openapi": outcome(client.get("/openapi.json", headers=headers)),
        "health": outcome(client.get("/livez", headers=headers)),
    }


READS, WRITES = {"customer", "changes", "panel", "score"}, {"recommend", "feedback", "token"}


@pytest.mark.parametrize(
    ("plain", "may"),
    [(READ, READS), (WRITE, WRITES), (ADMIN, {"metrics"}), (ROOT, READS | WRITES | {"metrics"})],
)
def test_a_key_does_what_its_scopes_say(service: httpx.Client, plain: str, may: set[str]) -> None:
    service.post("/v1/recommendations", json={"customer_id": "1609"}, headers=by(ROOT))
    found = calls(service, by(plain))
    assert {name for name, (status, _) in found.items() if status == 200} == may | {"openapi", "health"}
    assert {result for result in found.values() if result[0] != 200} <= {(403, "scope-required")}


def test_a_missing_scope_is_named(service: httpx.Client) -> None:
    answer = service.post("/v1/recommendations", json={"customer_id": "1609"}, headers=by(READ))
    assert answer.json()["detail"] == "This API key lacks the scope 'write', which this path asks for."


@pytest.mark.parametrize(
    ("headers", "kind"),
    [({}, "key-required"), (by(READ + "x"), "key-required"), (by(""), "key-required"), (by(OLD), "key-expired")],
)
def test_without_a_valid_key_nothing_but_health_answers(
    service: httpx.Client, headers: dict[str, str], kind: str
) -> None:
    found = calls(service, headers)
    assert found.pop("health") == (200, "")
    assert set(found.values()) == {(401, kind)}
    assert service.get("/v1/customers/1609", headers=headers).headers["www-authenticate"].startswith("ApiKey ")


def test_prometheus_may_send_its_key_as_a_bearer(service: httpx.Client) -> None:
    assert service.get("/metrics", headers=bearer(ADMIN)).status_code == 200
    assert outcome(service.get("/metrics", headers=bearer(READ))) == (403, "scope-required")
    assert outcome(service.get("/openapi.json", headers=bearer(ADMIN))) == (401, "key-required")


def test_a_key_that_asks_too_often_waits(service: httpx.Client) -> None:
    answers = [service.get("/v1/customers/1609", headers=by(SLOW)) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["ratelimit"].split(";")[1] for answer in answers] == ["r=2", "r=1", "r=0", "r=0"]
    assert outcome(answers[3]) == (429, "rate-limited")
    assert answers[3].headers["retry-after"] in ("19", "20")
    assert answers[3].headers["ratelimit-policy"] == '"minute";q=3;w=60'
    assert "ratelimit" not in service.get("/v1/customers/1609", headers=by(READ)).headers


def test_the_crm_asks_for_a_token_and_the_panel_opens_with_it(service: httpx.Client) -> None:
    asked = {"customer_id": "1609", "user": "rep-7", "feedback": True}
    made = service.post("/v1/panel-tokens", json=asked, headers=by(WRITE)).json()
    assert made["expires_at"] == "2017-11-02T09:05:00Z"
    assert made["path"] == f"/panel/1609?t={made['token']}"
    claims = json.loads(base64.urlsafe_b64decode(made["token"].split(".")[1] + "=="))
    assert claims["scope"] == "read feedback"
    page = service.get(made["path"], headers=HTML)
    assert page.status_code == 200
    assert "$283" in page.text
    answer = service.post("/v1/feedback", json={**EVENT, "event_id": "p1"}, headers=bearer(made["token"]))
    assert answer.json() == {"event_id": "p1", "status": "stored"}


@pytest.mark.parametrize("path", ["/panel/1609", "/v1/customers/1609", "/v1/changes/1609"])
def test_a_token_in_the_header_reads_its_customer(service: httpx.Client, path: str) -> None:
    assert service.get(path, headers=bearer(token())).status_code == 200
    assert service.get(path, headers=bearer(token(secret="older secret"))).status_code == 200
    assert outcome(service.get(path.replace("1609", "2"), headers=bearer(token()))) == (403, "token-elsewhere")


def test_a_token_opens_nothing_else(service: httpx.Client) -> None:
    found = calls(service, bearer(token(feedback=True)))
    assert {name for name, (status, _) in found.items() if status == 401} == (
        {"score", "recommend", "token", "metrics", "openapi"}
    )
    # In an address only the panel takes one.
    assert outcome(service.get(f"/v1/customers/1609?t={token()}")) == (401, "key-required")


REFUSED = {
    "expired": (token(seconds=0), 401, "token-expired", "expired"),
    "forged": (token(secret="guess"), 401, "token-invalid", "expired"),
    "truncated": (token()[:-9], 401, "token-invalid", "expired"),
    "too long-lived": (token(seconds=3601), 401, "token-invalid", "expired"),
    "two": (f"{token()}&t={token()}", 401, "token-invalid", "expired"),
    "of another customer": (token("2"), 403, "token-elsewhere", "forbidden"),
    "of another tenant": (token(tenant="other"), 403, "token-elsewhere", "forbidden"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_token_that_opens_nothing_is_said_to_people_and_machines(service: httpx.Client, case: str) -> None:
    text, status, kind, notice = REFUSED[case]
    assert outcome(service.get(f"/panel/1609?t={text}")) == (status, kind)
    page = service.get(f"/panel/1609?t={text}", headers=HTML)
    assert page.status_code == status
    assert f'data-notice="{notice}"' in page.text
    assert "283" not in page.text
    assert text[:40] not in page.text
    assert page.headers["content-security-policy"].endswith(f"frame-ancestors 'self' {CRM} https://*.dynamics.com")


@pytest.mark.parametrize(
    ("text", "event", "expected"),
    [
        (token(), EVENT, (403, "scope-required")),
        (token("2", feedback=True), EVENT, (403, "token-elsewhere")),
        (token(feedback=True), {**EVENT, "decision_id": "never made"}, (403, "token-elsewhere")),
        (token(tenant="other", feedback=True), EVENT, (403, "token-elsewhere")),
        (token(secret="guess", feedback=True), EVENT, (401, "token-invalid")),
        (token(seconds=-1, feedback=True), EVENT, (401, "token-expired")),
    ],
)
def test_feedback_by_token_is_for_its_own_decisions(
    service: httpx.Client, text: str, event: dict[str, str], expected: tuple[int, str]
) -> None:
    service.post("/v1/recommendations", json={"customer_id": "1609"}, headers=by(ROOT))
    sent = service.post("/v1/feedback", json={**event, "event_id": "refused"}, headers=bearer(text))
    assert outcome(sent) == expected


def test_our_pages_may_be_framed_by_those_on_the_list(service: httpx.Client) -> None:
    for path, headers in (("/panel/1609", by(READ)), ("/", by(READ)), ("/panel/nobody", by(READ)), ("/panel/1609", {})):
        page = service.get(path, headers={**HTML, **headers})
        policy = page.headers["content-security-policy"]
        assert policy.endswith(f"; frame-ancestors 'self' {CRM} https://*.dynamics.com")
        assert "x-frame-options" not in page.headers


def preflight(client: httpx.Client, origin: str) -> httpx.Response:
    asks = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    return client.options("/v1/feedback", headers=asks)


def test_a_page_of_an_origin_on_the_list_may_call(service: httpx.Client) -> None:
    asked = preflight(service, CRM)
    assert (asked.status_code, asked.content) == (204, b"")
    assert asked.headers["access-control-allow-origin"] == CRM
    assert asked.headers["access-control-allow-methods"] == "GET, POST"
    assert "Authorization" in asked.headers["access-control-allow-headers"]
    assert "X-API-Key" not in asked.headers["access-control-allow-headers"]
    answers = [
        service.get("/v1/customers/1609", headers={"Origin": CRM, **bearer(token())}),
        service.get("/v1/customers/1609", headers={"Origin": CRM}),
        service.get("/v1/customers/nobody", headers={"Origin": CRM, **by(READ)}),
        service.get("/v1/score", headers={"Origin": CRM, **by(READ)}),
    ]
    assert [answer.status_code for answer in answers] == [200, 401, 404, 405]
    assert [answer.headers["access-control-allow-origin"] for answer in answers] == [CRM] * 4
    assert [answer.headers["vary"] for answer in answers] == ["Origin"] * 4
    assert not any("access-control-allow-credentials" in answer.headers for answer in (asked, *answers))


@pytest.mark.parametrize(
    "origin", ["null", CRM + ".evil.example", "http://crm.shop.example", CRM + ":444", CRM.upper(), "https://x"]
)
def test_a_page_of_another_origin_may_not(service: httpx.Client, origin: str) -> None:
    asked = preflight(service, origin)
    assert asked.status_code == 401
    answer = service.get("/v1/customers/1609", headers={"Origin": origin, **bearer(token())})
    for one in (asked, answer):
        assert [name for name in one.headers if name.startswith("access-control-")] == []
        assert one.headers["vary"] == "Origin"


def test_no_answer_sets_a_cookie(service: httpx.Client) -> None:
    for path in ("/", "/panel/1609", "/v1/customers/1609", "/nothing", "/metrics", "/livez"):
        assert "set-cookie" not in service.get(path, headers=by(ROOT)).headers


def test_a_deep_body_is_refused_before_it_is_parsed(service: httpx.Client) -> None:
    headers = {"Content-Type": "application/json", **by(READ)}
    deep = '{"profile":' + "[" * 20_000 + "]" * 20_000 + "}"
    assert outcome(service.post("/v1/score", content=deep, headers=headers)) == (400, "json-too-deep")
    fits = '{"profile":' + "[" * 31 + "]" * 31 + "}"
    assert outcome(service.post("/v1/score", content=fits, headers=headers)) == (400, "invalid-request")
    quoted = '{"customer_id": "' + "[" * 200 + '"}'
    assert outcome(service.post("/v1/score", content=quoted, headers=headers)) == (404, "not-found")


def head(client: httpx.Client, path: str, header: str = "") -> int:
    """The status of a request that httpx would not send."""
    connection = HTTPConnection(client.base_url.host, client.base_url.port, timeout=20)
    try:
        connection.request("GET", path, headers={"X-Long": header, "X-API-Key": READ})
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize(("path", "more", "header"), [("/panel/1609?other=", "x", ""), ("/livez", "", "x")])
def test_the_head_of_a_request_is_bounded(service: httpx.Client, path: str, more: str, header: str) -> None:
    assert head(service, path + more * 15_000, header * 15_000) == 200
    # Which of the two: whether uvicorn gets it in pieces (400), or whole and then the guard (431).
    assert head(service, path + more * 33_000, header * 33_000) in (400, 431)


def test_neither_key_nor_token_nor_customer_is_logged(service: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    opens, forged, secret = token(feedback=True), token(secret="guess"), "logged-canary-key"
    with caplog.at_level(logging.DEBUG):
        for text in (opens, forged):
            service.get(f"/panel/1609?t={text}", headers=HTML)
            service.get("/panel/1609", headers=bearer(text))
            service.post("/v1/feedback", json=EVENT, headers=bearer(text))
        service.get("/v1/customers/1609", headers=by(secret))
        service.get("/v1/customers/1609", headers=by(READ))
    # The test's own client logs the addresses it asks for.
    logged = [record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    for word in (opens, forged, opens.rpartition(".")[2], secret, READ, SECRET, "1609", "rep-7"):
        assert not [line for line in logged if word in line]


def test_without_a_secret_no_token_is_made_and_none_opens(tmp_path: Path) -> None:
    settings = ServiceSettings.model_validate({"keys": [key("crm", WRITE, "write")], "requests_per_minute": 2})
    limits = Limits.of(settings, {})
    store = DecisionStore(f"sqlite:///{tmp_path / 'decisions.db'}")
    with running(lambda: Deployment(InsightDouble(), store, limits, clock=lambda: NOW)) as client:
        asked = {"customer_id": "1609", "user": "rep-7"}
        assert outcome(client.post("/v1/panel-tokens", json=asked, headers=by(WRITE))) == (409, "no-token-secret")
        assert outcome(client.get(f"/panel/1609?t={token(secret='')}")) == (401, "key-required")
        refused = [client.post("/v1/panel-tokens", json=asked, headers=by(WRITE)) for _ in range(2)]
        assert [answer.status_code for answer in refused] == [409, 429]
