"""The append-only store, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import select

from kernel.errors import UsageError
from serving.feedback.errors import EventConflictError, UnknownActionError, UnknownDecisionError
from serving.feedback.store import DecisionStore, StoreCounts
from serving.feedback.tables import FEEDBACK
from serving.feedback.writer import Group
from serving.schemas import FeedbackEvent, FeedbackRequest, FeedbackStatus
from tests.doubles.insights import decision
from tests.postgres import found

NOW = datetime(2017, 11, 2, 9, tzinfo=UTC)


@pytest.fixture
def store(state_url: str) -> Iterator[DecisionStore]:
    store = DecisionStore(state_url)
    yield store
    store.close()


def event(event_id: str = "e1", **changes: object) -> FeedbackRequest:
    given = {"event_id": event_id, "decision_id": "d1", "action": "coupon", "event": FeedbackEvent.ACCEPTED}
    return FeedbackRequest.model_validate(given | changes)


def occupied(store: DecisionStore) -> tuple[Future[bool], threading.Event]:
    """Work that the store is in the middle of, and what lets it go on."""
    begun, go_on = threading.Event(), threading.Event()

    def work(_: Group) -> bool:
        begun.set()
        return go_on.wait(10)

    result = store.write(work)
    assert begun.wait(10)
    return result, go_on


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


def test_what_was_kept_is_there_after_opening_again(store: DecisionStore, state_url: str) -> None:
    store.log_decisions([decision("1609", "d1")], NOW)
    store.record_feedback(event(), NOW)
    store.close()
    again = DecisionStore(state_url)
    assert again.decision("d1") == decision("1609", "d1")
    assert again.record_feedback(event(), NOW) is FeedbackStatus.ALREADY_STORED
    assert again.counts() == StoreCounts(decisions=1, feedback=1, quarantined=0)
    again.close()


def test_feedback_columns(store: DecisionStore, state_url: str) -> None:
    store.log_decisions([decision("1609", "d1")], NOW)
    happened = datetime(2017, 11, 2, 10, 30, tzinfo=timezone(timedelta(hours=2)))
    store.record_feedback(event("e1", event_time=happened, event="outcome_value", value=12.5), NOW)
    store.record_feedback(event("e2"), NOW)
    columns = (FEEDBACK.c[name] for name in ("event_id", "decision_id", "action", "event", "event_time", "value"))
    assert found(state_url, select(*columns).order_by("event_id")) == [
        ("e1", "d1", "coupon", "outcome_value", datetime(2017, 11, 2, 8, 30, tzinfo=UTC), 12.5),
        ("e2", "d1", "coupon", "accepted", NOW, None),
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
    store: DecisionStore, state_url: str, sent: FeedbackRequest, error: type[Exception], reason: str
) -> None:
    store.log_decisions([decision("1609", "d1")], NOW)
    store.record_feedback(event("e1"), NOW)
    for _ in range(2):
        with pytest.raises(error):
            store.record_feedback(sent, NOW)
    assert found(state_url, "SELECT event_id, event FROM feedback") == [("e1", "accepted")]
    assert found(state_url, "SELECT reason, event_id, content FROM feedback_quarantine") == [
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


@pytest.mark.parametrize("url", ["mysql://host/database", "not a url"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(UsageError, match="state database cannot be used"):
        DecisionStore(url)


def test_calls_that_wait_for_no_thread(store: DecisionStore, state_url: str) -> None:
    async def together() -> list[FeedbackStatus]:
        new = await asyncio.gather(
            *(store.keep_decisions([decision("1609", f"d{number}")], NOW) for number in (1, 2, 3, 1))
        )
        assert (sum(new), await store.keep_decisions([], NOW)) == (3, 0)
        with pytest.raises(UnknownActionError):
            await store.keep_feedback(event("bad", action="invented"), NOW)
        return list(await asyncio.gather(*(store.keep_feedback(event(name), NOW) for name in ("e1", "e2", "e1"))))

    assert sorted(asyncio.run(together())) == ["already_stored", "stored", "stored"]
    assert store.counts() == StoreCounts(decisions=3, feedback=2, quarantined=1)
    assert found(state_url, "SELECT action, day, decisions, cost FROM action_use") == [("coupon", "2017-11-02", 3, 3.0)]


def test_what_fails_leaves_nothing_and_spoils_no_other(store: DecisionStore, state_url: str) -> None:
    def broken(group: Group) -> None:
        group.sql.write(store._statements.new_decision, store._row(decision("2", "half"), NOW))
        raise ValueError("broken")

    first, go_on = occupied(store)
    both = [store.write(store._decisions([decision("1609", name)], NOW)) for name in ("d1", "d2")]
    failing = store.write(broken)
    last = store.write(store._feedback(event(), NOW))
    go_on.set()
    assert [one.result(10) for one in (first, *both, last)] == [True, 1, 1, FeedbackStatus.STORED]
    with pytest.raises(ValueError, match="broken"):
        failing.result(10)
    assert found(state_url, "SELECT decision_id FROM decisions ORDER BY 1") == [("d1",), ("d2",)]
    assert found(state_url, "SELECT decisions FROM action_use") == [(2,)]


def test_what_nobody_waits_for_any_more_is_not_written(store: DecisionStore) -> None:
    first, go_on = occupied(store)
    gone = store.write(store._decisions([decision("1609", "d1")], NOW))
    assert gone.cancel()
    go_on.set()
    assert first.result(10)
    assert store.counts().decisions == 0


def test_closing_writes_what_waits(store: DecisionStore, state_url: str) -> None:
    _, go_on = occupied(store)
    waiting = store.write(store._decisions([decision("1609", "d1")], NOW))
    threading.Timer(0.05, go_on.set).start()
    store.close()
    assert waiting.result(0) == 1
    assert found(state_url, "SELECT decision_id FROM decisions") == [("d1",)]
    assert store.log_decisions([decision("1609", "d2")], NOW) == 1  # it opens again when it is asked


def test_what_waits_is_one_transaction(store: DecisionStore) -> None:
    _, go_on = occupied(store)
    waiting = [store.write(lambda group: group) for _ in range(8)]
    go_on.set()
    groups = [one.result(10) for one in waiting]
    assert all(group is groups[0] for group in groups)
