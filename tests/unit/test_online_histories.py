"""Histories in the online store, on SQLite and PostgreSQL: those of the snapshot in service, to the byte."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from features.engine import online_load
from features.engine.online import OnlineStore
from kernel.sql import checked_url, open_sql
from tests.postgres import found
from tests.snapshots import AS_OF, customers, snapshot_of

LATER = AS_OF + timedelta(days=1)
EVERY_BYTE = bytes(range(256))
HOSTILE_ID = 'o\'neil \\ "é" %s :id'
OLD = customers("anna", "bert", HOSTILE_ID)


@pytest.fixture
def store(state_url: str) -> Iterator[OnlineStore]:
    with OnlineStore(state_url, "shop", wait_seconds=0) as opened:
        yield opened


def rows(url: str) -> list[tuple[object, ...]]:
    return found(url, "SELECT customer_id, content FROM online_histories ORDER BY customer_id")


def test_a_history_is_what_was_given(store: OnlineStore, tmp_path: Path) -> None:
    assert store.history("anna") is None  # there is no table yet
    store.load(snapshot_of(tmp_path, OLD), histories=[("anna", EVERY_BYTE), ("bert", b""), (HOSTILE_ID, b"\0")])
    assert [store.history(name) for name in ("anna", "bert", HOSTILE_ID, "nobody")] == [EVERY_BYTE, b"", b"\0", None]


def test_they_are_read_once_and_written_in_parts(
    store: OnlineStore, state_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(online_load, "TOGETHER", 2)
    names = [f"c{number}" for number in range(5)]
    given = iter([(name, name.encode()) for name in names])
    for _ in range(2):  # the second load has nothing to do
        store.load(snapshot_of(tmp_path, customers(*names)), histories=given)
    assert rows(state_url) == [(name, name.encode()) for name in names]


def test_those_of_the_old_snapshot_go_with_it(store: OnlineStore, state_url: str, tmp_path: Path) -> None:
    store.load(snapshot_of(tmp_path / "1", OLD), histories=[("anna", b"old"), ("bert", b"old")])
    newer = snapshot_of(tmp_path / "2", customers("anna", "bert", spend=2.0), as_of=LATER)
    store.load(newer, histories=[("bert", b"new")])
    assert (store.history("anna"), store.history("bert")) == (None, b"new")
    assert rows(state_url) == [("bert", b"new")]


def test_a_load_that_stops_half_way_changes_none(
    store: OnlineStore, state_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(online_load, "TOGETHER", 1)
    store.load(snapshot_of(tmp_path / "1", OLD), histories=[("anna", b"old")])

    def stopping() -> Iterator[tuple[str, bytes]]:
        yield "anna", b"new"
        raise RuntimeError("stopped")

    newer = snapshot_of(tmp_path / "2", OLD, as_of=LATER)
    with pytest.raises(RuntimeError, match="stopped"):
        store.load(newer, histories=stopping())
    assert sorted(rows(state_url)) == [("anna", b"new"), ("anna", b"old")]
    assert store.history("anna") == b"old"
    store.load(newer, histories=[("anna", b"new")])
    assert rows(state_url) == [("anna", b"new")]
    assert store.history("anna") == b"new"


def test_two_projects_in_one_database(store: OnlineStore, state_url: str, tmp_path: Path) -> None:
    store.load(snapshot_of(tmp_path, OLD), histories=[("anna", b"shop")])
    with OnlineStore(state_url, "other") as other:
        assert other.history("anna") is None
        other.load(snapshot_of(tmp_path, OLD), histories=[("anna", b"other")])
        assert (store.history("anna"), other.history("anna")) == (b"shop", b"other")


def test_features_of_before_there_were_histories(store: OnlineStore, state_url: str, tmp_path: Path) -> None:
    store.load(snapshot_of(tmp_path / "1", OLD))
    engine = open_sql(checked_url(state_url, "test"), pragmas={})
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE online_histories"))
    engine.dispose()
    assert store.history("anna") is None
    assert len(store.look_up(["anna"]).features) == 1
    store.load(snapshot_of(tmp_path / "2", OLD, as_of=LATER), histories=[("anna", b"new")])
    assert store.history("anna") == b"new"
