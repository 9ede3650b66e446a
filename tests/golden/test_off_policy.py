"""The estimators equal those of obp 0.5.7 on the same logged decisions, to 1e-12."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from training.evaluation.off_policy import (
    ESTIMATORS,
    Estimate,
    LoggedDecisions,
    shrunk_doubly_robust,
    switch_doubly_robust,
)

FOLDER = Path(__file__).parents[3] / "shared" / "reference" / "off_policy"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="../shared/reference/off_policy is absent")

AS_PUBLISHED: dict[str, Callable[[LoggedDecisions], Estimate]] = {
    **{name: ESTIMATORS[name] for name in ("IPS", "SNIPS", "DM", "DR", "SNDR")},
    "switch-DR (threshold 1.5)": lambda log: switch_doubly_robust(log, 1.5),
    "DRos (lambda 5.0)": lambda log: shrunk_doubly_robust(log, 5.0),
}


@pytest.fixture(scope="module")
def log() -> LoggedDecisions:
    table = pd.read_csv(FOLDER / "logged.csv")
    return LoggedDecisions(
        table["action"].to_numpy(),
        table["reward"].to_numpy(float),
        table["propensity"].to_numpy(float),
        _distributions(table.filter(like="target_").to_numpy(float)),
        table.filter(regex="^q_").to_numpy(float),
        table["round"].to_numpy(),
    )


def _distributions(rounded: np.ndarray) -> np.ndarray:
    """The file has 12 digits, so that a row misses 1 by some 1e-12: less than what is checked, and left as it is."""
    assert np.abs(rounded.sum(axis=1) - 1).max() < 1e-9
    return rounded


@pytest.fixture(scope="module")
def published() -> dict[str, float]:
    return json.loads((FOLDER / "expected.json").read_text())


@pytest.mark.parametrize("name", AS_PUBLISHED)
def test_estimate(log: LoggedDecisions, published: dict, name: str) -> None:
    assert AS_PUBLISHED[name](log).value == pytest.approx(published["estimates"][name], abs=1e-12)


def test_every_published_estimate_is_compared(published: dict) -> None:
    assert set(published["estimates"]) == set(AS_PUBLISHED)


@pytest.mark.parametrize("name", ["DR", "SNDR"])
def test_the_truth_lies_in_the_interval(log: LoggedDecisions, published: dict, name: str) -> None:
    interval = AS_PUBLISHED[name](log).interval(log.cluster)
    assert interval.low <= published["true_value_of_target_policy"] <= interval.high
