"""How a feature's value is said: signs, small rates, and what is unknown."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.definitions import feature_set
from features.groups import LABELS
from kernel.artefacts import ColumnGroups, FeatureColumn
from kernel.feature_rows import FrameRows
from serving.scoring.reasons import group_effects, top_reasons
from serving.scoring.wording import Wording
from training.models.behaviours import BEHAVIOURS

FEATURES = feature_set({})
ENGLISH, GERMAN = Wording.of("en", "EUR"), Wording.of("de", "EUR")


@pytest.mark.parametrize(
    ("name", "value", "typical", "text"),
    [
        (
            "spend_change_30d",
            -82.4,
            -0.001,
            "EUR -82 change in spend, the last 30 days against the 30 days before (typical: EUR 0.00)",
        ),
        (
            "orders_slope_180d",
            0.3,
            -0.02,
            "0.3 orders of change from month to month, over 6 months of 30 days (typical: -0.02)",
        ),
        (
            "category_concentration_90d",
            0.041,
            1.0,
            "0.04 concentration of spend on few categories in the last 90 days (1 = all in one) (typical: 1.0)",
        ),
        ("overdue_deviations", -1.44, None, "-1.4 standard deviations past the usual pause"),
        ("open_rate_365d", 0.0, None, "0.0 openings per campaign of the last 365 days"),
        ("monday_share_365d", 0.207, 0.13, "21% of the orders on a Monday in the last 365 days (typical: 13%)"),
        ("days_since_last_return", None, None, "nothing to measure: days since the last return"),
    ],
)
def test_a_value_in_words(name: str, value: float | None, typical: float | None, text: str) -> None:
    feature = FEATURES.named(name)
    column = FeatureColumn(
        name=name, group=feature.group, phrase=feature.phrase, unit=feature.unit, version=1, typical=typical
    )
    assert ENGLISH.reason(column, value) == text


def column(name: str, typical: float | None = None) -> FeatureColumn:
    feature = FEATURES.named(name)
    return FeatureColumn(
        name=name,
        group=feature.group,
        phrase=feature.phrase,
        unit=feature.unit,
        version=1,
        typical=typical,
        usual=feature.usual,
    )


def test_the_customers_own_level_stands_beside_that_of_the_peers() -> None:
    days = column("days_since_last_purchase", 4.3)
    assert ENGLISH.reason(days, 38.0, 9.2) == (
        "38 days since the last purchase (this customer usually: 9.2; typical: 4.3)"
    )
    assert GERMAN.reason(days, 38.0, 9.2) == "38 Tage seit dem letzten Kauf (bei diesem Kunden sonst: 9,2; üblich: 4,3)"


def test_german_writes_numbers_as_germans_do() -> None:
    assert GERMAN.reason(column("spend_90d"), 12345.6) == "EUR 12.346 Umsatz in den letzten 90 Tagen"
    assert GERMAN.reason(column("orders_30d_to_90d"), 1.25) == (
        "1,2 mal so viele Bestellungen je Tag in 30 Tagen wie in 90"
    )
    assert GERMAN.reason(column("days_since_last_return"), None) == "nichts zu messen: Tage seit der letzten Rückgabe"


def test_german_has_a_phrase_for_every_feature_and_a_word_for_every_group() -> None:
    for feature in FEATURES:
        assert GERMAN.phrase(column(feature.name)) != feature.phrase, feature.name
        assert "{" not in GERMAN.phrase(column(feature.name))
        assert feature.group in LABELS
        assert feature.group in GERMAN.texts["groups"]


def test_every_behaviour_has_a_word_in_both_languages() -> None:
    for wording in (ENGLISH, GERMAN):
        assert set(wording.texts["behaviours"]) == {one.name for one in BEHAVIOURS}
    orders = column("orders_30d")
    assert ENGLISH.change(orders, 1.0, 3.0) == "orders in the last 30 days: 3 instead of 1"
    assert GERMAN.change(orders, 1.0, 3.0) == "Bestellungen in den letzten 30 Tagen: 3 statt 1"


def test_a_feature_of_ones_own_is_said_by_its_definition() -> None:
    own = FeatureColumn(name="moon_phase", group="night_sky", phrase="days of moon", unit="days", version=1)
    assert GERMAN.reason(own, 3.0) == "3 days of moon"
    assert GERMAN.group("night_sky") == "Night sky"


def test_a_usual_level_is_a_feature_of_the_same_unit() -> None:
    linked = [feature for feature in FEATURES if feature.usual is not None]
    assert len(linked) > 10
    for feature in linked:
        assert feature.usual is not None
        assert FEATURES.named(feature.usual).unit == feature.unit


def test_reasons_and_groups() -> None:
    columns = (column("days_since_last_purchase", 4.3), column("mean_gap_days", 6.0), column("orders_30d", 5.0))
    features = pd.DataFrame({"days_since_last_purchase": [38.0], "mean_gap_days": [9.0], "orders_30d": [np.nan]})
    parts = np.array([[0.9, 0.2, -0.4, -1.5]])
    [found] = top_reasons(FrameRows(features), features.to_numpy(), parts, columns, ENGLISH)
    assert [(reason.code, reason.usual, reason.effect) for reason in found] == [
        ("days_since_last_purchase", 9.0, 0.9),
        ("orders_30d", None, -0.4),
        ("mean_gap_days", None, 0.2),
    ]
    [groups] = group_effects(parts, ColumnGroups(columns), ENGLISH)
    assert [(one.group, one.effect) for one in groups] == [("rfm", 0.9), ("trend", -0.4), ("rhythm", 0.2)]
    assert groups[0].label == "Recency, frequency and spend"


def test_groups_of_one_customer_have_the_bits_of_many() -> None:
    columns = tuple(column(feature.name) for feature in FEATURES)
    parts = np.random.default_rng(3).normal(size=(200, len(columns) + 1))
    together = group_effects(parts, ColumnGroups(columns), ENGLISH)
    assert [group_effects(parts[i : i + 1], ColumnGroups(columns), ENGLISH)[0] for i in range(200)] == together
