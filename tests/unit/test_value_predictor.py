"""Everything that is predicted of a customer's value, computed again by other means."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import betaln
from scipy.stats import lomax

from kernel.artefacts import (
    ContractParameters,
    HorizonValue,
    Similar,
    percentile_grid,
)
from kernel.btyd import MbgNbd
from kernel.pareto_nbd import ParetoNbd
from kernel.purchases import PurchaseParameters
from kernel.value_predictor import (
    HORIZON_MONTHS,
    NEWCOMER_DAYS,
    ValuePredictor,
    current_pace,
    order_value_factor,
    spend_at_pace,
)
from tests.doubles.models import features, value_predictor
from tests.value_by_hand import (
    ALPHA,
    CONTRACTS,
    DAYS,
    LEARNT,
    NET_SHARE,
    NEWCOMERS,
    RISING,
    SCALE,
    P,
    Q,
    R,
    V,
    alive,
    bits,
    histories,
    known,
    matrix,
    order_value,
    pace,
    purchases,
    without_purchase,
)


class TestEveryColumn:
    FRAME = known()
    HISTORY = histories(FRAME)

    @pytest.fixture
    def columns(self) -> dict[str, np.ndarray]:
        return (
            value_predictor(margin=0.3, percentile_grid=tuple(np.linspace(0, 400, 1001))).numbers(self.FRAME).columns()
        )

    def test_the_names_are_those_of_the_scores_file(self, columns: dict[str, np.ndarray]) -> None:
        bounds = [f"value_{months}m{end}" for months in (1, 3, 6, 12, 24) for end in ("", "_low", "_high")]
        assert list(columns) == [
            "lifetime_value",
            "lifetime_value_low",
            "lifetime_value_high",
            "value_percentile",
            *bounds,
            "value_discounted",
            "value_margin",
            "probability_alive",
            "expected_purchases",
            "expected_order_value",
            "next_order_days",
            "order_overdue_days",
        ]
        assert {values.shape for values in columns.values()} == {(300,)}
        assert {values.dtype.name for values in columns.values()} == {"float64"}

    def test_spend_is_scale_times_pace_times_what_the_trees_change(self, columns: dict[str, np.ndarray]) -> None:
        raw = value_predictor().boosters["trees"].predict(matrix(self.FRAME), raw_score=True)
        expected = SCALE * pace(self.FRAME) * np.exp(raw)
        assert columns["lifetime_value"] == pytest.approx(expected, rel=1e-9)
        assert np.ptp(raw) > 0.1  # the trees say something

    def test_bounds_are_multiples_that_lie_on_a_line_between_the_points(self, columns: dict[str, np.ndarray]) -> None:
        # The double: from 0 and 3 times an expectation of 0 to 0.4 and 1.8 times one of 1,000.
        spend = columns["lifetime_value"]
        inside = np.minimum(spend, 1000) / 1000  # beyond the last point its multiples stay
        assert 0 < (inside == 1).mean() < 0.1
        assert columns["lifetime_value_low"] == pytest.approx(spend * 0.4 * inside)
        assert columns["lifetime_value_high"] == pytest.approx(spend * (3 - 1.2 * inside))

    def test_the_percentile_is_the_place_in_the_grid(self, columns: dict[str, np.ndarray]) -> None:
        spend = columns["lifetime_value"]
        assert 0 < (spend > 400).mean() < 0.5
        assert columns["value_percentile"] == pytest.approx(np.minimum(100 * spend / 400, 100))

    def test_alive_and_purchases_are_those_of_the_paper(self, columns: dict[str, np.ndarray]) -> None:
        assert columns["probability_alive"] == pytest.approx(alive(*self.HISTORY), rel=1e-9)
        assert columns["expected_purchases"] == pytest.approx(purchases(LEARNT, *self.HISTORY), rel=1e-7)

    def test_an_order_is_worth_what_gamma_gamma_expects_net_of_returns(self, columns: dict[str, np.ndarray]) -> None:
        assert columns["expected_order_value"] == pytest.approx(order_value(self.FRAME), rel=1e-12)

    def test_the_next_order_comes_at_the_median_of_the_wait(self, columns: dict[str, np.ndarray]) -> None:
        x, _, T = self.HISTORY
        assert columns["next_order_days"] == pytest.approx(lomax.median(R + x, scale=ALPHA + T), rel=1e-9)

    def test_overdue_is_what_exceeds_the_median_wait_after_the_last_purchase(
        self, columns: dict[str, np.ndarray]
    ) -> None:
        x, t_x, T = self.HISTORY
        late = (T - t_x) - lomax.median(R + x, scale=ALPHA + t_x)
        assert 0.1 < np.mean(late > 0) < 0.9
        assert columns["order_overdue_days"] == pytest.approx(np.where(late > 0, late, 0.0), rel=1e-9, abs=1e-9)
        assert columns["order_overdue_days"].min() == 0.0

    @pytest.mark.parametrize("months", HORIZON_MONTHS)
    def test_a_horizon_is_the_learnt_one_along_the_curve_of_purchases(
        self, columns: dict[str, np.ndarray], months: int
    ) -> None:
        course = purchases(DAYS[months], *self.HISTORY) / purchases(LEARNT, *self.HISTORY)
        spend = columns["lifetime_value"] * course
        assert columns[f"value_{months}m"] == pytest.approx(spend, rel=1e-6)
        inside = np.minimum(spend, 1000) / 1000
        assert columns[f"value_{months}m_low"] == pytest.approx(spend * 0.4 * inside, rel=1e-6)
        assert columns[f"value_{months}m_high"] == pytest.approx(spend * (3 - 1.2 * inside), rel=1e-6)

    def test_today_money_is_discounted_from_the_middle_of_each_stretch(self, columns: dict[str, np.ndarray]) -> None:
        spends = [np.zeros(300), *(columns[f"value_{months}m"] for months in HORIZON_MONTHS)]
        days = [0, *DAYS.values()]
        worth = sum(
            (spends[i + 1] - spends[i]) / 1.1 ** ((days[i] + days[i + 1]) / 2 / 365.25) for i in range(len(DAYS))
        )
        assert columns["value_discounted"] == pytest.approx(worth, rel=1e-12)
        assert (columns["value_discounted"] < spends[-1]).all()

    def test_the_margin_is_a_share_of_the_spend(self, columns: dict[str, np.ndarray]) -> None:
        assert columns["value_margin"] == pytest.approx(0.3 * columns["lifetime_value"], rel=1e-15)
        assert np.isnan(value_predictor().numbers(self.FRAME).margin).all()

    def test_the_parts_that_can_be_asked_alone_say_the_same(self) -> None:
        model = value_predictor()
        found = model.numbers(self.FRAME)
        assert model.expected_spend(self.FRAME).tobytes() == found.expected_spend.tobytes()
        assert model.probability_alive(self.FRAME).tobytes() == found.probability_alive.tobytes()
        by_btyd = found.expected_purchases * found.expected_order_value
        assert model.spend_btyd(self.FRAME) == pytest.approx(by_btyd, rel=1e-15)


def test_at_no_discount_today_money_is_the_longest_horizon() -> None:
    found = value_predictor(discount_rate=0.0).numbers(known())
    assert found.discounted == pytest.approx(found.horizons[-1].expected, rel=1e-12)


def test_without_other_horizons_nothing_is_carried_on() -> None:
    found = value_predictor(horizons=()).numbers(known(10))
    assert found.horizons == ()
    assert not [name for name in found.columns() if name.startswith("value_1")]


@pytest.mark.parametrize("spend_model", ["trees", "btyd"])
@pytest.mark.parametrize("contracts", [None, CONTRACTS])
def test_one_customer_has_the_same_bits_alone_and_among_many(
    spend_model: str, contracts: ContractParameters | None
) -> None:
    frame = without_purchase(features(1200))  # enough for several threads
    frame["active_subscriptions"] = np.arange(1200) % 3
    frame["subscription_age_days"] = np.where(np.arange(1200) % 3 > 0, np.arange(1200.0), np.nan)
    model = value_predictor(
        spend_model=spend_model, contracts=contracts, margin=0.2, newcomers=NEWCOMERS, order_values=RISING
    )
    together = model.numbers(frame).columns()
    for row in [0, 1, 2, 7, 500, 1199]:
        alone = model.numbers(frame.iloc[[row]])
        assert bits(alone) == {name: values[[row]].tobytes() for name, values in together.items()}


class TestWithoutAPurchase:
    FRAME = without_purchase(known(20), 3)

    @pytest.fixture
    def columns(self) -> dict[str, np.ndarray]:
        return value_predictor().numbers(self.FRAME).columns()

    @pytest.mark.parametrize(
        "name", ["probability_alive", "expected_purchases", "next_order_days", "order_overdue_days"]
    )
    def test_nothing_is_said_of_purchases(self, columns: dict[str, np.ndarray], name: str) -> None:
        assert np.flatnonzero(np.isnan(columns[name])).tolist() == [3]

    def test_an_order_would_be_worth_what_everybodys_is(self, columns: dict[str, np.ndarray]) -> None:
        assert columns["expected_order_value"][3] == pytest.approx(NET_SHARE * P * V / (Q - 1))

    def test_the_pace_is_a_hundredth_of_the_currency_unit(self, columns: dict[str, np.ndarray]) -> None:
        raw = value_predictor().boosters["trees"].predict(matrix(self.FRAME), raw_score=True)[3]
        assert columns["lifetime_value"][3] == pytest.approx(SCALE * 0.01 * np.exp(raw), rel=1e-12)

    @pytest.mark.parametrize("months", HORIZON_MONTHS)
    def test_the_course_is_a_straight_line(self, columns: dict[str, np.ndarray], months: int) -> None:
        expected = columns["lifetime_value"][3] * DAYS[months] / LEARNT
        assert columns[f"value_{months}m"][3] == pytest.approx(expected, rel=1e-12)

    def test_by_btyd_they_bring_nothing(self) -> None:
        model = value_predictor(spend_model="btyd")
        assert model.spend_btyd(self.FRAME)[3] == 0.0
        assert model.numbers(self.FRAME).expected_spend[3] == 0.0

    def test_nobody_in_the_frame_has_bought(self) -> None:
        found = value_predictor().history(self.FRAME.iloc[[3]], [LEARNT, 365])
        assert found.purchases.shape == (1, 2)
        assert np.isnan(found.purchases).all()
        assert found.known.tolist() == [False]

    def test_an_empty_frame_has_empty_numbers(self) -> None:
        found = value_predictor().history(self.FRAME.iloc[:0], [LEARNT])
        assert (found.alive.shape, found.purchases.shape, found.order_value.shape) == ((0,), (0, 1), (0,))


class TestMoreTime:
    LEVELS = (1.0, 0.2, 3.0, 0.1, 0.5)

    def model(self, **changes: object) -> ValuePredictor:
        horizons = tuple(
            one.model_copy(update={"level": level})
            for one, level in zip(value_predictor().manifest.horizons, self.LEVELS, strict=True)
        )
        return value_predictor(horizons=horizons, **changes)

    @pytest.mark.parametrize("spend_model", ["trees", "btyd"])
    @pytest.mark.parametrize("family", ["bg_nbd", "mbg_nbd", "pareto_nbd"])
    def test_never_brings_less_however_the_levels_fall(self, spend_model: str, family: str) -> None:
        frame = without_purchase(known())
        stored = {
            "bg_nbd": value_predictor().manifest.purchases,
            "mbg_nbd": PurchaseParameters.of(MbgNbd(0.525, 6.183, 0.891, 1.614, 7.0)),
            "pareto_nbd": PurchaseParameters.of(ParetoNbd(0.5532, 10.578, 0.606, 11.669, 7.0)),
        }[family]
        found = self.model(spend_model=spend_model, purchases=stored).numbers(frame)
        spends = np.column_stack([one.expected for one in found.horizons])
        assert (np.diff(spends, axis=1) >= 0).all()
        assert (found.discounted <= spends[:, -1]).all()

    def test_a_horizon_of_a_lower_level_keeps_what_the_shorter_one_brings(self) -> None:
        frame = known()
        found = self.model().numbers(frame)
        most = np.zeros(len(frame))
        for one, level in zip(found.horizons, self.LEVELS, strict=True):
            course = purchases(DAYS[one.months], *histories(frame)) / purchases(LEARNT, *histories(frame))
            most = np.maximum(most, found.expected_spend * course * level)
            assert one.expected == pytest.approx(most, rel=1e-6)
        assert (found.horizons[1].expected == found.horizons[0].expected).any()
        assert (found.horizons[2].expected > found.horizons[1].expected).all()


class TestIntervals:
    def test_always_enclose_the_expectation(self) -> None:
        odd = Similar(method="", confidence=0.9, customers_per_point=1, prediction=(0, 10), low=(1.5, 1.2), high=(0, 1))
        horizons = (HorizonValue(months=1, days=30, level=1.0, intervals=odd, is_shown=True),)
        found = value_predictor(intervals=odd, newcomers=odd, horizons=horizons).numbers(known())
        assert found.low.tolist() == found.expected_spend.tolist() == found.high.tolist()
        one = found.horizons[0]
        assert one.low.tolist() == one.expected.tolist() == one.high.tolist()

    def test_of_newcomers_are_the_wider_of_both(self) -> None:
        frame = known(6)
        frame["T_days"] = [0.0, NEWCOMER_DAYS, NEWCOMER_DAYS + 0.001, 300.0, np.nan, 5.0]
        spend = np.array([10.0, 500.0, 500.0, 500.0, 500.0, 1000.0])
        low, high = value_predictor(newcomers=NEWCOMERS).interval(spend, frame)
        # The double's multiples at 500: 0.2 and 2.4, at 1,000: 0.4 and 1.8; those of newcomers 0.05 and 5.25, 0.1, 1.5.
        assert low == pytest.approx([10 * 0.001, 500 * 0.05, 500 * 0.2, 500 * 0.2, 500 * 0.2, 1000 * 0.1])
        assert high == pytest.approx([10 * 8.925, 500 * 5.25, 500 * 2.4, 500 * 2.4, 500 * 2.4, 1000 * 1.8])

    def test_without_enough_newcomers_are_those_of_all(self) -> None:
        frame = known(4).assign(T_days=1.0, recency_days=0.0)
        model, spend = value_predictor(), np.array([1.0, 20.0, 300.0, 4000.0])
        low, high = model.interval(spend, frame)
        assert low == pytest.approx(spend * np.array([0.0004, 0.008, 0.12, 0.4]))
        assert high == pytest.approx(spend * np.array([2.9988, 2.976, 2.64, 1.8]))


class TestContracts:
    FRAME = without_purchase(known(6), 5).assign(
        active_subscriptions=[1.0, 2.0, 0.0, np.nan, 1.0, 1.0],
        subscription_age_days=[0.0, 95.0, np.nan, np.nan, 29.9, 61.0],
    )
    RENEWALS = (
        (0, 0),
        (1, 3),
        (4, 0),
        (5, 2),
    )  # rows and renewals of those with a running contract, of periods of 30 days

    @staticmethod
    def payments(days: float, renewals: int) -> float:
        """A sum of chances to be there still, each as a ratio of Beta functions (Fader & Hardie 2007)."""
        alpha, beta = CONTRACTS.alpha, CONTRACTS.beta
        periods = days / 30.0
        full = int(periods)

        def stays(ahead: int) -> float:
            return float(np.exp(betaln(alpha, beta + renewals + ahead) - betaln(alpha, beta + renewals)))

        return sum(stays(ahead) for ahead in range(1, full + 1)) + (periods - full) * stays(full + 1)

    def test_who_has_one_is_a_customer(self) -> None:
        found, plain = value_predictor(contracts=CONTRACTS).numbers(self.FRAME), value_predictor().numbers(self.FRAME)
        assert found.probability_alive[[0, 1, 4, 5]].tolist() == [1.0] * 4
        assert found.probability_alive[[2, 3]].tolist() == plain.probability_alive[[2, 3]].tolist()
        assert value_predictor(contracts=CONTRACTS).history(self.FRAME, [30.0]).known.tolist() == [True] * 6
        assert value_predictor().history(self.FRAME, [30.0]).known.tolist() == [True] * 5 + [False]

    def test_purchases_are_the_payments_to_come(self) -> None:
        found = value_predictor(contracts=CONTRACTS).history(self.FRAME, [LEARNT, *DAYS.values()]).purchases
        plain = value_predictor().history(self.FRAME, [LEARNT, *DAYS.values()]).purchases
        assert found[[2, 3]].tolist() == plain[[2, 3]].tolist()
        for row, renewals in self.RENEWALS:
            wanted = [self.payments(days, renewals) for days in (LEARNT, *DAYS.values())]
            assert found[row] == pytest.approx(wanted, rel=1e-9)
        assert value_predictor(contracts=CONTRACTS).numbers(self.FRAME).expected_purchases == pytest.approx(
            found[:, 0], rel=1e-15
        )

    def test_who_has_renewed_often_pays_longer(self) -> None:
        frame = pd.concat([known(1)] * 4).assign(
            active_subscriptions=1.0, subscription_age_days=[0.0, 100.0, 400.0, 4000.0]
        )
        bought = value_predictor(contracts=CONTRACTS).numbers(frame).expected_purchases
        assert (np.diff(bought) > 0).all()
        assert bought.max() < LEARNT / 30

    def test_the_spend_follows_their_curve(self) -> None:
        found = value_predictor(contracts=CONTRACTS).numbers(self.FRAME)
        for row, renewals in self.RENEWALS:
            for one in found.horizons:
                course = self.payments(DAYS[one.months], renewals) / self.payments(LEARNT, renewals)
                assert one.expected[row] == pytest.approx(found.expected_spend[row] * course, rel=1e-9)

    def test_by_btyd_a_payment_is_worth_an_order(self) -> None:
        model = value_predictor(contracts=CONTRACTS, spend_model="btyd")
        found = model.expected_spend(self.FRAME)
        # Nobody has bought in row 5, and the contract pays.
        assert found[5] == pytest.approx(SCALE * self.payments(LEARNT, 2) * NET_SHARE * P * V / (Q - 1), rel=1e-9)
        assert found[1] == pytest.approx(SCALE * self.payments(LEARNT, 3) * order_value(self.FRAME)[1], rel=1e-9)

    def test_the_next_order_is_still_that_of_the_purchases(self) -> None:
        found, plain = value_predictor(contracts=CONTRACTS).numbers(self.FRAME), value_predictor().numbers(self.FRAME)
        assert found.next_order_days.tobytes() == plain.next_order_days.tobytes()
        assert found.order_overdue_days.tobytes() == plain.order_overdue_days.tobytes()

    def test_without_a_running_contract_nothing_changes(self) -> None:
        frame = known(6).assign(active_subscriptions=0.0, subscription_age_days=np.nan)
        assert bits(value_predictor(contracts=CONTRACTS).numbers(frame)) == bits(value_predictor().numbers(frame))


class TestOrderValues:
    def test_the_factor_is_one_at_the_usual_frequency(self) -> None:
        found = order_value_factor(np.array([0.0, 2.0, 5.0]), 0.5, 3.0)
        assert found == pytest.approx([3**-0.5, 1.0, 2**0.5])
        assert order_value_factor(np.array([0.0, 9.0]), 0.0, 1.0).tolist() == [1.0, 1.0]

    def test_values_that_rise_with_frequency_are_taken_to_the_usual_one_and_back(self) -> None:
        frame = known(4).assign(frequency=[0.0, 4.0, 4.0, 1.0], monetary_value=[np.nan, 50.0, 0.0, 20.0])
        found = value_predictor(order_values=RISING).history(without_purchase(frame, 3), [LEARNT]).order_value
        everybody, own = P * V / (Q - 1), 50.0 / (5 / 3) ** 0.4
        weight = P * 4 / (P * 4 + Q - 1)
        wanted = [
            (1 / 3) ** 0.4 * everybody,
            (5 / 3) ** 0.4 * (weight * own + (1 - weight) * everybody),
            (5 / 3) ** 0.4 * everybody,  # what cost nothing says nothing of the next order
            (1 / 3) ** 0.4 * everybody,
        ]
        assert found == pytest.approx(NET_SHARE * np.array(wanted), rel=1e-12)


class TestPace:
    def test_is_money_a_day_at_several_memories_and_never_negative(self) -> None:
        frame = pd.DataFrame(
            {
                "spend_30d": [60.0, -5.0],
                "spend_90d": [90.0, -5.0],
                "spend_365d": [730.0, 20.0],
                "net_spend": [228.0, -5.0],
                "T_days": [400.0, 3.0],
            }
        )
        found = {name: values.tolist() for name, values in current_pace(frame).items()}
        assert found == {
            "spend_30d": [2.0, 0.0],
            "spend_90d": [1.0, 0.0],
            "spend_365d": [2.0, 2.0],  # of 365 days at most, of the tenure and a week else
            "net_spend": [pytest.approx(228 / 414), 0.0],
        }

    def test_without_a_purchase_counts_as_a_tenure_of_nothing(self) -> None:
        row = {"spend_30d": [0.0], "spend_90d": [0.0], "spend_365d": [14.0], "net_spend": [7.0], "T_days": [np.nan]}
        found = current_pace(pd.DataFrame(row))
        assert (found["spend_365d"][0], found["net_spend"][0]) == (2.0, 0.5)

    def test_weights_add_up_to_at_least_a_hundredth(self) -> None:
        frame = known(3).assign(spend_30d=[30.0, 0.0, 0.0], net_spend=0.0)
        weights = {"spend_30d": 0.5, "btyd": 2.0, "constant": 0.125}
        found = spend_at_pace(frame, np.array([10.0, 1.0, 0.0]), weights, LEARNT)
        assert found.tolist() == [0.5 * 56 + 20.0 + 0.125, 2.125, 0.125]
        assert spend_at_pace(frame, np.zeros(3), {"net_spend": 9.0}, LEARNT).tolist() == [0.01] * 3
        assert spend_at_pace(frame, np.zeros(3), {}, LEARNT).tolist() == [0.01] * 3


def test_high_value_begins_at_the_limit() -> None:
    assert value_predictor().is_high_value(np.array([399.99, 400.0, 401.0])).tolist() == [False, True, True]


def test_a_new_customer_is_expected_to_buy_as_the_population_does() -> None:
    zero = np.zeros(1)
    assert value_predictor().prior_purchases() == pytest.approx(purchases(LEARNT, zero, zero, zero)[0], rel=1e-9)


def test_the_percentile_of_the_populations_own_quantiles_is_their_rank() -> None:
    population = np.random.default_rng(3).gamma(1.0, 50.0, 5000)
    model = value_predictor(percentile_grid=percentile_grid(population))
    asked = np.quantile(population, [0.0, 0.25, 0.5, 0.999, 1.0])
    assert model.percentile(asked) == pytest.approx([0, 25, 50, 99.9, 100])
    assert model.percentile(np.array([-5.0, 1e9])).tolist() == [0.0, 100.0]
