"""The real service in production mode, at its most talkative: no key, token or customer in what it writes."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from foresight.service_process import running_service
from tests.e2e.conftest import Trained

KEY, ROOT, SECRET = (
    "reader-canary-0123456789",
    "Zk3vQ9xT1mB7sW5yLr8nUa2jHd6eGf4cPo0i",
    "s9Kd2mQx7Lw4Tz8Rb1Yn6Vc3Hf5Jg0Pa-log",
)
HTML = {"Accept": "text/html"}


@dataclass(frozen=True)
class Production:
    """The service, and where it logs."""

    client: httpx.Client
    log: Path


@pytest.fixture(scope="module")
def production(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    folder = tmp_path_factory.mktemp("production")
    shutil.copy(trained.folder / "actions.toml", folder)
    shutil.copytree(trained.folder / "state", folder / "state")
    text = trained.config.read_text(encoding="utf-8")
    text = text.replace(str(trained.folder / "state"), str(folder / "state"))
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    text += '\n[service]\nenvironment = "production"\n'
    text += f'[[service.keys]]\nname = "viewer"\nsha256 = "{digest}"\nscopes = ["read"]\n'
    (folder / "foresight.toml").write_text(text, encoding="utf-8")
    log = folder / "service.log"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "FORESIGHT_API_KEY": ROOT,
            "FORESIGHT_TOKEN_SECRET": SECRET,
            "BENTOML_DEBUG": "TRUE",
        }.items():
            patch.setenv(name, value)
        with (
            running_service(folder / "foresight.toml", log) as address,
            httpx.Client(base_url=address, timeout=30) as client,
        ):
            yield Production(client, log)


def test_nothing_that_opens_and_nobody_is_written(production: Production, trained: Trained) -> None:
    client = production.client
    [customer] = trained.customers("scored", 1)
    root = {"X-API-Key": ROOT}
    asked = {"customer_id": customer, "user": "rep-canary", "feedback": True}
    made = client.post("/v1/panel-tokens", json=asked, headers=root).json()
    token, forged = made["token"], made["token"][:-4] + "AAAA"
    bearer = {"Authorization": f"Bearer {token}"}
    page = client.get(made["path"], headers=HTML)
    decision = page.text.split('data-decision="')[1].split('"')[0]
    event = {"event_id": "log-canary", "decision_id": decision, "action": "do_nothing", "event": "shown"}
    answers = [
        page,
        client.post("/v1/feedback", json=event, headers=bearer),
        client.get(f"/v1/customers/{customer}", headers=bearer),
        client.get(f"/v1/customers/{customer}", headers={"X-API-Key": KEY}),
        client.get("/v1/customers/id-canary", headers={"X-API-Key": KEY}),
        client.get(f"/panel/{customer}?t={forged}", headers=HTML),
        client.get(f"/panel/id-canary?t={token}", headers=HTML),
        client.get(f"/panel/{customer}", headers={"X-API-Key": "guess-canary"}),
        client.post("/v1/recommendations", json={"customer_id": customer}, headers={"X-API-Key": KEY}),
        client.post("/v1/score", json={"profile": {"name-canary": "Ada"}}, headers={"X-API-Key": KEY}),
        client.post("/v1/score", content="x" * 3_000_000, headers={"Content-Type": "application/json", **root}),
        client.get("/metrics", headers=root),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 404, 401, 403, 401, 403, 400, 413, 200]
    written = production.log.read_text(encoding="utf-8", errors="replace")
    assert "GET /panel/{customer_id} 200" in written
    for secret in (token, forged, token.split(".")[1], ROOT, KEY, SECRET, "canary", "Ada", f"/{customer}"):
        assert secret not in written, secret
    assert "canary" not in answers[-1].text
    assert f'"{customer}"' not in answers[-1].text
