"""The lifetime-value model: both families fitted, one chosen, everything described for the score."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from features.engine.definition import FeatureSet
from kernel.artefacts import Floats, Similar, SpendModel, ValueManifest, percentile_grid
from kernel.purchases import PurchaseParameters
from kernel.settings import Settings, ValueSettings
from kernel.value_predictor import NEWCOMER_DAYS, ValuePredictor
from training.dataset import TrainingSet
from training.evaluation.out_of_fold import newest_half, out_of_fold
from training.evaluation.similar import ratio_intervals
from training.evaluation.sums import sum_spread
from training.labels.contracts import ContractLives
from training.models.columns import model_columns
from training.models.order_values import fit_order_values
from training.models.value_choice import (
    HISTORY,
    MOST_CUSTOMERS,
    MOST_TRIALS,
    Trial,
    choose_family,
    fit_purchases,
)
from training.models.value_horizons import Beyond, horizon_values
from training.models.value_lightgbm import SpendRecipe
from training.models.value_sbg import contract_parameters

LEVEL_OF_BTYD = 0.5
"""How far the total follows BTYD, which knows all histories until now, and how far the trees, whose outcomes are a
whole horizon old: neither is nearer to the truth everywhere (docs/adr/0014-lifetime-value.md)."""
_LEAST = 0.01
_FOLDS = 3  # a level and a few quantiles are read from them; five take half as long again and say the same
_FEWEST_NEWCOMERS = 100


@dataclass(frozen=True)
class ValueJob:
    """What a fit of the lifetime value is given.

    Attributes:
        data: ripe rows of every customer with a history.
        population: features of every customer with a history at ``as_of``.
        beyond: what the rows spent in another horizon, as far as it is over at ``as_of``.
        contracts: how long contracts lasted, where customers churn by them.
        fingerprint: of the data known at ``as_of``.
    """

    data: TrainingSet
    population: pd.DataFrame
    beyond: Beyond
    features: FeatureSet
    settings: Settings
    as_of: datetime
    fingerprint: str
    contracts: ContractLives | None = None


def fit_value(
    job: ValueJob, spend_model: SpendModel = "trees", behaviour: ValuePredictor | None = None
) -> ValuePredictor:
    """Fit the models of buying behaviour on the histories known at ``as_of`` and the trees on ripe rows.

    Args:
        spend_model: which of them gives the expected spend; the back-test decides (``training.train``).
        behaviour: :func:`fit_behaviour` of the same job, where it is there already.

    Raises:
        NotEnoughDataError: too few repeat buyers for BTYD.
    """
    btyd = fit_behaviour(job) if behaviour is None else behaviour
    fitted = _fitted(job, btyd, spend_model)
    data, newest = job.data, newest_half(job.data)
    scale = _ratio(data.spend[newest], fitted.unseen[newest])
    expected, rows = np.maximum(fitted.unseen * scale, _LEAST), data.rows(newest)
    model = _with(fitted.model, scale=scale)
    level, doubt = _level(model.expected_spend(job.population), btyd.spend_btyd(job.population))
    model = _with(
        model,
        scale=scale * level,
        intervals=ratio_intervals(expected[newest], rows.spend),
        newcomers=_newcomers(expected, data),
        sums=sum_spread(expected[newest], rows.spend, doubt),
        horizons=horizon_values(model, data, expected, job.beyond),
    )
    now = model.expected_spend(job.population)
    low, high = np.quantile(rows.spend, [0.05, 0.95])
    return _with(
        model,
        percentile_grid=percentile_grid(now),
        high_value_from=high_value_from(now, job.settings.value),
        prior_spend=float(now.mean()),
        prior_low=float(low),
        prior_high=float(high),
    )


def high_value_from(expected: Floats, settings: ValueSettings) -> float:
    """The expected spend from which on a customer is of high value."""
    if settings.high_value == "top":
        return float(np.quantile(expected, 1 - settings.high_value_share))
    falling = np.sort(expected)[::-1]
    enough = np.cumsum(falling) >= settings.high_value_share * falling.sum()
    return float(falling[np.argmax(enough)])


def fit_behaviour(job: ValueJob) -> ValuePredictor:
    """The models of purchases and order values alone, of the family that earlier cut-offs speak for; uncalibrated.

    Raises:
        NotEnoughDataError: too few repeat buyers.
    """
    settings, population = job.settings, job.population
    family, _ = choose_family(_trials(job.data, settings.value.horizon_days))
    histories = population.loc[:, list(HISTORY)]
    unknown = Similar(method="none", confidence=0.0, customers_per_point=0, prediction=(0.0,), low=(1.0,), high=(1.0,))
    manifest = ValueManifest(
        project=settings.project.name,
        currency=settings.project.currency,
        as_of=job.as_of,
        horizon_days=settings.value.horizon_days,
        data_fingerprint=job.fingerprint,
        columns=(),
        percentile_grid=(0.0,),
        intervals=unknown,
        spend_model="btyd",
        pace_weights={},
        purchases=PurchaseParameters.of(fit_purchases(histories, family)),
        contracts=None if job.contracts is None else contract_parameters(job.contracts),
        order_values=fit_order_values(histories).values,
        net_share=net_share(population),
        scale=1.0,
        sums=sum_spread(np.ones(1), np.ones(1), 0.0),
        discount_rate=settings.value.discount_rate,
        margin=settings.value.margin,
        prior_spend=0.0,
        prior_low=0.0,
        prior_high=0.0,
        high_value_from=0.0,
    )
    return ValuePredictor(manifest, {})


def net_share(population: pd.DataFrame) -> float:
    """What returns leave of all that was bought, in (0, 1]."""
    net = population["net_spend"].to_numpy(dtype="float64", na_value=0.0)
    left = 1 - population["returned_share"].to_numpy(dtype="float64", na_value=0.0)
    # Who returned all of it has no gross spend that could be told from the net one; who returned more has one.
    told = np.abs(left) >= _LEAST
    gross = float(np.sum(net[told] / left[told]))
    return float(np.clip(net[told].sum() / gross, _LEAST, 1.0)) if gross > 0 else 1.0


def _trials(data: TrainingSet, horizon_days: int) -> list[Trial]:
    """The newest cut-offs of training, as moments of their own."""
    some = data.at_most(MOST_CUSTOMERS * len(np.unique(data.cutoff)), "trial")
    moments = np.unique(some.cutoff)[-MOST_TRIALS:]
    parts = [some.rows(some.cutoff == moment) for moment in moments]
    return [Trial(part.features.loc[:, list(HISTORY)], horizon_days, part.spend) for part in parts]


@dataclass(frozen=True)
class _Fitted:
    """An uncalibrated model, and what it expects of each row of training without having seen the row's customer."""

    model: ValuePredictor
    unseen: Floats


