"""The disk of the state is full while the service runs: nothing is acknowledged, all else is answered, and it goes on
once there is room."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from foresight.service_process import running_service
from kernel.service_settings import ServiceSettings
from serving.feedback.store import DecisionStore, StoreCounts
from serving.http.deployment import Deployment, Limits
from tests.doubles.insights import InsightDouble, running
from tests.postgres import found
from tests.unit.test_sqlite_store import limit_pages

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's own
RECOMMEND, FEEDBACK = "/v1/recommendations", "/v1/feedback"
EVENT = {"event_id": "e1", "decision_id": "decision-of-1609", "action": "coupon", "event": "accepted"}


def refused(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert answer.json()["type"] == "urn:foresight:problem:store-full"
    assert answer.json()["detail"] == (
        "The disk of the store of decisions and feedback is full. "
        "Make room there, then try again; the same ids are safe to send twice."
    )


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A folder with 8 MB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder]).returncode != 0:
        pytest.skip("a file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(file: Path) -> None:
    handle = os.open(file, os.O_CREAT | os.O_WRONLY)
    try:
        while os.write(handle, bytes(4096)):
            pass
    except OSError:
        assert os.statvfs(file).f_bavail == 0
    finally:
        os.close(handle)


def test_a_service_on_a_full_disk(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{disk / 'decisions.db'}"
    monkeypatch.setenv("DOUBLE_STATE", url)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]), prepend=os.pathsep)
    served = running_service(
        disk, disk / "service.log", settings=ServiceSettings(workers=1), service="tests.doubles.slow_service:Slow"
    )
    with served as address, httpx.Client(base_url=address, timeout=20) as client:
        assert client.post(RECOMMEND, json={"customer_id": "1609"}).status_code == 200
        fill(disk / "other")
        # Counts that there were none of yet, log lines and the trace of a failure want room too.
        for key in ({}, {"Idempotency-Key": "k"}):
            refused(client.post(RECOMMEND, json={"customer_id": "2"}, headers=key))
            refused(client.post(FEEDBACK, json=EVENT, headers=key))
        refused(client.get("/v1/card/3"))
        for path, status in (
            ("/v1/customers/2", 200),
            ("/readyz", 200),
            ("/metrics", 200),
            ("/v1/customers/broken", 500),
        ):
            assert client.get(path).status_code == status
        (disk / "other").unlink()
        assert client.post(RECOMMEND, json={"customer_id": "2"}, headers={"Idempotency-Key": "k"}).status_code == 200
        assert client.post(FEEDBACK, json=EVENT).json()["status"] == "stored"
    decisions = found(url, "SELECT decision_id FROM decisions ORDER BY 1")
    assert decisions == [("decision-of-1609",), ("decision-of-2",)]
    assert found(url, "SELECT event_id FROM feedback") == [("e1",)]


def test_a_database_that_may_not_grow(tmp_path: Path) -> None:
    store = DecisionStore(f"sqlite:///{tmp_path / 'decisions.db'}")
    with running(lambda: Deployment(InsightDouble(), store, Limits(50_000, 3))) as client:
        assert client.post(RECOMMEND, json={"customer_id": "1609"}).status_code == 200
        limit_pages(store, 1)  # SQLite takes it for the pages that there are
        kept = 0
        while (answer := client.post(FEEDBACK, json=EVENT | {"event_id": f"e{kept}"})).status_code == 200:
            kept += 1
            assert kept < 50
        refused(answer)
        assert store.counts() == StoreCounts(1, kept, 0)
        limit_pages(store, 100_000)
        events = [EVENT | {"event_id": f"e{number}"} for number in range(kept + 1)]
        statuses = [client.post(FEEDBACK, json=event).json()["status"] for event in events]
        assert statuses == ["already_stored"] * kept + ["stored"]
