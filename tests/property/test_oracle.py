"""Every feature equals the plain Python of ``tests/oracle.py`` on random histories."""

from __future__ import annotations

import math

import pandas as pd
from hypothesis import HealthCheck, Phase, given, settings

from features.contract.profiles import profiles_from_frames
from features.definitions import feature_set
from features.engine.build import build_features
from tests.histories import AS_OF, ATTRIBUTES, CUSTOMERS, History, Person, histories
from tests.oracle import Value, expected

FEATURES = feature_set(ATTRIBUTES)


def _same(found: object, wanted: Value, name: str) -> bool:
    if wanted is None or isinstance(wanted, str):
        return pd.isna(found) if wanted is None else found == wanted  # type: ignore[call-overload]
    # Where parts are rounded to a millionth before they are added, a tie may fall to either side.
    rounding = 1e-5 if name.startswith("decayed_spend") else 1e-9
    return isinstance(found, float) and math.isclose(found, wanted, rel_tol=1e-9, abs_tol=rounding)


def test_the_oracle_knows_every_feature() -> None:
    known = expected(History((Person("anna"),), (), ()), AS_OF)["anna"]
    assert sorted(known) == sorted(FEATURES.names)
    assert len(FEATURES) >= 60


@settings(
    max_examples=40,
    phases=(Phase.explicit, Phase.generate),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(histories())
def test_every_feature_equals_the_oracle(history: History) -> None:
    profiles = profiles_from_frames(history.frames(), ATTRIBUTES, history.timezone)
    frame = build_features(profiles, FEATURES, AS_OF)
    wanted = expected(history, AS_OF)
    assert list(frame.index) == sorted(wanted) == [name for name in CUSTOMERS if name in wanted]
    different = [
        (customer, name, frame.at[customer, name], values[name])
        for customer, values in wanted.items()
        for name in FEATURES.names
        if not _same(frame.at[customer, name], values[name], name)
    ]
    assert different == []