def _fitted(job: ValueJob, btyd: ValuePredictor, spend_model: SpendModel) -> _Fitted:
    data = job.data
    if spend_model == "btyd":
        # A few parameters for all customers: a customer's own rows do not bend them, so no folds are needed.
        return _Fitted(btyd, btyd.spend_btyd(data.features))
    columns = model_columns(job.features, data.features)
    recipe = SpendRecipe(columns, btyd.spend_btyd, job.settings.value.horizon_days, job.settings.training.seed)
    make = recipe.trees if spend_model == "trees" else recipe.two_part
    fit = make(data)
    chosen = {"spend_model": spend_model, "columns": columns, "pace_weights": fit.pace_weights}
    model = ValuePredictor(btyd.manifest.model_copy(update=chosen), fit.boosters)
    return _Fitted(model, out_of_fold(data, lambda rows: make(rows).predict, folds=_FOLDS))


def _level(expected: Floats, btyd: Floats) -> tuple[float, float]:
    """What the total is multiplied by to follow BTYD in part, and how far the two are from agreeing (half the distance
    of their logarithms, a standard deviation)."""
    distance = float(np.log(_ratio(btyd, expected)))
    return float(np.exp(LEVEL_OF_BTYD * distance)), abs(distance) / 2


def _newcomers(expected: Floats, data: TrainingSet) -> Similar | None:
    new = data.features["T_days"].to_numpy() <= NEWCOMER_DAYS
    if new.sum() < _FEWEST_NEWCOMERS:
        return None
    return ratio_intervals(expected[new], data.spend[new])


def _ratio(actual: Floats, expected: Floats) -> float:
    total, foretold = float(actual.sum()), float(expected.sum())
    return total / foretold if total > 0 and foretold > 0 else 1.0


def _with(model: ValuePredictor, **update: object) -> ValuePredictor:
    return ValuePredictor(model.manifest.model_copy(update=update), model.boosters)
