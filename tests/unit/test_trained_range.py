"""What a model has not seen is noticed; what merely grows with the calendar is not."""

from __future__ import annotations

import numpy as np
import pytest

from kernel.part import Floats
from kernel.trained_range import TrainedRange, trained_range

COLUMNS = 20


def rows(count: int = 5000, seed: int = 1) -> Floats:
    random = np.random.default_rng(seed)
    inputs = random.exponential(10, (count, COLUMNS))
    inputs[:, 1][random.random(count) < 0.3] = np.nan
    inputs[:, 2] = random.integers(0, 3, count)
    return inputs


@pytest.fixture(scope="module")
def seen() -> TrainedRange:
    return trained_range(rows(), np.arange(COLUMNS) == 2)


def test_other_customers_of_the_same_kind_are_inside(seen: TrainedRange) -> None:
    assert seen.is_outside(rows(5000, 2)).mean() < 0.001


def test_a_hundred_times_the_amounts_are_outside(seen: TrainedRange) -> None:
    assert seen.is_outside(rows(10, 2) * 100).all()


def test_one_column_that_grows_is_inside(seen: TrainedRange) -> None:
    grown = rows(10, 2)
    grown[:, 0] *= 100
    assert not seen.is_outside(grown).any()


def test_what_was_always_known_must_be(seen: TrainedRange) -> None:
    lacking = rows(10, 2)
    lacking[:, 1] = np.nan  # was unknown of many
    assert not seen.is_outside(lacking).any()
    lacking[:, 5:10] = np.nan
    assert seen.is_outside(lacking).all()


def test_words_have_no_range(seen: TrainedRange) -> None:
    assert (seen.low[2], seen.high[2]) == (None, None)


def test_no_rows_are_no_question(seen: TrainedRange) -> None:
    assert seen.is_outside(np.empty((0, COLUMNS))).shape == (0,)


def test_it_survives_being_stored(seen: TrainedRange) -> None:
    assert TrainedRange.model_validate_json(seen.model_dump_json()) == seen


def test_nothing_known_of_a_column_is_no_bound() -> None:
    inputs = rows()
    inputs[:, 3] = np.nan
    found = trained_range(inputs, np.zeros(COLUMNS, dtype=bool))
    assert (found.low[3], found.high[3], found.needed[3]) == (None, None, False)
