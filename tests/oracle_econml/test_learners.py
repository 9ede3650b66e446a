"""The three learners of effects beside EconML's, on the same folds of a real randomised trial (Hillstrom, visits).

EconML gets scikit-learn's and LightGBM's own models with the settings of ours, so that two programs are compared and
not two choices of settings.
"""

from __future__ import annotations

from typing import Self

import lightgbm as lgb
import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from kernel.encoding import Encoding
from kernel.part import Floats
from tests.e2e.test_uplift_acceptance import FOLDS, WOMENS, hillstrom_trial, needs_hillstrom
from training.evaluation.uplift import qini, weighted_effects
from training.models.uplift_learners import (
    PENALTIES,
    Trial,
    chosen_penalty,
    fit_outcomes,
    fit_robust_line,
    fit_shared_line,
    fit_x_learner,
    robust_effects,
)

MISSING = "econml is not installed: make test-oracle brings it"
metalearners = pytest.importorskip("econml.metalearners", reason=MISSING)
doubly_robust = pytest.importorskip("econml.dr", reason=MISSING)

pytestmark = [pytest.mark.oracle, needs_hillstrom]

NEAR = 0.005
ARMS = 3
FREE = 30.0  # a column so much larger than its like is held by a ridge 900 times as weak
TREES = {
    "objective": "regression",
    "learning_rate": 0.06,
    "num_leaves": 8,
    "max_depth": 3,
    "min_data_in_leaf": 60,
    "lambda_l2": 30.0,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}


class Boosted(RegressorMixin, BaseEstimator):
    """LightGBM's own least squares."""

    def __init__(self, categories: tuple[int, ...] = ()) -> None:
        self.categories = categories

    def fit(self, X: Floats, y: Floats) -> Self:
        data = lgb.Dataset(X, y, categorical_feature=[i for i, count in enumerate(self.categories) if count])
        self.booster_ = lgb.train(TREES, data, num_boost_round=80)
        return self

    def predict(self, X: Floats) -> Floats:
        return np.asarray(self.booster_.predict(X))


class LineAndTrees(RegressorMixin, BaseEstimator):
    """The mean of a logistic regression and of trees: what our learners expect of an arm, fitted on the arm alone."""

    def __init__(self, encoding: Encoding | None = None, categories: tuple[int, ...] = ()) -> None:
        self.encoding = encoding
        self.categories = categories

    def fit(self, X: Floats, y: Floats) -> Self:
        self.line_ = LogisticRegression(max_iter=1000).fit(self.encoding.design(X), y)
        self.trees_ = Boosted(self.categories).fit(X, y)
        return self

    def predict(self, X: Floats) -> Floats:
        return (self.line_.predict_proba(self.encoding.design(X))[:, 1] + self.trees_.predict(X)) / 2


class OurOutcomes(RegressorMixin, BaseEstimator):
    """Our model of the outcome, for columns of inputs and a flag for each action."""

    def __init__(
        self, encoding: Encoding | None = None, categories: tuple[int, ...] = (), penalty: float = 1.0
    ) -> None:
        self.encoding = encoding
        self.categories = categories
        self.penalty = penalty

    def fit(self, X: Floats, y: Floats) -> Self:
        alike = np.full((len(y), ARMS), 1 / ARMS)
        trial = Trial(X[:, : 1 - ARMS], self.categories, self._arm(X), y, alike, np.arange(len(y)))
        self.outcomes_ = fit_outcomes(trial, self.encoding, self.penalty, 0)
        return self

    def predict(self, X: Floats) -> Floats:
        return self.outcomes_(X[:, : 1 - ARMS])[np.arange(len(X)), self._arm(X)]

    def _arm(self, X: Floats) -> np.ndarray:
        return (X[:, 1 - ARMS :] @ np.arange(1, ARMS)).astype(np.int64)


class SharedAndOwn(RegressorMixin, BaseEstimator):
    """Logistic regression of all arms with each arm's own deviation, whose ridge it chooses by unseen rows; for columns
    of inputs and a flag for each arm."""

    def __init__(self, encoding: Encoding | None = None) -> None:
        self.encoding = encoding

    def fit(self, X: Floats, y: Floats) -> Self:
        self.line_ = LogisticRegressionCV(
            Cs=[1 / (penalty * len(y)) for penalty in PENALTIES],
            cv=3,
            scoring="neg_log_loss",
            solver="newton-cholesky",
            l1_ratios=(0,),
            use_legacy_attributes=False,
        ).fit(self._columns(X), y)
        return self

    def predict(self, X: Floats) -> Floats:
        return self.line_.predict_proba(self._columns(X))[:, 1]

    def _columns(self, X: Floats) -> Floats:
        design, flags = self.encoding.design(X[:, :-ARMS]), X[:, -ARMS:]
        return np.hstack([FREE * design, *(flags[:, [arm]] * design for arm in range(ARMS)), FREE * flags[:, 1:]])


