"""Only changes: what is news to readers, compared with what they were told before."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serving.batch import write_scores
from serving.batch_changes import News, Told
from serving.batch_rows import SCHEMA
from serving.batch_targets import target_of
from tests.doubles.batch import AS_OF, runtime_of

DAY = timedelta(days=1)
Row = dict[str, Any]
ADA: Row = {
    "customer_id": "ada",
    "status": "scored",
    "churn_band": "low",
    "churn_probability": 0.2,
    "lifetime_value": 100.0,
    "recommended_actions": [{"action": "mail"}, {"action": "call"}],
}
OTHER_ACTIONS = [{"action": "call"}, {"action": "mail"}]


def table(*rows: Row) -> pa.Table:
    return pa.Table.from_pylist(list(rows), SCHEMA)


def tell(told: Told, as_of: datetime, *rows: Row) -> list[bool]:
    """Which of the rows are news as of a moment; they are told."""
    news = told.news(as_of)
    with told.writing(as_of) as keep:
        is_news, now = news.split(table(*rows))
        keep.write_table(now)
    return is_news.tolist()


@pytest.mark.parametrize(
    ("change", "is_news"),
    [
        ({}, False),
        ({"currency": "EUR", "churn_percentile": 99.0}, False),
        ({"customer_id": "bob"}, True),
        ({"status": "inactive"}, True),
        ({"churn_band": "medium"}, True),
        ({"churn_band": None}, True),
        ({"recommended_actions": OTHER_ACTIONS}, True),
        ({"recommended_actions": []}, True),
        ({"churn_probability": 0.24}, False),
        ({"churn_probability": 0.26}, True),
        ({"churn_probability": None}, True),
        ({"lifetime_value": 110.0}, False),
        ({"lifetime_value": 112.0}, True),
        ({"lifetime_value": 89.0}, True),
        ({"lifetime_value": None}, True),
    ],
)
def test_a_row_is_news(tmp_path: Path, change: Row, is_news: bool) -> None:
    told = Told(tmp_path / "told")
    assert tell(told, AS_OF, ADA) == [True]
    assert tell(told, AS_OF + DAY, ADA | change) == [is_news]


def test_small_steps_become_news_together(tmp_path: Path) -> None:
    told = Told(tmp_path / "told")
    probabilities = [0.2, 0.23, 0.26, 0.29, 0.32]
    found = [tell(told, AS_OF + n * DAY, ADA | {"churn_probability": one}) for n, one in enumerate(probabilities)]
    assert found == [[True], [False], [True], [False], [True]]


def test_the_same_moment_again_has_the_same_news(tmp_path: Path) -> None:
    told = Told(tmp_path / "told")
    assert tell(told, AS_OF, ADA) == tell(told, AS_OF, ADA) == [True]
    changed = ADA | {"status": "inactive"}
    assert tell(told, AS_OF + DAY, changed) == tell(told, AS_OF + DAY, changed) == [True]
    # What readers heard of that moment before is corrected, though it is as it was the day before.
    assert tell(told, AS_OF + DAY, ADA) == [True]


def test_an_earlier_moment_is_compared_with_those_before_it(tmp_path: Path) -> None:
    told = Told(tmp_path / "told")
    tell(told, AS_OF, ADA)
    tell(told, AS_OF + 2 * DAY, ADA | {"status": "inactive"})
    assert tell(told, AS_OF + DAY, ADA) == [False]


def test_who_is_gone() -> None:
    told = table(ADA, ADA | {"customer_id": "bob"}).to_pandas().set_index("customer_id")
    assert News([told]).gone(["ada", "new"]) == ["bob"]


def test_files_of_a_folder_add_up_and_a_full_file_counts_as_told(tmp_path: Path) -> None:
    days = [AS_OF + n * DAY for n in range(4)]
    seeds = [7, 7, 8, 8]
    runtimes = [
        runtime_of(tmp_path / "shop", rows=50, as_of=day, seed=seed) for day, seed in zip(days, seeds, strict=True)
    ]
    out = tmp_path / "out"
    out.mkdir()
    counts = [
        write_scores(runtimes[0], out / "0.parquet", only_changes=True).customers,
        write_scores(runtimes[1], out / "1.parquet", only_changes=True).customers,
        write_scores(runtimes[2], out / "2.parquet").customers,
        write_scores(runtimes[3], out / "3.parquet", only_changes=True).customers,
    ]
    assert counts == [50, 1, 50, 2], "the features are the same, but an action is drawn anew each day"
    assert pq.read_table(out / "1.parquet").schema.equals(SCHEMA)


def test_the_news_between_two_days(tmp_path: Path) -> None:
    runtimes = [
        runtime_of(tmp_path / "shop", rows=50, as_of=AS_OF + n * DAY, seed=seed) for n, seed in enumerate([7, 8])
    ]
    for n, runtime in enumerate(runtimes):
        write_scores(runtime, tmp_path / f"{n}.parquet", only_changes=True)
    # In folders of their own, so that nothing is compared.
    (tmp_path / "whole").mkdir()
    write_scores(runtimes[1], tmp_path / "whole" / "1.parquet", again=True)
    before = {row["customer_id"]: row for row in pq.read_table(tmp_path / "0.parquet").to_pylist()}
    now = pq.read_table(tmp_path / "whole" / "1.parquet").to_pylist()
    wanted = [row["customer_id"] for row in now if differs(before[row["customer_id"]], row)]
    assert pq.read_table(tmp_path / "1.parquet").column("customer_id").to_pylist() == wanted
    assert 0 < len(wanted) < 50


def differs(old: Row, new: Row) -> bool:
    """By the words of docs/reference/scores.md."""
    if any(old[name] != new[name] for name in ("status", "churn_band")):
        return True
    if [one["action"] for one in old["recommended_actions"]] != [one["action"] for one in new["recommended_actions"]]:
        return True
    for name in ("churn_probability", "lifetime_value"):
        before, after = old[name], new[name]
        if (before is None) != (after is None):
            return True
        if before is None:
            continue
        limit = 0.05 if name == "churn_probability" else 0.1 * max(abs(before), abs(after))
        if before != after and math.fabs(before - after) >= limit:
            return True
    return False


def test_readers_of_a_folder_and_of_a_table(tmp_path: Path) -> None:
    first, second = (target_of(tmp_path / name) for name in ("a.csv", "b.parquet"))
    assert first.readers == second.readers == str(tmp_path)
    table = target_of("postgresql://kim:secret@host/crm?table=sales.scores")
    assert table.readers == "table sales.scores of crm on host"
