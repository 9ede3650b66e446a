"""Answers under idempotency keys: the first one counts, for a day, for one client."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from kernel.sql import checked_url
from serving.feedback.engine import open_engine
from serving.feedback.errors import StoreFullError, StoreUnavailableError
from serving.feedback.idempotency import KeptAnswer, KeptAnswers, RequestKey

NOW = datetime.fromisoformat("2017-11-02T09:00:00+00:00")
KEY = RequestKey("client", "one")
ANSWER = KeptAnswer("a" * 64, 200, '{"a": "é"}'.encode())
OTHER = KeptAnswer("b" * 64, 200, b"{}")


@pytest.fixture
def answers(state_url: str) -> Iterator[KeptAnswers]:
    engine = opened(state_url)
    yield KeptAnswers(lambda: engine)
    engine.dispose()


def opened(url: str) -> Engine:
    return open_engine(checked_url(url, "state.url"))


def test_the_first_answer_is_kept(answers: KeptAnswers) -> None:
    assert answers.find(KEY, NOW) is None
    assert answers.keep(KEY, ANSWER, NOW) == ANSWER
    assert answers.keep(KEY, OTHER, NOW) == ANSWER
    assert answers.find(KEY, NOW) == ANSWER


def test_clients_and_keys_are_apart(answers: KeptAnswers) -> None:
    answers.keep(KEY, ANSWER, NOW)
    for other in (RequestKey("client", "two"), RequestKey("", "one")):
        assert answers.find(other, NOW) is None
        assert answers.keep(other, OTHER, NOW) == OTHER
    assert answers.find(KEY, NOW) == ANSWER


def test_after_a_day_the_key_is_free(answers: KeptAnswers) -> None:
    answers.keep(KEY, ANSWER, NOW)
    day = timedelta(hours=24)
    assert answers.find(KEY, NOW + day - timedelta(seconds=1)) == ANSWER
    assert answers.find(KEY, NOW + day) is None
    assert answers.keep(KEY, OTHER, NOW + day) == OTHER


def test_another_process_sees_it(state_url: str) -> None:
    first, second = opened(state_url), opened(state_url)
    KeptAnswers(lambda: first).keep(KEY, ANSWER, NOW)
    assert KeptAnswers(lambda: second).keep(KEY, OTHER, NOW) == ANSWER
    first.dispose()
    second.dispose()


def test_a_database_that_is_gone(tmp_path: Path) -> None:
    engine = opened(f"sqlite:///{tmp_path / 'state' / 'decisions.db'}")
    engine.dispose()
    (tmp_path / "state").rename(tmp_path / "gone")
    with pytest.raises(StoreUnavailableError):
        KeptAnswers(lambda: engine).find(KEY, NOW)
    with pytest.raises(StoreUnavailableError):
        KeptAnswers(lambda: engine).keep(KEY, ANSWER, NOW)
    engine.dispose()


def test_a_full_disk(tmp_path: Path) -> None:
    engine = opened(f"sqlite:///{tmp_path / 'decisions.db'}")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")  # SQLite takes it for the pages that there are
    with pytest.raises(StoreFullError):
        KeptAnswers(lambda: engine).keep(KEY, KeptAnswer("a" * 64, 200, b"a" * 100_000), NOW)
    assert KeptAnswers(lambda: engine).find(KEY, NOW) is None
    engine.dispose()
