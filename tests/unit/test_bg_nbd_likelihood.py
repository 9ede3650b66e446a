"""The summed likelihood of BG/NBD against the kernel's of each customer, and its derivatives against differences."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kernel.btyd import BgNbd
from training.models.bg_nbd_likelihood import BgNbdLikelihood, distinct_rows

PARAMETERS = {
    "CDNOW": (0.2426, 0.08, 0.793, 2.4262),
    "lifetimes' start": tuple(np.exp([0.1, 0.1, 0.1, 0.1])),
    "few leave": (3.0, 0.5, 1e-4, 40.0),
    "all leave": (0.5, 20.0, 60.0, 0.03),
}
Histories = tuple[np.ndarray, np.ndarray, np.ndarray]


def histories(customers: int = 500, *, day: float = 1.0) -> Histories:
    """Random ones, many of them several times; ``day``: the grain of time."""
    generator = np.random.default_rng(7)
    x = generator.geometric(0.4, customers) - 1.0
    x[:4] = [0.0, 1.0, 70.0, 900.0]
    T = day * generator.integers(0, 40, customers)
    t_x = np.where(x > 0, day * np.floor(T / day * generator.random(customers)), 0.0)
    T[4:8], t_x[4:8] = 5 * day, np.where(x[4:8] > 0, 5 * day, 0.0)  # the last purchase on the last day
    return x, t_x, T


def of(columns: Histories) -> BgNbdLikelihood:
    (x, t_x, T), customers = distinct_rows(*columns)
    return BgNbdLikelihood(x, t_x, T, customers, days_per_period=40.0)


ALL = {
    "whole days": histories(),
    "fractional days": histories(day=1 / 7),
    "nobody came back": tuple(column[histories()[0] == 0] for column in histories()),
    "everybody came back": tuple(column[histories()[0] > 0] for column in histories()),
    "one customer": tuple(column[2:3] for column in histories()),
}


@pytest.mark.parametrize("parameters", PARAMETERS.values(), ids=PARAMETERS)
@pytest.mark.parametrize("columns", ALL.values(), ids=ALL)
class TestAgainstTheKernel:
    def test_the_value_is_the_mean_over_customers(self, columns: Histories, parameters: tuple[float, ...]) -> None:
        value, _ = of(columns)(np.log(parameters))
        expected = BgNbd(*parameters, days_per_period=40.0).log_likelihood(*columns).mean()
        assert value == pytest.approx(-expected, rel=1e-11)

    @pytest.mark.parametrize("penalizer", [0.0, 0.01])
    def test_the_gradient_is_what_differences_say(
        self, columns: Histories, parameters: tuple[float, ...], penalizer: float
    ) -> None:
        likelihood, logs, step = of(columns), np.log(parameters), 1e-5
        differences = [
            (likelihood(logs + along, penalizer)[0] - likelihood(logs - along, penalizer)[0]) / (2 * step)
            for along in step * np.eye(4)
        ]
        _, gradient = likelihood(logs, penalizer)
        np.testing.assert_allclose(gradient, differences, rtol=1e-6, atol=1e-7)


def test_the_penalty_is_the_sum_of_the_squared_parameters() -> None:
    likelihood, parameters = of(histories()), np.array([0.5, 2.0, 3.0, 0.1])
    (bare, slopes), (penalised, steeper) = (likelihood(np.log(parameters), weight) for weight in (0.0, 0.01))
    assert penalised - bare == pytest.approx(0.01 * (0.25 + 4.0 + 9.0 + 0.01), rel=1e-9)
    np.testing.assert_allclose(steeper - slopes, 0.02 * parameters**2, rtol=1e-9)


def test_histories_one_by_one_are_as_good_as_distinct_ones() -> None:
    columns, logs = histories(), np.log(PARAMETERS["CDNOW"])
    one_by_one = BgNbdLikelihood(*columns, np.ones(500, dtype=np.int64), days_per_period=40.0)
    value, gradient = of(columns)(logs)
    assert value == pytest.approx(one_by_one(logs)[0], rel=1e-13)
    np.testing.assert_allclose(gradient, one_by_one(logs)[1], rtol=1e-11)


def test_odds_beyond_every_number_do_not_overflow() -> None:
    """Bought every day, then silence for years: gone for sure."""
    columns = (np.array([5000.0]), np.array([5000.0]), np.array([50_000.0]))
    model = BgNbd(0.2, 0.1, 0.8, 2.4, days_per_period=40.0)
    value, gradient = of(columns)(np.log([0.2, 0.1, 0.8, 2.4]))
    assert value == pytest.approx(-model.log_likelihood(*columns)[0], rel=1e-12)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize(
    "columns",
    [
        histories(),
        histories(day=1 / 7),
        (histories()[0], np.random.default_rng(1).lognormal(size=500)),
        (histories()[0] * 1e6, *histories()[1:]),  # whole, but too far apart to be counted
        (-histories()[0],),
        (np.zeros(0), np.zeros(0)),
    ],
    ids=["whole", "fractional", "money", "large", "negative", "none"],
)
@pytest.mark.parametrize("largest_key", [2**62, 1], ids=["one key", "a key too long"])
def test_distinct_rows_are_those_of_pandas(
    columns: tuple[np.ndarray, ...], largest_key: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.models.bg_nbd_likelihood._LARGEST_KEY", largest_key)
    rows, counts = distinct_rows(*columns)
    expected = pd.DataFrame(dict(enumerate(columns))).value_counts(sort=False).sort_index()
    assert [row.tolist() for row in rows] == [expected.index.get_level_values(i).tolist() for i in range(len(columns))]
    assert counts.tolist() == expected.tolist()
    assert all(row.dtype == np.float64 for row in rows)
