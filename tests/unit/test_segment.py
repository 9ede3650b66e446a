"""The total of a segment: its distribution, and the law of variance behind it found again."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import gamma

from kernel.artefacts import SumSpread
from kernel.segment import SegmentValue, segment_value
from tests.doubles.models import value_predictor
from training.evaluation.sums import LEVEL, sum_spread

SPREAD = SumSpread(method="made up", confidence=0.9, scale=20.0, power=1.5, level=0.05)
SPENDS = np.array([3.0, 8.0, 21.0, 0.0, 144.0])


def relative_width(found: SegmentValue) -> float:
    return (found.high - found.low) / found.expected


def of_level_alone(level: float) -> float:
    """Relative width of a 90 % interval in which nothing but the level is open."""
    low, high = gamma.ppf([0.05, 0.95], level**-2, scale=level**2)
    return float(high - low)


class TestTheInterval:
    @pytest.mark.parametrize("confidence", [0.5, 0.9, 0.99])
    @pytest.mark.parametrize(("scale", "power", "level"), [(20.0, 1.5, 0.05), (0.0, 1.0, 0.2), (3.0, 2.0, 0.0)])
    def test_holds_the_quantiles_of_a_gamma_of_that_mean_and_variance(
        self, confidence: float, scale: float, power: float, level: float
    ) -> None:
        spread = SumSpread(method="", confidence=confidence, scale=scale, power=power, level=level)
        found = segment_value(SPENDS, spread)
        mean = 3.0 + 8.0 + 21.0 + 144.0
        variance = scale * (3.0**power + 8.0**power + 21.0**power + 144.0**power) + (level * mean) ** 2
        # The distribution by its definition: shape k and scale theta have mean k theta and variance k theta^2.
        theta = variance / mean
        total = gamma(a=mean / theta, scale=theta)
        assert (total.mean(), total.var()) == pytest.approx((mean, variance), rel=1e-12)
        assert (found.customers, found.expected, found.confidence) == (5, mean, confidence)
        assert total.cdf([found.low, found.high]) == pytest.approx([(1 - confidence) / 2, (1 + confidence) / 2])

    def test_has_the_chance_of_its_confidence_in_simulated_totals(self) -> None:
        """Independent spends of that mean and variance, and a level of all that is off."""
        generator = np.random.default_rng(1)
        expected = generator.uniform(20, 200, 40)
        variance = SPREAD.scale * expected**SPREAD.power
        spends = generator.gamma(expected**2 / variance, variance / expected, (20_000, 40))
        totals = spends.sum(axis=1) * generator.normal(1.0, SPREAD.level, 20_000)
        found = segment_value(expected, SPREAD)
        assert np.mean(totals < found.low) == pytest.approx(0.05, abs=0.007)
        assert np.mean(totals > found.high) == pytest.approx(0.05, abs=0.007)

    def test_can_rise_further_than_it_can_fall_and_never_falls_below_nothing(self) -> None:
        found = segment_value(np.array([10.0]), SPREAD)
        assert 0 <= found.low < found.expected < found.high
        assert found.high - found.expected > found.expected - found.low

    def test_grows_relatively_narrower_with_more_customers_until_the_share_of_the_level_is_left(self) -> None:
        sizes = (1, 10, 100, 1000, 10_000, 1_000_000)
        widths = [relative_width(segment_value(np.full(size, 50.0), SPREAD)) for size in sizes]
        assert (np.diff(widths) < 0).all()
        assert min(widths) > of_level_alone(SPREAD.level)
        assert widths[-1] == pytest.approx(of_level_alone(SPREAD.level), rel=1e-3)

    def test_without_a_doubt_of_the_level_shrinks_with_the_root_of_the_number(self) -> None:
        exact = SPREAD.model_copy(update={"level": 0.0})
        few, many = (relative_width(segment_value(np.full(n, 50.0), exact)) for n in (1000, 100_000))
        assert few / many == pytest.approx(10.0, rel=5e-3)

    def test_does_not_depend_on_the_currency_unit_where_the_power_is_two(self) -> None:
        square = SPREAD.model_copy(update={"power": 2.0, "scale": 0.7})
        euros, cents = segment_value(SPENDS, square), segment_value(100 * SPENDS, square)
        assert (cents.low, cents.high) == pytest.approx((100 * euros.low, 100 * euros.high), rel=1e-12)

    def test_is_the_same_in_any_order_of_the_customers(self) -> None:
        forth, back = segment_value(SPENDS, SPREAD), segment_value(SPENDS[::-1], SPREAD)
        assert (forth.low, forth.high) == pytest.approx((back.low, back.high), rel=1e-12)

    def test_of_nobody_is_nothing(self) -> None:
        assert segment_value(np.empty(0), SPREAD) == SegmentValue(0, 0.0, 0.0, 0.0, 0.9)

    def test_of_customers_who_are_worth_nothing_is_nothing(self) -> None:
        assert segment_value(np.zeros(3), SPREAD) == SegmentValue(3, 0.0, 0.0, 0.0, 0.9)

    def test_is_less_wide_than_the_sum_of_the_intervals_of_each(self) -> None:
        together = segment_value(np.full(50, 30.0), SPREAD)
        each = segment_value(np.full(1, 30.0), SPREAD)
        assert together.high - together.low < 0.3 * 50 * (each.high - each.low)


def test_the_predictor_asks_with_its_own_spread() -> None:
    model = value_predictor(sums=SPREAD)
    assert model.total(SPENDS) == segment_value(SPENDS, SPREAD)


def planted(scale: float, power: float, rows: int = 20_000, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Expectations, and gamma spends around them whose variance is scale x expectation ** power."""
    generator = np.random.default_rng(seed)
    expected = np.exp(generator.normal(4.0, 1.0, rows))
    variance = scale * expected**power
    return expected, generator.gamma(expected**2 / variance, variance / expected)


