"""A trained project in operation: what the doctor finds, the spans of a request, what serving imports."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import httpx
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from foresight.doctor import State, examine
from kernel.model_registry import ModelRegistry
from kernel.settings import load_settings
from serving.live import LiveModels
from serving.telemetry import stop_tracing, trace_with
from tests.e2e.conftest import Trained

ROOT = Path(__file__).parents[2]


def left_out() -> list[str]:
    """The modules of every installed package that the service's image does not have."""
    command = [sys.executable, str(ROOT / "deploy" / "serving_requirements.py")]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    served = {line.split("==")[0] for line in listed.splitlines() if "==" in line} | {"foresight"}
    modules = metadata.packages_distributions()
    return sorted(name for name, owners in modules.items() if not served & {plain(one) for one in owners})


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture
def copied(trained: Trained, tmp_path: Path) -> Path:
    """A copy of the project, its registry as yet of the old place."""
    folder = tmp_path / "copy"
    shutil.copytree(trained.folder, folder)
    text = trained.config.read_text(encoding="utf-8").replace(str(trained.folder), str(folder))
    (folder / "foresight.toml").write_text(text, encoding="utf-8")
    return folder


def failures(folder: Path) -> dict[str, str]:
    return {one.name: one.found for one in examine(folder) if one.state is State.FAIL}


def test_the_doctor_finds_what_is_broken(copied: Path) -> None:
    moved = "The model registry was moved or copied: its database names another folder."
    assert failures(copied) == {"models": moved}
    settings = load_settings(copied)
    ModelRegistry.of(settings).relocate()
    assert failures(copied) == {}

    current = settings.state_folder / "snapshots" / "current"
    name = current.read_text(encoding="utf-8")
    newer = name.replace(name.strip()[-12:], "0" * 12)
    current.write_text(newer, encoding="utf-8")
    assert failures(copied) == {"online store": f"It holds {name.strip()}, and {newer.strip()} was published."}
    current.write_text(name, encoding="utf-8")

    catalogue = copied / "actions.toml"
    catalogue.write_text(catalogue.read_text(encoding="utf-8").replace("coupons_redeemed_365d", "cupons", 1), "utf-8")
    assert list(failures(copied)) == ["catalogue"]
    shutil.copy(ROOT / "examples" / "complete_journey" / "actions.toml", catalogue)

    registry = ModelRegistry.of(settings)
    manifest = registry.download(registry.require(settings.model_name("value"))) / "manifest.json"
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(
        text.replace('"name": "spend_90d"', '"name": "no_such"').replace('"name":"spend_90d"', '"name":"no_such"'),
        "utf-8",
    )
    [(check, found)] = failures(copied).items()
    assert check.startswith("features of ") and found == "1 are not in service: no_such."
    manifest.unlink()
    assert list(failures(copied)) == ["models"]

    with sqlite3.connect(settings.state_folder / "online.db") as connection:
        connection.execute("DELETE FROM online_current")
    assert failures(copied)["features"] == "No features are in service."


def test_the_service_counts_what_the_models_answer(service: httpx.Client, trained: Trained) -> None:
    [customer] = trained.customers("scored", 1)
    assert service.post("/v1/recommendations", json={"customer_id": customer}).status_code == 200
    page = service.get("/metrics").text
    band = trained.batch.loc[customer, "churn_band"]
    assert f'foresight_scores_total{{band="{band}",status="scored"}}' in page
    assert 'foresight_model_info{kind="churn",version="churn/1"} 1.0' in page


def test_look_up_score_and_decide_are_spans(trained: Trained) -> None:
    exporter = InMemorySpanExporter()
    trace_with(SimpleSpanProcessor(exporter))
    try:
        LiveModels(trained.project.settings).first().source.by_ids(trained.customers("scored", 1))
    finally:
        stop_tracing()
    assert [one.name for one in exporter.get_finished_spans()] == ["look-up", "score", "decide"]


def test_serving_imports_nothing_that_only_training_needs(trained: Trained) -> None:
    code = f"""
import sys
for name in {left_out()!r}:
    sys.modules[name] = None
import serving.service
from kernel.settings import load_settings
from serving.live import LiveModels
runtime = LiveModels(load_settings({str(trained.config)!r})).first().source
assert runtime.by_ids([{trained.customers("scored", 1)[0]!r}])[0].decision is not None
import foresight.cli, foresight.operations_cli, foresight.service_process
assert not any(name.partition(".")[0] == "training" for name in sys.modules), "training is imported"
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
