"""Features computed by DuckDB inside this process."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise

import pyarrow as pa

from features.contract.profiles import Profiles
from features.engine.chosen import choose
from features.engine.compile import compiled
from features.engine.definition import FeatureSet
from features.engine.events import EVENTS, prepare
from features.engine.scope import SCHEMA, apply_scope

ROWS_AT_ONCE = 4_000_000
"""Events that one statement aggregates: bounds its memory, whatever the number of customers."""
# Of memory_limit: less at once where there is less. A customer has some hundred aggregates at a time.
_BYTES_A_ROW, _BYTES_A_CUSTOMER = 500, 20_000
_UNITS = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


def by_duckdb(
    profiles: Profiles, features: FeatureSet, as_ofs: Sequence[datetime], *, numbers: bool = False
) -> Iterator[tuple[datetime, pa.Table]]:
    """An :data:`~features.engine.build.Engine`; the moments share whatever does not depend on them.

    Args:
        numbers: leave ``customer_id`` the number that stands for the customer in ``prepared.customers``.
    """
    prepare(profiles)
    cursor = profiles.connection.cursor()
    sql = compiled(features, tuple(profiles.attributes.items()))
    if not numbers:
        sql = (
            f"SELECT c.customer_id, f.* EXCLUDE (customer_id) FROM ({sql}) f JOIN {SCHEMA}.customers c "
            "ON c.customer = f.customer_id ORDER BY c.customer_id"
        )
    for customers in customer_ranges(profiles):
        choose(cursor, features, f"customer >= {customers.start} AND customer < {customers.stop}")
        for as_of in as_ofs:
            apply_scope(cursor, profiles, as_of, features.views)
            yield as_of, cursor.execute(sql).to_arrow_table()


def customer_ranges(profiles: Profiles) -> list[range]:
    """All customers, in ranges of about ``ROWS_AT_ONCE`` events each."""
    found = profiles.connection.cursor().execute(f"SELECT max(customer) + 1 FROM {SCHEMA}.customers").fetchone()
    customers = 0 if found is None or found[0] is None else int(found[0])
    rows = sum(profiles.count(table) for table in EVENTS)
    parts = _parts(rows, customers, _room(profiles.engine.memory_limit))
    edges = [customers * part // parts for part in range(parts + 1)]
    return [range(start, stop) for start, stop in pairwise(edges)]


def _parts(rows: int, customers: int, room: float) -> int:
    rows_at_once = min(ROWS_AT_ONCE, room / _BYTES_A_ROW)
    return max(1, math.ceil(rows / rows_at_once), math.ceil(customers * _BYTES_A_CUSTOMER / room))


def _room(memory_limit: str | None) -> float:
    """The limit in bytes; without one, that of a machine of 16 GB."""
    number = None if memory_limit is None else re.match(r"([\d.]+) ?([kKMGT])", memory_limit)
    return 16e9 if number is None else float(number[1]) * _UNITS[number[2].replace("K", "k")]
