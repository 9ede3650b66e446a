"""BG/NBD and Gamma-Gamma: against lifetimes, against numbers of 15 digits, and at the edges of the data."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from kernel.btyd import BgNbd, GammaGamma, checked_histories
from kernel.errors import DataError, NotEnoughDataError, RegistryError, UsageError
from training.models import value_btyd
from training.models.value_btyd import fit_bg_nbd, fit_gamma_gamma

CDNOW = BgNbd(r=0.2426, alpha=4.4137, a=0.793, b=2.4262, days_per_period=7.0)
SPEND = GammaGamma(p=6.25, q=3.74, v=15.44)


@pytest.fixture(scope="module")
def lifetimes() -> ModuleType:
    with warnings.catch_warnings():
        # On import it sets a pandas option that has had no effect since pandas 3.
        warnings.filterwarnings("ignore", message="The 'mode.chained_assignment' option", category=DeprecationWarning)
        import lifetimes

    return lifetimes


def bg_nbd_of_lifetimes(lifetimes: ModuleType, model: BgNbd):
    fitter = lifetimes.BetaGeoFitter()
    fitter.params_ = pd.Series({"r": model.r, "alpha": model.alpha, "a": model.a, "b": model.b})
    return fitter


def grid() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = [
        (x, recency, T)
        for x in (0, 1, 2, 5, 10, 26, 100, 500, 5000)
        for T in (0, 7, 70, 217, 700, 2000)
        for recency in ({0, T // 2, T} if x else {0})
    ]
    frequency, recency_days, T_days = np.array(rows, dtype=float).T
    return frequency, recency_days, T_days


def simulated(customers: int, seed: int) -> pd.DataFrame:
    """Customers of a BG/NBD and a Gamma-Gamma population, over up to a year."""
    generator = np.random.default_rng(seed)
    rows: list[tuple[int, int, int, float]] = []
    for _ in range(customers):
        T = int(generator.integers(100, 365))
        rate, p = generator.gamma(0.5, 1 / 10.0), generator.beta(0.8, 2.5)
        frequency, last, now = 0, 0, 0.0
        while True:
            now += generator.exponential(1 / rate)
            if now > T:
                break
            frequency, last = frequency + 1, int(now)
            if generator.random() < p:
                break
        value = generator.gamma(6.0 * max(frequency, 1), 1.0) / generator.gamma(4.0, 1 / 15.0) / max(frequency, 1)
        rows.append((frequency, last, T, float(value) if frequency else np.nan))
    return pd.DataFrame(rows, columns=["frequency", "recency_days", "T_days", "monetary_value"])


# --- predictions against lifetimes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [CDNOW, BgNbd(0.55, 10.6, 1.4, 3.1, 7.0), BgNbd(2.0, 30.0, 0.1, 1.4, 1.0), BgNbd(1.0, 4.0, 5.0, 0.5, 30.4375)],
)
@pytest.mark.parametrize("horizon_days", [7.0, 91.0, 730.0])
def test_expected_purchases_agree_with_lifetimes(lifetimes: ModuleType, model: BgNbd, horizon_days: float) -> None:
    frequency, recency_days, T_days = grid()
    unit = model.days_per_period
    with np.errstate(over="ignore"):  # its denominator overflows, to the right limit
        expected = bg_nbd_of_lifetimes(lifetimes, model).conditional_expected_number_of_purchases_up_to_time(
            horizon_days / unit, frequency, recency_days / unit, T_days / unit
        )
    assert np.isfinite(expected).all()
    ours = model.expected_purchases(horizon_days, frequency, recency_days, T_days)
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("model", [CDNOW, BgNbd(2.0, 30.0, 0.1, 1.4, 1.0)])
def test_probability_alive_agrees_with_lifetimes(lifetimes: ModuleType, model: BgNbd) -> None:
    frequency, recency_days, T_days = grid()
    unit = model.days_per_period
    expected = bg_nbd_of_lifetimes(lifetimes, model).conditional_probability_alive(
        frequency, recency_days / unit, T_days / unit
    )
    np.testing.assert_allclose(model.probability_alive(frequency, recency_days, T_days), expected, rtol=1e-9, atol=0.0)


def test_population_agrees_with_lifetimes(lifetimes: ModuleType) -> None:
    fitter = bg_nbd_of_lifetimes(lifetimes, CDNOW)
    for days in (7.0, 56.0, 365.0, 3650.0):
        expected = fitter.expected_number_of_purchases_up_to_time(days / 7)
        assert CDNOW.population(days) == pytest.approx(expected, rel=1e-9)


def test_log_likelihood_agrees_with_lifetimes(lifetimes: ModuleType) -> None:
    frequency, recency_days, T_days = grid()
    logarithms = np.log([CDNOW.r, CDNOW.alpha, CDNOW.a, CDNOW.b])
    mean = lifetimes.BetaGeoFitter._negative_log_likelihood(
        logarithms, frequency, recency_days / 7, T_days / 7, np.ones_like(frequency), 0.0
    )
    ours = CDNOW.log_likelihood(frequency, recency_days, T_days)
    assert ours.mean() == pytest.approx(-mean, rel=1e-12)


def test_order_value_and_its_log_likelihood_agree_with_lifetimes(lifetimes: ModuleType) -> None:
    fitter = lifetimes.GammaGammaFitter()
    fitter.params_ = pd.Series({"p": SPEND.p, "q": SPEND.q, "v": SPEND.v})
    frequency, value = (axis.ravel() for axis in np.meshgrid([1.0, 2.0, 7.0, 300.0], [0.01, 5.0, 35.0, 9000.0]))
    expected = fitter.conditional_expected_average_profit(frequency, value)
    np.testing.assert_allclose(SPEND.expected_order_value(frequency, value), expected, rtol=1e-12)
    mean = fitter._negative_log_likelihood(
        np.log([SPEND.p, SPEND.q, SPEND.v]), frequency, value, np.ones_like(value), 0.0
    )
    assert SPEND.log_likelihood(frequency, value).mean() == pytest.approx(-mean, rel=1e-12)


# --- where the printed formula fails ----------------------------------------------------------------------------------

# Parameters, x, T, horizon (one period = one day) and E[purchases | alive], computed in 40 decimal digits.
EXACT = [
    ((0.2426, 4.4137, 0.793, 2.4262), 0, 0, 52, 1.44400862245309),
    ((0.2426, 4.4137, 0.793, 2.4262), 26, 31, 52, 26.5844748224545),
    ((0.2426, 4.4137, 0.793, 2.4262), 500, 38, 104, 707.486903697532),
    ((0.2426, 4.4137, 0.793, 2.4262), 10_000, 100, 520, 21646.7726613111),
    ((0.5, 2.0, 1.0, 3.0), 7, 20, 52, 10.1319934897369),  # a = 1: the printed formula divides by 0
    ((0.3, 0.5, 0.9999999, 2.0), 3, 10, 26, 4.75115307992794),
    ((0.45, 2.4, 1e-8, 9000.0), 5, 50, 52, 5.40839694654567),  # hardly anyone ever leaves
    ((0.2, 8.0, 0.05, 0.004), 0, 0, 52, 0.398116128966387),  # a + b < 1: lifetimes gives nan
    ((47.5, 0.0518, 130.0, 0.512), 10_000, 0, 520, 78.5233488372093),
    ((0.6, 5.0, 6.24, 0.512), 1000, 0, 520, 191.937404575097),
    ((900.0, 700.0, 2000.0, 9000.0), 4, 12, 52, 5.50421427191341),  # customers hardly differ
]


@pytest.mark.parametrize(("parameters", "x", "T", "horizon", "if_alive"), EXACT)
def test_expected_purchases_to_nine_digits(
    parameters: tuple[float, float, float, float], x: int, T: int, horizon: int, if_alive: float
) -> None:
    model = BgNbd(*parameters, days_per_period=1.0)
    recency = T if x else 0
    expected = if_alive * model.probability_alive(x, recency, T)[0]
    assert model.expected_purchases(horizon, x, recency, T)[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "model",
    [
        BgNbd(2.0, 3.0, 20.0, 300.0, 1.0),
        BgNbd(50.0, 0.05, 100.0, 0.5, 1.0),
        BgNbd(0.5, 2.0, 1.0, 3.0, 1.0),
    ],
)
def test_finite_and_monotone_where_lifetimes_is_not_finite(lifetimes: ModuleType, model: BgNbd) -> None:
    horizons = [1.0, 10.0, 100.0, 1000.0, 1e6]
    frequency = np.array([1.0, 10.0, 100.0, 1000.0, 1e4, 1e5])
    T = np.full(frequency.size, 30.0)
    with np.errstate(all="ignore"):
        theirs = np.array(
            [
                bg_nbd_of_lifetimes(lifetimes, model).conditional_expected_number_of_purchases_up_to_time(
                    horizon, frequency, T, T
                )
                for horizon in horizons
            ]
        )
    assert not np.isfinite(theirs).all()
    ours = np.array([model.expected_purchases(horizon, frequency, T, T) for horizon in horizons])
    assert np.isfinite(ours).all()
    assert (np.diff(ours, axis=0) >= -1e-9 * ours[1:]).all()  # never fewer purchases in a longer time
    assert (np.diff(ours, axis=1) > 0).all()  # who bought more often until now buys more often
    comparable = np.isfinite(theirs) if model.a != 1.0 else np.zeros_like(theirs, dtype=bool)
    np.testing.assert_allclose(ours[comparable], theirs[comparable], rtol=1e-6)


def test_limit_of_an_endless_horizon() -> None:
    """All purchases before leaving: (a + b + x - 1) / (a - 1), given alive."""
    model = BgNbd(2.0, 3.0, 20.0, 300.0, 1.0)
    assert model.population(1e12) == pytest.approx(319 / 19, rel=1e-9)
    assert model.expected_purchases(1e12, 10, 30, 30)[0] == pytest.approx(
        329 / 19 * model.probability_alive(10, 30, 30)[0], rel=1e-9
    )


def test_probability_alive_at_the_edges() -> None:
    assert CDNOW.probability_alive([0, 0], [0, 0], [0, 5000]).tolist() == [1.0, 1.0]
    # Bought at the last moment: gone only if that purchase was the last, with odds a / (b + x - 1).
    assert CDNOW.probability_alive(3, 100, 100)[0] == pytest.approx(1 / (1 + 0.793 / 4.4262), rel=1e-12)
    # Bought every day, then silence for years: no overflow, no life.
    assert CDNOW.probability_alive(5000, 5000, 50_000)[0] == pytest.approx(0.0, abs=1e-300)


def test_horizon_of_nothing_and_a_customer_of_today() -> None:
    assert CDNOW.expected_purchases(0, [0, 26], [0, 216], [0, 217]).tolist() == [0.0, 0.0]
    assert CDNOW.population(0) == 0.0
    assert CDNOW.expected_purchases(364, 0, 0, 0)[0] == CDNOW.population(364)


def test_one_customer_scores_alike_alone_and_among_many() -> None:
    generator = np.random.default_rng(5)
    T = generator.integers(0, 400, 5000)
    frequency = np.minimum(generator.geometric(0.2, 5000) - 1, T)
    recency = np.where(frequency > 0, np.maximum(frequency, (T * generator.random(5000)).astype(int)), 0)
    together = CDNOW.expected_purchases(365, frequency, recency, T)
    alone = [
        CDNOW.expected_purchases(365, *history)[0]
        for history in zip(frequency[:300], recency[:300], T[:300], strict=True)
    ]
    assert together[:300].tolist() == alone
    order = generator.permutation(5000)
    shuffled = CDNOW.expected_purchases(365, frequency[order], recency[order], T[order])
    assert shuffled.tolist() == together[order].tolist()


def test_shapes() -> None:
    assert CDNOW.expected_purchases(30, [], [], []).shape == (0,)
    assert CDNOW.expected_purchases(30, 1, 2, 3).shape == (1,)
    matrix = CDNOW.expected_purchases(30, [[0], [2]], [[0], [5]], [[10, 20, 30]])
    assert matrix.shape == (2, 3)
    assert matrix[1, 2] == CDNOW.expected_purchases(30, 2, 5, 30)[0]


# --- order value ------------------------------------------------------------------------------------------------------


def test_order_value_without_a_repeat_purchase_is_the_population_mean() -> None:
    assert SPEND.population_mean == pytest.approx(6.25 * 15.44 / 2.74, rel=1e-15)
    assert SPEND.expected_order_value([0, 0], [np.nan, 900.0]).tolist() == [SPEND.population_mean] * 2


def test_order_value_lies_between_the_customer_and_the_population() -> None:
    values = SPEND.expected_order_value([1, 5, 50], [100.0, 100.0, 100.0])
    assert values == pytest.approx([6.25 * 115.44 / 8.99, 6.25 * 515.44 / 33.99, 6.25 * 5015.44 / 315.24], rel=1e-12)


def test_order_value_without_a_population_mean() -> None:
    with pytest.raises(DataError, match=r"q is 0\.9, and has to be above 1"):
        GammaGamma(6.0, 0.9, 15.0).expected_order_value(0, 0.0)


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("history", "message"),
    [
        (([1, 2], [5, 11], [10, 10]), "recency_days against T_days: 1 of 2 rows, first at position 1"),
        (([-1], [0], [10]), "frequency is not a whole number"),
        (([1.5], [1], [10]), "frequency is not a whole number"),
        (([np.nan], [1], [10]), "frequency is not a whole number"),
        (([1], [-1], [10]), "recency_days is negative or missing"),
        (([0], [0], [-3]), "T_days is negative or missing"),
        (([0], [0], [np.inf]), "T_days is negative or missing"),
        (([0, 1], [0, 1, 2], [5, 5]), "not numbers of one common length"),
        ((["often"], [1], [2]), "not numbers of one common length"),
    ],
)
def test_contradictory_histories_are_errors(history: tuple[list[float], ...], message: str) -> None:
    for call in (CDNOW.probability_alive, CDNOW.log_likelihood, checked_histories):
        with pytest.raises(DataError, match=message):
            call(*history)
    with pytest.raises(DataError, match=message):
        CDNOW.expected_purchases(30, *history)


def test_bad_spend_is_an_error() -> None:
    with pytest.raises(DataError, match="monetary_value: 1 of 3 rows, first at position 2"):
        SPEND.expected_order_value([0, 1, 2], [-5.0, 5.0, -5.0])
    with pytest.raises(DataError, match="monetary_value is negative or missing"):
        SPEND.expected_order_value([1], [np.nan])
    with pytest.raises(DataError, match="without a repeat purchase has no mean spend"):
        SPEND.log_likelihood([0], [0.0])
    with pytest.raises(DataError, match="only spend above 0"):
        SPEND.log_likelihood([1], [0.0])


@pytest.mark.parametrize("horizon", [-1.0, np.nan, np.inf])
def test_a_horizon_is_a_length_of_time(horizon: float) -> None:
    with pytest.raises(UsageError, match="is not a length of time"):
        CDNOW.population(horizon)
    with pytest.raises(UsageError, match="is not a length of time"):
        CDNOW.expected_purchases(horizon, 0, 0, 1)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_parameters_are_above_zero(value: float) -> None:
    with pytest.raises(UsageError, match=r"where: BgNbd\.alpha"):
        BgNbd(1.0, value, 1.0, 1.0, 7.0)
    with pytest.raises(UsageError, match=r"where: GammaGamma\.v"):
        GammaGamma(1.0, 2.0, value)


# --- storage ----------------------------------------------------------------------------------------------------------


def test_json_round_trip_is_exact() -> None:
    bg_nbd = BgNbd(0.1 + 0.2, 1 / 3, 2 / 7, 1e-9, 7.0)
    assert BgNbd.from_dict(json.loads(json.dumps(bg_nbd.to_dict()))) == bg_nbd
    gamma_gamma = GammaGamma(0.1 + 0.2, 10 / 3, 1e9)
    assert GammaGamma.from_dict(json.loads(json.dumps(gamma_gamma.to_dict()))) == gamma_gamma
    assert SPEND.to_dict() == {"p": 6.25, "q": 3.74, "v": 15.44}


def test_stored_parameters_are_checked() -> None:
    with pytest.raises(RegistryError, match=r"'alfa' is no parameter\. Did you mean 'alpha'"):
        BgNbd.from_dict({"r": 1.0, "alfa": 1.0, "a": 1.0, "b": 1.0, "days_per_period": 7.0})
    with pytest.raises(RegistryError, match="'q' is missing or no number"):
        GammaGamma.from_dict({"p": 1.0, "v": 1.0})
    with pytest.raises(RegistryError, match="'p' is missing or no number"):
        GammaGamma.from_dict({"p": "6.25", "q": 3.74, "v": 15.44})


def test_prediction_needs_no_lifetimes() -> None:
    program = (
        "import sys, kernel.btyd, training.models.value_btyd\n"
        "kernel.btyd.BgNbd(1.0, 1.0, 1.0, 1.0, 7.0).expected_purchases(30, 1, 2, 3)\n"
        "print('lifetimes' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"


# --- fitting ----------------------------------------------------------------------------------------------------------


def test_fit_on_unique_rows_equals_the_fit_row_by_row(lifetimes: ModuleType) -> None:
    summary = simulated(400, seed=1)
    summary = pd.concat([summary, summary, summary.head(100)], ignore_index=True)
    fit = fit_bg_nbd(summary, days_per_period=7.0)
    assert fit.customers == 900
    assert fit.unique_rows == len(summary[["frequency", "recency_days", "T_days"]].drop_duplicates())
    assert fit.unique_rows < 400
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        row_by_row = lifetimes.BetaGeoFitter().fit(
            summary["frequency"], summary["recency_days"] / 7, summary["T_days"] / 7
        )
    ours = fit.model.to_dict()
    for name in ("r", "alpha", "a", "b"):
        assert ours[name] == pytest.approx(row_by_row.params_[name], rel=1e-3)
    at_theirs = BgNbd(*row_by_row.params_[["r", "alpha", "a", "b"]], days_per_period=7.0).log_likelihood(
        summary["frequency"], summary["recency_days"], summary["T_days"]
    )
    assert fit.log_likelihood == pytest.approx(at_theirs.sum(), abs=1e-3)

    spend = fit_gamma_gamma(summary)
    repeat = summary[summary["frequency"] > 0]
    assert (spend.customers, spend.unique_rows) == (len(repeat), len(repeat.drop_duplicates()))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        by_row = lifetimes.GammaGammaFitter().fit(repeat["frequency"], repeat["monetary_value"])
    for name, value in spend.model.to_dict().items():
        assert value == pytest.approx(by_row.params_[name], rel=1e-3)


def test_fitted_parameters_are_a_maximum() -> None:
    summary = simulated(400, seed=2)
    fit = fit_bg_nbd(summary)
    for name in ("r", "alpha", "a", "b"):
        for factor in (0.97, 1.03):
            beside = BgNbd.from_dict(fit.model.to_dict() | {name: fit.model.to_dict()[name] * factor})
            total = beside.log_likelihood(summary["frequency"], summary["recency_days"], summary["T_days"]).sum()
            assert total < fit.log_likelihood


def test_currency_scales_v_alone() -> None:
    summary = simulated(400, seed=3)
    fit, in_cents = (
        fit_gamma_gamma(summary),
        fit_gamma_gamma(summary.assign(monetary_value=lambda s: s.monetary_value * 1e6)),
    )
    assert in_cents.model.p == pytest.approx(fit.model.p, rel=1e-4)
    assert in_cents.model.v == pytest.approx(fit.model.v * 1e6, rel=1e-4)
    assert in_cents.model.population_mean == pytest.approx(fit.model.population_mean * 1e6, rel=1e-6)


def test_gamma_gamma_leaves_out_what_it_cannot_know() -> None:
    summary = simulated(400, seed=4)
    usable = fit_gamma_gamma(summary)
    refunds = pd.DataFrame({"frequency": [2, 3], "recency_days": 9, "T_days": 99, "monetary_value": [-4.0, 0.0]})
    assert fit_gamma_gamma(pd.concat([summary, refunds])).model == usable.model


def unlucky(monkeypatch: pytest.MonkeyPatch, module: ModuleType, *, below: float) -> None:
    """BG/NBD's optimiser fails with every penalty below this one."""
    minimize = module.minimize

    def only_with_penalty(function, start, penalty, **options):
        found = minimize(function, start, penalty, **options)
        found.success = penalty[0] >= below
        return found

    monkeypatch.setattr(module, "minimize", only_with_penalty)


