"""The files of deploy/ fit the repository: what they copy, install, and ask Prometheus for."""

from __future__ import annotations

import importlib.util
import json
import re
import tomllib
from importlib import metadata
from pathlib import Path
from types import ModuleType

import yaml

from serving.http.metrics import Metrics
from tests.doubles.insights import InsightDouble

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
_METRIC = re.compile(r"\bforesight_[a-z_]+")


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("serving_requirements", DEPLOY / "serving_requirements.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def needed() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return set(script().serving_requirements((ROOT / "requirements.lock").read_text(encoding="utf-8"), project))


def exposed() -> set[str]:
    """The names of every sample that can be in the page."""
    lines = Metrics().page(InsightDouble()).decode().splitlines()
    kinds = dict(line.split()[2:4] for line in lines if line.startswith("# TYPE"))
    ends = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("",), "gauge": ("",)}
    return {name + end for name, kind in kinds.items() if name.startswith("foresight_") for end in ends[kind]}


def test_the_image_installs_what_serving_needs_and_not_what_training_needs() -> None:
    names = needed()
    assert {"bentoml", "lightgbm", "mlflow", "psycopg-binary", "sqlalchemy", "prometheus-client", "setuptools"} <= names
    dropped = {"matplotlib", "lifetimes", "optuna", "scikit-learn", "joblib", "autograd", "pillow", "pytest", "flask"}
    assert names & dropped == set()


def test_a_package_is_followed_to_what_it_needs() -> None:
    lock = (
        "a==1 \\\n    --hash=sha256:0\n    # via x (pyproject.toml)\n"
        "b==1\n    # via a\nc==2\n    # via\n    #   b\n    #   z\nd==1\n    # via z\n"
    )
    project = {
        "project": {"dependencies": ["A>=1"], "optional-dependencies": {"otel": []}},
        "build-system": {"requires": []},
        "tool": {"foresight": {"not-served": []}},
    }
    assert list(script().serving_requirements(lock, project)) == ["a", "b", "c"]
    project["tool"]["foresight"]["not-served"] = ["b"]
    assert script().serving_requirements(lock, project) == {"a": lock[: lock.index("b==1")]}


def test_every_source_of_the_image_exists_and_is_not_ignored() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[0] == "!"}
    copies = re.findall(r"^COPY (?!--from)(.+)$", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    sources = [source for line in copies for source in line.split()[:-1]]
    assert len(sources) == 10
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert set(sources) == kept
    found = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    assert {one.rstrip("*") for one in found["find"]["include"]} <= set(sources)


def test_dashboard_and_alerts_ask_only_for_metrics_that_there_are() -> None:
    alerts = (DEPLOY / "alerts.yml").read_text(encoding="utf-8")
    board = json.loads((DEPLOY / "grafana-dashboard.json").read_text(encoding="utf-8"))
    rules = [rule for group in yaml.safe_load(alerts)["groups"] for rule in group["rules"]]
    queries = [rule["expr"] for rule in rules]
    queries += [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    asked = {name for query in queries for name in _METRIC.findall(query)}
    assert asked - exposed() == set()
    assert {re.sub("_(bucket|count|sum)$", "", one) for one in exposed()} - {
        re.sub("_(bucket|count|sum)$", "", one) for one in asked
    } == set(), "a metric that nobody looks at"


def test_every_alert_has_its_runbook_and_every_metric_its_row() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    alerts = re.findall(r"alert: (\w+)", (DEPLOY / "alerts.yml").read_text(encoding="utf-8"))
    assert [alert for alert in alerts if f"| `{alert}` |" not in page] == []
    rows = set(re.findall(r"^\| `(foresight_[a-z_]+)", page, re.MULTILINE))
    assert rows == {re.sub("_(bucket|count|sum)$", "", name) for name in exposed()}


def test_what_is_left_out_is_installed_here_so_that_the_test_of_its_absence_says_something() -> None:
    dropped = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["foresight"]["not-served"]
    assert all(metadata.version(name) for name in dropped)
