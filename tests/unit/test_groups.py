"""The interval of the churn rate among 100 similar customers holds what it says, on later rows too."""

from __future__ import annotations

import numpy as np
import pytest

from kernel.artefacts import GroupInterval
from kernel.part import Floats
from training.evaluation.groups import CONFIDENCE, coverage, group_interval

WEEKS = np.array(["2017-01-01", "2017-01-08", "2017-01-15"], dtype="datetime64[us]")


def cohort(rows: int, seed: int, *, off: float = 0.0) -> tuple[Floats, Floats]:
    """Predictions, and outcomes whose log-odds lie ``off`` away."""
    random = np.random.default_rng(seed)
    log_odds = random.normal(-1.5, 1, rows)
    truth = 1 / (1 + np.exp(-(log_odds + off)))
    return 1 / (1 + np.exp(-log_odds)), (random.random(rows) < truth).astype(float)


def several(rows: int, seed: int, offs: tuple[float, ...]) -> tuple[Floats, Floats, np.ndarray]:
    parts = [cohort(rows, seed + i, off=off) for i, off in enumerate(offs)]
    predictions, outcomes = (np.concatenate(part) for part in zip(*parts, strict=True))
    return predictions, outcomes, np.repeat(WEEKS[: len(offs)], rows)


def test_it_holds_nine_groups_in_ten_of_later_customers() -> None:
    interval = group_interval(*several(20_000, 1, (0.0, 0.0, 0.0)))
    held = np.concatenate([coverage(*cohort(20_000, 100 + seed), interval) for seed in range(10)])
    assert (interval.groups, len(held)) == (600, 2000)
    assert held.mean() == pytest.approx(CONFIDENCE, abs=0.02)


def test_times_that_differ_make_it_wider() -> None:
    steady = group_interval(*several(5_000, 1, (0.0, 0.0, 0.0)))
    moving = group_interval(*several(5_000, 1, (-0.6, 0.0, 0.6)))
    assert moving.half_width > 1.5 * steady.half_width


def test_of_a_perfect_model_it_is_as_wide_as_chance() -> None:
    interval = group_interval(*several(20_000, 5, (0.0, 0.0, 0.0)))
    assert interval.half_width == pytest.approx(1.645 / (2 * 100**0.5), rel=0.06)


def test_few_customers_make_smaller_groups_and_an_interval_that_errs_on_the_wide_side() -> None:
    few = np.array([group_interval(*several(150, seed, (0.0, 0.0))).half_width for seed in range(40)])
    assert 1 < np.median(few) / (1.645 / (2 * 100**0.5)) < 1.7


@pytest.mark.parametrize("probability", [0.0, 1e-12, 0.2, 0.97, 1.0])
def test_the_bounds_enclose_the_prediction_and_stay_possible(probability: float) -> None:
    interval = GroupInterval(method="m", confidence=0.9, customers=100, half_width=0.08, groups=9)
    low, high = interval.bounds(np.array([probability]))
    assert 0 <= low[0] <= probability <= high[0] <= 1
    assert high[0] - low[0] > 0.005


def test_fewer_customers_than_a_group_are_no_measurement() -> None:
    interval = group_interval(*several(1000, 1, (0.0, 0.0)))
    assert len(coverage(*cohort(60, 3), interval)) == 0
