"""A batch as a table of a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from psycopg.rows import dict_row

from kernel.errors import ForesightError, UsageError
from serving.batch import score_all, write_scores
from serving.batch_targets import target_of
from serving.runtime import Runtime
from tests.doubles.batch import FIRST_START, runtime_of
from tests.postgres import PASSWORD

ROWS = pa.schema({"customer_id": pa.string(), "place": pa.int64(), "word": pa.string()})


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    return runtime_of(tmp_path / "shop", rows=50)


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    with psycopg.connect(postgres_url, autocommit=True, row_factory=dict_row) as opened:
        yield opened
        opened.execute("DROP TABLE IF EXISTS scores, places CASCADE")


def rows_of(*rows: tuple[str, int | None, str | None]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(ROWS.names, row, strict=True)) for row in rows], ROWS)


def write(url: str, *tables: pa.Table, gone: list[str] | None = None) -> None:
    with target_of(f"{url}?table=places").writing(ROWS, gone=gone) as writer:
        for table in tables:
            writer.add(table)


def places(connection: psycopg.Connection[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in connection.execute("SELECT * FROM places ORDER BY customer_id")]


def test_the_table_has_what_the_runtime_scores(
    runtime: Runtime, postgres_url: str, connection: psycopg.Connection[dict[str, Any]]
) -> None:
    written = write_scores(runtime, f"{postgres_url}?table=scores")
    found = connection.execute('SELECT * FROM scores ORDER BY customer_id COLLATE "C"').fetchall()
    wanted = pa.concat_tables(score_all(runtime)).to_pylist()
    assert found == wanted
    assert written.target == "table scores of postgres on 127.0.0.1"
    actions = "SELECT count(*) AS n FROM scores WHERE recommended_actions->0->>'action' = 'mail'"
    assert connection.execute(actions).fetchone() == {
        "n": sum(
            row["recommended_actions"][:1] != [] and row["recommended_actions"][0]["action"] == "mail" for row in wanted
        )
    }


def test_the_same_scores_are_not_written_twice(
    runtime: Runtime, postgres_url: str, connection: psycopg.Connection[dict[str, Any]]
) -> None:
    out = f"{postgres_url}?table=scores"
    later = replace(runtime, clock=lambda: FIRST_START + timedelta(hours=1))
    write_scores(runtime, out)
    assert write_scores(later, out).already
    connection.execute("DROP TABLE scores")
    assert not write_scores(later, out).already


def test_rows_are_replaced_and_rights_and_views_stay(
    postgres_url: str, connection: psycopg.Connection[dict[str, Any]]
) -> None:
    write(postgres_url, rows_of(("a", 1, ""), ("b", None, None)), rows_of(("c", 3, 'say "x", \\N\n')))
    connection.execute("CREATE VIEW shown AS SELECT place FROM places")
    connection.execute("GRANT SELECT ON places TO PUBLIC")
    assert places(connection) == [("a", 1, ""), ("b", None, None), ("c", 3, 'say "x", \\N\n')]
    write(postgres_url, rows_of(("b", 2, "two")))
    assert places(connection) == [("b", 2, "two")]
    assert connection.execute("SELECT place FROM shown").fetchall() == [{"place": 2}]
    assert connection.execute("SELECT has_table_privilege('pg_monitor', 'places', 'SELECT') AS may").fetchone() == {
        "may": True
    }


def test_other_customers_stay_when_some_are_written(
    postgres_url: str, connection: psycopg.Connection[dict[str, Any]]
) -> None:
    write(postgres_url, rows_of(("a", 1, "x"), ("b", 2, "x"), ("c", 3, "x")))
    write(postgres_url, rows_of(("b", 5, "y"), ("d", 4, "y")), gone=["c"])
    assert places(connection) == [("a", 1, "x"), ("b", 5, "y"), ("d", 4, "y")]


def test_readers_see_the_old_rows_until_all_new_ones_are_there(
    postgres_url: str, connection: psycopg.Connection[dict[str, Any]]
) -> None:
    write(postgres_url, rows_of(("a", 1, "x")))
    with target_of(f"{postgres_url}?table=places").writing(ROWS) as writer:
        writer.add(rows_of(("b", 2, "x")))
        assert places(connection) == [("a", 1, "x")]
    assert places(connection) == [("b", 2, "x")]
    with pytest.raises(RuntimeError), target_of(f"{postgres_url}?table=places").writing(ROWS) as writer:
        writer.add(rows_of(("c", 3, "x")))
        raise RuntimeError
    assert places(connection) == [("b", 2, "x")]


def test_an_older_table_gets_the_columns_that_it_lacks(
    postgres_url: str, connection: psycopg.Connection[dict[str, Any]]
) -> None:
    write(postgres_url, rows_of(("a", 1, "x")))
    connection.execute("ALTER TABLE places DROP COLUMN place")
    write(postgres_url, rows_of(("a", 1, "x")))
    assert places(connection) == [("a", "x", 1)]


def test_a_table_of_somebody_else_is_not_emptied(
    postgres_url: str, connection: psycopg.Connection[dict[str, Any]]
) -> None:
    connection.execute("CREATE TABLE places (customer_id text PRIMARY KEY, place bigint, word text)")
    connection.execute("INSERT INTO places VALUES ('mine', 1, 'x')")
    with pytest.raises(UsageError) as caught:
        write(postgres_url, rows_of(("a", 1, "x")))
    assert (
        caught.value.what
        == "The table places of postgres on 127.0.0.1 was not made by foresight; its rows would be lost."
    )
    assert places(connection) == [("mine", 1, "x")]


@pytest.mark.parametrize("change", ["password", "port", "double"])
def test_an_error_tells_neither_password_nor_customers(postgres_url: str, change: str) -> None:
    url = {
        "password": postgres_url.replace(PASSWORD, "swordfish"),
        "port": "postgresql://owner:swordfish@127.0.0.1:1/postgres",
        "double": postgres_url,
    }[change]
    with pytest.raises(ForesightError) as caught:
        write(url, rows_of(("kim", 1, "x"), ("kim", 2, "x")))
    said = str(caught.value)
    assert "PostgreSQL did not take the rows" in said
    assert not any(secret in said for secret in ("swordfish", PASSWORD, "kim", "owner"))
    assert caught.value.__cause__ is None
