"""Fits the models of buying behaviour; the only module that imports lifetimes, and only while it fits.

Lifetimes maximises the likelihood of Gamma-Gamma; everything after that (predictions, log-likelihood) is
``kernel.btyd``. BG/NBD has a likelihood of its own (``bg_nbd_likelihood``) and the same optimiser, scale and starts as
in lifetimes, where derivatives by autograd and a Hessian that nobody reads cost three quarters of the time. Its
Pareto/NBD overflows for customers with many purchases, so that its likelihood and that of MBG/NBD are the kernel's. Its
``calibration_and_holdout_data``, its monthly periods and its ``datasets`` module do not work on this stack.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import math
import warnings
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize

from kernel.btyd import BgNbd, GammaGamma, MbgNbd, checked_histories
from kernel.errors import DataError, NotEnoughDataError, UsageError, did_you_mean
from kernel.pareto_nbd import ParetoNbd
from training.models.bg_nbd_likelihood import BgNbdLikelihood, distinct_rows

Model = TypeVar("Model", BgNbd, MbgNbd, ParetoNbd, GammaGamma)
Purchases = TypeVar("Purchases", BgNbd, MbgNbd, ParetoNbd)
Start = tuple[float, ...]

# Weights of the L2 penalty on the (scaled) parameters, tried in turn where the likelihood alone has no maximum.
_PENALIZERS = (0.001, 0.01, 0.1)
# Largest component of the mean log-likelihood's gradient, tried in turn: rounding can keep a flat one above the first.
_TOLERANCES = (1e-7, 1e-5)
# Logarithms of r, alpha, a, b with the longest T as unit of time; the first is lifetimes' own.
_BG_NBD_STARTS: tuple[Start, ...] = (
    (0.1, 0.1, 0.1, 0.1),
    (-1.0, -2.0, -0.2, 0.9),
    (-1.0, 0.0, -2.0, 1.0),
    (1.0, 1.0, 0.0, 2.0),
)
# Logarithms of r, alpha, s, beta with the longest T as unit of time.
_PARETO_NBD_STARTS: tuple[Start, ...] = (
    (-0.6, -1.3, -0.5, -1.2),
    (0.1, 0.1, 0.1, 0.1),
    (-1.0, 0.0, -1.5, 0.5),
    (1.0, 1.0, 0.0, 2.0),
)
# Logarithms of p, q, v with the mean spend as unit of money.
_GAMMA_GAMMA_STARTS: tuple[Start, ...] = ((0.1, 0.1, 0.1), (1.5, 1.2, -0.8), (0.0, 2.0, 1.0), (3.0, 1.0, -2.0))
# As few repeat customers as that do not tell four parameters apart; only the penalty would speak.
_FEWEST_REPEAT_CUSTOMERS = 10
# Beyond this a parameter has run away: the likelihood is flat in it and the number means nothing.
_LARGEST = 1e8
_MOST_RUNAWAYS = 2
_FURTHEST_LOG = 30.0  # of a parameter, while it is looked for: beyond it nothing changes
_FLAT = 1e-6  # a slope of the mean log-likelihood that is none
_STEPS = 4000  # of the simplex, which comes last where derivatives lead nowhere


@dataclass(frozen=True)
class FitAttempt:
    """One run of the optimiser.

    Attributes:
        start: logarithms of the parameters it started from, in scaled units.
        penalizer: weight of the L2 penalty.
        tolerance: of the gradient, at which it would stop.
        outcome: "converged", or why the run was not used.
        log_likelihood: without penalty, in the units of the model; None if the run was not used.
    """

    start: Start
    penalizer: float
    tolerance: float
    outcome: str
    log_likelihood: float | None


@dataclass(frozen=True)
class BtydFit(Generic[Model]):
    """A fitted model and how it came about.

    Attributes:
        model: parameters and predictions.
        log_likelihood: sum over customers, without penalty, in the units of the model.
        customers: how many customers the likelihood has.
        unique_rows: how many distinct rows stood for them.
        attempts: every run of the optimiser; the last one gave the model.
    """

    model: Model
    log_likelihood: float
    customers: int
    unique_rows: int
    attempts: tuple[FitAttempt, ...]

    @property
    def penalizer(self) -> float:
        """The penalty the model was fitted with; above what was asked for, the likelihood alone did not suffice."""
        return self.attempts[-1].penalizer


def fit_bg_nbd(summary: pd.DataFrame, *, days_per_period: float = 7.0, penalizer: float = 0.0) -> BtydFit[BgNbd]:
    """Maximum likelihood of BG/NBD, on distinct (frequency, recency_days, T_days) with their counts as weights.

    Args:
        summary: one row per customer; ``frequency`` repeat purchase days, ``recency_days`` from the first to the last
            purchase day, ``T_days`` from the first purchase day to the last observed day. Other columns are ignored.
        days_per_period: the unit of time of the parameters; predictions do not depend on it.
        penalizer: weight of an L2 penalty on r, alpha, a, b in units of the longest T; raised only if the likelihood
            alone does not converge.

    Raises:
        DataError: a column is missing, a history contradicts itself.
        NotEnoughDataError: fewer than 10 customers bought twice, T is 0 throughout, or no run of the optimiser
            converged.
        UsageError: ``days_per_period`` or ``penalizer`` is no sensible number.
    """
    _check_options(days_per_period=days_per_period, penalizer=penalizer)
    frequency, recency_days, T_days = _histories(summary)
    (x, t_x, T), weights = distinct_rows(frequency, recency_days, T_days)
    longest = float(T_days.max())
    likelihood = BgNbdLikelihood(x, t_x, T, weights, days_per_period=longest)

    def run(start: Start, penalty: float, tolerance: float) -> BgNbd:
        options = {"gtol": tolerance}
        found = minimize(likelihood, np.array(start), (penalty,), method="BFGS", jac=True, options=options)
        if not found.success:
            raise _UnusableError("did not converge")
        return _in_periods(BgNbd(*[*np.exp(found.x).tolist(), longest]), days_per_period)

    model, log_likelihood, attempts = _first_converged(
        run,
        lambda fitted: float(np.sum(weights * fitted.log_likelihood(x, t_x, T))),
        starts=_BG_NBD_STARTS,
        penalizer=penalizer,
        reason=_not_told_apart(frequency, T_days),
    )
    return BtydFit(model, log_likelihood, frequency.size, x.size, attempts)


def fit_mbg_nbd(summary: pd.DataFrame, *, days_per_period: float = 7.0, penalizer: float = 0.0) -> BtydFit[MbgNbd]:
    """Maximum likelihood of MBG/NBD; arguments and errors as of :func:`fit_bg_nbd`."""
    return _fit_own(MbgNbd, summary, _BG_NBD_STARTS, days_per_period, penalizer)


def fit_pareto_nbd(
    summary: pd.DataFrame, *, days_per_period: float = 7.0, penalizer: float = 0.0
) -> BtydFit[ParetoNbd]:
    """Maximum likelihood of Pareto/NBD; arguments and errors as of :func:`fit_bg_nbd`."""
    return _fit_own(ParetoNbd, summary, _PARETO_NBD_STARTS, days_per_period, penalizer)


def _fit_own(
    family: type[Purchases],
    summary: pd.DataFrame,
    starts: tuple[Start, ...],
    days_per_period: float,
    penalizer: float,
) -> BtydFit[Purchases]:
    _check_options(days_per_period=days_per_period, penalizer=penalizer)
    frequency, recency_days, T_days = _histories(summary)
    (x, t_x, T), weights = distinct_rows(frequency, recency_days, T_days)
    longest, share = float(T_days.max()), weights / weights.sum()

    def run(start: Start, penalty: float, tolerance: float) -> Purchases:
        def lost(logs: NDArray[np.float64]) -> float:
            parameters = np.exp(np.clip(logs, -_FURTHEST_LOG, _FURTHEST_LOG))
            likelihood = family(*[*parameters.tolist(), longest]).log_likelihood(x, t_x, T)
            return float(penalty * np.sum(parameters**2) - np.sum(share * likelihood))

        return _in_periods(family(*[*np.exp(_least(lost, start, tolerance)).tolist(), longest]), days_per_period)

    model, log_likelihood, attempts = _first_converged(
        run,
        lambda fitted: float(np.sum(weights * fitted.log_likelihood(x, t_x, T))),
        starts=starts,
        penalizer=penalizer,
        reason=_not_told_apart(frequency, T_days),
    )
    return BtydFit(model, log_likelihood, frequency.size, x.size, attempts)


def _least(lost: Callable[[NDArray[np.float64]], float], start: Start, tolerance: float) -> NDArray[np.float64]:
    """Where a function is least: by its derivatives, and by a simplex where these lead nowhere.

    Raises:
        _UnusableError: neither ends.
    """
    found = minimize(lost, np.array(start), method="BFGS", jac="3-point", options={"gtol": tolerance})
    # It also stops where rounding keeps a flat function from falling further.
    if np.abs(found.jac).max() <= _FLAT:
        return found.x
    begin = found.x if np.isfinite(found.fun) else np.array(start)
    options = {"xatol": 1e-8, "fatol": 1e-12, "maxiter": _STEPS, "maxfev": _STEPS}
    found = minimize(lost, begin, method="Nelder-Mead", options=options)
    if not found.success:
        raise _UnusableError("did not converge")
    return found.x


def _in_periods(model: Purchases, days_per_period: float) -> Purchases:
    """The same model with another unit of time."""
    parameters = model.to_dict()
    longer = parameters["days_per_period"] / days_per_period
    for name in ("alpha", "beta"):
        if name in parameters:
            parameters[name] *= longer
    return type(model)(**parameters | {"days_per_period": days_per_period})


def fit_gamma_gamma(summary: pd.DataFrame, *, penalizer: float = 0.0) -> BtydFit[GammaGamma]:
    """Maximum likelihood of Gamma-Gamma, on the customers with ``frequency`` and ``monetary_value`` above 0.

    Args:
        summary: one row per customer; ``frequency`` repeat purchase days, ``monetary_value`` mean spend of those days.
            Other columns are ignored.
        penalizer: weight of an L2 penalty on p, q, v in units of the mean spend; raised only if the likelihood alone
            does not converge, or gives a population without a mean (q <= 1).

    Raises:
        DataError: a column is missing or a value is.
        NotEnoughDataError: fewer than 10 such customers, all of one value, or no run of the optimiser converged.
        UsageError: ``penalizer`` is no sensible number.
    """
    _check_options(penalizer=penalizer)
    frequency, value = _repeat_spend(summary)
    distinct_values = np.unique(value).size
    if value.size < _FEWEST_REPEAT_CUSTOMERS or distinct_values < 2:
        raise NotEnoughDataError(
            f"{value.size} customers have repeat purchases with a mean value above 0, of {distinct_values} different "
            f"values; how customers differ is learnt from {_FEWEST_REPEAT_CUSTOMERS} or more, of different values.",
            where="frequency and monetary_value",
            fix="Give a longer history, or more customers.",
        )
    (x, m), weights = distinct_rows(frequency, value)
    scale = float(value.mean())  # v is proportional to the currency's unit, p and q do not depend on it

    def run(start: Start, penalty: float, tolerance: float) -> GammaGamma:
        options = {"weights": weights, "initial_params": np.array(start), "tol": tolerance}
        with _lifetimes_quiet():
            lifetimes = _lifetimes()
            fitter = lifetimes.GammaGammaFitter(penalizer_coef=penalty)
            try:
                fitter.fit(x, m / scale, **options)
            except lifetimes.utils.ConvergenceError as error:
                raise _UnusableError("did not converge") from error
        p, q, v = (float(fitter.params_[name]) for name in ("p", "q", "v"))
        if q <= 1.0:
            raise _UnusableError(f"q = {q:.3g}: the mean order value does not exist")
        return GammaGamma(p, q, v * scale)

    model, log_likelihood, attempts = _first_converged(
        run,
        lambda fitted: float(np.sum(weights * fitted.log_likelihood(x, m))),
        starts=_GAMMA_GAMMA_STARTS,
        penalizer=penalizer,
        reason=f"{value.size} customers bought again; the largest mean value is {value.max() / np.median(value):.3g} "
        "times the median, too few or too uneven values for a distribution with a mean",
    )
    return BtydFit(model, log_likelihood, int(value.size), x.size, attempts)


class _UnusableError(Exception):
    """A run of the optimiser ended in parameters that cannot predict."""


def _first_converged(
    run: Callable[[Start, float, float], Model],
    log_likelihood: Callable[[Model], float],
    *,
    starts: tuple[Start, ...],
    penalizer: float,
    reason: str,
) -> tuple[Model, float, tuple[FitAttempt, ...]]:
    """All starting points at the penalty asked for, then at ever larger ones, until a run converges.

    Where two of them lead a parameter away without end, the likelihood has no maximum, and the next penalty is tried.
    """
    penalties = (penalizer, *(larger for larger in _PENALIZERS if larger > penalizer))
    attempts: list[FitAttempt] = []
    runaways: Counter[float] = Counter()
    for penalty, tolerance, start in itertools.product(penalties, _TOLERANCES, starts):
        if runaways[penalty] >= _MOST_RUNAWAYS:
            continue
        try:
            with np.errstate(all="ignore"):  # a line search may step far out
                model = run(start, penalty, tolerance)
            _check_finite(model)
        except (np.linalg.LinAlgError, _UnusableError) as error:
            outcome = str(error)
            runaways[penalty] += isinstance(error, _RunawayError)
        except UsageError as error:  # a parameter of 0, or none at all
            outcome = error.what
        else:
            reached = log_likelihood(model)
            attempts.append(FitAttempt(start, penalty, tolerance, "converged", reached))
            return model, reached, tuple(attempts)
        attempts.append(FitAttempt(start, penalty, tolerance, outcome, None))
    raise NotEnoughDataError(
        f"No distribution fits: {reason}. {len(attempts)} runs of the optimiser failed, "
        f"the last with: {attempts[-1].outcome}",
        where="the customers the model is fitted on",
        fix="Give a longer history or more customers, and look for a few customers unlike all others.",
    )


class _RunawayError(_UnusableError):
    """A parameter grew without end."""


def _check_finite(model: BgNbd | ParetoNbd | GammaGamma) -> None:
    for name, value in model.to_dict().items():
        if value > _LARGEST:
            raise _RunawayError(f"{name} grew to {value:.1e} without end")


def _lifetimes() -> Any:
    import lifetimes

    return lifetimes


@contextlib.contextmanager
def _lifetimes_quiet() -> Generator[None, None, None]:
    """Silences what lifetimes is known to emit, and undoes the process-wide warning filters that it sets."""
    with (
        warnings.catch_warnings(),
        np.errstate(all="ignore"),  # a flat likelihood has no standard errors
        contextlib.redirect_stdout(io.StringIO()),  # a run that does not converge is printed
    ):
        # On import it sets a pandas option that has had no effect since pandas 3.
        warnings.filterwarnings("ignore", message="The 'mode.chained_assignment' option", category=DeprecationWarning)
        yield


def _check_options(*, days_per_period: float = 1.0, penalizer: float) -> None:
    if not (math.isfinite(days_per_period) and days_per_period > 0):
        raise UsageError(
            f"{days_per_period} days are no unit of time.", where="days_per_period", fix="Give 1, 7 or 30.4375."
        )
    if not (math.isfinite(penalizer) and penalizer >= 0):
        raise UsageError(f"{penalizer} is no penalty.", where="penalizer", fix="Give 0, or a small number such as .01.")


def numeric_column(summary: pd.DataFrame, name: str, *, where: str, fix: str) -> NDArray[np.float64]:
    """A column as numbers, NaN where unknown, shape (rows,). Raises DataError when it is missing or no number."""
    if name not in summary.columns:
        raise DataError(
            f"The column '{name}' is missing. {did_you_mean(name, map(str, summary.columns))}", where=where, fix=fix
        )
    try:
        return summary[name].to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise DataError(f"The column '{name}' is not numeric.", where=where, fix=fix) from error


def _column(summary: pd.DataFrame, name: str) -> NDArray[np.float64]:
    fix = "Give frequency, recency_days, T_days and monetary_value as numbers."
    return numeric_column(summary, name, where="the summary of purchases per customer", fix=fix)


def _not_told_apart(frequency: NDArray[np.float64], T_days: NDArray[np.float64]) -> str:
    return (
        f"{int((frequency > 0).sum())} of {frequency.size} customers bought again, and T reaches from "
        f"{T_days.min():g} to {T_days.max():g} days; that does not tell rates of purchase and of leaving apart"
    )


def _histories(summary: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Checked columns that a model of purchases can be fitted on."""
    histories = checked_histories(
        _column(summary, "frequency"), _column(summary, "recency_days"), _column(summary, "T_days")
    )
    _check_purchases(*histories)
    return histories


