"""Off-policy evaluation on real logged decisions with true propensities (Open Bandit, Saito et al. 2021).

Two policies showed items of a shop at the same time: one drew all 80 items alike, the other learned by Thompson
sampling (BTS). What BTS earned is known from its own log, and estimated from the log of the uniform draws. Neither log
says which customer a row is of. A page has three positions, and its rows have the same time to the microsecond: that is
the cluster. These are samples of a week's rows, so that hardly any page is there with more than one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kernel.part import Floats
from training.evaluation.off_policy import ESTIMATORS, LoggedDecisions
from training.evaluation.policy_checks import Check, enough, integrity
from training.models.rewards import expected_rewards

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "obd"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="../shared/data/obd is absent")

ITEMS = 80
POSITIONS = 3
USER = tuple(f"user_feature_{i}" for i in range(4))
UNBIASED = ("IPS", "SNIPS", "DR", "SNDR")


def table(policy: str) -> pd.DataFrame:
    columns = ["timestamp", "item_id", "position", "click", "propensity_score", *USER]
    return pd.read_csv(FOLDER / policy / "all.csv", usecols=columns)


@pytest.fixture(scope="module")
def uniform() -> pd.DataFrame:
    return table("random")


@pytest.fixture(scope="module")
def bts() -> pd.DataFrame:
    return table("bts")


def by_position(bts: pd.DataFrame) -> Floats:
    """How likely BTS shows each item at each position, shape (positions, items): the share of its draws.

    Its logged propensities are of single rows only, those of the items that were drawn; their mean leans to the moments
    at which an item was likely.
    """
    drawn = np.zeros((POSITIONS, ITEMS))
    np.add.at(drawn, (bts["position"].to_numpy() - 1, bts["item_id"].to_numpy()), 1)
    return drawn / drawn.sum(axis=1, keepdims=True)


def known(log: pd.DataFrame) -> tuple[Floats, tuple[int, ...]]:
    """Position and the user's four words, as codes, and how many words each has."""
    words = [pd.Categorical(log[name]) for name in ("position", *USER)]
    return np.column_stack([one.codes.astype(float) for one in words]), tuple(len(one.categories) for one in words)


@pytest.fixture(scope="module")
def decisions(uniform: pd.DataFrame, bts: pd.DataFrame) -> LoggedDecisions:
    """The uniform draws, with BTS as the policy to judge."""
    inputs, categories = known(uniform)
    page = uniform["timestamp"].to_numpy(object)
    item, click = uniform["item_id"].to_numpy(np.int64), uniform["click"].to_numpy(float)
    return LoggedDecisions(
        item,
        click,
        uniform["propensity_score"].to_numpy(float),
        by_position(bts)[uniform["position"].to_numpy() - 1],
        expected_rewards(inputs, categories, item, click, page, ITEMS),
        page,
    )


@pytest.fixture(scope="module")
def earned(bts: pd.DataFrame) -> float:
    """Clicks per decision of BTS in its own log."""
    return float(bts["click"].mean())


def flags(log: pd.DataFrame) -> Floats:
    """A column for each word that is frequent enough for five draws of each item to be expected with it: the balance
    check counts in standard errors of a normal, and a word of one row is nine of them from the mean by any draw."""
    inputs, categories = known(log)
    flag = np.hstack([inputs[:, [i]] == np.arange(count) for i, count in enumerate(categories)]).astype(float)
    return flag[:, flag.sum(axis=0) >= 5 * ITEMS]


def broken(checks: list[Check]) -> list[str]:
    return [check.name for check in checks if not check.holds]


def test_the_files_are_what_their_publisher_says(uniform: pd.DataFrame, bts: pd.DataFrame) -> None:
    assert (len(uniform), len(bts)) == (10_000, 10_000)
    assert (uniform["item_id"].nunique(), bts["item_id"].nunique()) == (ITEMS, ITEMS)
    assert (int(uniform["click"].sum()), int(bts["click"].sum())) == (38, 42)
    assert uniform["propensity_score"].to_numpy() == pytest.approx(np.full(10_000, 1 / ITEMS))


def test_rows_of_one_page_are_the_cluster(uniform: pd.DataFrame) -> None:
    pages = uniform.groupby("timestamp")
    assert (pages.ngroups, int(pages.size().max())) == (9_991, 2)
    assert (pages["position"].nunique() == pages.size()).all()
    assert (pages[list(USER)].nunique() == 1).all(axis=None)


def test_the_uniform_log_is_what_it_says(decisions: LoggedDecisions, uniform: pd.DataFrame) -> None:
    logged = np.full((len(decisions), ITEMS), 1 / ITEMS)
    assert broken(integrity(decisions, logged, flags(uniform))) == []
    assert broken(enough(decisions)) == []


def test_the_log_of_bts_is_not_taken_for_uniform_draws(bts: pd.DataFrame) -> None:
    logged = np.full((len(bts), ITEMS), 1 / ITEMS)
    found = LoggedDecisions(
        bts["item_id"].to_numpy(np.int64),
        bts["click"].to_numpy(float),
        np.full(len(bts), 1 / ITEMS),
        logged,
        np.zeros(logged.shape),
        bts["timestamp"].to_numpy(object),
    )
    assert broken(integrity(found, logged, flags(bts))) == ["balance", "ratio of actions"]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimators(decisions: LoggedDecisions, earned: float, name: str) -> None:
    estimate = ESTIMATORS[name](decisions)
    interval = estimate.interval(decisions.cluster)
    assert interval.low < estimate.value < interval.high
    # With 38 clicks an estimate is known to some half of itself.
    assert estimate.value == pytest.approx(earned, rel=0.75)
    if name in UNBIASED:
        assert interval.low <= earned <= interval.high
