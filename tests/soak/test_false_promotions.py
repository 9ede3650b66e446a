"""How often does the gate let pass what is worse, and stop what is as good? Thousands of simulated comparisons."""

from __future__ import annotations

import numpy as np
import pytest

from training.promotion import AUC_TOLERANCE, churn_gains

RUNS = 4000
pytestmark = pytest.mark.soak


def promoted(runs: int, customers: int, rate: float, gap: float, seed: int) -> float:
    """The share of challengers that pass the ranking's part of the gate.

    Both scores are normal, so that the AUC is Phi(d / sqrt 2); the challenger's lies ``gap`` below the champion's .80.
    Four fifths of their noise is common, as it is of two models of the same features.
    """
    from scipy.stats import norm

    champion_d, challenger_d = (2**0.5 * norm.ppf(auc) for auc in (0.80, 0.80 - gap))
    passed = 0
    for run in range(runs):
        random = np.random.default_rng([seed, run])
        left = (random.random(customers) < rate).astype(float)
        noise = random.normal(size=customers)
        other = 0.8 * noise + 0.6 * random.normal(size=customers)
        gains = churn_gains(_ranks(challenger_d * left + other), _ranks(champion_d * left + noise), left)
        passed += gains[0].is_not_worse
    return passed / runs


def _ranks(score: np.ndarray) -> np.ndarray:
    return score.argsort().argsort() / len(score)


@pytest.mark.parametrize(("customers", "rate"), [(500, 0.2), (2000, 0.05), (2000, 0.3), (10_000, 0.1)])
def test_a_challenger_at_the_tolerance_passes_once_in_twenty(customers: int, rate: float) -> None:
    share = promoted(RUNS, customers, rate, AUC_TOLERANCE, 1)
    # Three standard errors of the simulation, and what a normal interval is off at 25 churners.
    assert share == pytest.approx(0.05, abs=3 * (0.05 * 0.95 / RUNS) ** 0.5 + 0.01)


@pytest.mark.parametrize(("customers", "rate"), [(2000, 0.05), (10_000, 0.1)])
def test_a_much_worse_challenger_never_passes(customers: int, rate: float) -> None:
    assert promoted(1000, customers, rate, 0.1, 2) <= 0.001


def test_an_equal_challenger_passes_where_there_are_enough_customers() -> None:
    shares = [promoted(500, customers, 0.1, 0.0, 3) for customers in (500, 2000, 10_000, 50_000)]
    assert shares == sorted(shares)
    assert shares[-1] > 0.95
