"""Fixtures that several groups of tests share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.postgres import postgres_url, state_url
from tests.projects import CUSTOMERS, SALES, TinyProject
from tests.spark_engine import on_spark

# The benchmarks are no part of the installed package: they are found beside it.
sys.path.append(str(Path(__file__).parents[1]))

__all__ = ["on_spark", "postgres_url", "state_url"]  # fixtures: Spark and PostgreSQL, where they are installed


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long studies run only where they are asked for."""
    if "soak" in (config.getoption("-m") or ""):
        return
    for item in items:
        if item.get_closest_marker("soak"):
            item.add_marker(pytest.mark.skip(reason="a long study: make soak runs it"))


@pytest.fixture
def project(tmp_path: Path) -> TinyProject:
    """Two customers with one purchase each, as CSV; a test overwrites what it is about."""
    made = TinyProject(tmp_path)
    made.write("customers.csv", CUSTOMERS)
    made.write("sales.csv", SALES)
    return made
