"""A later moment from an earlier one: only what the days between changed is computed again.

Of every feature the rows that matter are known by their age (``features/engine/ageing.py``). A customer is touched
where a row became known, or crossed an edge of the feature, between the two moments; for all others the stored value
holds, or grows by the days that passed. The result equals a full build to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.contract.profiles import Profiles
from features.engine.ageing import Ageing, Course, ageing
from features.engine.chosen import choose
from features.engine.compile import compiled, derived_table
from features.engine.definition import FeatureSet, View
from features.engine.embedded import by_duckdb
from features.engine.events import EVENTS, order_span, prepare
from features.engine.scope import SCHEMA, apply_scope, last_day, literal, scoped_tables
from features.engine.views import GROUPED

_CHUNK = 250_000
_NEW = -1.0
"""The edge of rows that became known."""
_MICROSECONDS_A_DAY = 86_400_000_000.0


_LOCAL = GROUPED | {View.LINES, View.ORDERS, View.DAYS, View.ACTIVITIES, View.SENTIMENTS}
"""Views whose rows in a window do not depend on rows long before it."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """A stored snapshot of the same features.

    Attributes:
        as_of: its moment.
        file: its Parquet file, in the order of ids.
        rows: table of events -> how many of today's rows, from the first, it was made from.
    """

    as_of: datetime
    file: Path
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Group:
    """Features that are touched by the same events."""

    features: FeatureSet
    edges: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """New values of some customers, in the order of ``places`` (rows of the result)."""

    places: np.ndarray[tuple[int], np.dtype[np.int64]]
    table: pa.Table


def advance(profiles: Profiles, features: FeatureSet, as_of: datetime, earlier: Earlier) -> Iterator[pa.Table]:
    """The features as of ``as_of``, in the order of ids, as ``feature_batches`` gives them.

    Args:
        earlier: made from the first ``earlier.rows`` rows of the same tables, which have not changed since.
    """
    prepare(profiles)
    cursor = profiles.connection.cursor()
    scoped = scoped_tables(profiles.attributes, orders=True)
    courses = {f.name: ageing(f, scoped) for f in features}
    groups = _groups(features, courses)
    _touch(cursor, as_of, earlier, sorted({edge for group in groups for edge in group.edges}))
    ids, place_of = _customers(cursor, as_of)
    stored = _Stored(earlier.file, ids)
    _touch_new(cursor, stored.missing)
    parts = [_computed(cursor, profiles, group, as_of, place_of) for group in groups]
    again = FeatureSet(f for f in features if courses[f.name].course is Course.AGAIN and f.view is not View.FEATURES)
    parts += [_Part(place_of[_numbers(t)], t) for _, t in by_duckdb(profiles, again, [as_of], numbers=True)]
    days = (as_of - earlier.as_of) / timedelta(days=1)
    by_day = last_day(as_of, profiles.timezone) - last_day(earlier.as_of, profiles.timezone)
    derive = derived_table(features, profiles.attributes)
    for start in range(0, max(len(ids), 1), _CHUNK):
        chunk = ids.slice(start, _CHUNK)
        old = stored.rows(start, len(chunk))
        columns = {
            f.name: _aged(old, f.name, courses[f.name], days, by_day) if f.name in old.column_names else None
            for f in features
            if f.view is not View.FEATURES
        }
        merged = _merged(columns, parts, start, len(chunk), features)
        table = merged.add_column(0, "customer_id", chunk)
        yield _with_derived(table, derive).select(["customer_id", *features.names])


def _groups(features: FeatureSet, courses: Mapping[str, Ageing]) -> list[_Group]:
    found: dict[tuple[float, ...], list[str]] = {}
    for name, course in courses.items():
        if course.course is not Course.AGAIN:
            found.setdefault(course.edges, []).append(name)
    return [_Group(FeatureSet(features.named(n) for n in names), edges) for edges, names in found.items()]


def _touch(cursor: duckdb.DuckDBPyConnection, as_of: datetime, earlier: Earlier, edges: list[float]) -> None:
    """The temporary table ``touched``: customer and edge, for every row that crossed it or became known."""
    now, then = literal(as_of), literal(earlier.as_of)

    def crossed(edge: float) -> str:
        micros = round(edge * _MICROSECONDS_A_DAY)
        age = f"to_microseconds({micros})"
        return f"(event_time >= {then} - {age} AND event_time <= {now} - {age})"

    cursor.execute("CREATE OR REPLACE TEMP TABLE touched (customer INTEGER, edge DOUBLE)")
    for table in EVENTS:
        new = f"(rowid >= {earlier.rows.get(table, 0)} OR event_time >= {then} OR ingested_at > {then})"
        moved = " OR ".join([new, *map(crossed, edges)])
        cursor.execute(
            f"CREATE OR REPLACE TEMP TABLE moved AS SELECT customer, event_time, {new} AS new FROM {SCHEMA}.{table} "
            f"WHERE event_time < {now} AND ingested_at <= {now} AND ({moved})"
        )
        cursor.execute(f"INSERT INTO touched SELECT DISTINCT customer, {_NEW} FROM moved WHERE new")
        for edge in edges:
            cursor.execute(f"INSERT INTO touched SELECT DISTINCT customer, {edge} FROM moved WHERE {crossed(edge)}")


def _touch_new(cursor: duckdb.DuckDBPyConnection, new: pa.ChunkedArray) -> None:
    """Who is not stored is touched in everything."""
    cursor.register("new_ids", pa.table({"customer_id": new}))
    cursor.execute(
        f"INSERT INTO touched SELECT customer, {_NEW} FROM {SCHEMA}.customers SEMI JOIN new_ids USING (customer_id)"
    )
    cursor.unregister("new_ids")


def _customers(
    cursor: duckdb.DuckDBPyConnection, as_of: datetime
) -> tuple[pa.ChunkedArray, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """The ids known at ``as_of`` in order, and the place among them of each customer's number (-1: not there)."""
    table = cursor.execute(
        f"SELECT customer_id, customer FROM {SCHEMA}.customers "
        f"WHERE created_at IS NULL OR created_at < {literal(as_of)} ORDER BY customer_id"
    ).to_arrow_table()
    numbers = table.column("customer").to_numpy()
    place_of = np.full(int(numbers.max(initial=-1)) + 1, -1, dtype=np.int64)
    place_of[numbers] = np.arange(len(numbers))
    return table.column("customer_id"), place_of


