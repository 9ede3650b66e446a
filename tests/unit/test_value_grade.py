"""Grades of lifetime value by hand, and the curves that show how well customers are ordered."""

from __future__ import annotations

import time

import numpy as np
import pytest

from training.evaluation.value import DecileBin, deciles, gini, lorenz
from training.evaluation.value_grade import ValueGrade, grade_value

SPEND = np.linspace(200, 1, 200)  # the first are of the highest value


def _catches(caught: int, high_value: int = 40) -> np.ndarray:
    """Expected spend whose top holds so many of the truly high-value customers, who are the first."""
    expected = np.zeros(len(SPEND))
    expected[:caught] = 1.0
    expected[len(SPEND) - (high_value - caught) :] = 1.0
    return expected


def _graded(model: int, baseline: int) -> ValueGrade:
    found = grade_value(_catches(model), SPEND, _catches(baseline), share=0.2)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("model", "baseline", "letter"),
    [(21, 20, "A"), (40, 20, "A"), (31, 30, "B"), (20, 20, "B"), (19, 20, "C"), (0, 20, "C"), (5, 0, "A"), (0, 0, "C")],
)
def test_the_letter_says_how_many_more_the_model_catches(model: int, baseline: int, letter: str) -> None:
    assert _graded(model, baseline).letter == letter


def test_found_is_the_share_of_the_true_ones_and_the_advantage_their_ratio() -> None:
    graded = _graded(30, 20)
    assert (graded.high_value, graded.found, graded.baseline_found) == (40, 0.75, 0.5)
    assert graded.advantage.estimate == pytest.approx(0.5)
    assert graded.advantage.confidence == 0.9
    assert graded.advantage.low < 0.5 < graded.advantage.high
    assert sum(graded.sureness.values()) == pytest.approx(1)
    assert list(graded.sureness) == ["A", "B", "C"]


def test_a_model_that_is_the_baseline_is_a_sure_b() -> None:
    graded = _graded(30, 30)
    assert (graded.advantage.estimate, graded.advantage.low, graded.advantage.high) == (0.0, 0.0, 0.0)
    assert graded.sureness == {"A": 0.0, "B": 1.0, "C": 0.0}


