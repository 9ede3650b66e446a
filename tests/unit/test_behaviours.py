"""What would change it: the nearest change of a behaviour, and nothing that is no change."""

from __future__ import annotations

import numpy as np
import pytest

from kernel.artefacts import FeatureColumn
from kernel.behaviours import STEPS, Behaviour, levels, nearest_changes
from kernel.part import Floats
from training.models.behaviours import behaviours

# orders in 30 and in 90 days, days since the last purchase, campaigns received; one column that is no behaviour
NAMES = ("orders_30d", "orders_90d", "days_since_last_purchase", "campaigns_received_30d", "T_days")
COLUMNS = tuple(FeatureColumn(name=name, group="g", phrase=name, unit="count", version=1) for name in NAMES)


def population(rows: int = 1001) -> Floats:
    """Every behaviour from 0 to 20 in the population, evenly."""
    level = np.linspace(0, 20, rows).round()
    return np.column_stack([level, 2 * level, 40 - 2 * level, level[::-1], np.arange(rows)])


@pytest.fixture
def found() -> tuple[Behaviour, ...]:
    return behaviours(COLUMNS, population())


def probability(inputs: Floats) -> Floats:
    """The risk falls with orders and rises with campaigns; pause counts too."""
    log_odds = 2 - 0.2 * inputs[:, 0] - 0.02 * inputs[:, 1] + 0.05 * inputs[:, 2] + 0.1 * inputs[:, 3]
    return 1 / (1 + np.exp(-log_odds))


def percentile(chance: Floats) -> Floats:
    return 100 * chance


def test_behaviours_are_told_by_the_features_that_are_there(found: tuple[Behaviour, ...]) -> None:
    assert [(one.name, one.lead, one.columns, one.more) for one in found] == [
        ("purchases", 0, (0, 1, 2), True),
        ("contacts", 3, (3,), False),
    ]
    purchases = found[0]
    assert [one[0] for one in purchases.levels] == [0, 0, 40]
    assert [one[-1] for one in purchases.levels] == [20, 40, 0]


def test_the_smallest_change_is_found_and_its_figures_are_those_of_the_changed_customer(
    found: tuple[Behaviour, ...],
) -> None:
    customer = np.array([2.0, 5.0, 30.0, 10.0, 400.0])
    limit = 60.0
    assert percentile(probability(customer[None]))[0] > limit
    changes = nearest_changes(found, customer, probability, percentile, limit)
    purchases = next(change for change in changes if change.behaviour == "purchases")
    assert (purchases.column, purchases.value) == (0, 2.0)
    # By hand: the levels are 0, 1, ..., 20 orders; with them go 0, 2, ..., 40 in 90 days, and 40, 38, ..., 0 of pause.
    for orders in range(3, 21):
        changed = np.array([orders, max(5, 2 * orders), min(30, 40 - 2 * orders), 10.0, 400.0])
        chance = probability(changed[None])[0]
        if 100 * chance < limit:
            assert (purchases.target, purchases.probability) == (orders, pytest.approx(chance))
            assert purchases.percentile == pytest.approx(100 * chance)
            break
    else:
        pytest.fail("the limit is out of reach")


def test_fewer_contacts(found: tuple[Behaviour, ...]) -> None:
    customer = np.array([10.0, 20.0, 20.0, 12.0, 400.0])
    [change] = [
        one for one in nearest_changes(found, customer, probability, percentile, 65.0) if one.behaviour == "contacts"
    ]
    assert change.target < change.value == 12.0
    assert change.probability < probability(customer[None])[0]


def test_the_nearest_comes_first(found: tuple[Behaviour, ...]) -> None:
    customer = np.array([2.0, 5.0, 30.0, 10.0, 400.0])
    distances = [one.distance for one in nearest_changes(found, customer, probability, percentile, 97.0)]
    assert len(distances) == 2
    assert distances == sorted(distances)


def test_out_of_reach_is_nothing(found: tuple[Behaviour, ...]) -> None:
    customer = np.array([2.0, 5.0, 30.0, 10.0, 400.0])
    assert nearest_changes(found, customer, probability, percentile, 0.001) == []


def test_who_does_the_most_already_cannot_do_more(found: tuple[Behaviour, ...]) -> None:
    most = np.array([25.0, 50.0, 0.0, 0.0, 400.0])
    assert all(len(one.tried(most)) == 0 for one in found)


def test_nothing_is_taken_back(found: tuple[Behaviour, ...]) -> None:
    customer = np.array([2.0, 30.0, 5.0, 10.0, 400.0])  # few orders lately, but many before
    tried = found[0].tried(customer)
    assert len(tried) <= STEPS
    assert (tried[:, 0] >= 2).all()
    assert (tried[:, 1] >= 30).all()
    assert (tried[:, 2] <= 5).all()
    assert (np.diff(tried[:, 0]) >= 0).all()
    assert (tried[:, 3:] == customer[3:]).all()


def test_what_is_unknown() -> None:
    purchases, contacts = behaviours(COLUMNS, population())
    nobody = np.array([3.0, 6.0, np.nan, np.nan, 400.0])
    assert not np.isnan(purchases.tried(nobody)[:, 2]).any()  # more purchases have a last one
    assert len(contacts.tried(nobody)) == 0
    assert levels(np.array([np.nan, np.nan]), falling=False) is None
    unknown = population()
    unknown[:, 0] = np.nan
    assert [one.name for one in behaviours(COLUMNS, unknown)] == ["contacts"]
