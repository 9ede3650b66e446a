"""Every definition gives the same on both engines: on the history that says something of each, and on random ones."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from features.contract.profiles import profiles_from_frames
from features.definitions import feature_set
from features.engine.build import build_features
from features.engine.definition import Feature
from tests.contract.test_every_feature import HISTORY
from tests.histories import AS_OF, ATTRIBUTES, ZONES, History, histories
from tests.spark_engine import Frames, OnSpark, as_shipped, beside_each_other, different, spark_marks

pytestmark = spark_marks
FEATURES = feature_set(ATTRIBUTES)
every_feature = pytest.mark.parametrize("feature", FEATURES, ids=FEATURES.names)
OTHER_ZONES = [zone for zone in ZONES if zone != HISTORY.timezone]
EXAMPLES = 40


def _random_histories() -> list[History]:
    drawn: list[History] = []

    @settings(
        max_examples=EXAMPLES,
        phases=(Phase.generate,),
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(histories())
    def draw(history: History) -> None:
        drawn.append(history)

    draw()
    return drawn


def _on_both(frames: Frames, timezone: str, on_spark: OnSpark) -> tuple[pd.DataFrame, pd.DataFrame]:
    profiles = profiles_from_frames(frames, ATTRIBUTES, timezone)
    return build_features(on_spark(profiles), FEATURES, AS_OF), build_features(profiles, FEATURES, AS_OF)


@pytest.fixture(scope="module")
def telling(on_spark: OnSpark) -> tuple[pd.DataFrame, pd.DataFrame]:
    with as_shipped():
        return _on_both(HISTORY.frames(), HISTORY.timezone, on_spark)


@every_feature
def test_a_definition_is_the_same_on_both_engines(feature: Feature, telling: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    found, wanted = (frame[[feature.name]] for frame in telling)
    assert wanted[feature.name].nunique() >= 2
    assert different(found, wanted) == []


@pytest.fixture(scope="module")
def random_histories() -> list[History]:
    return _random_histories()


@pytest.mark.parametrize("timezone", OTHER_ZONES)
def test_random_histories_are_the_same_on_both_engines(
    timezone: str, random_histories: list[History], on_spark: OnSpark
) -> None:
    chosen = random_histories[OTHER_ZONES.index(timezone) :: len(OTHER_ZONES)]
    frames = beside_each_other({f"history {number}": history.frames() for number, history in enumerate(chosen)})
    found, wanted = _on_both(frames, timezone, on_spark)
    assert len(wanted) > EXAMPLES / len(OTHER_ZONES)
    assert different(found, wanted) == []