def test_the_same_seed_gives_the_same_sureness() -> None:
    random = np.random.default_rng(1)
    spend = random.gamma(0.5, 100, 300)
    model, baseline = spend * random.gamma(2, 1, 300), spend * random.gamma(1, 1, 300)
    first, again, other = (grade_value(model, spend, baseline, share=0.2, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_resampled_grades_are_those_of_the_customers_written_out() -> None:
    random = np.random.default_rng(5)
    spend, model, baseline = random.integers(-2, 6, (3, 200)).astype("float64")  # many ties, some refunds
    model[:60], baseline[:30] = spend[:60], spend[:30]
    graded = grade_value(model, spend, baseline, share=0.6, seed=9)
    draw, advantages = np.random.default_rng(9), []
    for _ in range(1000):
        chosen = np.sort(draw.integers(200, size=200))
        true, ours, theirs = (
            set(np.argsort(-values[chosen], kind="stable")[:120]) for values in (spend, model, baseline)
        )
        true = {place for place in true if spend[chosen][place] > 0}
        advantages.append(len(true & ours) / len(true & theirs) - 1)
    assert graded is not None
    assert (graded.advantage.low, graded.advantage.high) == pytest.approx(tuple(np.quantile(advantages, [0.05, 0.95])))
    assert graded.sureness["A"] == np.mean(np.array(advantages) >= 0.05)
    assert graded.sureness["C"] == np.mean(np.array(advantages) < 0)
    assert 0 < graded.sureness["C"] < graded.sureness["A"] < 1


def test_of_equal_values_the_first_count() -> None:
    spend = np.repeat([5.0, 0.0], [20, 80])
    # All are alike to the model: its top are the first 20, who are right; the baseline has them last.
    graded = grade_value(np.ones(100), spend, np.arange(100.0), share=0.2)
    assert graded is not None
    assert (graded.found, graded.baseline_found, graded.letter) == (1.0, 0.0, "A")
    assert graded.advantage.estimate == 1.0


def test_who_spent_nothing_is_never_of_high_value() -> None:
    spend = np.repeat([0.0, -7.0, 3.0], [50, 38, 12])
    graded = grade_value(np.arange(100.0), spend, -np.arange(100.0), share=0.5)
    assert graded is not None
    assert (graded.high_value, graded.found, graded.baseline_found) == (12, 1.0, 0.0)


def test_an_unknown_expectation_is_the_lowest() -> None:
    expected = np.where(np.arange(200) < 40, SPEND, np.nan)
    graded = grade_value(expected, SPEND, np.full(200, np.nan), share=0.2)
    assert graded is not None
    assert graded.found == 1.0


@pytest.mark.parametrize(
    ("spend", "share"),
    [
        (np.zeros(200), 0.2),
        (np.full(200, -1.0), 0.2),
        (np.linspace(200, 1, 200), 0.045),
        (np.repeat([8.0, 0.0], [9, 191]), 0.2),
    ],
)
def test_nothing_spent_or_fewer_than_ten_of_high_value_have_no_grade(spend: np.ndarray, share: float) -> None:
    assert grade_value(SPEND, spend, SPEND, share=share) is None


def test_ten_of_high_value_have_a_grade() -> None:
    graded = grade_value(SPEND, SPEND, SPEND, share=0.05)
    assert graded is not None
    assert (graded.high_value, graded.letter) == (10, "B")


def test_few_customers_earn_an_a_that_is_not_sure() -> None:
    random = np.random.default_rng(2)
    spend = random.gamma(0.5, 100, 150)
    model, baseline = spend * random.gamma(3, 1, 150), spend * random.gamma(1, 1, 150)
    few = grade_value(model, spend, baseline, share=0.2)
    many = grade_value(np.tile(model, 20), np.tile(spend, 20), np.tile(baseline, 20), share=0.2)
    assert few is not None
    assert many is not None
    assert (few.letter, few.found) == (many.letter, many.found)
    assert few.letter == "A"
    assert many.sureness["A"] > few.sureness["A"]
    assert few.advantage.high - few.advantage.low > 2 * (many.advantage.high - many.advantage.low)


def test_a_grade_of_2500_customers_takes_seconds_at_most() -> None:
    values = np.random.default_rng(0).gamma(0.5, 100, (3, 2500))
    started = time.process_time()
    grade_value(*values, share=0.2)
    assert time.process_time() - started < 5


class TestDeciles:
    def test_are_equally_many_customers_by_falling_expected_spend(self) -> None:
        expected = np.arange(20.0)
        found = deciles(expected, expected * 2)
        assert [one.customers for one in found] == [2] * 10
        assert [one.expected for one in found] == [18.5 - 2 * k for k in range(10)]
        # Two customers of 38 and 36: standard deviation sqrt 2, of their mean 1.
        half = 1.959963984540054
        assert (found[0].actual, found[0].low, found[0].high) == pytest.approx((37, 37 - half, 37 + half), abs=1e-12)

    def test_of_equal_expectations_keep_the_order_of_the_rows(self) -> None:
        assert [one.actual for one in deciles(np.ones(20), np.arange(20.0))] == [0.5 + 2 * k for k in range(10)]

    def test_can_be_below_zero(self) -> None:
        assert deciles(np.zeros(20), np.full(20, -3.0)) == [DecileBin(2, 0.0, -3.0, -3.0, -3.0)] * 10

    def test_of_three_customers_are_three_without_bounds(self) -> None:
        found = deciles(np.array([1.0, 3.0, 2.0]), np.array([10.0, 30.0, 20.0]))
        assert [(one.customers, one.actual) for one in found] == [(1, 30.0), (1, 20.0), (1, 10.0)]
        assert all(np.isnan([one.low, one.high]).all() for one in found)


class TestLorenz:
    def test_is_the_share_of_the_spend_of_the_first_customers(self) -> None:
        taken, spent = lorenz(np.array([1.0, 3.0, 2.0, 0.0]), np.array([30.0, 50.0, 20.0, 0.0]))
        assert taken == pytest.approx([0, 0.25, 0.5, 0.75, 1])
        assert spent == pytest.approx([0, 0.5, 0.7, 1, 1])

    def test_has_one_point_for_equal_values(self) -> None:
        taken, spent = lorenz(np.array([2.0, 1.0, 1.0, 1.0]), np.array([40.0, 60.0, 0.0, 0.0]))
        assert taken == pytest.approx([0, 0.25, 1])
        assert spent == pytest.approx([0, 0.4, 1])

    def test_rises_above_one_where_the_last_returned_more_than_they_bought(self) -> None:
        _, spent = lorenz(np.array([3.0, 2.0, 1.0]), np.array([60.0, 60.0, -20.0]))
        assert spent == pytest.approx([0, 0.6, 1.2, 1])

    def test_is_the_curve_of_the_gini(self) -> None:
        order_by = np.random.default_rng(4).permutation(50).astype("float64")
        actual = np.random.default_rng(5).gamma(0.5, 100, 50)
        _, spent = lorenz(order_by, actual)
        assert spent[1:].mean() - 51 / 100 == pytest.approx(gini(order_by, actual))

    @pytest.mark.parametrize("actual", [[0.0, 0.0], [5.0, -5.0], [1.0, -5.0]])
    def test_says_nothing_of_a_total_that_is_not_positive(self, actual: list[float]) -> None:
        taken, spent = lorenz(np.array([2.0, 1.0]), np.array(actual))
        assert list(taken) == [0.0, 1.0]
        assert np.isnan(spent).all()
