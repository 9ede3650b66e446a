"""One project over real data, trained and scored once for all tests of the whole way; and its service."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import httpx
import pandas as pd
import pytest

from features.engine.lock import locked
from foresight.project import Project
from foresight.service_process import running_service
from kernel.model_registry import ModelRegistry
from kernel.settings import load_settings
from tests.panel_browser import address, browser

__all__ = ["address", "browser"]  # fixtures of the tests in a browser

EXAMPLE = Path(__file__).parents[2] / "examples" / "complete_journey"
AS_OF = "2017-11-01"
SLICE = "household_id % 7 < 2"  # 705 of the 2,469 households, whole
NO_CONSENT = "household_id % 70 = 1"  # of these, some who may not be profiled


def slice_of_complete_journey(registry: Path, state: Path) -> str:
    """The example's configuration over the slice, with folders of its own and half the cut-offs, so that training is
    short; campaigns keep all households."""
    text = (EXAMPLE / "foresight.toml").read_text(encoding="utf-8")
    changes = {
        "(SELECT DISTINCT household_id FROM transactions) LEFT": (
            f"(SELECT DISTINCT household_id FROM transactions WHERE {SLICE}) LEFT"
        ),
        'columns = { customer_id = "household_id" }': (
            f'columns = {{ customer_id = "household_id", consent = "NOT ({NO_CONSENT})" }}'
        ),
        'from = "transactions LEFT JOIN': f'from = "(SELECT * FROM transactions WHERE {SLICE}) LEFT JOIN',
        "step_days = 14": "step_days = 28",
        'folder = "../../mlruns"': f'folder = "{registry}"',
        'folder = "../../.foresight"': f'folder = "{state}"',
    }
    for before, after in changes.items():
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    return text


@dataclass(frozen=True)
class Trained:
    """A project that was trained and scored as of ``AS_OF``.

    Attributes:
        folder: holds foresight.toml, actions.toml, the registry and the state.
        scores: the batch file.
    """

    project: Project
    folder: Path
    scores: Path

    @property
    def config(self) -> Path:
        return self.folder / "foresight.toml"

    @cached_property
    def batch(self) -> pd.DataFrame:
        """The batch file as it was read back, index customer_id."""
        return pd.read_parquet(self.scores).set_index("customer_id")

    def customers(self, status: str, count: int) -> list[str]:
        """The first few customers of a status."""
        found = self.batch.index[self.batch["status"] == status]
        assert len(found) >= count, f"{len(found)} customers are {status}"
        return list(found[:count])


def train_once(folder: Path) -> None:
    """A project in ``folder``, trained and scored, unless another test process has made it."""
    scores = folder / "scores.parquet"
    with locked(folder.with_suffix(".lock"), "a training", wait_seconds=600):
        if scores.exists():
            return
        folder.mkdir(exist_ok=True)
        text = slice_of_complete_journey(folder / "registry", folder / "state")
        (folder / "foresight.toml").write_text(text, encoding="utf-8")
        shutil.copy(EXAMPLE / "actions.toml", folder)
        project = Project.open(folder)
        with project.profiles:
            outcome = project.train(as_of=AS_OF)
            assert outcome.churn.verdict.promote
            assert outcome.value.verdict.promote
            project.write_scores(scores, as_of=AS_OF)


def copy_of(trained: Path, folder: Path) -> None:
    """A project like ``trained``, with a registry and a state of its own."""
    shutil.copytree(trained, folder)
    text = (trained / "foresight.toml").read_text(encoding="utf-8")
    (folder / "foresight.toml").write_text(text.replace(str(trained), str(folder)), encoding="utf-8")
    ModelRegistry.of(load_settings(folder)).relocate()


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The project that the first process of a run trains for all of them; nobody writes in it afterwards."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "trained-once"
    train_once(folder)
    return folder


@pytest.fixture(scope="session")
def trained(trained_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A copy for the tests of this process: they decide, and count decisions."""
    folder = tmp_path_factory.getbasetemp() / "trained"
    copy_of(trained_once, folder)
    return Trained(Project.open(folder), folder, folder / "scores.parquet")


@pytest.fixture(scope="session")
def service(trained: Trained) -> Iterator[httpx.Client]:
    """The project's real service, a process of its own."""
    with (
        running_service(trained.config, trained.folder / "service.log") as address,
        httpx.Client(base_url=address, timeout=30) as client,
    ):
        yield client
