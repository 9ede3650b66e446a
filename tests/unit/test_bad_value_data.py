"""Data that lifetime value cannot be learnt from, or hardly: a clear error with its counts, or sensible numbers."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.definitions import feature_set
from kernel.errors import DataError, ForesightError, NotEnoughDataError
from kernel.value_predictor import ValuePredictor
from tests.projects import TABLES, TinyProject
from training.dataset import TrainingSet
from training.models.order_values import fit_order_values
from training.models.value import ValueJob, fit_behaviour, net_share
from training.models.value_btyd import fit_bg_nbd, fit_gamma_gamma, fit_mbg_nbd, fit_pareto_nbd

HORIZON = 90
ORDER = 6.0 * 15.0 / 3.0  # what an order is worth on average: p v / (q - 1)
PURCHASES: dict[str, Callable[[pd.DataFrame], Any]] = {
    "bg_nbd": fit_bg_nbd,
    "mbg_nbd": fit_mbg_nbd,
    "pareto_nbd": fit_pareto_nbd,
}
SPENDS: dict[str, Callable[[pd.DataFrame], Any]] = {"gamma_gamma": fit_gamma_gamma, "order_values": fit_order_values}
FIT_BEHAVIOUR = "behaviour"


def shop(customers: int = 300, seed: int = 1) -> pd.DataFrame:
    """Customers who buy about once in 40 days, in whole weeks, and leave; orders of a Gamma-Gamma population."""
    generator = np.random.default_rng(seed)
    T = 28.0 * generator.integers(5, 20, customers)
    rate, gone = generator.gamma(1.0, 1 / 40.0, customers), generator.exponential(200.0, customers)
    rows: list[tuple[int, float]] = []
    for i in range(customers):
        moments = generator.uniform(0, T[i], generator.poisson(rate[i] * T[i]))
        weeks = np.unique(np.ceil(moments[moments < gone[i]] / 7) * 7)
        rows.append((len(weeks), float(weeks.max(initial=0.0))))
    frequency, recency_days = np.array(rows).T
    repeats = np.maximum(frequency, 1)
    value = generator.gamma(6.0 * repeats, 15.0 / generator.gamma(4.0, 1.0, customers) / repeats)
    frame = pd.DataFrame(
        {
            "frequency": frequency,
            "recency_days": recency_days,
            "T_days": T,
            "monetary_value": np.where(frequency > 0, value, np.nan),
            "net_spend": value * (frequency + 1),
            "returned_share": 0.0,
        },
        index=pd.Index([f"c{i:04d}" for i in range(customers)], name="customer_id", dtype="object"),
    )
    return frame.assign(days_since_last_purchase=frame["T_days"] - frame["recency_days"])


def once(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(frequency=0.0, recency_days=0.0, monetary_value=np.nan)


def since_today(frame: pd.DataFrame) -> pd.DataFrame:
    return once(frame).assign(T_days=0.0)


def bought_after_the_end(frame: pd.DataFrame) -> pd.DataFrame:
    late = np.arange(len(frame)) % 100 == 7
    return frame.assign(recency_days=np.where(late, frame["T_days"] + 1, frame["recency_days"]))


@pytest.fixture
def behaviour(project: TinyProject) -> Callable[[pd.DataFrame], ValuePredictor]:
    """Both models of buying behaviour as training fits them."""
    settings = project.settings(windows("horizon_days = 90"))

    def fit(frame: pd.DataFrame) -> ValuePredictor:
        size = len(frame)
        now = np.full(size, np.datetime64("2024-01-01", "us"))
        data = TrainingSet(frame, now, np.zeros(size), np.full(size, 20.0), np.ones(size, dtype=bool))
        as_of = datetime(2024, 6, 1, tzinfo=UTC)
        return fit_behaviour(
            ValueJob(
                data, frame, lambda rows, _: np.full(len(rows), np.nan), feature_set({}), settings, as_of, "0" * 64
            )
        )

    return fit


def windows(value: str) -> str:
    return f"{TABLES}\n[value]\n{value}\n"


def refused(fit: Callable[[pd.DataFrame], Any], frame: pd.DataFrame, kind: type[ForesightError]) -> ForesightError:
    """The error; it has three parts and names a number of customers or rows."""
    with pytest.raises(kind) as raised:
        fit(frame)
    error = raised.value
    assert type(error) is kind
    assert str(error) == f"{error.what}\n  where: {error.where}\n  fix:   {error.fix}"
    assert error.what.endswith(".")
    assert error.fix.endswith(".")
    assert re.search(r"\d", error.what + error.where)
    return error


def sensible(model: Any, frame: pd.DataFrame) -> np.ndarray:
    """Expected purchases over a year: finite, never below 0, never beyond twice the fastest pace that was seen."""
    parameters = np.array(list(model.to_dict().values()))
    assert np.isfinite(parameters).all()
    assert (parameters > 0).all()
    histories = frame["frequency"], frame["recency_days"], frame["T_days"]
    alive = model.probability_alive(*histories)
    assert ((alive >= 0) & (alive <= 1)).all()
    expected = model.expected_purchases(365.0, *histories)
    fastest = ((frame["frequency"] + 1) / (frame["T_days"] + 28)).max()
    assert (expected >= 0).all()
    assert expected.max() < 2 * 365 * fastest
    return expected


class TestEverybodyBoughtOnce:
    WHAT = "0 of 300 customers bought on a second day; how customers come back and leave is learnt from 10 or more."

    @pytest.mark.parametrize("family", PURCHASES)
    def test_no_family_fits(self, family: str) -> None:
        assert refused(PURCHASES[family], once(shop()), NotEnoughDataError).what == self.WHAT

    @pytest.mark.parametrize("name", SPENDS)
    def test_nothing_is_known_of_orders(self, name: str) -> None:
        error = refused(SPENDS[name], once(shop()), NotEnoughDataError)
        assert error.what.startswith("0 customers have repeat purchases with a mean value above 0")

    def test_training_says_the_same(self, behaviour: Callable[[pd.DataFrame], ValuePredictor]) -> None:
        assert refused(behaviour, once(shop()), NotEnoughDataError).what == self.WHAT

    @pytest.mark.parametrize("family", PURCHASES)
    @pytest.mark.parametrize(("again", "enough"), [(9, False), (10, True)])
    def test_it_takes_ten_who_came_again(self, family: str, again: int, enough: bool) -> None:
        frame = once(shop())
        some = shop()[lambda rows: rows["frequency"] > 0].iloc[:again]
        frame.loc[some.index] = some
        if enough:
            assert sensible(PURCHASES[family](frame).model, frame).mean() < 2.0
        else:
            assert refused(PURCHASES[family], frame, NotEnoughDataError).what.startswith("9 of 300 customers")


class TestValuesOfNothing:
    @pytest.mark.parametrize("value", [0.0, -12.5])
    @pytest.mark.parametrize("name", [*SPENDS, FIT_BEHAVIOUR])
    def test_of_everybody_leave_nothing_to_learn(
        self, name: str, value: float, behaviour: Callable[[pd.DataFrame], ValuePredictor]
    ) -> None:
        frame = shop().assign(monetary_value=value)
        error = refused({**SPENDS, FIT_BEHAVIOUR: behaviour}[name], frame, NotEnoughDataError)
        assert error.what.startswith("0 customers have repeat purchases with a mean value above 0, of 0 different")
        assert error.where == "frequency and monetary_value"

    @pytest.mark.parametrize("value", [0.0, -12.5])
    def test_of_some_are_left_out(self, value: float) -> None:
        frame = shop()
        returned = frame["monetary_value"].notna() & (np.arange(300) % 3 == 0)
        assert returned.sum() > 50
        spoilt = frame.assign(monetary_value=frame["monetary_value"].mask(returned, value))
        for fit in SPENDS.values():
            found, without = fit(spoilt), fit(frame[~returned])
            assert getattr(found, "model", found) == getattr(without, "model", without)

    @pytest.mark.parametrize("value", [0.0, -12.5])
    def test_of_some_customers_say_nothing_of_their_next_order(
        self, value: float, behaviour: Callable[[pd.DataFrame], ValuePredictor]
    ) -> None:
        frame = shop()
        returned = (frame["monetary_value"].notna() & (np.arange(300) % 10 == 0)).to_numpy()
        spoilt = frame.assign(monetary_value=frame["monetary_value"].mask(returned, value))
        model = behaviour(spoilt)
        found = model.history(spoilt, [HORIZON]).order_value
        values = model.manifest.order_values
        assert values.slope == 0.0
        assert found[returned] == pytest.approx(values.p * values.v / (values.q - 1), rel=1e-12)
        assert found.min() > 0
        assert np.isfinite(model.expected_spend(spoilt)).all()

    @pytest.mark.parametrize("family", PURCHASES)
    def test_change_nothing_of_purchases(self, family: str) -> None:
        frame = shop(120)
        assert PURCHASES[family](frame.assign(monetary_value=-1.0)).model == PURCHASES[family](frame).model

    @pytest.mark.parametrize("name", [*SPENDS, FIT_BEHAVIOUR])
    def test_that_are_missing_are_counted(self, name: str, behaviour: Callable[[pd.DataFrame], ValuePredictor]) -> None:
        frame = shop()
        frame.loc[frame.index[frame["frequency"] > 0][:4], "monetary_value"] = np.nan
        error = refused({**SPENDS, FIT_BEHAVIOUR: behaviour}[name], frame, DataError)
        assert error.what == "4 customers with repeat purchases have no mean value of them."


class TestNoTimeHasPassed:
    WHAT = "All 300 customers bought first on the last observed day."

    @pytest.mark.parametrize("family", [*PURCHASES, FIT_BEHAVIOUR])
    def test_since_anybody_came(self, family: str, behaviour: Callable[[pd.DataFrame], ValuePredictor]) -> None:
        error = refused({**PURCHASES, FIT_BEHAVIOUR: behaviour}[family], since_today(shop()), NotEnoughDataError)
        assert (error.what, error.where, error.fix) == (self.WHAT, "T_days", "Give a longer history.")

    @pytest.mark.parametrize("family", PURCHASES)
    def test_since_a_third_came_changes_next_to_nothing(self, family: str) -> None:
        frame = shop()
        new = since_today(shop(150)).set_index(pd.Index([f"n{i}" for i in range(150)]))
        both = pd.concat([frame, new])
        before, after = PURCHASES[family](frame).model, PURCHASES[family](both).model
        expected = sensible(after, both)
        # Nothing is known of the new ones but their first purchase: each is expected to buy as anybody new.
        assert expected[300:] == pytest.approx(after.population(365.0), rel=1e-9)
        assert after.to_dict() == pytest.approx(before.to_dict(), rel=0.05)


class TestLastPurchaseAfterTheLastDay:
    @pytest.mark.parametrize("family", [*PURCHASES, FIT_BEHAVIOUR])
    def test_is_an_error_that_counts_and_finds_them(
        self, family: str, behaviour: Callable[[pd.DataFrame], ValuePredictor]
    ) -> None:
        fits = {**PURCHASES, FIT_BEHAVIOUR: behaviour}
        error = refused(fits[family], bought_after_the_end(shop()), DataError)
        assert error.what == "The last purchase lies after the last observed day."
        assert error.where == "recency_days against T_days: 3 of 300 rows, first at position 7"

    @pytest.mark.parametrize("family", PURCHASES)
    def test_is_one_in_what_is_asked_too(self, family: str) -> None:
        model = PURCHASES[family](shop(120)).model
        with pytest.raises(DataError, match="The last purchase lies after the last observed day") as raised:
            model.expected_purchases(30.0, [2, 2], [10, 30], [20, 20])
        assert raised.value.where == "recency_days against T_days: 1 of 2 rows, first at position 1"

    @pytest.mark.parametrize(
        ("column", "value", "what"),
        [
            ("frequency", 1.5, "frequency is not a whole number of 0 or more."),
            ("frequency", np.nan, "frequency is not a whole number of 0 or more."),
            ("recency_days", -1.0, "recency_days is negative or missing."),
            ("T_days", np.inf, "T_days is negative or missing."),
        ],
    )
    @pytest.mark.parametrize("family", [*PURCHASES, FIT_BEHAVIOUR])
    def test_and_other_impossible_numbers_are_counted(
        self,
        family: str,
        column: str,
        value: float,
        what: str,
        behaviour: Callable[[pd.DataFrame], ValuePredictor],
    ) -> None:
        frame = shop()
        frame.iloc[[5, 9], frame.columns.get_loc(column)] = value
        error = refused({**PURCHASES, FIT_BEHAVIOUR: behaviour}[family], frame, DataError)
        assert (error.what, error.where) == (what, f"{column}: 2 of 300 rows, first at position 5")


class TestTwentyCustomers:
    @pytest.mark.parametrize("seed", [1, 2, 3])
    @pytest.mark.parametrize("family", PURCHASES)
    def test_have_a_sensible_model_of_purchases(self, family: str, seed: int) -> None:
        frame = shop(20, seed)
        assert (frame["frequency"] > 0).sum() >= 10
        sensible(PURCHASES[family](frame).model, frame)

    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_have_sensible_values_in_training(
        self, seed: int, behaviour: Callable[[pd.DataFrame], ValuePredictor]
    ) -> None:
        frame = shop(20, seed)
        model = behaviour(frame)
        assert model.manifest.purchases.family == "bg_nbd"  # too few for a choice
        found = model.history(frame, [HORIZON])
        paid = frame["monetary_value"].dropna()
        assert found.order_value.min() > paid.min() / 3
        assert found.order_value.max() < 3 * paid.max()
        spend = model.expected_spend(frame)
        assert (spend > 0).all()
        assert spend == pytest.approx(found.purchases[:, 0] * found.order_value, rel=1e-12)

    def test_of_whom_too_few_came_again_are_counted(self, behaviour: Callable[[pd.DataFrame], ValuePredictor]) -> None:
        frame = shop(20)
        kept = frame.index[frame["frequency"] > 0][:6]
        few = once(frame)
        few.loc[kept] = frame.loc[kept]
        assert refused(behaviour, few, NotEnoughDataError).what.startswith("6 of 20 customers bought on a second day")


class TestOneGiantCustomer:
    @staticmethod
    def spoilt() -> tuple[pd.DataFrame, str]:
        """One customer of usual frequency who spends 10,000 times what the others do."""
        frame = shop()
        giant = str(frame.index[frame["frequency"] == 2][0])
        frame.loc[giant, "monetary_value"] = 10_000 * frame["monetary_value"].median()
        frame.loc[giant, "net_spend"] = 3 * frame.loc[giant, "monetary_value"]
        return frame, giant

    @pytest.mark.parametrize("family", PURCHASES)
    def test_changes_nothing_of_purchases(self, family: str) -> None:
        assert PURCHASES[family](self.spoilt()[0]).model == PURCHASES[family](shop()).model

    def test_the_orders_of_the_others_are_worth_what_they_were(
        self, behaviour: Callable[[pd.DataFrame], ValuePredictor]
    ) -> None:
        frame, giant = self.spoilt()
        others = frame.index != giant
        with_giant, without = behaviour(frame), behaviour(frame[others])
        found = with_giant.history(frame, [HORIZON]).order_value
        usual = without.history(frame[others], [HORIZON]).order_value
        assert np.isfinite(found).all()
        assert found.min() > 0
        ratio = found[others] / usual
        assert 0.5 < ratio.min() < ratio.max() < 2.0
        assert found[~others][0] <= frame.loc[giant, "monetary_value"]
        assert found[~others][0] > 100 * ORDER
        total = with_giant.expected_spend(frame)
        assert np.isfinite(total).all()
        assert total[others].sum() == pytest.approx(without.expected_spend(frame[others]).sum(), rel=0.3)

    @pytest.mark.parametrize("customers", [60, 300, 1000])
    def test_among_few_or_many_leaves_a_population_with_a_mean(self, customers: int) -> None:
        frame = shop(customers, seed=4)
        giant = frame.index[frame["frequency"] > 0][0]
        frame.loc[giant, "monetary_value"] *= 10_000
        values = fit_order_values(frame).values
        assert values.q > 1
        assert 0.5 * ORDER < values.p * values.v / (values.q - 1) < 3 * ORDER


@pytest.mark.parametrize(
    ("net", "returned", "left"),
    [
        ([100.0] * 100 + [-80.0], [0.0] * 100 + [9.0], 9920 / 10010),  # bought for 10, and returned for 90
        ([100.0, 0.0], [0.0, 1.0], 1.0),  # the second returned all: nobody knows how much
        ([75.0, 75.0], [0.25, 0.25], 0.75),
        ([-5.0], [1.5], 0.01),  # more returned than bought: next to nothing is left
        ([], [], 1.0),
    ],
)
def test_what_returns_leave_is_a_share_whoever_returned_more_than_they_bought(
    net: list[float], returned: list[float], left: float
) -> None:
    assert net_share(pd.DataFrame({"net_spend": net, "returned_share": returned})) == pytest.approx(left)
