"""The append-only store, on SQLite."""

from __future__ import annotations

import dataclasses
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from kernel.errors import UsageError
from serving.feedback.errors import EventConflictError, StoreUnavailableError, UnknownActionError, UnknownDecisionError
from serving.feedback.store import DecisionStore, StoreCounts
from serving.schemas import FeedbackEvent, FeedbackRequest, FeedbackStatus
from tests.doubles.insights import decision

NOW = datetime(2017, 11, 2, 9, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "decisions.db"


@pytest.fixture
def store(file: Path) -> Iterator[DecisionStore]:
    store = DecisionStore(f"sqlite:///{file}")
    yield store
    store.close()


def event(event_id: str = "e1", **changes: object) -> FeedbackRequest:
    given = {"event_id": event_id, "decision_id": "d1", "action": "coupon", "event": FeedbackEvent.ACCEPTED}
    return FeedbackRequest.model_validate(given | changes)


def rows(file: Path, sql: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(file)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def test_a_decision_comes_back_exactly(store: DecisionStore) -> None:
    made = decision("1609", "d1")
    assert store.log_decisions([made], NOW) == 1
    assert store.decision("d1") == made
    assert store.decision("d2") is None


def test_the_first_version_of_a_decision_stays(store: DecisionStore) -> None:
    made = decision("1609", "d1")
    other = dataclasses.replace(made, chosen="mailing", propensity=0.15)
    assert [store.log_decisions(batch, NOW) for batch in ([made], [other, decision("2", "d2")], [])] == [1, 1, 0]
    assert store.decision("d1") == made
    assert store.counts() == StoreCounts(decisions=2, feedback=0, quarantined=0)


def test_what_was_kept_is_there_after_opening_again(store: DecisionStore, file: Path) -> None:
    store.log_decisions([decision("1609", "d1")], NOW)
    store.record_feedback(event(), NOW)
    store.close()
    again = DecisionStore(f"sqlite:///{file}")
    assert again.decision("d1") == decision("1609", "d1")
    assert again.record_feedback(event(), NOW) is FeedbackStatus.ALREADY_STORED
    assert again.counts() == StoreCounts(decisions=1, feedback=1, quarantined=0)
    again.close()


def test_the_database_is_durable(store: DecisionStore, file: Path) -> None:
    assert rows(file, "PRAGMA journal_mode") == [("wal",)]
    with store._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2  # FULL


def test_feedback_columns(store: DecisionStore, file: Path) -> None:
    store.log_decisions([decision("1609", "d1")], NOW)
    happened = datetime(2017, 11, 2, 10, 30, tzinfo=timezone(timedelta(hours=2)))
    store.record_feedback(event("e1", event_time=happened, event="outcome_value", value=12.5), NOW)
    store.record_feedback(event("e2"), NOW)
    assert rows(file, "SELECT event_id, decision_id, action, event, event_time, value FROM feedback ORDER BY 1") == [
        ("e1", "d1", "coupon", "outcome_value", "2017-11-02 08:30:00.000000", 12.5),
        ("e2", "d1", "coupon", "accepted", "2017-11-02 09:00:00.000000", None),
    ]


@pytest.mark.parametrize(
    ("sent", "error", "reason"),
    [
        (event("e2", decision_id="never"), UnknownDecisionError, "unknown_decision"),
        (event("e2", action="invented"), UnknownActionError, "unknown_action"),
        (event("e1", event=FeedbackEvent.DISMISSED), EventConflictError, "event_conflict"),
    ],
)
def test_what_does_not_match_is_quarantined_once(
    store: DecisionStore, file: Path, sent: FeedbackRequest, error: type[Exception], reason: str
) -> None:
    store.log_decisions([decision("1609", "d1")], NOW)
    store.record_feedback(event("e1"), NOW)
    for _ in range(2):
        with pytest.raises(error):
            store.record_feedback(sent, NOW)
    assert rows(file, "SELECT event_id, event FROM feedback") == [("e1", "accepted")]
    assert rows(file, "SELECT reason, event_id, content FROM feedback_quarantine") == [
        (reason, sent.event_id, sent.model_dump_json())
    ]


def test_quarantined_feedback_is_stored_when_its_decision_arrives(store: DecisionStore) -> None:
    with pytest.raises(UnknownDecisionError):
        store.record_feedback(event(), NOW)
    store.log_decisions([decision("1609", "d1")], NOW)
    assert store.record_feedback(event(), NOW) is FeedbackStatus.STORED
    assert store.counts() == StoreCounts(decisions=1, feedback=1, quarantined=1)


def test_many_threads_store_every_event_once(store: DecisionStore) -> None:
    store.log_decisions([decision("1609", "d1")], NOW)
    statuses: list[FeedbackStatus] = []

    def send() -> None:
        statuses.extend(store.record_feedback(event(f"e{number}"), NOW) for number in range(15))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses.count(FeedbackStatus.STORED) == 15
    assert statuses.count(FeedbackStatus.ALREADY_STORED) == 45
    assert store.counts().feedback == 15


def test_a_database_that_is_gone_is_one_clear_error(store: DecisionStore, file: Path) -> None:
    store.close()
    file.unlink()
    file.mkdir()
    assert not store.is_available()
    with pytest.raises(StoreUnavailableError) as caught:
        store.log_decisions([decision("1609", "d1")], NOW)
    assert caught.value.__cause__ is None
    assert "1609" not in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://host/database", "not a url"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(UsageError, match="state database cannot be used"):
        DecisionStore(url)


def test_a_database_that_cannot_be_opened_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError):
        DecisionStore(f"sqlite:///{tmp_path}")
