"""The online store on SQLite and PostgreSQL: exact values, one snapshot at a time, nothing made by a question."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import orjson
import pandas as pd
import pytest
from sqlalchemy import text

from features.engine import online_load
from features.engine.lock import BusyError
from features.engine.online import OnlineStore, OnlineUnavailableError
from features.engine.online_load import stored_rows
from features.engine.online_lock import load_lock
from features.engine.online_tables import SNAPSHOTS
from kernel.errors import DataError, NotFoundError, UsageError
from kernel.sql import checked_url, open_sql
from tests.snapshots import AS_OF, customers, snapshot_of

FRAME = customers("anna", "bert", "cleo")
LATER = AS_OF + timedelta(days=1)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'state' / 'online.db'}"
        return
    address = str(request.getfixturevalue("postgres_url"))
    yield address
    engine = open_sql(checked_url(address, "test"), pragmas={})
    with engine.begin() as connection:
        connection.execute(
            text("DROP TABLE IF EXISTS online_features, online_histories, online_current, online_snapshots")
        )
    engine.dispose()


@pytest.fixture
def store(url: str) -> Iterator[OnlineStore]:
    with OnlineStore(url, "shop", wait_seconds=0) as opened:
        yield opened


def numbers_of_rows(url: str) -> int:
    engine = open_sql(checked_url(url, "test"), pragmas={})
    try:
        return stored_rows(engine)
    finally:
        engine.dispose()


def test_the_rows_of_a_snapshot(store: OnlineStore, tmp_path: Path) -> None:
    snapshot = snapshot_of(tmp_path, FRAME, [True, False, True])
    store.load(snapshot)
    found = store.look_up(["cleo", "anna", "cleo", "nobody"])
    assert found.manifest == snapshot.manifest == store.current_manifest()
    assert store.current_id() == snapshot.id
    pd.testing.assert_frame_equal(found.features, FRAME.loc[["cleo", "anna"]], check_exact=True)
    assert found.features.columns.dtype == FRAME.columns.dtype
    assert found.consent.tolist() == [True, True]
    assert store.look_up(["bert"]).consent.tolist() == [False]


def test_one_and_many_are_the_same(store: OnlineStore, tmp_path: Path) -> None:
    store.load(snapshot_of(tmp_path, FRAME))
    together = store.look_up(list(FRAME.index)).features
    for name in FRAME.index:
        pd.testing.assert_frame_equal(store.look_up([name]).features, together.loc[[name]], check_exact=True)


def test_an_unknown_customer_has_no_row(store: OnlineStore, tmp_path: Path) -> None:
    snapshot = snapshot_of(tmp_path, FRAME)
    store.load(snapshot)
    for nobody in (["nobody"], ["nobody", "no one"], []):
        found = store.look_up(nobody)
        assert (len(found.features), len(found.consent), found.manifest.id) == (0, 0, snapshot.id)
        assert list(found.features.columns) == ["spend", "city", "place"]


def test_before_the_first_snapshot_nothing_is_made(store: OnlineStore, tmp_path: Path) -> None:
    assert store.current_id() is None
    for ask in (store.current_manifest, lambda: store.look_up(["anna"]), lambda: store.look_up(["anna", "bert"])):
        with pytest.raises(NotFoundError, match="Run foresight score first"):
            ask()
    assert list(tmp_path.iterdir()) == []


def test_an_empty_database_has_no_snapshot(tmp_path: Path) -> None:
    # A load that was killed before its first table.
    (tmp_path / "online.db").touch()
    with OnlineStore(f"sqlite:///{tmp_path / 'online.db'}", "shop") as store:
        assert store.current_id() is None
        store.load(snapshot_of(tmp_path, FRAME))
        assert len(store.look_up(["anna"]).features) == 1


def test_the_new_snapshot_takes_the_place_of_the_old(store: OnlineStore, url: str, tmp_path: Path) -> None:
    store.load(snapshot_of(tmp_path / "1", FRAME))
    newer = snapshot_of(tmp_path / "2", customers("bert", "dora", spend=2.0), as_of=LATER)
    store.load(newer)
    found = store.look_up(["anna", "bert", "dora"])
    assert found.manifest.id == newer.id
    assert found.features["spend"].to_dict() == {"bert": 2.0, "dora": 2.0}
    assert numbers_of_rows(url) == 2


def test_another_reader_sees_the_switch_at_once(url: str, store: OnlineStore, tmp_path: Path) -> None:
    store.load(snapshot_of(tmp_path / "1", FRAME))
    with OnlineStore(url, "shop") as reader:
        assert reader.look_up(["anna"]).features["spend"].item() == 1.0
        store.load(snapshot_of(tmp_path / "2", customers("anna", spend=2.0), as_of=LATER))
        found = reader.look_up(["anna"])
        assert (found.features["spend"].item(), found.manifest.as_of) == (2.0, LATER)


def test_other_columns_are_no_problem(store: OnlineStore, tmp_path: Path) -> None:
    store.load(snapshot_of(tmp_path / "1", FRAME))
    other = FRAME[["place"]].assign(visits=3.0)
    store.load(snapshot_of(tmp_path / "2", other, as_of=LATER))
    pd.testing.assert_frame_equal(store.look_up(list(FRAME.index)).features, other, check_exact=True)


def test_the_same_snapshot_is_not_loaded_again(store: OnlineStore, tmp_path: Path) -> None:
    rows: list[int] = []
    for _ in range(2):
        store.load(snapshot_of(tmp_path, FRAME), advance=rows.append)
    assert rows == [2, 1]  # a row group of the test file at a time, once


def test_a_load_is_told_in_parts(store: OnlineStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(online_load, "TOGETHER", 2)
    rows: list[int] = []
    store.load(snapshot_of(tmp_path, FRAME), advance=rows.append)
    assert rows == [2, 1]


def test_an_interrupted_load_leaves_the_old_snapshot_and_is_removed_by_the_next(
    store: OnlineStore, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(online_load, "TOGETHER", 1)
    old = snapshot_of(tmp_path / "1", FRAME)
    store.load(old)

    def stop(_: int) -> None:
        raise RuntimeError("stopped")

    newer = snapshot_of(tmp_path / "2", customers("anna", "bert", spend=2.0), as_of=LATER)
    with pytest.raises(RuntimeError, match="stopped"):
        store.load(newer, advance=stop)
    assert numbers_of_rows(url) == 3 + 1
    found = store.look_up(["anna", "bert"])
    assert (found.manifest.id, set(found.features["spend"])) == (old.id, {1.0})
    store.load(newer)
    assert numbers_of_rows(url) == 2
    assert set(store.look_up(["anna", "bert"]).features["spend"]) == {2.0}


def test_a_file_with_fewer_rows_than_its_manifest_is_refused(store: OnlineStore, tmp_path: Path) -> None:
    old = snapshot_of(tmp_path / "1", FRAME)
    store.load(old)
    cut = snapshot_of(tmp_path / "2", FRAME, as_of=LATER)
    snapshot_of(tmp_path / "2", FRAME.head(2), as_of=LATER)
    with pytest.raises(DataError, match=r"has 2 customers, and its manifest says 3\."):
        store.load(cut)
    assert store.current_id() == old.id


def test_projects_share_a_database(store: OnlineStore, url: str, tmp_path: Path) -> None:
    store.load(snapshot_of(tmp_path / "1", FRAME))
    with OnlineStore(url, "other") as other:
        assert other.current_id() is None
        other.load(snapshot_of(tmp_path / "2", customers("anna", spend=7.0), as_of=LATER))
        assert other.look_up(["anna"]).features["spend"].item() == 7.0
    assert store.look_up(["anna"]).features["spend"].item() == 1.0


def test_a_second_load_is_refused_while_one_is_under_way(store: OnlineStore, url: str, tmp_path: Path) -> None:
    snapshot = snapshot_of(tmp_path, FRAME)
    engine = open_sql(checked_url(url, "test"), pragmas={})
    with (
        load_lock(engine, "shop", store.file, wait_seconds=0, say=print),
        pytest.raises(BusyError, match=r"loading features since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ by process \d+ on "),
    ):
        store.load(snapshot)
    engine.dispose()
    store.load(snapshot)
    assert store.current_id() == snapshot.id


def test_readers_never_see_a_mixture(
    store: OnlineStore, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(online_load, "TOGETHER", 7)
    ids = [f"c{i:03d}" for i in range(40)]
    # Every third customer is in one of the two only.
    held = {0.0: ids[: len(ids) - 10], 1.0: ids[10:]}
    snapshots = {
        spend: snapshot_of(tmp_path / str(spend), customers(*some, spend=spend), as_of=AS_OF + timedelta(days=spend))
        for spend, some in held.items()
    }
    store.load(snapshots[0.0])
    ended, wrong, seen = threading.Event(), list[str](), set[float]()

    def read() -> None:
        with OnlineStore(url, "shop") as reader:
            while not ended.is_set():
                found = reader.look_up(ids)
                values = set(found.features["spend"])
                if len(values) != 1 or list(found.features.index) != held[next(iter(values))]:
                    wrong.append(f"{values}, {len(found.features)} rows")
                if found.manifest.id != snapshots[next(iter(values))].id:
                    wrong.append("rows of one snapshot, manifest of another")
                alone = reader.look_up(["c020"])
                if alone.features["spend"].tolist() not in ([0.0], [1.0]):
                    wrong.append("a customer of both was in none")
                seen.update(values)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(8):
        for spend in (1.0, 0.0):
            store.load(snapshots[spend])
    ended.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert seen == {0.0, 1.0}


def test_the_file_is_read_with_sqlite_alone(tmp_path: Path) -> None:
    """As docs/reference/store.md tells others to read it."""
    file = tmp_path / "online.db"
    with OnlineStore(f"sqlite:///{file}", "shop") as store:
        store.load(snapshot_of(tmp_path, FRAME))
    connection = sqlite3.connect(file)
    content, consent, numbers, words = connection.execute(
        "SELECT s.content, f.consent, f.numbers, f.words FROM online_current c "
        "JOIN online_snapshots s ON s.number = c.number JOIN online_features f ON f.snapshot = c.number "
        "WHERE c.project = 'shop' AND f.customer_id = 'bert'"
    ).fetchone()
    plan = connection.execute(
        "EXPLAIN QUERY PLAN SELECT f.numbers FROM online_current AS c LEFT JOIN online_features AS f "
        "ON f.snapshot = c.number AND f.customer_id IN (SELECT value FROM json_each('[]')) WHERE c.project = 'x'"
    ).fetchall()
    connection.close()
    layout = orjson.loads(content)
    assert dict(zip(layout["numbers"], np.frombuffer(numbers, "<f8"), strict=True)) == {"spend": 1.0, "place": 1.0}
    assert dict(zip(layout["words"], orjson.loads(words), strict=True)) == {"city": "Łódź"}
    assert consent == 1
    assert any("SEARCH f USING PRIMARY KEY (snapshot=? AND customer_id=?)" in row[3] for row in plan), plan


def test_another_layout_is_said(store: OnlineStore, url: str, tmp_path: Path) -> None:
    store.load(snapshot_of(tmp_path, FRAME))
    engine = open_sql(checked_url(url, "test"), pragmas={})
    with engine.begin() as connection:
        connection.execute(SNAPSHOTS.update().values(layout=2))
    engine.dispose()
    with (
        OnlineStore(url, "shop") as reader,
        pytest.raises(NotFoundError, match="stored in layout 2, and this version reads 1"),
    ):
        reader.look_up(["anna"])


def test_a_database_that_does_not_answer(tmp_path: Path) -> None:
    (tmp_path / "online.db").mkdir()
    for url in (f"sqlite:///{tmp_path / 'online.db'}", "postgresql://nobody:secret@127.0.0.1:1/none"):
        with OnlineStore(url, "shop") as store, pytest.raises(OnlineUnavailableError) as caught:
            store.look_up(["anna"])
        assert "secret" not in str(caught.value) and "anna" not in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://host/db", "no url", "sqlite://", "sqlite:///:memory:"])
def test_a_url_that_cannot_be_used(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        OnlineStore(url, "shop")
    assert caught.value.where == "foresight.toml: state.online_url"


def test_a_zero_character_is_refused_without_the_row(store: OnlineStore, url: str, tmp_path: Path) -> None:
    snapshot = snapshot_of(tmp_path, customers("an\x00na"))
    if url.startswith("sqlite"):
        store.load(snapshot)
        assert len(store.look_up(["an\x00na"]).features) == 1
        return
    with pytest.raises(DataError, match="PostgreSQL refuses a row") as caught:
        store.load(snapshot)
    assert "na" not in caught.value.where and "\x00" not in str(caught.value)
    assert store.current_id() is None
