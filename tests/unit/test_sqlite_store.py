"""What a store in one SQLite file does about the file: durable, gone, replaced, full, locked."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.feedback.errors import StoreFullError, StoreUnavailableError
from serving.feedback.store import DecisionStore, StoreCounts
from serving.http.problems import problem_of
from tests.doubles.insights import decision
from tests.unit.test_feedback_store import NOW, event


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "decisions.db"


@pytest.fixture
def store(file: Path) -> Iterator[DecisionStore]:
    store = DecisionStore(f"sqlite:///{file}")
    yield store
    store.close()


def test_the_database_is_durable(store: DecisionStore, file: Path) -> None:
    with store._engine.connect() as connection:
        pragmas = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("journal_mode", "synchronous")
        ]
    assert pragmas == ["wal", 2]  # 2: FULL, every commit is on disk


def test_a_database_that_is_gone_is_one_clear_error(store: DecisionStore, file: Path) -> None:
    store.close()
    file.unlink()
    file.mkdir()
    assert not store.is_available()
    with pytest.raises(StoreUnavailableError) as caught:
        store.log_decisions([decision("1609", "d1")], NOW)
    assert caught.value.__cause__ is None
    assert "1609" not in str(caught.value)


def test_a_file_that_takes_its_place_gets_what_comes(store: DecisionStore, file: Path) -> None:
    store.log_decisions([decision("1609", "d1")], NOW)
    file.parent.rename(file.parents[1] / "old")
    assert store.log_decisions([decision("1609", "d2")], NOW) == 1
    other = DecisionStore(f"sqlite:///{file}")
    assert (other.decision("d1"), other.decision("d2")) == (None, decision("1609", "d2"))
    other.close()


def test_a_database_that_cannot_be_opened_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError):
        DecisionStore(f"sqlite:///{tmp_path}")


def test_a_full_disk(store: DecisionStore) -> None:
    store.log_decisions([decision("1609", "d1")], NOW)
    limit_pages(store, 1)  # SQLite takes it for the pages that there are
    with pytest.raises(StoreFullError) as caught:
        for number in range(2, 50):
            store.log_decisions([decision("1609", f"d{number}")], NOW)
    problem = problem_of(caught.value)
    assert (problem.status, problem.kind, problem.headers) == (503, "store-full", {"Retry-After": "60"})
    kept = store.counts().decisions
    assert kept == number - 1
    limit_pages(store, 100_000)
    assert store.log_decisions([decision("1609", f"d{number}")], NOW) == 1
    store.record_feedback(event(), NOW)
    assert store.counts() == StoreCounts(decisions=kept + 1, feedback=1, quarantined=0)


def limit_pages(store: DecisionStore, most: int) -> None:
    """The one connection of the store gets no more; what it has already stays."""
    with store._engine.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {most}")


def test_a_locked_database(store: DecisionStore, file: Path) -> None:
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with store._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 50")
    try:
        with pytest.raises(StoreUnavailableError):
            store.log_decisions([decision("1609", "d1")], NOW)
    finally:
        other.close()
    assert store.log_decisions([decision("1609", "d1")], NOW) == 1
