"""20,000 requests of any kind to the real service: no failure, nothing lost, and no customer in the log."""

from __future__ import annotations

from pathlib import Path

import httpx
import pandas as pd
import pytest

from foresight.service_process import running_service
from kernel.settings import load_settings
from serving.feedback.store import DecisionStore
from tests.any_request import BY_NAME, CANARY, PROFILES, send_any, total
from tests.e2e.conftest import train_once

COUNTS = {"recordFeedback": 9500, "getCustomer": 4500, "getChanges": 1500, "getPanel": 1500}
OF_PROFILES = 1600


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project over the slice that the tests of the whole way use, trained and scored."""
    made = tmp_path_factory.mktemp("any_request") / "project"
    train_once(made)
    return made


@pytest.mark.soak
def test_any_request(folder: Path) -> None:
    config, log = folder / "foresight.toml", folder / "service.log"
    scores = pd.read_parquet(folder / "scores.parquet")
    customer_id = str(scores.loc[scores["status"] == "scored", "customer_id"].iloc[0])
    with running_service(config, log) as address:
        made = httpx.post(f"{address}/v1/recommendations", json={"customer_id": customer_id}, timeout=30).json()
        [advice] = made["recommendations"]
        known = {"customer_id": customer_id, "decision_id": advice["decision_id"], "action": advice["chosen"]}
        counts = {name: COUNTS.get(name, OF_PROFILES if name in PROFILES else 1) for name in BY_NAME}
        answers = {name: send_any(address, name, count, known) for name, count in counts.items()}
        again = httpx.post(f"{address}/v1/recommendations", json={"customer_id": customer_id}, timeout=30).json()
    print(answers)
    store = DecisionStore(load_settings(config).state_url)
    kept = store.decision(advice["decision_id"])
    store.close()
    assert kept is not None
    assert (kept.customer_id, kept.chosen) == (customer_id, advice["chosen"])
    assert again["recommendations"][0]["customer_id"] == customer_id
    assert answers["recordFeedback"][200] > 0
    everything = total(answers.values())
    assert everything.total() >= 20_000
    assert max(everything) < 500
    assert everything[200] > 3_000
    assert CANARY not in log.read_text(encoding="utf-8")
    assert customer_id not in log.read_text(encoding="utf-8").split()