def test_a_penalty_is_tried_where_the_likelihood_alone_does_not_converge(monkeypatch: pytest.MonkeyPatch) -> None:
    unlucky(monkeypatch, value_btyd, below=0.001)
    summary = simulated(400, seed=6)
    penalised = fit_bg_nbd(summary)
    assert penalised.penalizer == 0.001
    assert [attempt.penalizer for attempt in penalised.attempts] == [0.0] * 8 + [0.001]
    assert [attempt.tolerance for attempt in penalised.attempts] == [1e-7] * 4 + [1e-5] * 4 + [1e-7]
    assert len({attempt.start for attempt in penalised.attempts}) == 4
    assert [attempt.outcome for attempt in penalised.attempts] == ["did not converge"] * 8 + ["converged"]
    assert [attempt.log_likelihood for attempt in penalised.attempts] == [None] * 8 + [penalised.log_likelihood]
    monkeypatch.undo()
    assert penalised.model == fit_bg_nbd(summary, penalizer=0.001).model
    assert penalised.log_likelihood < fit_bg_nbd(summary).log_likelihood


def test_a_fit_that_never_converges_says_so_in_terms_of_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    unlucky(monkeypatch, value_btyd, below=np.inf)
    frequency = np.arange(300) % 2
    summary = pd.DataFrame({"frequency": frequency, "recency_days": frequency * 150, "T_days": 300})
    with pytest.raises(NotEnoughDataError, match=r"150 of 300 customers bought again.*from 300 to 300 days.*32 runs"):
        fit_bg_nbd(summary)


