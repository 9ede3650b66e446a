"""The shifted-beta-geometric: against the definition, at the edges, and fitted on contracts made by it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.optimize import check_grad
from scipy.special import betaln, hyp2f1

from kernel.errors import DataError, NotEnoughDataError, RegistryError, UsageError
from kernel.sbg import Sbg
from training.models import value_sbg
from training.models.value_sbg import fit_sbg

HIGH_END = Sbg(alpha=0.668, beta=3.806, days_per_period=365.25)
MODELS = [HIGH_END, Sbg(1.0, 1.182, 30.4375), Sbg(3.8, 15.2, 7.0), Sbg(0.067, 0.267, 30.0), Sbg(0.5, 4000.0, 1.0)]
TENURES = np.array([0, 1, 2, 7, 40, 5000])


def per_period(model: Sbg) -> Sbg:
    """The same with days as periods."""
    return Sbg(model.alpha, model.beta, 1.0)


@pytest.mark.parametrize("model", MODELS)
def test_survival_is_the_ratio_of_two_beta_functions_and_falls(model: Sbg) -> None:
    t = np.arange(200)
    expected = np.exp(betaln(model.alpha, model.beta + t) - betaln(model.alpha, model.beta))
    survival = model.survival(t)
    np.testing.assert_allclose(survival, expected, rtol=1e-9)
    assert survival[0] == 1.0
    assert (np.diff(survival) < 0).all()


@pytest.mark.parametrize("model", MODELS)
def test_survival_is_a_mean_over_customers(model: Sbg) -> None:
    def renews_thrice(theta: float) -> float:
        return (1 - theta) ** (model.beta + 2)

    # The density's singularity at theta = 0 is the weight of the quadrature.
    mean = quad(renews_thrice, 0, 1, weight="alg", wvar=(model.alpha - 1, 0), epsrel=1e-11, limit=500)[0]
    assert model.survival(3)[0] == pytest.approx(mean / np.exp(betaln(model.alpha, model.beta)), rel=1e-8)


@pytest.mark.parametrize("model", MODELS)
def test_retention_rises_with_tenure_and_multiplies_to_survival(model: Sbg) -> None:
    retention = model.retention(np.arange(1, 5001))
    assert (np.diff(retention) > 0).all()
    assert ((retention > 0) & (retention < 1)).all()
    np.testing.assert_allclose(np.cumprod(retention), model.survival(np.arange(1, 5001)), rtol=1e-11)


@pytest.mark.parametrize("model", MODELS)
def test_conditional_survival_multiplies(model: Sbg) -> None:
    n, ahead = TENURES[:, None], np.array([[0, 1, 3, 12, 300]])
    given = model.survival_given(n, ahead)
    assert given.shape == (6, 5)
    assert (given[:, 0] == 1.0).all()
    assert (np.diff(given[:, 1:], axis=0) > 0).all()  # the longer a customer has stayed, the longer it stays
    np.testing.assert_allclose(model.survival(n) * given, model.survival(n + ahead), rtol=1e-12)
    np.testing.assert_allclose(given * model.survival_given(n + ahead, 5), model.survival_given(n, ahead + 5))
    assert model.survival_given(7, 1)[0] == pytest.approx(model.retention(8)[0], rel=1e-12)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("periods", [0, 1, 2, 12, 365])
def test_payments_of_whole_periods_are_the_sum_of_survival(model: Sbg, periods: int) -> None:
    expected = model.survival_given(TENURES[:, None], np.arange(1, periods + 1)[None, :]).sum(axis=1)
    paid = model.expected_payments(periods * model.days_per_period, TENURES)
    np.testing.assert_allclose(paid, expected, rtol=1e-11)


@pytest.mark.parametrize("model", MODELS)
def test_payments_rise_with_the_horizon_in_straight_lines(model: Sbg) -> None:
    horizons = np.array([0.0, 0.1, 0.5, 1.0, 1.5, 2.0, 2.25, 3.0])
    paid = np.array([model.expected_payments(h * model.days_per_period, TENURES) for h in horizons])
    assert (paid[0] == 0.0).all()
    assert (np.diff(paid, axis=0) > 0).all()
    assert (paid <= horizons[:, None]).all()
    np.testing.assert_allclose(paid[4], (paid[3] + paid[5]) / 2, rtol=1e-12)
    np.testing.assert_allclose(paid[6], 0.75 * paid[5] + 0.25 * paid[7], rtol=1e-12)


def test_payments_agree_with_customers_whose_next_renewal_may_come_on_any_day() -> None:
    model, generator = Sbg(1.5, 3.0, 1.0), np.random.default_rng(1)
    theta = generator.beta(1.5, 3.0 + 2, 400_000)  # of those who have renewed twice
    occasions = np.floor(2.6 - generator.random(theta.size)) + 1  # the first comes within a period
    renewed = np.minimum(generator.geometric(theta) - 1, occasions)
    assert model.expected_payments(2.6, 2)[0] == pytest.approx(renewed.mean(), abs=0.006)


@pytest.mark.parametrize("alpha", [0.067, 0.704, 1.0, 3.8, 50.0, 1e5])
@pytest.mark.parametrize("beta", [0.05, 1.182, 200.0, 4e4])
@pytest.mark.parametrize("discount", [1e-3, 0.0079, 0.1, 2.0])
def test_residual_lifetime_is_the_discounted_sum(alpha: float, beta: float, discount: float) -> None:
    model = Sbg(alpha, beta, 1.0)
    t = np.arange(1, int(40 / np.log1p(discount)) + 3)
    weights = (1 + discount) ** -(t - 1.0)
    brute_force = model.survival_given(TENURES[:, None], t[None, :]) @ weights
    np.testing.assert_allclose(model.discounted_residual_lifetime(TENURES, discount), brute_force, rtol=1e-10)


@pytest.mark.parametrize("n", [0, 1, 7, 30])
def test_residual_lifetime_is_the_closed_form_of_the_paper(n: int) -> None:
    alpha, beta, period = HIGH_END.alpha, HIGH_END.beta, n + 1  # the paper numbers the running period
    closed = (
        (beta + period - 1) / (alpha + beta + period - 1) * hyp2f1(1, beta + period, alpha + beta + period, 1 / 1.1)
    )
    assert HIGH_END.discounted_residual_lifetime(n, 0.1)[0] == pytest.approx(closed, rel=1e-11)


def test_residual_lifetime_where_hardly_anything_is_discounted() -> None:
    """Without a discount it is (beta + n) / (alpha - 1), which is what the sum comes to at alpha of 40."""
    assert Sbg(40.0, 80.0, 1.0).discounted_residual_lifetime(3, 1e-6)[0] == pytest.approx(83 / 39, rel=1e-5)
    assert Sbg(40.0, 80.0, 1.0).discounted_residual_lifetime(3, 1e30)[0] == pytest.approx(83 / 123)


@pytest.mark.parametrize("model", MODELS)
def test_log_likelihood_is_that_of_the_two_ways_to_be_seen(model: Sbg) -> None:
    n = np.array([0.0, 1.0, 5.0, 5000.0])
    running, ended = model.log_likelihood(n, 0), model.log_likelihood(n, 1)
    np.testing.assert_allclose(np.exp(running), model.survival(n), rtol=1e-12)
    np.testing.assert_allclose(np.exp(ended), model.survival(n) * (1 - model.retention(n + 1)), rtol=1e-9)
    # Who ends at the next occasion and who does not are all who come to it.
    np.testing.assert_allclose(np.exp(ended) + model.survival(n + 1), np.exp(running), rtol=1e-12)
    assert model.log_likelihood([True, 3], [False, True]).shape == (2,)


@pytest.mark.parametrize("model", [*MODELS, Sbg(1e-9, 1e-9, 1.0), Sbg(1e12, 1e-9, 1.0), Sbg(1e12, 1e12, 1.0)])
def test_finite_for_thousands_of_renewals(model: Sbg) -> None:
    n = np.array([0, 5000, 1_000_000])
    for values in (
        model.survival(n),
        model.survival_given(n, 5000),
        model.expected_payments(5000 * model.days_per_period, n),
        model.discounted_residual_lifetime(n, 1e-4),
        model.log_likelihood(n, 1),
    ):
        assert np.isfinite(values).all()


def test_the_unit_of_time_is_the_period() -> None:
    assert HIGH_END.expected_payments(3 * 365.25, 2) == pytest.approx(per_period(HIGH_END).expected_payments(3, 2))


def test_one_customer_scores_alike_alone_and_among_many() -> None:
    n = np.random.default_rng(5).integers(0, 5000, 20_000)
    together = HIGH_END.expected_payments(1000, n), HIGH_END.survival_given(n, 9), HIGH_END.log_likelihood(n, 0)
    for i in range(0, n.size, 400):
        alone = (
            HIGH_END.expected_payments(1000, n[i]),
            HIGH_END.survival_given(n[i], 9),
            HIGH_END.log_likelihood(n[i], 0),
        )
        assert [values[0] for values in alone] == [values[i] for values in together]


def test_shapes_and_storage() -> None:
    assert HIGH_END.survival([]).shape == (0,)
    assert HIGH_END.expected_payments(30, []).shape == (0,)
    assert HIGH_END.expected_payments(30, [[0, 1, 1], [2, 0, 1]]).shape == (2, 3)
    assert HIGH_END.discounted_residual_lifetime([[0], [3]], 0.1).shape == (2, 1)
    assert Sbg.from_dict(json.loads(json.dumps(HIGH_END.to_dict()))) == HIGH_END
    with pytest.raises(RegistryError, match="is missing or no number"):
        Sbg.from_dict({"alpha": 1.0})
    with pytest.raises(UsageError, match="above 0"):
        Sbg(0.0, 1.0, 30.0)


@pytest.mark.parametrize("bad", [[1, -1], [1, 0.5], [1, np.nan], [1, np.inf], [1, 2e6]])
def test_what_is_no_number_of_renewals_is_said(bad: list[float]) -> None:
    calls = {
        "periods": lambda: HIGH_END.survival(bad),
        "period": lambda: HIGH_END.retention(bad),
        "renewals": lambda: HIGH_END.expected_payments(30, bad),
        "ahead": lambda: HIGH_END.survival_given(1, bad),
    }
    for name, call in calls.items():
        with pytest.raises(
            DataError, match=rf"^{name} is not a whole number[^\n]*\n.*1 of 2 rows, first at position 1"
        ):
            call()
    for call in (
        lambda: HIGH_END.survival_given(bad, 1),
        lambda: HIGH_END.discounted_residual_lifetime(bad, 0.1),
        lambda: HIGH_END.log_likelihood(bad, 1),
    ):
        with pytest.raises(DataError, match=r"^renewals is not a whole number"):
            call()


def test_other_bad_input_is_said() -> None:
    with pytest.raises(DataError, match="no renewal before the first"):
        HIGH_END.retention([1, 0])
    for bad in (0.5, 2, -1, np.nan):
        with pytest.raises(DataError, match="churned is neither 0 nor 1"):
            HIGH_END.log_likelihood([1, 2], [0, bad])
    with pytest.raises(DataError, match="not numbers of one common length"):
        HIGH_END.survival_given([1, 2], [1, 2, 3])
    with pytest.raises(DataError, match="not numbers of one common length"):
        HIGH_END.survival("many")
    with pytest.raises(UsageError, match="is not a length of time"):
        HIGH_END.expected_payments(-1, 1)
    for discount in (0.0, -0.1, np.nan, np.inf):
        with pytest.raises(UsageError, match="does not bound the value"):
            HIGH_END.discounted_residual_lifetime(1, discount)


def made(alpha: float, beta: float, contracts: int, seed: int) -> pd.DataFrame:
    """Contracts of the model, begun 1 to 24 periods ago."""
    generator = np.random.default_rng(seed)
    last = generator.geometric(generator.beta(alpha, beta, contracts))
    seen = generator.integers(1, 25, contracts)
    return pd.DataFrame({"renewals": np.minimum(last - 1, seen), "churned": (last <= seen).astype(float)})


@pytest.mark.parametrize(("alpha", "beta"), [(0.7, 3.8), (3.0, 12.0), (0.5, 20.0)])
def test_a_fit_finds_what_made_the_contracts(alpha: float, beta: float) -> None:
    summary = made(alpha, beta, 20_000, 1)
    fit = fit_sbg(summary, days_per_period=30.0)
    assert fit.model.alpha / (fit.model.alpha + fit.model.beta) == pytest.approx(alpha / (alpha + beta), rel=0.05)
    assert fit.model.alpha == pytest.approx(alpha, rel=0.3)
    assert fit.model.days_per_period == 30.0
    truth = Sbg(alpha, beta, 30.0).log_likelihood(summary["renewals"], summary["churned"]).sum()
    assert truth <= fit.log_likelihood <= truth + 10
    assert (fit.contracts, fit.penalizer, len(fit.attempts)) == (20_000, 0.0, 4)
    assert fit.unique_rows == len(summary.drop_duplicates())
    # Wherever the optimiser starts, it ends in one place.
    assert [attempt.log_likelihood for attempt in fit.attempts] == pytest.approx([fit.log_likelihood] * 4, abs=1e-6)


def test_weighted_rows_are_the_same_as_all_rows() -> None:
    summary = made(0.7, 3.8, 500, 2)
    once, thrice = (fit_sbg(rows, days_per_period=30.0) for rows in (summary, pd.concat([summary] * 3)))
    assert once.unique_rows == thrice.unique_rows
    assert thrice.model.to_dict() == pytest.approx(once.model.to_dict(), rel=1e-5)
    assert thrice.log_likelihood == pytest.approx(3 * once.log_likelihood)


def test_the_slope_is_that_of_the_likelihood() -> None:
    contracts = value_sbg.Contracts(np.array([0.0, 3.0, 9.0]), np.array([1.0, 1.0, 0.0]), np.array([5, 2, 4]))
    for logs in ([0.0, 0.0], [-1.0, 2.0], [3.0, 1.0]):
        error = check_grad(contracts.log_likelihood, contracts.slope, np.array(logs), epsilon=1e-6)
        assert error == pytest.approx(0.0, abs=1e-4)


def all_alike() -> pd.DataFrame:
    """Nobody leaves at the first occasions: more even than any Beta."""
    return pd.DataFrame({"renewals": [3.0] * 60 + [4.0] * 40, "churned": [1.0] * 60 + [0.0] * 40})


def of_two_kinds() -> pd.DataFrame:
    """Half leave at once, and nobody thereafter."""
    return pd.DataFrame({"renewals": [0] * 50 + [24] * 50, "churned": [True] * 50 + [False] * 50})


def test_where_customers_do_not_differ_a_penalty_bounds_the_parameters() -> None:
    fit = fit_sbg(all_alike(), days_per_period=30.0)
    assert fit.penalizer > 0.0
    assert len(fit.attempts) == 8
    assert {attempt.outcome for attempt in fit.attempts[:4]} == {
        "alpha and beta grew without end: customers do not differ"
    }
    churn = 60 / (60 * 4 + 40 * 4)  # of one chance for all, by occasions
    assert fit.model.retention([1, 5]) == pytest.approx(1 - churn, abs=0.01)


def test_where_customers_leave_at_once_or_never_a_penalty_bounds_the_parameters() -> None:
    fit = fit_sbg(of_two_kinds(), days_per_period=30.0)
    assert fit.penalizer > 0.0
    assert "leave at once or never" in fit.attempts[0].outcome
    assert fit.model.survival([1, 24]) == pytest.approx(0.5, abs=0.01)


def test_that_no_distribution_fits_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(value_sbg, "_PENALIZERS", (0.0,))
    with pytest.raises(NotEnoughDataError, match="4 runs of the optimiser failed, the last with: alpha and beta grew"):
        fit_sbg(all_alike(), days_per_period=30.0)


def test_what_cannot_be_fitted_is_said() -> None:
    few = pd.DataFrame({"renewals": [2] * 100, "churned": [1.0] * 9 + [0.0] * 91})
    with pytest.raises(NotEnoughDataError, match="Of 100 contracts 9 ended and 100 were renewed"):
        fit_sbg(few, days_per_period=30.0)
    never = pd.DataFrame({"renewals": [0] * 50, "churned": [1.0] * 20 + [0.0] * 30})
    with pytest.raises(NotEnoughDataError, match="Of 50 contracts 20 ended and 0 were renewed"):
        fit_sbg(never, days_per_period=30.0)
    with pytest.raises(NotEnoughDataError, match="Of 0 contracts"):
        fit_sbg(few.iloc[:0], days_per_period=30.0)


def test_bad_columns_are_said() -> None:
    good = made(0.7, 3.8, 100, 3)
    with pytest.raises(DataError, match=r"'churned' is missing\. Did you mean 'churn'"):
        fit_sbg(good.rename(columns={"churned": "churn"}), days_per_period=30.0)
    with pytest.raises(DataError, match="'renewals' is not numeric"):
        fit_sbg(good.assign(renewals="many"), days_per_period=30.0)
    with pytest.raises(DataError, match="churned is neither 0 nor 1"):
        fit_sbg(good.assign(churned=pd.array([pd.NA] + [1] * 99, dtype="Int64")), days_per_period=30.0)
    with pytest.raises(DataError, match="renewals is not a whole number"):
        fit_sbg(good.assign(renewals=good["renewals"] + 0.5), days_per_period=30.0)
    for days in (0.0, -30.0, np.nan):
        with pytest.raises(UsageError, match="no length of a contract"):
            fit_sbg(good, days_per_period=days)
