"""A later snapshot computed from an earlier one equals a full build, to the bit."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from features.contract.profiles import Profiles, profiles_from_frames
from features.definitions import feature_set
from features.engine.ageing import Course, ageing
from features.engine.build import build_features, to_frame, write_features
from features.engine.events import extent
from features.engine.incremental import Earlier, advance
from features.engine.scope import scoped_tables
from tests.histories import AS_OF, ATTRIBUTES, ZONES, History, bits, dense_history

FEATURES = feature_set(ATTRIBUTES)
STEPS = (timedelta(days=1), timedelta(hours=5), timedelta(days=9, minutes=1))


def profiles_of(history: History) -> Profiles:
    return profiles_from_frames(history.frames(), ATTRIBUTES, history.timezone)


def stored(profiles: Profiles, as_of: datetime, folder: Path) -> Earlier:
    file = folder / f"{as_of:%Y%m%d%H%M}.parquet"
    write_features(profiles, FEATURES, as_of, file)
    return Earlier(as_of, file, extent(profiles))


def advanced(profiles: Profiles, as_of: datetime, earlier: Earlier) -> pd.DataFrame:
    return to_frame(pa.concat_tables(list(advance(profiles, FEATURES, as_of, earlier))), FEATURES)


@pytest.mark.parametrize("step", STEPS, ids=str)
@pytest.mark.parametrize("zone", ZONES)
def test_a_later_moment_of_the_same_tables(zone: str, step: timedelta, tmp_path: Path) -> None:
    with profiles_of(dense_history(3, zone)) as profiles:
        earlier = stored(profiles, AS_OF - step, tmp_path)
        assert bits(advanced(profiles, AS_OF, earlier)) == bits(build_features(profiles, FEATURES, AS_OF))


@pytest.mark.parametrize("seed", [4, 5])
def test_rows_that_came_since(seed: int, tmp_path: Path) -> None:
    """Among them late ones, of long before, and customers who were not there."""
    history = dense_history(seed)
    new = {person.customer_id for person in history.people[:2]}

    def old(row: object) -> bool:
        return row.customer_id not in new and hash_of(row) % 5 != 0  # type: ignore[attr-defined]

    before = replace(
        history,
        people=tuple(person for person in history.people if person.customer_id not in new),
        lines=tuple(filter(old, history.lines)),
        deeds=tuple(filter(old, history.deeds)),
        contracts=tuple(filter(old, history.contracts)),
    )
    with profiles_of(before) as grown, profiles_of(history) as whole:
        earlier = stored(grown, AS_OF - timedelta(days=1), tmp_path)
        add_the_rest(grown, whole)
        assert bits(advanced(grown, AS_OF, earlier)) == bits(build_features(whole, FEATURES, AS_OF))
        assert bits(build_features(grown, FEATURES, AS_OF)) == bits(build_features(whole, FEATURES, AS_OF))


def hash_of(row: object) -> int:
    import hashlib

    return hashlib.sha256(repr(row).encode()).digest()[0]


def add_the_rest(grown: Profiles, whole: Profiles) -> None:
    for table in ("customers", "transactions", "activities", "subscriptions"):
        rows = whole.connection.cursor().execute(f"SELECT * FROM {table}").to_arrow_table()
        cursor = grown.connection.cursor()
        cursor.register("rows", rows)
        cursor.execute(f"INSERT INTO {table} SELECT * FROM rows EXCEPT ALL SELECT * FROM {table}")
        cursor.unregister("rows")


def test_the_same_moment_is_the_stored_one(tmp_path: Path) -> None:
    with profiles_of(dense_history(6)) as profiles:
        earlier = stored(profiles, AS_OF, tmp_path)
        assert bits(advanced(profiles, AS_OF, earlier)) == bits(build_features(profiles, FEATURES, AS_OF))


def test_most_features_are_carried_and_not_computed_again() -> None:
    scoped = scoped_tables(ATTRIBUTES, orders=True, accounts=True)
    courses = [
        ageing(feature, scoped).course for feature in FEATURES if feature.view.value not in ("features", "customers")
    ]
    assert courses.count(Course.AGAIN) < len(courses) / 4
    assert {Course.STILL, Course.GROWS, Course.GROWS_BY_DAY} <= set(courses)
