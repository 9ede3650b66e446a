"""The churn model's fit: directions hold, weights count, a search finds what is there and nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kernel.artefacts import FeatureColumn
from kernel.settings import TreesSettings
from tests.doubles.models import churn_predictor, features
from training.dataset import TrainingSet
from training.evaluation.band_changes import band_changes, summed
from training.evaluation.factors import band_factors
from training.models.mixture import Recipe, fit_mixture
from training.tuning import tune_trees

SMALL = TreesSettings(rounds=40, learning_rate=0.1)


def column(name: str, categories: tuple[str, ...] | None = None) -> FeatureColumn:
    return FeatureColumn(name=name, group="g", phrase=name, unit="", version=1, categories=categories)


COLUMNS = (column("pause"), column("noise"), column("city", ("a", "b")))


def rows(customers: int = 1500, seed: int = 1, wiggle: float = 0.0) -> TrainingSet:
    """Two cut-offs of each customer; the risk rises with the pause, and ``wiggle`` makes it fall in between."""
    random = np.random.default_rng(seed)
    pause = random.exponential(30, 2 * customers)
    log_odds = np.log1p(pause) - 3.5 - wiggle * ((pause > 20) & (pause < 40))
    frame = pd.DataFrame(
        {
            "pause": pause,
            "noise": random.normal(size=2 * customers),
            "city": random.choice(np.array(["a", "b", None], dtype=object), 2 * customers),
        },
        index=pd.Index([f"c{i % customers}" for i in range(2 * customers)], name="customer_id"),
    )
    return TrainingSet(
        frame,
        np.repeat([np.datetime64("2024-01-01", "us"), np.datetime64("2024-02-01", "us")], customers),
        (random.random(2 * customers) < 1 / (1 + np.exp(-log_odds))).astype(float),
        np.zeros(2 * customers),
        np.ones(2 * customers, dtype=bool),
    )


def along_the_pause(recipe: Recipe, data: TrainingSet) -> np.ndarray:
    """The probabilities of one customer whose pause grows."""
    steps = np.linspace(0, 120, 241)
    frame = pd.DataFrame({"pause": steps, "noise": 0.0, "city": "a"})
    probe = TrainingSet(frame, np.full(241, np.datetime64("2024-01-01", "us")), steps, steps, np.ones(241, dtype=bool))
    return fit_mixture(data, recipe).of(COLUMNS)(probe)


def test_the_risk_never_falls_where_the_business_says_that_it_rises() -> None:
    data = rows(wiggle=3.0)
    free = np.diff(along_the_pause(Recipe(COLUMNS, 7, SMALL), data))
    assert free.min() < -0.01
    held = np.diff(along_the_pause(Recipe(COLUMNS, 7, SMALL, (1, 0, 0)), data))
    assert held.min() >= -1e-12
    assert held.max() > 0.001


def test_a_direction_against_the_rows_leaves_nothing_of_the_feature() -> None:
    along = along_the_pause(Recipe(COLUMNS, 7, SMALL, (-1, 0, 0)), rows())
    assert np.diff(along).max() <= 1e-12


def test_the_rows_that_count_for_more_set_the_level() -> None:
    data = rows()
    heavy = TrainingSet(
        data.features,
        data.cutoff,
        data.churned,
        data.spend,
        data.active,
        weight=np.where(data.churned > 0, 3.0, 1.0),
    )
    plain, weighed = (fit_mixture(one, Recipe(COLUMNS, 7, SMALL)) for one in (data, heavy))
    rate = data.churned[plain.chosen].mean()
    assert plain.unseen.mean() == pytest.approx(rate, abs=1e-3)
    assert heavy.weight is not None
    weight = heavy.weight[weighed.chosen]
    assert np.average(weighed.unseen, weights=weight) == pytest.approx(3 * rate / (1 + 2 * rate), abs=1e-3)


def test_a_search_beats_trees_that_cannot_see() -> None:
    blind = TreesSettings(rounds=10, learning_rate=0.01, num_leaves=2, max_depth=1, min_data_in_leaf=1000)
    found = tune_trees(rows(), Recipe(COLUMNS, 7, blind), minutes=5, trials=6)
    assert found.is_better
    assert found.trees != blind
    assert found.trials == 6
    assert found.loss < found.loss_before


def test_a_search_in_noise_changes_nothing() -> None:
    data = rows(600)
    noise = TrainingSet(
        data.features, data.cutoff, np.random.default_rng(5).permutation(data.churned), data.spend, data.active
    )
    found = tune_trees(noise, Recipe(COLUMNS, 7, SMALL), minutes=5, trials=6)
    assert (found.is_better, found.trees) == (False, SMALL)


def test_a_search_ends_in_time_and_has_tried_what_there_was() -> None:
    found = tune_trees(rows(600), Recipe(COLUMNS, 7, SMALL), minutes=0.001)
    assert (found.trials, found.is_better, found.trees) == (1, False, SMALL)


def test_the_same_search_finds_the_same() -> None:
    first, again = (tune_trees(rows(400), Recipe(COLUMNS, 7, SMALL), minutes=5, trials=4) for _ in range(2))
    assert first == again


def test_the_same_model_changes_nobodys_band() -> None:
    changes = band_changes(churn_predictor(), churn_predictor(), features(200))
    assert len(changes) == 0
    assert changes.attrs["customers"] == 200
    assert summed(changes).empty


def test_who_changes_band_and_by_what() -> None:
    before, now = churn_predictor(), churn_predictor(intercept=2.0)
    population = features(200)
    changes = band_changes(before, now, population)
    assert 0 < len(changes) <= 200
    inputs = before.inputs(population.loc[changes.index])
    assert list(changes["percentile_before"]) == list(before.percentile(before.probability(inputs)))
    assert (changes["percentile_now"] > changes["percentile_before"]).all()
    counts = summed(changes)
    assert counts["customers"].sum() == len(changes)
    assert list(counts.columns) == ["band_before", "band_now", "group", "customers"]


def test_what_drives_each_band_adds_up() -> None:
    model, population = churn_predictor(), features(300)
    inputs = model.inputs(population)
    found = band_factors(model, inputs)
    assert sum(band.customers for band in found) == 300
    probability = model.probability(inputs)
    assert sum(band.customers * band.risk for band in found) == pytest.approx(probability.sum())
    base = model.contributions(inputs)[0, -1]
    log_odds = model.log_odds(inputs)
    for band in found:
        here = model.bands(model.percentile(probability)) == band.band
        assert sum(band.effects.values()) + base == pytest.approx(log_odds[here].mean())
    assert found[0].risk > found[-1].risk
