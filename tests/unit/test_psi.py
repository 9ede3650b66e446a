"""PSI against values computed by hand, its bounds, and what is no drift."""

from __future__ import annotations

from math import log

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ncx2

from kernel.alerts import Level
from kernel.monitoring_settings import MonitoringSettings
from tests.drifting import COLUMNS, customers, drifted, reference, share_of_alarms
from training.monitoring.drift import feature_drift, psi_level
from training.monitoring.shape import Psi, Shape, number_shape, psi, word_shape


def two(first: int, second: int) -> Shape:
    return Shape(edges=(0.0,), counts=(first, second, 0))


class TestShape:
    def test_ten_bins_of_equal_size_and_one_for_the_unknown(self) -> None:
        found = number_shape(np.array([*range(100), np.nan, np.nan]))
        assert found.counts == (10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 2)
        assert found.edges == (9, 19, 29, 39, 49, 59, 69, 79, 89)
        assert (found.customers, found.missing) == (102, 2 / 102)
        assert found.mean == 49.5

    def test_a_bound_belongs_to_the_bin_below_so_that_many_zeros_have_their_own(self) -> None:
        found = number_shape(np.array([0.0] * 6 + [1.0] * 4))
        assert (found.edges, found.counts) == ((0.0, 1.0), (6, 4, 0, 0))
        assert found.of(pd.Series([0.0, 0.3, 2.0, np.nan])).counts == (1, 1, 1, 1)

    def test_nobody_known_is_one_bin_that_stays_empty(self) -> None:
        found = number_shape(np.full(3, np.nan))
        assert (found.edges, found.counts, found.mean) == ((), (0, 3), None)

    def test_words_have_a_bin_each_then_other_words_then_the_unknown(self) -> None:
        found = word_shape(pd.Series(["b", "a", "b", None, "c"], dtype="object"), ("a", "b"))
        assert (found.counts, found.other_words, found.missing) == ((1, 2, 1, 1), 0.2, 0.2)

    def test_reads_back_as_it_was_written(self) -> None:
        found = number_shape(np.random.default_rng(0).normal(size=50))
        assert Shape.model_validate_json(found.model_dump_json()) == found


class TestPsi:
    def test_by_hand(self) -> None:
        found = psi(two(50, 50), two(80, 20))
        # Half a customer in every bin: 50.5, 50.5 and 80.5, 20.5 of 101.
        q = 80.5 / 101
        assert found.value == pytest.approx((0.5 - q) * log(0.5 / q) + (q - 0.5) * log(0.5 / (1 - q)), abs=1e-12)
        assert found.value == pytest.approx(0.40625, abs=5e-5)
        assert found.by_chance == pytest.approx(1 / 100 + 1 / 100)
        assert found.beyond_chance == pytest.approx(found.value - 0.02)

    def test_the_bounds_are_those_of_the_noncentral_chi_square(self) -> None:
        found = psi(two(5000, 5000), two(5500, 4500), confidence=0.9)
        scale = 1 / 10_000 + 1 / 10_000
        assert float(ncx2.sf(found.value / scale, 1, found.low / scale)) == pytest.approx(0.05, abs=2e-3)
        assert float(ncx2.cdf(found.value / scale, 1, found.high / scale)) == pytest.approx(0.05, abs=2e-3)

    def test_equal_populations_are_at_zero_and_below_what_chance_adds(self) -> None:
        found = psi(two(50, 50), two(50, 50))
        assert (found.value, found.low, found.high, found.beyond_chance) == (0, 0, 0, 0)

    def test_bins_that_are_empty_in_both_do_not_count(self) -> None:
        with_empty = Shape(edges=(0.0, 1.0), counts=(50, 0, 50, 0))
        other = Shape(edges=(0.0, 1.0), counts=(80, 0, 20, 0))
        assert psi(with_empty, other) == psi(two(50, 50), two(80, 20))

    def test_nobody_or_a_single_bin_tells_nothing(self) -> None:
        assert psi(two(50, 50), two(0, 0)) == psi(two(50, 0), two(9, 0)) == Psi(0, 0, 0, 0, 0.95)

    def test_a_value_that_appears_at_missing_is_far(self) -> None:
        found = psi(Shape(edges=(0.0,), counts=(500, 500, 0)), Shape(edges=(0.0,), counts=(450, 450, 100)))
        assert found.low > 0.1

    @pytest.mark.parametrize(("customers", "fewest"), [(200, 0.92), (2000, 0.92)])
    def test_the_interval_holds_the_truth(self, customers: int, fewest: float) -> None:
        random, share = np.random.default_rng(3), np.full(5, 0.2)
        moved = np.array([0.3, 0.25, 0.2, 0.15, 0.1])
        truth = float((share - moved) @ np.log(share / moved))
        found = [
            psi(
                Shape(counts=tuple(map(int, random.multinomial(customers, share)))),
                Shape(counts=tuple(map(int, random.multinomial(customers, moved)))),
            )
            for _ in range(300)
        ]
        assert np.mean([one.low <= truth <= one.high for one in found]) >= fewest

    def test_its_expectation_without_drift_is_what_chance_adds(self) -> None:
        random, share = np.random.default_rng(4), np.full(10, 0.1)
        found = [
            psi(Shape(counts=tuple(map(int, first))), Shape(counts=tuple(map(int, second))))
            for first, second in zip(*(random.multinomial(500, share, 400) for _ in range(2)), strict=True)
        ]
        assert np.mean([one.value for one in found]) == pytest.approx(9 * 2 / 500, rel=0.05)


