"""The label that leak suspects are judged by is that of training, and their AUC is the usual one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from features.cohorts import is_active
from features.contract.profiles import load_profiles
from features.definitions import feature_set
from features.engine.build import build_features
from features.usability.data import Data
from kernel.clock import parse_as_of
from tests.projects import TinyProject
from tests.shops import ENDS, LABEL_START, Shop, sound_shop
from training.labels.transaction_churn import transaction_churn
from training.labels.window import LabelWindow


def with_returns() -> Shop:
    """Returns and free goods in the window are no purchases."""
    shop = sound_shop()
    rows = shop.sales.index[::7]
    shop.sales.loc[rows, "amount"] = -5.0
    shop.sales.loc[shop.sales.index[::11], "amount"] = 0.0
    return shop


def test_the_label_is_the_one_of_training(project: TinyProject) -> None:
    shop = with_returns()
    shop.report(project)
    settings = project.settings(project.folder.joinpath("foresight.toml").read_text(encoding="utf-8"), head="")
    with load_profiles(settings) as profiles:
        cutoff, known_at = parse_as_of(LABEL_START.to_pydatetime()), parse_as_of(ENDS.to_pydatetime())
        features = build_features(profiles, feature_set(profiles.attributes), cutoff)
        cohort = features.index[is_active(features, settings.churn.active_days)]
        expected = transaction_churn(profiles, cohort, cutoff, LabelWindow(settings.churn.horizon_days), known_at)
        data = Data.open(profiles, settings, known_at)
        labelled = dict(data.rows("SELECT customer_id, churned FROM usability_buyers WHERE active"))
    assert len(labelled) > 500
    assert labelled == (expected == 1).to_dict()


@pytest.mark.parametrize("turned", [1, -1])
def test_the_auc_is_the_usual_one(project: TinyProject, turned: int) -> None:
    shop = sound_shop()
    random = np.random.default_rng(3)
    active = shop.active
    points = pd.Series(random.normal(0, 0.3, len(shop.ids)), index=shop.ids)
    points[active.index] += active * turned
    shop.customers["points"] = points.round(1).to_numpy()  # with ties
    usual = roc_auc_score(active, points.round(1)[active.index])
    (one,) = [found for found in shop.report(project).findings if found.code == "U401"]
    assert one.actual == f"AUC {max(usual, 1 - usual):.3f}"
    assert one.column == "points"


def test_a_word_that_knows_the_answer(project: TinyProject) -> None:
    shop = sound_shop()
    active = shop.active
    stage = pd.Series("current", index=shop.ids)
    stage[active.index[active]] = "lapsed"
    shop.customers["stage"] = stage.to_numpy()
    (one,) = [found for found in shop.report(project).findings if found.code == "U401"]
    assert (one.column, one.actual) == ("stage", "AUC 1.000")


def test_a_word_of_each_customers_own_knows_nothing(project: TinyProject) -> None:
    shop = sound_shop()
    shop.customers["region"] = [f"street {i}" for i in range(len(shop.ids))]
    assert [found.code for found in shop.report(project).findings] == ["U309"]
