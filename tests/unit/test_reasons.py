"""How a feature's value is said: signs, small rates, and what is unknown."""

from __future__ import annotations

import pytest

from features.definitions import feature_set
from kernel.artefacts import FeatureColumn
from serving.scoring.reasons import in_words

FEATURES = feature_set({})


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
    assert in_words(column, value, "EUR") == text