def test_gamma_gamma_goes_on_where_lifetimes_gives_up(lifetimes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = lifetimes.GammaGammaFitter.fit

    def only_with_penalty(fitter, *columns, **options):
        if fitter.penalizer_coef == 0.0:
            raise lifetimes.utils.ConvergenceError
        return fit(fitter, *columns, **options)

    monkeypatch.setattr(lifetimes.GammaGammaFitter, "fit", only_with_penalty)
    summary = simulated(400, seed=6)
    penalised = fit_gamma_gamma(summary)
    assert [attempt.outcome for attempt in penalised.attempts] == ["did not converge"] * 8 + ["converged"]
    monkeypatch.undo()
    assert penalised.model == fit_gamma_gamma(summary, penalizer=0.001).model


def test_nobody_is_known_to_have_left() -> None:
    """Everyone who came back did so on the last day: a has no estimate, and the prediction must still be sound.

    Whether that purchase was their last the data cannot say, so that a and b stay as the optimiser found them: at one
    half, where lifetimes starts, two thirds of the purchases are expected again.
    """
    frequency = np.arange(300) % 2
    summary = pd.DataFrame({"frequency": frequency, "recency_days": frequency * 300, "T_days": 300})
    fit = fit_bg_nbd(summary)
    predicted = fit.model.expected_purchases(300, frequency, frequency * 300, np.full(300, 300))
    assert 0.6 * 150 < predicted.sum() < 1.2 * 150


def test_values_without_a_mean_are_refused() -> None:
    generator = np.random.default_rng(0)
    summary = pd.DataFrame(
        {"frequency": generator.integers(1, 5, 300), "monetary_value": 1 / generator.random(300) ** 2}
    )
    with pytest.raises(NotEnoughDataError, match=r"times the median.*the mean order value does not exist"):
        fit_gamma_gamma(summary)


def test_too_few_repeat_customers_are_refused() -> None:
    once = pd.DataFrame({"frequency": [0] * 50, "recency_days": 0, "T_days": range(50), "monetary_value": np.nan})
    with pytest.raises(NotEnoughDataError, match="0 of 50 customers bought on a second day"):
        fit_bg_nbd(once)
    with pytest.raises(NotEnoughDataError, match="0 customers have repeat purchases"):
        fit_gamma_gamma(once)
    with pytest.raises(NotEnoughDataError, match="0 of 0 customers bought on a second day"):
        fit_bg_nbd(once.head(0))
    with pytest.raises(NotEnoughDataError, match="All 50 customers bought first on the last observed day"):
        fit_bg_nbd(once.assign(T_days=0))
    same = pd.DataFrame({"frequency": [1] * 50, "monetary_value": 5.0})
    with pytest.raises(NotEnoughDataError, match="of 1 different values"):
        fit_gamma_gamma(same)


def test_bad_summaries_are_errors() -> None:
    summary = simulated(60, seed=5)
    with pytest.raises(DataError, match=r"'T_days' is missing\. Did you mean 'T_day'"):
        fit_bg_nbd(summary.rename(columns={"T_days": "T_day"}))
    with pytest.raises(DataError, match="'frequency' is not numeric"):
        fit_bg_nbd(summary.assign(frequency="often"))
    with pytest.raises(DataError, match="lies after the last observed day"):
        fit_bg_nbd(summary.assign(T_days=0))
    with pytest.raises(DataError, match="frequency of 0, and yet a last purchase after the first"):
        fit_bg_nbd(summary.assign(frequency=0))
    with pytest.raises(DataError, match="have no mean value"):
        fit_gamma_gamma(summary.assign(monetary_value=np.nan))
    with pytest.raises(UsageError, match="no unit of time"):
        fit_bg_nbd(summary, days_per_period=0.0)
    with pytest.raises(UsageError, match="no penalty"):
        fit_gamma_gamma(summary, penalizer=-1.0)
