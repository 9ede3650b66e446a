"""Lifetime value without a model, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from training.dataset import TrainingSet
from training.models.value_baselines import cohort_curve, formula_value, retention_rate, rfm_cell_means

UNKNOWN = float("nan")


def _rows(spend: list[float] | np.ndarray, **features: list[float] | np.ndarray) -> TrainingSet:
    size = len(spend)
    frame = pd.DataFrame(features, index=pd.Index([f"c{i}" for i in range(size)], name="customer_id"))
    spent = np.array(spend, dtype="float64")
    now = np.full(size, np.datetime64("2024-01-01", "us"))
    return TrainingSet(frame, now, np.zeros(size), spent, np.ones(size, dtype=bool))


def _asked(**features: list[float]) -> pd.DataFrame:
    return pd.DataFrame(features)


class TestFormula:
    def test_is_monthly_spend_times_months_times_retention(self) -> None:
        features = _asked(net_spend=[120.0, 50.0], T_days=[12 * 30.4375, 2 * 30.4375])
        assert formula_value(features, 365, 0.5) == pytest.approx(np.array([10.0, 25.0]) * 365 / 30.4375 * 0.5)

    def test_one_horizon_month_of_a_new_customer_is_what_they_spent(self) -> None:
        features = pd.DataFrame({"net_spend": [30.0, 30.0], "T_days": [3, 0]})
        found = formula_value(features, 30, 1.0)
        assert found == pytest.approx([30 * 30 / 30.4375] * 2)
        assert found.dtype == np.float64

    def test_nothing_is_expected_without_a_purchase_and_less_after_more_returns_than_purchases(self) -> None:
        features = _asked(net_spend=[0.0, UNKNOWN, -60.875], T_days=[UNKNOWN, UNKNOWN, 60.875])
        assert formula_value(features, 60, 0.5) == pytest.approx([0.0, 0.0, -30.0])

    @pytest.mark.parametrize(
        ("spend", "rate"), [([10.0, 0.0, -5.0, 2.0], 0.5), ([0.0, 0.0], 0.0), ([1.0], 1.0), ([-1.0], 0.0)]
    )
    def test_retention_is_the_share_with_spend_in_the_horizon(self, spend: list[float], rate: float) -> None:
        assert retention_rate(_rows(spend)) == rate


class TestCellMeans:
    # Five groups of customers, each a quintile of all three: the best spends 50, the worst 10.
    PLACE = np.repeat(np.arange(1.0, 6.0), 30)

    def train(self, spend: np.ndarray, each: int = 30) -> TrainingSet:
        place = np.repeat(np.arange(1.0, 6.0), each)
        return _rows(spend, days_since_last_purchase=60 - 10 * place, frequency=place, spend_90d=100 * place)

    def test_are_means_of_the_quintiles_that_the_training_rows_set(self) -> None:
        train = self.train(10 * self.PLACE + np.tile([-1.0, 1.0], 75))
        asked = _asked(
            days_since_last_purchase=[50.0, 10.0, 0.0], frequency=[1.0, 5.0, 99.0], spend_90d=[100, 500, 1e6]
        )
        found = rfm_cell_means(train, asked)
        assert found == pytest.approx([10.0, 50.0, 50.0])
        assert found.dtype == np.float64

    def test_of_a_cell_without_rows_are_those_of_recency_and_money_then_of_all(self) -> None:
        train = self.train(10 * self.PLACE)
        asked = _asked(days_since_last_purchase=[10.0, 10.0], frequency=[1.0, 1.0], spend_90d=[500.0, 100.0])
        assert rfm_cell_means(train, asked) == pytest.approx([50.0, 30.0])

    @pytest.mark.parametrize(("each", "best"), [(19, 30.0), (20, 50.0)])
    def test_of_fewer_than_twenty_rows_do_not_count(self, each: int, best: float) -> None:
        train = self.train(np.repeat([10.0, 20.0, 30.0, 40.0, 50.0], each), each)
        asked = _asked(days_since_last_purchase=[10.0], frequency=[5.0], spend_90d=[500.0])
        assert rfm_cell_means(train, asked) == pytest.approx([best])

    def test_of_a_small_cell_are_those_of_its_pair(self) -> None:
        # One recency and one money: the pair is everybody, its cells are told apart by frequency.
        frequency = np.repeat([0.0, 1.0, 2.0], [50, 45, 5])
        train = _rows(
            np.repeat([10.0, 30.0, 90.0], [50, 45, 5]),
            days_since_last_purchase=np.full(100, 7.0),
            frequency=frequency,
            spend_90d=np.full(100, 20.0),
        )
        asked = _asked(days_since_last_purchase=[7.0] * 3, frequency=[0.0, 1.0, 2.0], spend_90d=[20.0] * 3)
        # The edges are 0, 0, 1, 1: the five twos are too few for a mean of their own.
        overall = (50 * 10 + 45 * 30 + 5 * 90) / 100
        assert rfm_cell_means(train, asked) == pytest.approx([10.0, 30.0, overall])

    def test_of_what_is_unknown_are_those_of_the_worst_quintile(self) -> None:
        asked = _asked(days_since_last_purchase=[UNKNOWN, 50.0], frequency=[UNKNOWN, 1.0], spend_90d=[UNKNOWN, UNKNOWN])
        assert rfm_cell_means(self.train(10 * self.PLACE), asked) == pytest.approx([10.0, 10.0])

    def test_of_unknown_training_rows_lie_in_the_worst_quintile_and_set_no_edge(self) -> None:
        known = self.train(10 * self.PLACE)
        more = pd.concat([known.features, pd.DataFrame(UNKNOWN, index=range(30), columns=known.features.columns)])
        train = _rows(
            np.append(known.spend, np.full(30, 40.0)), **{str(name): more[name].to_numpy() for name in more.columns}
        )
        asked = _asked(days_since_last_purchase=[50.0, 10.0], frequency=[1.0, 5.0], spend_90d=[100.0, 500.0])
        assert rfm_cell_means(train, asked) == pytest.approx([25.0, 50.0])

    def test_where_nothing_is_known_are_the_mean_of_all(self) -> None:
        train = _rows(
            [1.0, -4.0], **dict.fromkeys(("days_since_last_purchase", "frequency", "spend_90d"), [UNKNOWN] * 2)
        )
        assert rfm_cell_means(train, train.features) == pytest.approx([-1.5, -1.5])


class TestCohortCurve:
    def test_is_the_mean_of_each_age_and_the_last_takes_in_all_who_are_older(self) -> None:
        # Steps 0 (50 rows), 1 (50), 2 (50, and 10 older of 3 and of 20).
        age = np.repeat([27.0, 28.0, 56.0, 84.0, 560.0], [50, 50, 50, 5, 5])
        train = _rows(np.repeat([10.0, 20.0, 30.0, 90.0, 90.0], [50, 50, 50, 5, 5]), T_days=age)
        found = cohort_curve(train, _asked(T_days=[0.0, 27.0, 55.0, 83.0, 84.0, 9999.0]))
        assert found == pytest.approx([10.0, 10.0, 20.0, 40.0, 40.0, 40.0])
        assert found.dtype == np.float64

    def test_an_age_of_few_rows_or_none_lies_between_its_neighbours(self) -> None:
        age = np.repeat([0.0, 28.0, 84.0, 112.0], [49, 50, 49, 50])
        train = _rows(np.repeat([900.0, 10.0, 900.0, 40.0], [49, 50, 49, 50]), T_days=age)
        found = cohort_curve(train, _asked(T_days=[0.0, 30.0, 60.0, 100.0, 112.0]))
        assert found == pytest.approx([10.0, 10.0, 20.0, 30.0, 40.0])

    def test_who_never_bought_gets_the_mean_of_all_and_bends_no_curve(self) -> None:
        train = _rows(np.repeat([10.0, 70.0], [50, 10]), T_days=np.repeat([5.0, UNKNOWN], [50, 10]))
        assert cohort_curve(train, _asked(T_days=[5.0, UNKNOWN])) == pytest.approx([10.0, 20.0])

    @pytest.mark.parametrize("age", [5.0, UNKNOWN])
    def test_without_an_age_of_fifty_rows_it_is_the_mean_of_all(self, age: float) -> None:
        train = _rows(np.tile([-10.0, 0.0], 24), T_days=np.full(48, age))
        assert cohort_curve(train, _asked(T_days=[5.0, 500.0, UNKNOWN])) == pytest.approx([-5.0] * 3)


def test_nothing_spent_is_nothing_expected() -> None:
    names = ("days_since_last_purchase", "frequency", "spend_90d", "T_days", "net_spend")
    train = _rows(np.zeros(60), **dict.fromkeys(names, np.arange(60.0)))
    found = [formula_value(train.features, 90, retention_rate(train))]
    found += [rfm_cell_means(train, train.features), cohort_curve(train, train.features)]
    assert all(np.array_equal(one, np.zeros(60)) for one in found)
