"""The drift baseline of a snapshot: how each feature was distributed, computed in SQL from the file just written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
from pydantic import BaseModel

from features.contract.sources import quoted
from features.engine.definition import FeatureSet
from kernel.errors import NotFoundError

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
MOST_FOR_QUANTILES = 200_000
FEWEST_CUSTOMERS = 20  # a value that fewer share could tell of one of them
MOST_WORDS = 50
_TOGETHER = 24  # columns per query: each holds its values of the sample in memory


class NumberProfile(BaseModel):
    """Of the customers whose value is known: ``count``; of all: the ``missing`` share. Numbers are None where nobody's
    value is known. ``quantiles``: at 1, 5, 25, 50, 75, 95 and 99 %."""

    count: int
    missing: float
    mean: float | None
    std: float | None
    min: float | None
    max: float | None
    quantiles: dict[str, float | None]


class WordProfile(BaseModel):
    """``values``: the most frequent words and their customers, none with fewer than 20; ``others`` has the rest."""

    count: int
    missing: float
    distinct: int
    values: dict[str, int]
    others: int


class SnapshotProfile(BaseModel):
    """``profile.json``: the customers that may be profiled, feature by feature.

    ``quantile_customers``: so many, chosen by hash, gave the quantiles.
    """

    customers: int
    quantile_customers: int
    numbers: dict[str, NumberProfile]
    words: dict[str, WordProfile]

    @classmethod
    def read(cls, folder: Path) -> SnapshotProfile:
        """The baseline of the snapshot in ``folder``.

        Raises:
            NotFoundError: there is none.
        """
        try:
            return cls.model_validate_json((folder / PROFILE).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise NotFoundError(
                "The snapshot has no drift baseline.",
                where=str(folder),
                fix="Build it again: foresight features build.",
            ) from error


PROFILE = "profile.json"


def profile_of(connection: duckdb.DuckDBPyConnection, features: FeatureSet, file: Path) -> SnapshotProfile:
    """Profile every feature of a snapshot's file; registering a feature is all it takes.

    Args:
        connection: does the work, under its limits of memory and threads.
        features: the columns.
        file: Parquet with ``customer_id``, ``consent`` and the columns.
    """
    cursor = connection.cursor()
    place = str(file).replace("'", "''")
    rows = f"(SELECT * FROM read_parquet('{place}') WHERE consent)"
    customers = _row(cursor, f"SELECT count(*) FROM {rows}")[0]
    every = max(1, -(-customers // MOST_FOR_QUANTILES))
    chosen = f"hash(customer_id) % {every} = 0"
    sample = _row(cursor, f"SELECT count(*) FILTER ({chosen}) FROM {rows}")[0]
    numbers = [feature.name for feature in features if not feature.is_word]
    return SnapshotProfile(
        customers=customers,
        quantile_customers=sample,
        numbers=dict(_numbers(cursor, rows, chosen, numbers, customers)),
        words={name: _word(cursor, rows, name, customers) for name in features.words},
    )


def _numbers(
    cursor: duckdb.DuckDBPyConnection, rows: str, chosen: str, names: list[str], customers: int
) -> Iterator[tuple[str, NumberProfile]]:
    for begin in range(0, len(names), _TOGETHER):
        some = names[begin : begin + _TOGETHER]
        found = _row(cursor, f"SELECT {', '.join(_aggregates(quoted(name), chosen) for name in some)} FROM {rows}")
        for i, name in enumerate(some):
            count, mean, std, low, high, quantiles = found[6 * i : 6 * i + 6]
            values: list[float | None] = quantiles or [None] * len(QUANTILES)
            at = dict(zip((f"{q:g}" for q in QUANTILES), values, strict=True))
            missing = 1 - count / customers if customers else 0.0
            yield (
                name,
                NumberProfile(count=count, missing=missing, mean=mean, std=std, min=low, max=high, quantiles=at),
            )


def _aggregates(column: str, chosen: str) -> str:
    quantiles = f"quantile_cont({column}, {list(QUANTILES)}) FILTER ({chosen})"
    # The square of an absurd number is no number, and DuckDB would refuse the whole query.
    spread = f"stddev_pop({column}) FILTER (abs({column}) < 1e150)"
    return f"count({column}), avg({column}), {spread}, min({column}), max({column}), {quantiles}"


def _word(cursor: duckdb.DuckDBPyConnection, rows: str, name: str, customers: int) -> WordProfile:
    column = quoted(name)
    count, distinct = _row(cursor, f"SELECT count({column}), count(DISTINCT {column}) FROM {rows}")
    top = cursor.execute(
        f"SELECT {column}, count(*) AS n FROM {rows} WHERE {column} IS NOT NULL GROUP BY 1 "
        f"HAVING n >= {FEWEST_CUSTOMERS} ORDER BY n DESC, 1 LIMIT {MOST_WORDS}"
    ).fetchall()
    return WordProfile(
        count=count,
        missing=1 - count / customers if customers else 0.0,
        distinct=distinct,
        values=dict(top),
        others=count - sum(n for _, n in top),
    )


def _row(cursor: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    row = cursor.execute(sql).fetchone()
    assert row is not None
    return row
