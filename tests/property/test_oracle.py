"""Every feature equals the plain Python of ``tests/oracle.py`` on random histories."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from features.contract.profiles import profiles_from_frames
from features.definitions import feature_set
from features.engine.build import build_features
from tests.histories import AS_OF, ATTRIBUTES, ZONES, History, Person, dense_history, histories
from tests.oracle import Value, expected

FEATURES = feature_set(ATTRIBUTES)
ROUNDED_ENTROPIES = {"category_entropy_365d", "product_entropy_365d", "channel_entropy_365d"}


def _same(found: object, wanted: Value, name: str) -> bool:
    if wanted is None or isinstance(wanted, str):
        return pd.isna(found) if wanted is None else found == wanted  # type: ignore[call-overload]
    # Where parts are rounded to a millionth before they are added, a tie may fall to either side.
    rounding = 1e-5 if name.startswith("decayed_spend") else 1e-9
    # The oracle does not round the parts of an entropy: a millionth each, of a total of cents.
    rounding = 1e-4 if name in ROUNDED_ENTROPIES else rounding
    return isinstance(found, float) and math.isclose(found, wanted, rel_tol=1e-9, abs_tol=rounding)


def test_the_oracle_knows_every_feature() -> None:
    known = expected(History((Person("anna"),), (), ()), AS_OF)["anna"]
    assert sorted(known) == sorted(FEATURES.names)
    assert len(FEATURES) >= 230


def _differences(history: History) -> list[tuple[str, str, object, Value]]:
    profiles = profiles_from_frames(history.frames(), ATTRIBUTES, history.timezone)
    frame = build_features(profiles, FEATURES, AS_OF)
    wanted = expected(history, AS_OF)
    assert list(frame.index) == sorted(wanted)
    return [
        (customer, name, frame.at[customer, name], values[name])
        for customer, values in wanted.items()
        for name in FEATURES.names
        if not _same(frame.at[customer, name], values[name], name)
    ]


@settings(
    max_examples=25,
    phases=(Phase.explicit, Phase.generate),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(histories())
def test_every_feature_equals_the_oracle(history: History) -> None:
    assert _differences(history) == []


@pytest.mark.parametrize(("seed", "timezone"), list(enumerate(ZONES)))
def test_every_feature_equals_the_oracle_on_many_rows(seed: int, timezone: str) -> None:
    assert _differences(dense_history(seed, timezone)) == []


def test_the_many_rows_say_something_of_every_feature() -> None:
    """Without this, a feature could agree with the oracle on nothing but zeros."""
    values = [
        values for seed, zone in enumerate(ZONES) for values in expected(dense_history(seed, zone), AS_OF).values()
    ]
    few = [name for name in FEATURES.names if len({one[name] for one in values} - {None}) < 2]
    assert few == []