class Third(ClassifierMixin, BaseEstimator):
    """The probabilities of a trial whose arms were drawn alike."""

    def fit(self, X: Floats, y: Floats) -> Self:
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Floats) -> Floats:
        return np.full(len(X), self.classes_[0])

    def predict_proba(self, X: Floats) -> Floats:
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


Pairs = dict[str, tuple[Floats, Floats]]


def both(trial: Trial, inputs: Floats, seed: int) -> Pairs:
    """Effects of rows that no model has seen, by our learner and by EconML's, each of shape (rows, actions)."""
    encoding = Encoding.of(trial.inputs, trial.categories)
    penalty = chosen_penalty(trial, encoding, seed)
    inner = trial.folds(2, seed)
    honest = np.zeros((len(trial), ARMS))
    for half in range(2):
        honest[inner == half] = fit_outcomes(trial.take(inner != half), encoding, penalty, 0)(
            trial.inputs[inner == half]
        )

    x_learner = metalearners.XLearner(
        models=LineAndTrees(encoding, trial.categories),
        cate_models=Boosted(trial.categories),
        propensity_model=Third(),
    )
    robust = doubly_robust.DRLearner(
        model_propensity=Third(),
        model_regression=OurOutcomes(encoding, trial.categories, penalty),
        model_final=make_pipeline(
            FunctionTransformer(encoding.design), RidgeCV(alphas=[one * len(trial) for one in PENALTIES])
        ),
        cv=[(np.flatnonzero(inner != half), np.flatnonzero(inner == half)) for half in range(2)],
    )
    shared = metalearners.SLearner(overall_model=SharedAndOwn(encoding))
    theirs = [
        one.fit(trial.outcome, trial.arm, X=trial.inputs).const_marginal_effect(inputs)
        for one in (x_learner, robust, shared)
    ]
    design = np.hstack([encoding.design(inputs), np.ones((len(inputs), 1))])
    outcome = fit_shared_line(trial, encoding, penalty).outcome(inputs)
    ours = [
        fit_x_learner(trial, honest, seed).outputs(inputs),
        design @ fit_robust_line(trial, robust_effects(trial, honest), encoding, seed),
        outcome[:, 1:] - outcome[:, :1],
    ]
    return dict(zip(("X-learner", "doubly robust ridge", "S-learner"), zip(ours, theirs, strict=True), strict=True))


@pytest.fixture(scope="module")
def found() -> tuple[Trial, np.ndarray, list[Pairs]]:
    trial = hillstrom_trial("visit")
    fold = trial.folds(FOLDS, 0)
    pairs = [both(trial.take(fold != number), trial.inputs[fold == number], number) for number in range(FOLDS)]
    return trial, fold, pairs


@pytest.mark.parametrize("name", ["X-learner", "doubly robust ridge", "S-learner"])
def test_ranks_as_well_as_econml(found: tuple[Trial, np.ndarray, list[Pairs]], name: str) -> None:
    trial, fold, pairs = found
    effect = weighted_effects(trial.arm, trial.outcome, trial.probability)[:, WOMENS - 1]

    def mean_qini(which: int) -> float:
        return float(np.mean([qini(of[name][which][:, WOMENS - 1], effect[fold == i]) for i, of in enumerate(pairs)]))

    ours, theirs = mean_qini(0), mean_qini(1)
    assert theirs > 0.1
    assert ours == pytest.approx(theirs, abs=NEAR)


@pytest.mark.parametrize("name", ["X-learner", "doubly robust ridge", "S-learner"])
def test_says_of_each_customer_what_econml_says(found: tuple[Trial, np.ndarray, list[Pairs]], name: str) -> None:
    _, _, pairs = found
    ours, theirs = (np.vstack([of[name][which] for of in pairs])[:, WOMENS - 1] for which in (0, 1))
    assert np.corrcoef(ours, theirs)[0, 1] > 0.95
    assert ours.mean() == pytest.approx(theirs.mean(), abs=0.002)
    assert ours.std() == pytest.approx(theirs.std(), rel=0.1)