class TestTheLawOfVariance:
    @pytest.mark.parametrize(("scale", "power"), [(5.0, 1.0), (5.0, 1.3), (2.0, 1.7), (0.5, 2.0)])
    def test_that_was_planted_is_found(self, scale: float, power: float) -> None:
        found = sum_spread(*planted(scale, power), 0.0)
        assert found.power == pytest.approx(power, abs=0.08)
        # Scale and power make up for one another; what they say of customers in the middle has to be right.
        middle = np.exp(4.5)
        assert found.scale * middle**found.power == pytest.approx(scale * middle**power, rel=0.12)

    def test_has_the_scale_of_all_squared_errors_together(self) -> None:
        expected, actual = planted(2.0, 1.4, rows=2000)
        found = sum_spread(expected, actual, 0.0)
        assert found.scale * np.sum(expected**found.power) == pytest.approx(np.sum((actual - expected) ** 2))

    def test_is_a_straight_line_through_twenty_groups(self) -> None:
        expected, actual = planted(2.0, 1.4, rows=400)
        order = np.argsort(expected)
        means = expected[order].reshape(20, 20).mean(axis=1)
        squares = ((actual - expected)[order] ** 2).reshape(20, 20).mean(axis=1)
        slope = np.cov(np.log(means), np.log(squares))[0, 1] / np.var(np.log(means), ddof=1)
        assert 1.0 < slope < 2.0
        assert sum_spread(expected, actual, 0.0).power == pytest.approx(slope, rel=1e-9)

    @pytest.mark.parametrize(("planted_power", "kept"), [(0.3, 1.0), (3.0, 2.0)])
    def test_keeps_its_power_between_one_and_two(self, planted_power: float, kept: float) -> None:
        assert sum_spread(*planted(0.5, planted_power), 0.0).power == kept

    def test_the_level_is_the_usual_doubt_and_that_of_the_two_estimates(self) -> None:
        expected, actual = planted(2.0, 1.4, rows=400)
        assert sum_spread(expected, actual, 0.0).level == LEVEL
        assert sum_spread(expected, actual, 0.12).level == pytest.approx((LEVEL**2 + 0.12**2) ** 0.5)

    def test_of_fewer_rows_than_twenty_groups_of_ten_is_the_level_alone(self) -> None:
        expected, actual = planted(2.0, 1.4, rows=199)
        found = sum_spread(expected, actual, 0.1)
        assert (found.scale, found.power) == (0.0, 1.0)
        assert relative_width(segment_value(expected, found)) == pytest.approx(of_level_alone(found.level))
        assert sum_spread(*planted(2.0, 1.4, rows=200), 0.1).scale > 0

    def test_of_customers_who_are_all_expected_to_spend_the_same_has_a_power_of_one(self) -> None:
        expected, actual = np.full(400, 10.0), np.tile([0.0, 30.0], 200)
        found = sum_spread(expected, actual, 0.0)
        assert (found.power, found.scale) == (1.0, pytest.approx((100.0 + 400.0) / 2 / 10.0))

    def test_of_expectations_that_all_came_true_leaves_nothing_open_but_the_level(self) -> None:
        expected = np.linspace(1.0, 50.0, 400)
        found = sum_spread(expected, expected, 0.0)
        assert (found.scale, found.power) == (0.0, 1.0)
