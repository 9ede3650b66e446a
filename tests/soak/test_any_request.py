"""20,000 requests of any kind to the real service: no failure, nothing lost, and no customer in the log."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from foresight.project import Project
from foresight.service_process import running_service
from tests.any_request import BY_NAME, CANARY, PROFILES, send_any, total
from tests.e2e.conftest import AS_OF, EXAMPLE, slice_of_complete_journey

COUNTS = {"recordFeedback": 9500, "getCustomer": 4500, "getChanges": 1500, "getPanel": 1500}
OF_PROFILES = 1600
TRAINED_VARIABLE = "FORESIGHT_TRAINED"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project over the slice that the tests of the whole way use, trained and scored."""
    made = tmp_path_factory.mktemp("any_request")
    text = slice_of_complete_journey(made / "registry", made / "state")
    (made / "foresight.toml").write_text(text, encoding="utf-8")
    shutil.copy(EXAMPLE / "actions.toml", made)
    project = Project.open(made)
    project.train(as_of=AS_OF)
    project.write_scores(made / "scores.parquet", as_of=AS_OF)
    return made


@pytest.mark.soak
def test_any_request(folder: Path) -> None:
    config, log = folder / "foresight.toml", folder / "service.log"
    scores = pd.read_parquet(folder / "scores.parquet")
    customer_id = str(scores.loc[scores["status"] == "scored", "customer_id"].iloc[0])
    with running_service(config, log) as address:
        known = {"customer_id": customer_id}
        counts = {name: COUNTS.get(name, OF_PROFILES if name in PROFILES else 1) for name in BY_NAME}
        # The service's process is the other half of the work.
        answers = {name: send_any(address, name, count, known) for name, count in counts.items()}
    print(answers)
    everything = total(answers.values())
    assert everything.total() >= 20_000
    assert max(everything) < 500
    assert everything[200] > 3_000
    assert CANARY not in log.read_text(encoding="utf-8")
    assert customer_id not in log.read_text(encoding="utf-8").split()