def _computed(
    cursor: duckdb.DuckDBPyConnection,
    profiles: Profiles,
    group: _Group,
    as_of: datetime,
    place_of: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> _Part:
    edges = ", ".join(str(edge) for edge in (_NEW, *group.edges))
    windows = {feature.window_days for feature in group.features}
    rows = "TRUE"
    if None not in windows and group.features.views <= _LOCAL:
        # The rows of the longest window, and whatever older lines belong to its orders and days.
        reach = timedelta(days=max(w for w in windows if w is not None) + 2) + order_span(profiles)
        rows = f"event_time >= {literal(as_of - reach)}"
    choose(
        cursor,
        group.features,
        f"customer IN (SELECT customer FROM touched WHERE edge IN ({edges}))",
        rows,
        copy=True,
    )
    apply_scope(cursor, profiles, as_of, group.features.views)
    table = cursor.execute(compiled(group.features, tuple(profiles.attributes.items()))).to_arrow_table()
    return _Part(place_of[_numbers(table)], table)


def _numbers(table: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return table.column("customer_id").to_numpy().astype(np.int64)


class _Stored:
    """The rows of a snapshot, which is in the order of ids, by the ids that are asked for now."""

    def __init__(self, file: Path, ids: pa.ChunkedArray) -> None:
        """``ids``: in order; some may not be stored."""
        self._file = pq.ParquetFile(file, memory_map=True)
        groups = range(self._file.num_row_groups)
        self._starts = np.cumsum([0, *(self._file.metadata.row_group(group).num_rows for group in groups)])
        known = self._file.read(columns=["customer_id"]).column("customer_id").combine_chunks()
        # Most days bring no new customer: then row by row they are the same.
        self._places = None
        if not ids.equals(pa.chunked_array([known])):
            self._places = pc.call_function("index_in", [ids], pc.SetLookupOptions(value_set=known))
        self.missing = ids.slice(0, 0) if self._places is None else ids.filter(self._places.is_null())

    def rows(self, start: int, count: int) -> pa.Table:
        """The stored rows of ids ``start`` and on, in their order; NULL for an id that is not stored."""
        if self._places is None:
            return self._between(start, start + count)
        places = self._places.slice(start, count)
        there = places.drop_null().to_numpy()
        if not len(there):
            return self._file.schema_arrow.empty_table().take(places)
        first = int(there[0])
        return self._between(first, int(there[-1]) + 1).take(pc.call_function("subtract", [places, pa.scalar(first)]))

    def _between(self, start: int, stop: int) -> pa.Table:
        groups = np.flatnonzero((self._starts[1:] > start) & (self._starts[:-1] < stop)).tolist()
        if not groups:
            return self._file.schema_arrow.empty_table()
        return self._file.read_row_groups(groups).slice(start - int(self._starts[groups[0]]), stop - start)


def _aged(old: pa.Table, name: str, course: Ageing, days: float, by_day: int) -> pa.ChunkedArray:
    values = old.column(name)
    if course.course is Course.GROWS:
        # Back to whole microseconds, so that no rounding is carried from day to day.
        micros = np.rint(values.to_numpy() * _MICROSECONDS_A_DAY) + days * _MICROSECONDS_A_DAY
        return pa.chunked_array([pa.array(micros / _MICROSECONDS_A_DAY, from_pandas=True)])
    if course.course is Course.GROWS_BY_DAY:
        return pc.call_function("add", [values, pa.scalar(float(by_day))])
    return values


def _merged(
    columns: dict[str, pa.ChunkedArray | None], parts: list[_Part], start: int, rows: int, features: FeatureSet
) -> pa.Table:
    merged: dict[str, np.ndarray[tuple[int], np.dtype[np.object_]]] = {}
    for name, column in columns.items():
        word = features.named(name).is_word
        empty = np.full(rows, None, dtype=object) if word else np.full(rows, np.nan)
        merged[name] = empty if column is None else np.array(column.to_numpy(), copy=True)
    for part in parts:
        inside = np.flatnonzero((part.places >= start) & (part.places < start + rows))
        places = part.places[inside] - start
        for name in part.table.column_names:
            if name in merged:
                merged[name][places] = part.table.column(name).to_numpy()[inside]
    return pa.table(
        {
            name: pa.array(values, type=pa.string() if features.named(name).is_word else pa.float64(), from_pandas=True)
            for name, values in merged.items()
        }
    )


def _with_derived(table: pa.Table, sql: str | None) -> pa.Table:
    if sql is None:
        return table
    # In a database of its own, which keeps the order of rows in a projection.
    with duckdb.connect() as connection:
        connection.register("carried", table)
        derived = connection.execute(sql).to_arrow_table()
    for name in derived.column_names:
        table = table.append_column(name, derived.column(name))
    return table