class TestFeatures:
    def test_no_alarm_where_nothing_changed(self) -> None:
        # make soak looks 400 times, at more sizes.
        assert share_of_alarms(20, 200, 200) == (0, 0)
        assert share_of_alarms(10, 2000, 1000) == (0, 0)

    def test_a_real_shift_is_an_alarm_and_comes_first(self) -> None:
        found = drifted(5, 1000, 1000, shift=1.0)
        assert found[0].column.name == "x0"
        assert [one.column.name for one in found if one.level is not Level.OK] == ["x0"]
        assert found[0].level is Level.ALARM
        assert found[0].psi.low > 0.25

    def test_what_moves_all_the_time_is_no_alarm(self) -> None:
        random = np.random.default_rng(5)
        known, now = reference(customers(random, 1000), moved=1.2), customers(random, 1000, shift=1.0)
        assert {one.level for one in feature_drift(known, COLUMNS, now, MonitoringSettings())} == {Level.OK}

    def test_new_words_and_missing_values(self) -> None:
        random = np.random.default_rng(6)
        known, now = reference(customers(random, 1000)), customers(random, 1000)
        now["region"] = np.where(random.random(1000) < 0.5, "overseas", now["region"])
        now["x1"] = np.where(random.random(1000) < 0.8, np.nan, now["x1"])
        found = {one.column.name: one for one in feature_drift(known, COLUMNS, now, MonitoringSettings())}
        assert (found["region"].level, found["x1"].level) == (Level.ALARM, Level.ALARM)
        assert found["region"].now.other_words == pytest.approx(0.5, abs=0.05)
        assert (found["x1"].lost, found["region"].lost) == (True, False)

    def test_a_year_ago_explains_a_season(self) -> None:
        random = np.random.default_rng(7)
        known, now = reference(customers(random, 1000)), customers(random, 1000, shift=1.0)
        for shift, explains in ((1.0, True), (0.0, False)):
            year = customers(random, 1000, shift=shift)
            found = feature_drift(known, COLUMNS, now, MonitoringSettings(), year)
            assert [one.as_last_year for one in found if one.level is Level.ALARM] == [explains]


@pytest.mark.parametrize(
    ("low", "moved", "level"),
    [
        (0.1, 0, Level.OK),
        (0.11, 0, Level.WATCH),
        (0.26, 0, Level.ALARM),
        (0.26, 0.3, Level.OK),
        (0.31, 0.3, Level.ALARM),
    ],
)
def test_only_the_lower_bound_counts(low: float, moved: float, level: Level) -> None:
    assert psi_level(Psi(9, 0, low, 9, 0.95), MonitoringSettings(), moved) is level
