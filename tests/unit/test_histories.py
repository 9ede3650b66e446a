"""Stored histories: the features of the snapshot come out of them again."""

from __future__ import annotations

import pandas as pd
import pytest

from features.contract.profiles import profiles_from_frames
from features.definitions import feature_set
from features.engine.build import build_features
from features.engine.histories import own_values, packed_histories, unpacked
from features.engine.single.engine import SingleCustomer
from tests.histories import AS_OF, ATTRIBUTES, dense_history

ZONE = "Europe/Paris"


@pytest.mark.parametrize("seed", range(6))
def test_the_features_of_a_stored_history_are_those_of_the_snapshot(seed: int) -> None:
    history = dense_history(seed, ZONE)
    features = feature_set(ATTRIBUTES)
    single = SingleCustomer(features, ATTRIBUTES, ZONE)
    with profiles_from_frames(history.frames(), ATTRIBUTES, ZONE) as profiles:
        built = build_features(profiles, features, AS_OF)
        packed = dict(packed_histories(profiles, AS_OF))
    assert set(packed) == set(built.index)
    for customer_id, content in packed.items():
        rows = unpacked(content)
        own = own_values(rows)
        events = {name: columns for name, columns in rows.items() if name != "customers"}
        again = single.features(customer_id, own, events, AS_OF)
        columns = [name for name in built if "account" not in name]
        pd.testing.assert_frame_equal(again[columns], built.loc[[customer_id], columns], check_exact=True)