def _check_purchases(
    frequency: NDArray[np.float64], recency_days: NDArray[np.float64], T_days: NDArray[np.float64]
) -> None:
    contradictory = (frequency == 0) & (recency_days > 0)
    if contradictory.any():
        raise DataError(
            f"{int(contradictory.sum())} customers have a frequency of 0, and yet a last purchase after the first.",
            where="frequency against recency_days",
            fix="Count repeat purchase days, and recency from the first to the last of them.",
        )
    if frequency.size and not (T_days > 0).any():
        raise NotEnoughDataError(
            f"All {T_days.size} customers bought first on the last observed day.",
            where="T_days",
            fix="Give a longer history.",
        )
    repeat_customers = int((frequency > 0).sum())
    if repeat_customers < _FEWEST_REPEAT_CUSTOMERS:
        raise NotEnoughDataError(
            f"{repeat_customers} of {frequency.size} customers bought on a second day; how customers come back and "
            f"leave is learnt from {_FEWEST_REPEAT_CUSTOMERS} or more.",
            where="frequency",
            fix="Give a longer history or more customers, and check that one customer has one customer_id.",
        )


def _repeat_spend(summary: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequency and mean value of the customers that Gamma-Gamma can learn from."""
    frequency = checked_histories(_column(summary, "frequency"), 0.0, 0.0)[0]
    value = _column(summary, "monetary_value")
    unknown = (frequency > 0) & ~np.isfinite(value)
    if unknown.any():
        raise DataError(
            f"{int(unknown.sum())} customers with repeat purchases have no mean value of them.",
            where="monetary_value",
            fix="Give the mean spend of the repeat purchase days.",
        )
    usable = (frequency > 0) & (value > 0)
    return frequency[usable], value[usable]
