"""Pareto/NBD and MBG/NBD: against lifetimes, against quadrature, at the edges, and fitted on customers made by them."""

from __future__ import annotations

import json
import warnings
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.special import gammaln

from kernel.btyd import BgNbd, MbgNbd
from kernel.errors import DataError, NotEnoughDataError, RegistryError, UsageError
from kernel.pareto_nbd import ParetoNbd
from training.models.value_btyd import fit_mbg_nbd, fit_pareto_nbd

CDNOW = ParetoNbd(r=0.5532, alpha=10.578, s=0.606, beta=11.669, days_per_period=7.0)
MODELS = [CDNOW, ParetoNbd(2.0, 30.0, 1.4, 8.0, 1.0), ParetoNbd(0.3, 5.0, 3.0, 200.0, 30.4375)]
MODIFIED = [MbgNbd(0.525, 6.183, 0.891, 1.614, 7.0), MbgNbd(2.0, 30.0, 0.1, 1.4, 1.0)]


@pytest.fixture(scope="module")
def lifetimes() -> ModuleType:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The 'mode.chained_assignment' option", category=DeprecationWarning)
        import lifetimes

    return lifetimes


def grid(most: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = [
        (x, recency, T)
        for x in (0, 1, 2, 5, 10, 26, most)
        for T in (0, 7, 70, 217, 700, 2000)
        for recency in ({0, T // 2, T} if x else {0})
    ]
    frequency, recency_days, T_days = np.array(rows, dtype=float).T
    return frequency, recency_days, T_days


def theirs(lifetimes: ModuleType, model: ParetoNbd | MbgNbd):
    fitter = lifetimes.ParetoNBDFitter() if isinstance(model, ParetoNbd) else lifetimes.ModifiedBetaGeoFitter()
    parameters = model.to_dict()
    del parameters["days_per_period"]
    fitter.params_ = pd.Series(parameters)
    return fitter


@pytest.mark.parametrize("model", [*MODELS, *MODIFIED])
@pytest.mark.parametrize("horizon_days", [7.0, 91.0, 730.0])
def test_expected_purchases_agree_with_lifetimes(
    lifetimes: ModuleType, model: ParetoNbd | MbgNbd, horizon_days: float
) -> None:
    frequency, recency_days, T_days = grid()
    unit = model.days_per_period
    with np.errstate(all="ignore"):
        expected = theirs(lifetimes, model).conditional_expected_number_of_purchases_up_to_time(
            horizon_days / unit, frequency, recency_days / unit, T_days / unit
        )
    comparable = np.isfinite(expected)
    assert comparable.mean() > 0.9
    ours = model.expected_purchases(horizon_days, frequency, recency_days, T_days)
    assert np.isfinite(ours).all()
    np.testing.assert_allclose(ours[comparable], expected[comparable], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("model", [*MODELS, *MODIFIED])
def test_probability_alive_agrees_with_lifetimes(lifetimes: ModuleType, model: ParetoNbd | MbgNbd) -> None:
    frequency, recency_days, T_days = grid()
    unit = model.days_per_period
    with np.errstate(all="ignore"):
        expected = np.asarray(
            theirs(lifetimes, model).conditional_probability_alive(frequency, recency_days / unit, T_days / unit)
        )
    comparable = np.isfinite(expected)
    ours = model.probability_alive(frequency, recency_days, T_days)
    np.testing.assert_allclose(ours[comparable], expected[comparable], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("model", MODELS)
def test_log_likelihood_agrees_with_lifetimes(lifetimes: ModuleType, model: ParetoNbd) -> None:
    frequency, recency_days, T_days = grid()
    unit = model.days_per_period
    parameters = (model.r, model.alpha, model.s, model.beta)
    with np.errstate(all="ignore"):
        expected = lifetimes.ParetoNBDFitter._conditional_log_likelihood(
            parameters, frequency, recency_days / unit, T_days / unit
        )
    comparable = np.isfinite(expected)
    ours = model.log_likelihood(frequency, recency_days, T_days)
    np.testing.assert_allclose(ours[comparable], expected[comparable], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "model", [*MODELS, ParetoNbd(0.05, 0.5, 0.05, 400.0, 1.0), ParetoNbd(30.0, 2.0, 1.0, 2.0, 1.0)]
)
@pytest.mark.parametrize(("x", "t_x", "T"), [(0, 0, 50), (1, 3, 50), (26, 30, 31), (300, 290, 300), (100, 20, 60)])
def test_against_quadrature_of_the_definition(model: ParetoNbd, x: int, t_x: int, T: int) -> None:
    """The likelihood as a sum over the moment of leaving, as the model is defined."""
    model = ParetoNbd(model.r, model.alpha, model.s, model.beta, 1.0)
    r, alpha, s, beta = model.r, model.alpha, model.s, model.beta
    alive = -(r + x) * np.log(alpha + T) - s * np.log(beta + T)

    def leaving(moment: float) -> float:
        return float(np.exp(-(r + x) * np.log(alpha + moment) - (s + 1) * np.log(beta + moment) - alive))

    odds = s * quad(leaving, t_x, T, epsabs=0, epsrel=1e-12, limit=500)[0]
    assert model.probability_alive(x, t_x, T)[0] == pytest.approx(1 / (1 + odds), rel=1e-9)
    constant = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + s * np.log(beta)
    assert model.log_likelihood(x, t_x, T)[0] == pytest.approx(constant + alive + np.log1p(odds), rel=1e-11)


def test_finite_where_lifetimes_is_not(lifetimes: ModuleType) -> None:
    frequency = np.array([1.0, 10.0, 100.0, 1000.0, 1e4, 1e5])
    T = np.full(6, 2000.0)
    with np.errstate(all="ignore"):
        expected = theirs(lifetimes, CDNOW).conditional_expected_number_of_purchases_up_to_time(
            52, frequency, T / 7, T / 7
        )
    assert not np.isfinite(expected).all()
    ours = CDNOW.expected_purchases(364, frequency, T, T)
    assert np.isfinite(ours).all()
    assert (np.diff(ours) > 0).all()
    # Who bought every day until now and is alive goes on at that pace, for as long as it lives.
    assert ours[-1] == pytest.approx(
        1e5 / (10.578 + 2000 / 7) * CDNOW._time_alive(52.0, np.array([2000 / 7]))[0], rel=1e-4
    )


@pytest.mark.parametrize("s", [1.0, 1.0 + 1e-9, 1.0 - 1e-9])
def test_at_and_beside_the_exponent_of_one(s: float) -> None:
    model = ParetoNbd(0.5, 10.0, s, 12.0, 7.0)
    assert model.expected_purchases(364, 3, 100, 200)[0] == pytest.approx(
        ParetoNbd(0.5, 10.0, 1.0, 12.0, 7.0).expected_purchases(364, 3, 100, 200)[0], rel=1e-7
    )


def test_who_bought_today_is_alive_and_who_is_silent_for_long_is_not() -> None:
    assert CDNOW.probability_alive([0, 7], [0, 100], [0, 100]).tolist() == [1.0, 1.0]
    silent = CDNOW.probability_alive([0] * 4, [0] * 4, [10, 100, 1000, 10_000])
    assert (np.diff(silent) < 0).all()
    assert CDNOW.probability_alive(5000, 5000, 50_000)[0] == pytest.approx(0.0, abs=1e-300)


def test_in_mbg_nbd_a_first_purchase_may_be_the_last() -> None:
    modified, plain = MODIFIED[0], BgNbd(0.525, 6.183, 0.891, 1.614, 7.0)
    assert plain.probability_alive(0, 0, 300)[0] == 1.0
    assert modified.probability_alive(0, 0, 0)[0] == pytest.approx(1.614 / (1.614 + 0.891))
    assert modified.probability_alive(0, 0, 300)[0] < 0.4
    assert modified.population(364) < plain.population(364)


@pytest.mark.parametrize("model", [CDNOW, MODIFIED[0]])
def test_one_customer_scores_alike_alone_and_among_many(model: ParetoNbd | MbgNbd) -> None:
    generator = np.random.default_rng(5)
    T = generator.integers(0, 400, 40_000)
    frequency = np.minimum(generator.geometric(0.2, T.size) - 1, T)
    recency = np.where(frequency > 0, np.maximum(frequency, (T * generator.random(T.size)).astype(int)), 0)
    together = model.expected_purchases(365, frequency, recency, T)
    alone = [model.expected_purchases(365, frequency[i], recency[i], T[i])[0] for i in range(0, T.size, 400)]
    assert together[::400].tolist() == alone


@pytest.mark.parametrize("model", [CDNOW, MODIFIED[0]])
def test_shapes_errors_and_storage(model: ParetoNbd | MbgNbd) -> None:
    assert model.expected_purchases(30, [], [], []).shape == (0,)
    assert model.expected_purchases(30, [[0], [2]], [[0], [5]], [[10, 20, 30]]).shape == (2, 3)
    assert model.expected_purchases(0, 3, 4, 5)[0] == 0.0
    assert type(model).from_dict(json.loads(json.dumps(model.to_dict()))) == model
    with pytest.raises(DataError, match="recency_days against T_days"):
        model.probability_alive([1], [11], [10])
    with pytest.raises(UsageError, match="is not a length of time"):
        model.expected_purchases(-1, 1, 2, 3)
    with pytest.raises(RegistryError, match="is missing or no number"):
        type(model).from_dict({})


def made_by_pareto(customers: int, seed: int) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    rows: list[tuple[int, float, float]] = []
    for _ in range(customers):
        T = float(generator.integers(150, 400))
        rate, death = generator.gamma(0.8, 1 / 40.0), generator.exponential(1 / generator.gamma(0.9, 1 / 120.0))
        end = min(T, death)
        moments = np.sort(generator.uniform(0, end, generator.poisson(rate * end)))
        rows.append((len(moments), float(moments[-1]) if len(moments) else 0.0, T))
    return pd.DataFrame(rows, columns=["frequency", "recency_days", "T_days"])


def test_a_fit_finds_what_made_the_customers() -> None:
    fit = fit_pareto_nbd(made_by_pareto(6000, 1), days_per_period=1.0)
    assert (fit.model.r, fit.model.alpha) == pytest.approx((0.8, 40.0), rel=0.15)
    assert fit.model.s / fit.model.beta == pytest.approx(0.9 / 120, rel=0.25)
    assert fit.penalizer == 0.0
    truth = ParetoNbd(0.8, 40.0, 0.9, 120.0, 1.0).log_likelihood(*made_by_pareto(6000, 1).to_numpy().T).sum()
    assert fit.log_likelihood >= truth


def test_the_unit_of_time_changes_nothing_but_alpha_and_beta() -> None:
    summary = made_by_pareto(1500, 2)
    daily, weekly = (fit_pareto_nbd(summary, days_per_period=days).model for days in (1.0, 7.0))
    assert daily.alpha == pytest.approx(7 * weekly.alpha)
    assert daily.beta == pytest.approx(7 * weekly.beta)
    assert daily.expected_purchases(90, 3, 100, 200) == pytest.approx(weekly.expected_purchases(90, 3, 100, 200))


def test_weighted_rows_are_the_same_as_all_rows() -> None:
    summary = made_by_pareto(600, 3).round()
    once, thrice = fit_mbg_nbd(summary), fit_mbg_nbd(pd.concat([summary] * 3))
    assert once.unique_rows == thrice.unique_rows
    assert thrice.model.to_dict() == pytest.approx(once.model.to_dict(), rel=1e-5)
    assert thrice.log_likelihood == pytest.approx(3 * once.log_likelihood)


@pytest.mark.parametrize("fit", [fit_pareto_nbd, fit_mbg_nbd])
def test_what_cannot_be_fitted_is_said(fit) -> None:
    with pytest.raises(NotEnoughDataError, match="bought on a second day"):
        fit(pd.DataFrame({"frequency": [0] * 50, "recency_days": [0] * 50, "T_days": range(1, 51)}))
    with pytest.raises(NotEnoughDataError, match="bought first on the last observed day"):
        fit(pd.DataFrame({"frequency": [0] * 50, "recency_days": [0] * 50, "T_days": [0] * 50}))
    with pytest.raises(DataError, match="'T_days' is missing"):
        fit(pd.DataFrame({"frequency": [1], "recency_days": [1]}))


@pytest.mark.parametrize("fit", [fit_pareto_nbd, fit_mbg_nbd])
def test_one_giant_customer_among_many(fit) -> None:
    summary = made_by_pareto(800, 4)
    giant = pd.DataFrame({"frequency": [50_000], "recency_days": [299.0], "T_days": [300.0]})
    found = fit(pd.concat([summary, giant])).model
    assert np.isfinite(found.expected_purchases(90, [50_000, 3], [299, 100], [300, 200])).all()
