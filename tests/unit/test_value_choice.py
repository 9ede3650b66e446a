"""Which family of purchases is taken: by what customers came to, with a way out where a family does not fit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from kernel.btyd import BgNbd, MbgNbd
from kernel.errors import NotEnoughDataError
from kernel.pareto_nbd import ParetoNbd
from kernel.purchases import FAMILIES, Family, PurchaseModel
from training.models import value_choice
from training.models.value_btyd import BtydFit, fit_gamma_gamma
from training.models.value_choice import (
    DEFAULT,
    FEWEST_REPEAT_CUSTOMERS,
    FITS,
    HISTORY,
    Trial,
    choose_family,
    fit_purchases,
)

HORIZON = 180.0
MODELS: dict[Family, PurchaseModel] = {
    "pareto_nbd": ParetoNbd(0.55, 10.6, 0.6, 11.7, 7.0),
    "bg_nbd": BgNbd(0.24, 4.4, 0.79, 2.43, 7.0),
    "mbg_nbd": MbgNbd(0.525, 6.18, 0.89, 1.61, 7.0),
}
NOT_ENOUGH = {"where": "frequency", "fix": "Give a longer history."}


def made_by(family: Family, customers: int, seed: int) -> Trial:
    """Customers who buy once in 50 days and leave as the family has it, in whole weeks, and what they spend after."""
    generator = np.random.default_rng(seed)
    T = 28.0 * generator.integers(7, 25, customers)
    rate = generator.gamma(2.0, 1 / 100.0, customers)
    leaves = generator.beta(0.5, 0.7, customers)
    gone = np.full(customers, np.inf)
    if family == "pareto_nbd":
        gone, leaves = generator.exponential(1 / generator.gamma(1.5, 1 / 200.0, customers)), np.zeros(customers)
    elif family == "mbg_nbd":  # also right after the first purchase
        gone = np.where(generator.random(customers) < leaves, 0.0, np.inf)
    rows: list[tuple[int, float, int]] = []
    for i in range(customers):
        moments = generator.uniform(0, T[i] + HORIZON, generator.poisson(rate[i] * (T[i] + HORIZON)))
        weeks = np.unique(np.ceil(moments[moments < gone[i]] / 7) * 7)
        last = np.flatnonzero(generator.random(len(weeks)) < leaves[i])
        weeks = weeks[: last[0] + 1] if len(last) else weeks
        before = weeks[weeks <= T[i]]
        rows.append((len(before), float(before.max(initial=0.0)), len(weeks) - len(before)))
    frequency, recency_days, later = np.array(rows).T
    value = generator.gamma(50.0, 1.0, customers)
    monetary_value = np.where(frequency > 0, value, np.nan)
    frame = pd.DataFrame(np.column_stack([frequency, recency_days, T, monetary_value]), columns=list(HISTORY))
    return Trial(frame, HORIZON, later * value)


def exactly_as(model: PurchaseModel, repeat_customers: int, seed: int = 5) -> Trial:
    """Random histories, and afterwards just the spend that the model expects of them."""
    generator = np.random.default_rng(seed)
    frequency = np.concatenate([generator.integers(1, 9, repeat_customers), np.zeros(40)])
    T = generator.integers(100, 400, len(frequency)).astype("float64")
    recency = np.where(frequency > 0, np.floor(T * generator.random(len(frequency))), 0.0)
    frame = pd.DataFrame({"frequency": frequency, "recency_days": recency, "T_days": T})
    frame["monetary_value"] = np.where(frequency > 0, generator.gamma(4.0, 10.0, len(frequency)), np.nan)
    orders = fit_gamma_gamma(frame).model.expected_order_value(frequency, frame["monetary_value"].fillna(0))
    return Trial(frame, 90.0, model.expected_purchases(90.0, frequency, recency, T) * orders)


def fit_is(family: Family) -> Callable[[pd.DataFrame], BtydFit[PurchaseModel]]:
    return lambda histories: BtydFit(MODELS[family], 0.0, len(histories), len(histories), ())


def no_fit(reason: str) -> Callable[[pd.DataFrame], BtydFit[PurchaseModel]]:
    def fails(histories: pd.DataFrame) -> BtydFit[PurchaseModel]:
        raise NotEnoughDataError(f"{reason} in {len(histories)} rows.", **NOT_ENOUGH)

    return fails


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> dict[Family, Callable[[pd.DataFrame], BtydFit[PurchaseModel]]]:
    """Fits that know their parameters already; a test may put others in their place."""
    known = {family: fit_is(family) for family in FITS}
    monkeypatch.setattr(value_choice, "FITS", known)
    return known


def test_every_family_that_can_be_stored_can_be_fitted() -> None:
    assert set(FITS) == set(FAMILIES)
    assert next(iter(FITS)) == "pareto_nbd"


@pytest.mark.parametrize(("family", "seed"), [("pareto_nbd", 1), ("pareto_nbd", 3), ("bg_nbd", 1), ("bg_nbd", 2)])
def test_customers_are_known_by_what_they_come_to(family: Family, seed: int) -> None:
    chosen, errors = choose_family([made_by(family, 1500, seed)])
    assert chosen == family
    assert list(errors) == list(FITS)
    assert errors[family] < 0.98 * errors["bg_nbd" if family == "pareto_nbd" else "pareto_nbd"]


class TestWithKnownParameters:
    @pytest.mark.parametrize("family", list(FITS))
    def test_the_family_that_foretells_the_spend_is_taken(self, fits: dict[Family, object], family: Family) -> None:
        chosen, errors = choose_family([exactly_as(MODELS[family], 150)])
        assert chosen == family
        assert errors[family] == pytest.approx(0.0, abs=1e-12)
        assert sorted(errors.values())[1] > 0.04

    def test_the_error_is_the_mean_absolute_one_beside_the_mean_spend(self, fits: dict[Family, object]) -> None:
        trial = exactly_as(MODELS["bg_nbd"], 150)
        spend = trial.spend.copy()
        spend[:20] -= 40.0  # returns; they count by their size
        other = Trial(trial.histories, trial.horizon_days, spend)
        _, errors = choose_family([other])
        assert errors["bg_nbd"] == pytest.approx(20 * 40.0 / np.abs(spend).sum(), rel=1e-9)

    def test_over_trials_the_mean_of_the_errors_counts(self, fits: dict[Family, object]) -> None:
        one, two = exactly_as(MODELS["bg_nbd"], 150), exactly_as(MODELS["pareto_nbd"], 300, seed=6)
        alone = [choose_family([trial])[1] for trial in (one, two)]
        chosen, together = choose_family([one, two])
        assert together == pytest.approx({family: (alone[0][family] + alone[1][family]) / 2 for family in FITS})
        assert chosen == min(together, key=together.__getitem__)

    def test_of_equals_the_first_is_taken(self, fits: dict[Family, object]) -> None:
        fits.update({family: fit_is("bg_nbd") for family in FITS})
        chosen, errors = choose_family([exactly_as(MODELS["bg_nbd"], 150)])
        assert len(set(errors.values())) == 1
        assert chosen == "pareto_nbd"

    def test_nothing_spent_is_no_division_by_nothing(self, fits: dict[Family, object]) -> None:
        trial = exactly_as(MODELS["bg_nbd"], 150)
        _, errors = choose_family([Trial(trial.histories, 90.0, np.zeros(len(trial.spend)))])
        assert errors["bg_nbd"] == pytest.approx(np.abs(trial.spend).mean() / 1e-9, rel=1e-9)


class TestTooFewCameBack:
    def test_without_trials_it_is_the_default(self) -> None:
        assert choose_family([]) == (DEFAULT, {}) == ("bg_nbd", {})

    @pytest.mark.parametrize(("repeat_customers", "tells"), [(99, False), (100, True)])
    def test_a_hundred_have_to_come_back(self, fits: dict[Family, object], repeat_customers: int, tells: bool) -> None:
        assert FEWEST_REPEAT_CUSTOMERS == 100
        chosen, errors = choose_family([exactly_as(MODELS["pareto_nbd"], repeat_customers)])
        assert (chosen, bool(errors)) == (("pareto_nbd", True) if tells else ("bg_nbd", False))

    def test_trials_that_say_nothing_do_not_count(self, fits: dict[Family, object]) -> None:
        telling, other = exactly_as(MODELS["mbg_nbd"], 150), exactly_as(MODELS["pareto_nbd"], 90)
        assert choose_family([other, telling, other]) == choose_family([telling])


class TestAFamilyThatDoesNotFit:
    def test_is_out_however_well_it_did_elsewhere(self, fits: dict[Family, object]) -> None:
        one, two = exactly_as(MODELS["bg_nbd"], 150), exactly_as(MODELS["bg_nbd"], 200, seed=6)
        assert choose_family([one, two])[0] == "bg_nbd"

        def only_small(histories: pd.DataFrame) -> BtydFit[PurchaseModel]:
            return (fit_is("bg_nbd") if len(histories) == len(one.histories) else no_fit("Nothing fits"))(histories)

        fits["bg_nbd"] = only_small
        chosen, errors = choose_family([one, two])
        assert errors["bg_nbd"] == np.inf
        assert chosen == min(("pareto_nbd", "mbg_nbd"), key=errors.__getitem__)
        assert max(errors["pareto_nbd"], errors["mbg_nbd"]) < np.inf

    def test_gives_way_to_the_first_other_that_fits(self, fits: dict[Family, object]) -> None:
        histories = pd.DataFrame(index=range(60))
        fits["mbg_nbd"] = no_fit("MBG/NBD does not fit")
        assert fit_purchases(histories, "mbg_nbd") == MODELS["pareto_nbd"]
        fits["pareto_nbd"] = no_fit("Pareto/NBD does not fit")
        assert fit_purchases(histories, "mbg_nbd") == MODELS["bg_nbd"]
        assert fit_purchases(histories, "pareto_nbd") == MODELS["bg_nbd"]

    def test_is_what_is_said_where_no_other_fits_either(self, fits: dict[Family, object]) -> None:
        histories = pd.DataFrame(index=range(60))
        fits.update({family: no_fit(f"{family} does not fit") for family in FITS})
        for family in FITS:
            with pytest.raises(NotEnoughDataError) as raised:
                fit_purchases(histories, family)
            assert raised.value.what == f"{family} does not fit in 60 rows."
            assert {"where": raised.value.where, "fix": raised.value.fix} == NOT_ENOUGH

    def test_the_family_that_fits_is_asked_alone(self, fits: dict[Family, object]) -> None:
        fits.update({family: no_fit(f"{family} does not fit") for family in FITS if family != "bg_nbd"})
        assert fit_purchases(pd.DataFrame(index=range(60)), "bg_nbd") == MODELS["bg_nbd"]


def test_too_few_repeat_customers_for_any_family_are_counted() -> None:
    once = pd.DataFrame({"frequency": [1.0] * 9 + [0.0] * 41, "recency_days": [3.0] * 9 + [0.0] * 41, "T_days": 90.0})
    with pytest.raises(NotEnoughDataError, match=r"^9 of 50 customers bought on a second day"):
        fit_purchases(once, "pareto_nbd")
