"""Planted leaks: each is refused or reported."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from kernel.errors import DataError
from training.dataset import LabelledSet
from training.evaluation.leaks import LEAK, auc_alone, check_split, suspects
from training.labels.window import LabelWindow

WINDOW = LabelWindow(56)
JUNE = datetime(2024, 6, 1, tzinfo=UTC)


def labelled(cutoffs: list[datetime], customers: int = 50, seed: int = 1, window: LabelWindow = WINDOW) -> LabelledSet:
    random = np.random.default_rng(seed)
    rows = len(cutoffs) * customers
    index = pd.Index([f"c{i % customers}" for i in range(rows)], name="customer_id")
    return LabelledSet(
        features=pd.DataFrame({"orders": random.random(rows), "city": ["a", None] * (rows // 2)}, index=index),
        cutoff=np.repeat([np.datetime64(one.replace(tzinfo=None), "us") for one in cutoffs], customers),
        label=random.integers(0, 2, rows).astype(float),
        in_cohort=np.ones(rows, dtype=bool),
        window=window,
        name="churned",
    )


def joined(first: LabelledSet, second: LabelledSet) -> LabelledSet:
    return LabelledSet(
        pd.concat([first.features, second.features]),
        np.concatenate([first.cutoff, second.cutoff]),
        np.concatenate([first.label, second.label]),
        np.concatenate([first.in_cohort, second.in_cohort]),
        first.window,
        first.name,
    )


def test_a_split_in_time_passes() -> None:
    train = labelled([JUNE - timedelta(days=84), JUNE - timedelta(days=56)])
    assert check_split(train, labelled([JUNE], seed=2)) == 0


def test_a_random_split_is_refused() -> None:
    rows = labelled([JUNE - timedelta(days=14 * back) for back in range(8)])
    part = np.random.default_rng(3).random(len(rows)) < 0.8
    with pytest.raises(DataError, match="a past that it has seen") as refused:
        check_split(rows.rows(part), rows.rows(~part))
    assert "Split by time" in refused.value.fix


def test_labels_that_are_not_ripe_at_the_test_are_refused() -> None:
    train = labelled([JUNE - timedelta(days=55)])
    with pytest.raises(DataError, match="known only on 2024-06-02, after the first cut-off of the test, 2024-06-01"):
        check_split(train, labelled([JUNE], seed=2))


def test_a_gap_and_the_days_until_an_outcome_is_certain_count() -> None:
    late = LabelWindow(28, gap_days=14, maturity_days=30)
    passes, fails = (labelled([JUNE - timedelta(days=days)], window=late) for days in (72, 71))
    assert check_split(passes, labelled([JUNE], seed=2)) == 0
    with pytest.raises(DataError):
        check_split(fails, labelled([JUNE], seed=2))


def test_the_fix_names_a_date_that_passes() -> None:
    with pytest.raises(DataError) as refused:
        check_split(labelled([JUNE - timedelta(days=14)]), labelled([JUNE], seed=2))
    until = datetime.fromisoformat(refused.value.fix.split("until ")[1][:10]).replace(tzinfo=UTC)
    assert check_split(labelled([until]), labelled([JUNE], seed=2)) == 0


def test_duplicates_across_the_split_are_counted() -> None:
    train, test = labelled([JUNE - timedelta(days=56)]), labelled([JUNE], seed=2)
    copies = train.rows(np.arange(50) < 7)
    copies = LabelledSet(
        copies.features.set_axis([f"copy{i}" for i in range(7)]),
        test.cutoff[:7],
        copies.label,
        copies.in_cohort,
        WINDOW,
        "churned",
    )
    assert check_split(train, joined(test, copies)) == 7


def test_the_label_window_within_a_feature_is_found() -> None:
    random = np.random.default_rng(1)
    before, left = random.exponential(20, 5000), random.random(5000) < 0.2
    features = pd.DataFrame(
        {
            "honest": before + 10 * left,
            # Built as of the end of the window: who left has been away for all of it.
            "too_late": np.where(left, before + 56, random.uniform(0, 56, 5000)),
            "reason": np.where(left, "price", None),
            "noise": random.normal(size=5000),
            "nothing": np.nan,
        }
    )
    found = suspects(features, list(features.columns), left.astype(float))
    assert set(found) == {"reason", "too_late"}
    assert all(auc >= LEAK for auc in found.values())
    assert suspects(features, ["too_late"], np.zeros(5000)) == {}


def test_numbers_count_in_either_direction_and_so_does_their_absence() -> None:
    left = np.array([0.0, 0, 0, 1, 1, 1])
    assert auc_alone(pd.Series([3.0, 2, 1, -1, -2, -3]), left) == 1
    assert auc_alone(pd.Series([1.0, 2, 3, np.nan, np.nan, np.nan]), left) == 1
    assert auc_alone(pd.Series([1.0, 2, 3, 1, 2, 3]), left) == 0.5
