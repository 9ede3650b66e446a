"""Spend over other horizons: looked at where outcomes are over, carried on from the longest of them elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from kernel.artefacts import HorizonValue
from kernel.value_predictor import HORIZON_MONTHS, ValuePredictor
from tests.doubles.models import features, value_predictor
from training.dataset import TrainingSet
from training.evaluation.similar import ratio_intervals
from training.models.value_horizons import horizon_values

LEARNT = 56  # of the double
DAYS = {1: 30, 3: 91, 6: 183, 12: 365, 24: 730}
ROWS = 600
FEWEST = 200


def rows(count: int = ROWS, *, without_purchase: int = 0) -> TrainingSet:
    """Rows whose spend lies around their expectation."""
    frame = features(count).fillna({"spend_90d": 5.0})
    unknown = ["recency_days", "T_days", "days_since_last_purchase", "frequency", "monetary_value"]
    frame.loc[frame.index[:without_purchase], unknown] = np.nan
    spend = expectation(count) * np.random.default_rng(4).gamma(2.0, 0.5, count)
    now = np.full(count, np.datetime64("2024-01-01", "us"))
    return TrainingSet(frame, now, np.zeros(count), spend, np.ones(count, dtype=bool))


def expectation(count: int = ROWS) -> np.ndarray:
    return np.random.default_rng(3).gamma(2.0, 40.0, count)


def course(model: ValuePredictor, data: TrainingSet, days: int) -> np.ndarray:
    """How much more than in the learnt horizon is bought in so many days, as the model of purchases itself says."""
    histories = [data.features[name].to_numpy() for name in ("frequency", "recency_days", "T_days")]
    known = np.isfinite(histories[2])
    found = np.full(len(data), days / LEARNT)
    asked = [column[known] for column in histories]
    purchases = model.manifest.purchases.model().expected_purchases
    found[known] = purchases(days, *asked) / purchases(LEARNT, *asked)
    return found


class Outcomes:
    """A ``beyond``: spend as the curve foretells times ``level`` and chance, of so many of the first rows."""

    def __init__(self, model: ValuePredictor, over: Mapping[int, int], level: float = 1.0) -> None:
        self.model, self.over, self.level = model, over, level
        self.asked: list[int] = []

    def __call__(self, data: TrainingSet, days: int) -> np.ndarray:
        self.asked.append(days)
        luck = np.random.default_rng(days).gamma(2.0, 0.5, len(data))
        spend = self.level * expectation(len(data)) * course(self.model, data, days) * luck
        return np.where(np.arange(len(data)) < self.over.get(days, 0), spend, np.nan)


def horizons(over: Mapping[int, int], level: float = 1.0, data: TrainingSet | None = None) -> dict[int, HorizonValue]:
    model, data = value_predictor(), data or rows()
    found = horizon_values(model, data, expectation(len(data)), Outcomes(model, over, level))
    assert [one.months for one in found] == list(HORIZON_MONTHS)
    return {one.months: one for one in found}


def test_lengths_are_whole_days_and_each_is_asked_for_once() -> None:
    model = value_predictor()
    outcomes = Outcomes(model, {})
    found = horizon_values(model, rows(), expectation(), outcomes)
    assert {one.months: one.days for one in found} == DAYS
    assert outcomes.asked == list(DAYS.values())


class TestShown:
    @pytest.mark.parametrize(("over", "shown"), [(FEWEST - 1, False), (FEWEST, True)])
    def test_it_takes_two_hundred_rows_that_are_over(self, over: int, shown: bool) -> None:
        found = horizons({91: over})
        assert {months: one.is_shown for months, one in found.items()} == {
            1: False, 3: shown, 6: False, 12: False, 24: False,
        }  # fmt: skip

    def test_nothing_spent_shows_nothing(self) -> None:
        found = horizons({91: ROWS}, level=0.0)
        assert not found[3].is_shown
        assert found[3].level == 1.0

    def test_nothing_spent_in_the_learnt_horizon_shows_nothing(self) -> None:
        data = rows()
        data = TrainingSet(data.features, data.cutoff, data.churned, np.zeros(ROWS), data.active)
        assert not horizons({91: ROWS}, data=data)[3].is_shown

    def test_the_level_is_what_came_beside_what_came_in_the_learnt_horizon(self) -> None:
        model, data, over = value_predictor(), rows(), 400
        outcomes = Outcomes(model, {183: over}, level=1.7)
        found = horizon_values(model, data, expectation(), outcomes)[2]
        carried = (expectation() * course(model, data, 183))[:over]
        came = outcomes(data, 183)[:over].sum() / carried.sum()
        learnt = data.spend[:over].sum() / expectation()[:over].sum()
        assert found.level == pytest.approx(came / learnt, rel=1e-9)
        assert found.level == pytest.approx(1.7, rel=0.15)

    def test_a_rich_season_says_nothing_of_the_curve(self) -> None:
        data = rows()
        rich = TrainingSet(data.features, data.cutoff, data.churned, 3 * data.spend, data.active)
        plain, season = horizons({183: ROWS}, 1.0, data)[6], horizons({183: ROWS}, 3.0, rich)[6]
        assert season.level == pytest.approx(plain.level, rel=1e-12)

    def test_the_intervals_are_those_around_what_was_foretold_at_the_level_of_these_months(self) -> None:
        model, data = value_predictor(), rows()
        outcomes = Outcomes(model, {183: ROWS}, level=1.7)
        found = horizon_values(model, data, expectation(), outcomes)[2]
        spend, carried = outcomes(data, 183), expectation() * course(model, data, 183)
        assert found.intervals == ratio_intervals(carried * (spend.sum() / carried.sum()), spend)
        assert found.intervals.method.startswith("quantiles of actual over predicted")

    def test_a_customer_without_a_purchase_goes_on_in_a_straight_line(self) -> None:
        data = rows(without_purchase=ROWS)
        model = value_predictor()
        outcomes = Outcomes(model, {365: ROWS})
        found = horizon_values(model, data, expectation(), outcomes)[3]
        spend, carried = outcomes(data, 365), expectation() * 365 / LEARNT
        assert found.level == pytest.approx(
            spend.sum() / carried.sum() / (data.spend.sum() / expectation().sum()), rel=1e-9
        )


class TestCarriedOn:
    def test_from_the_learnt_horizon_where_nothing_longer_is_over(self) -> None:
        data, found = rows(), horizons({})
        learnt = ratio_intervals(expectation(), data.spend)
        for months, one in found.items():
            widened = max(DAYS[months] / LEARNT, 1.0) ** 0.5
            stretch = (expectation() * course(value_predictor(), data, DAYS[months])).mean() / expectation().mean()
            assert (one.level, one.is_shown) == (1.0, False)
            assert one.intervals.prediction == pytest.approx(np.array(learnt.prediction) * stretch, rel=1e-9)
            assert one.intervals.low == pytest.approx(np.array(learnt.low) ** widened, rel=1e-12)
            assert one.intervals.high == pytest.approx(np.array(learnt.high) ** widened, rel=1e-12)

    def test_from_the_longest_that_is_over_with_its_level(self) -> None:
        found = horizons({30: ROWS, 91: ROWS, 183: ROWS}, level=1.7)
        assert [found[months].is_shown for months in HORIZON_MONTHS] == [True, True, True, False, False]
        assert found[12].level == found[24].level == found[6].level
        assert found[6].level != found[3].level
        for months, days in ((12, 365), (24, 730)):
            widened = (days / 183) ** 0.5
            assert found[months].intervals.low == pytest.approx(np.array(found[6].intervals.low) ** widened)
            assert found[months].intervals.high == pytest.approx(np.array(found[6].intervals.high) ** widened)
            assert found[months].intervals.method.endswith(f", widened {widened:.2f} times beyond the history")

    def test_on_the_logarithm_twice_the_time_is_as_much_wider_as_a_random_walk(self) -> None:
        found = horizons({})
        year, two_years = (np.log(found[months].intervals.high) for months in (12, 24))
        assert two_years / year == pytest.approx(np.full(len(year), 2**0.5), rel=1e-9)

    def test_a_shorter_one_than_the_learnt_is_as_wide_as_that(self) -> None:
        data, found = rows(), horizons({})
        learnt = ratio_intervals(expectation(), data.spend)
        assert (found[1].intervals.low, found[1].intervals.high) == (learnt.low, learnt.high)
        assert "widened 1.00 times" in found[1].intervals.method

    def test_a_shorter_one_that_is_over_does_not_become_the_longest(self) -> None:
        found, none = horizons({30: ROWS}, level=2.0), horizons({})
        assert found[1].is_shown
        assert found[1].level == pytest.approx(2.0, rel=0.15)
        assert [found[months] for months in (3, 6, 12, 24)] == [none[months] for months in (3, 6, 12, 24)]

    def test_a_length_between_that_is_not_over_takes_the_shorter_one(self) -> None:
        found = horizons({91: ROWS, 365: ROWS}, level=1.3)
        assert [found[months].is_shown for months in HORIZON_MONTHS] == [False, True, False, True, False]
        assert found[6].level == found[3].level
        assert found[24].level == found[12].level

    def test_the_intervals_never_grow_narrower_beyond_the_history(self) -> None:
        found = horizons({91: ROWS})
        highs = np.array([found[months].intervals.high for months in (3, 6, 12, 24)])
        lows = np.array([found[months].intervals.low for months in (3, 6, 12, 24)])
        assert (np.diff(highs, axis=0) > 0).all()
        assert (np.diff(lows, axis=0) <= 0).all()
        assert (lows >= 0).all()


@pytest.mark.parametrize("over", [{}, {30: ROWS, 91: ROWS}, dict.fromkeys(DAYS.values(), ROWS)])
@pytest.mark.parametrize("level", [0.3, 1.0, 2.5])
def test_a_predictor_with_them_expects_no_less_of_more_time(over: dict[int, int], level: float) -> None:
    data = rows(without_purchase=5)
    model = value_predictor()
    found = horizon_values(model, data, expectation(), Outcomes(model, over, level))
    numbers = value_predictor(horizons=found).numbers(data.features)
    spends = np.column_stack([one.expected for one in numbers.horizons])
    lows = np.column_stack([one.low for one in numbers.horizons])
    highs = np.column_stack([one.high for one in numbers.horizons])
    assert (np.diff(spends, axis=1) >= 0).all()
    assert (lows <= spends).all()
    assert (spends <= highs).all()
    shown = [one.is_shown for one in found]
    assert shown == [days in over for days in DAYS.values()]
