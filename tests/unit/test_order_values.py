"""What the next orders are worth, where values have nothing to do with frequency and where they have."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kernel.artefacts import OrderValues
from kernel.errors import DataError, NotEnoughDataError
from kernel.value_predictor import ValuePredictor
from tests.doubles.models import features, value_predictor
from training.models.order_values import OrderValueFit, fit_order_values
from training.models.value_btyd import fit_gamma_gamma

P, Q, V = 6.0, 4.0, 15.0


def histories(customers: int, slope: float, seed: int = 1) -> pd.DataFrame:
    """Orders of a Gamma-Gamma population, times (1 + frequency) ** slope; two in ten come never again."""
    generator = np.random.default_rng(seed)
    frequency = generator.negative_binomial(1, 0.2, customers).astype("float64")
    repeats = np.maximum(frequency, 1)
    scale = 1 / generator.gamma(Q, 1 / V, customers)
    value = generator.gamma(P * repeats, scale / repeats) * (1 + frequency) ** slope
    return pd.DataFrame({"frequency": frequency, "monetary_value": np.where(frequency > 0, value, np.nan)})


def expectation(values: OrderValues, frequency: list[float], monetary_value: list[float]) -> np.ndarray:
    """What a predictor with these values expects of an order, before returns."""
    frame = features(len(frequency)).assign(frequency=frequency, monetary_value=monetary_value)
    model: ValuePredictor = value_predictor(order_values=values, net_share=1.0)
    return model.history(frame, [30.0]).order_value


class TestIndependentOfFrequency:
    SUMMARY = histories(1500, 0.0)

    def test_values_are_those_of_gamma_gamma_to_the_last_bit(self) -> None:
        found = fit_order_values(self.SUMMARY)
        plain = fit_gamma_gamma(self.SUMMARY).model
        assert found.values == OrderValues(p=plain.p, q=plain.q, v=plain.v, slope=0.0, usual=1.0)
        assert not found.is_corrected
        assert abs(found.correlation) < 0.1

    def test_the_correlation_is_that_of_the_ranks_of_who_came_again(self) -> None:
        again = self.SUMMARY[self.SUMMARY["frequency"] > 0]
        wanted = again.rank().corr().loc["frequency", "monetary_value"]
        assert fit_order_values(self.SUMMARY).correlation == pytest.approx(wanted, rel=1e-9)

    def test_the_frequency_of_a_customer_does_not_say_what_a_first_order_is_worth(self) -> None:
        values = fit_order_values(self.SUMMARY).values
        once = expectation(values, [0.0], [np.nan])
        assert once == pytest.approx([values.p * values.v / (values.q - 1)])
        assert once == pytest.approx([P * V / (Q - 1)], rel=0.05)


class TestRisingWithFrequency:
    SLOPE = 0.5

    def fitted(self, slope: float = SLOPE, customers: int = 1500) -> OrderValueFit:
        return fit_order_values(histories(customers, slope))

    @pytest.mark.parametrize("slope", [0.5, 0.25, -0.4])
    def test_the_slope_is_near_the_planted_one(self, slope: float) -> None:
        found = self.fitted(slope)
        assert found.is_corrected
        assert found.values.slope == pytest.approx(slope, abs=0.06)
        assert np.sign(found.correlation) == np.sign(slope)
        assert abs(found.correlation) > 0.1

    def test_the_slope_is_the_least_squares_line_of_the_logarithms(self) -> None:
        again = histories(400, 0.5).query("frequency > 0")
        often, value = np.log(1 + again["frequency"]), np.log(again["monetary_value"])
        found = fit_order_values(again).values
        assert found.slope == pytest.approx(often.cov(value) / often.var(), rel=1e-9)
        assert np.log(found.usual) == pytest.approx(often.mean(), rel=1e-9)

    def test_gamma_gamma_is_that_of_the_values_at_the_usual_frequency(self) -> None:
        # At the usual frequency, planted values are those of the plain population times usual ** slope.
        found = self.fitted().values
        assert found.p * found.v / (found.q - 1) == pytest.approx(P * V / (Q - 1) * found.usual**self.SLOPE, rel=0.06)
        assert found.p == pytest.approx(P, rel=0.25)

    def test_a_frequent_customers_order_is_worth_more_than_a_one_time_buyers(self) -> None:
        values = self.fitted().values
        # Whatever their own orders came to: here exactly what is usual at their frequency.
        usual = [P * V / (Q - 1) * (1 + x) ** self.SLOPE for x in (0.0, 3.0, 15.0)]
        found = expectation(values, [0.0, 3.0, 15.0], [np.nan, *usual[1:]])
        assert (np.diff(found) > 0).all()
        assert found == pytest.approx(usual, rel=0.15)

    def test_without_the_correction_one_time_buyers_would_be_worth_too_much(self) -> None:
        summary = histories(1500, self.SLOPE)
        plain = fit_gamma_gamma(summary).model
        corrected = expectation(fit_order_values(summary).values, [0.0], [np.nan])[0]
        assert plain.population_mean > 1.5 * corrected

    def test_the_currency_unit_changes_nothing_but_v(self) -> None:
        summary = histories(400, 0.5)
        euros, cents = (
            fit_order_values(summary.assign(monetary_value=summary["monetary_value"] * k)) for k in (1, 100)
        )
        assert cents.correlation == euros.correlation
        assert cents.values.slope == pytest.approx(euros.values.slope, rel=1e-9)
        assert cents.values.v == pytest.approx(100 * euros.values.v, rel=1e-4)
        assert (cents.values.p, cents.values.q) == pytest.approx((euros.values.p, euros.values.q), rel=1e-4)


class TestWhatIsNotTelling:
    def test_a_weak_correlation_is_left_alone_however_sure_it_is(self) -> None:
        found = fit_order_values(histories(6000, 0.045))
        assert 0.02 < found.correlation < 0.1
        assert (found.values.slope, found.values.usual, found.is_corrected) == (0.0, 1.0, False)

    def test_a_strong_correlation_of_few_customers_is_left_alone(self) -> None:
        summary = histories(25, 0.25, seed=2)
        found = fit_order_values(summary)
        assert found.correlation > 0.1
        assert (found.values.slope, found.is_corrected) == (0.0, False)

    def test_all_of_one_frequency_have_no_correlation(self) -> None:
        summary = histories(200, 0.0).assign(frequency=2.0).dropna()
        found = fit_order_values(summary)
        assert (found.correlation, found.is_corrected) == (0.0, False)
        assert found.values == OrderValues(**fit_gamma_gamma(summary).model.to_dict())


class TestTooFew:
    def test_repeat_customers_are_counted(self) -> None:
        nine = pd.DataFrame({"frequency": [1.0] * 9 + [0.0] * 90, "monetary_value": [*range(1, 10), *[np.nan] * 90]})
        with pytest.raises(NotEnoughDataError, match=r"^9 customers have repeat purchases with a mean value above 0"):
            fit_order_values(nine)
        with pytest.raises(NotEnoughDataError, match=r"^0 customers"):
            fit_order_values(nine.iloc[9:])

    def test_values_of_one_kind_are_not_enough(self) -> None:
        same = pd.DataFrame({"frequency": np.arange(1.0, 51.0), "monetary_value": 9.99})
        with pytest.raises(NotEnoughDataError, match=r"50 customers .* of 1 different values"):
            fit_order_values(same)

    def test_a_repeat_customer_without_a_value_is_an_error(self) -> None:
        summary = histories(100, 0.0)
        summary.loc[summary.index[summary["frequency"] > 0][:2], "monetary_value"] = np.nan
        with pytest.raises(DataError, match="2 customers with repeat purchases have no mean value"):
            fit_order_values(summary)
