"""A search for better trees, of bounded cost; what it finds must beat the usual ones by more than chance."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import optuna

from kernel.part import Floats
from kernel.settings import TreesSettings
from training.dataset import TrainingSet
from training.evaluation.out_of_fold import newest_half, out_of_fold
from training.models.mixture import Recipe, unexplained

MOST_ROWS = 20_000
"""So that one trial ends in seconds, whatever the size of the project."""
_SURE = 1.645  # standard errors: one chance in twenty that a gain is none


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    Attributes:
        trees: the best that were tried, or those at the beginning where nothing is surely better.
        trials: how many were tried.
        loss, loss_before: mean log-loss of unseen customers in the newer half of the cut-offs, with the best and with
            those at the beginning; of customers by whom the best were not chosen.
        is_better: whether the best are surely better.
    """

    trees: TreesSettings
    trials: int
    loss: float
    loss_before: float
    is_better: bool


def tune_trees(data: TrainingSet, recipe: Recipe, minutes: float, *, trials: int | None = None) -> Tuned:
    """Search for ``minutes`` at most; the trial in progress then is ended.

    Every trial is judged by customers that its trees have not seen, in the newer half of the cut-offs: nothing after
    ``data`` is looked at.

    Args:
        data: ripe rows of the churn cohort.
        recipe: its trees are tried first, and must be beaten.
        trials: end after so many.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rows = data.at_most(MOST_ROWS, "tune")
    newest = newest_half(rows)
    losses: list[tuple[TreesSettings, Floats]] = []
    ends = time.monotonic() + 60 * minutes

    def loss(trial: optuna.Trial) -> float:
        trees = _suggested(trial) if trial.number else recipe.trees
        tried = replace(recipe, trees=trees)
        raw = out_of_fold(rows, lambda some: _raw(tried, some, ends if trial.number else None))[newest]
        found = unexplained(raw, rows.rows(newest))
        losses.append((trees, found))
        return float(found.mean())

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=recipe.seed))
    study.optimize(loss, n_trials=trials, timeout=60 * minutes, catch=(TimeoutError,))
    # The best of many is lucky too: half of the customers choose it, and the others say what it is worth.
    judged = rows.rows(newest)
    choose = judged.customer_share("choose") < 0.5
    trees, best = min(losses, key=lambda one: one[1][choose].mean())
    usual = losses[0][1][~choose]
    better = _is_sure(usual - best[~choose], judged.rows(~choose))
    return Tuned(
        trees if better else recipe.trees, len(losses), float(best[~choose].mean()), float(usual.mean()), better
    )


def _raw(recipe: Recipe, rows: TrainingSet, ends: float | None) -> Callable[[TrainingSet], Floats]:
    if ends is not None and time.monotonic() > ends:
        raise TimeoutError
    trees = recipe.fit_trees(rows)

    def raw(unseen: TrainingSet) -> Floats:
        return np.asarray(trees.predict(recipe.inputs(unseen), raw_score=True))

    return raw


def _suggested(trial: optuna.Trial) -> TreesSettings:
    return TreesSettings(
        rounds=trial.suggest_int("rounds", 100, 1000, log=True),
        learning_rate=trial.suggest_float("learning_rate", 0.01, 0.1, log=True),
        num_leaves=trial.suggest_int("num_leaves", 4, 31),
        max_depth=trial.suggest_int("max_depth", 2, 6),
        min_data_in_leaf=trial.suggest_int("min_data_in_leaf", 10, 400, log=True),
        lambda_l2=trial.suggest_float("lambda_l2", 0.1, 100.0, log=True),
        feature_fraction=trial.suggest_float("feature_fraction", 0.1, 1.0),
        extra_trees=trial.suggest_categorical("extra_trees", [True, False]),
    )


def _is_sure(gain: Floats, rows: TrainingSet) -> bool:
    """Whether a mean gain is more than chance; the rows of one customer count as one."""
    per_customer = np.bincount(rows.customers.factorize()[0], gain)
    total, error = per_customer.sum(), float(np.std(per_customer)) * len(per_customer) ** 0.5
    return bool(total > _SURE * error > 0)
