"""A stored history with a new event has the features of a snapshot that was built with that event."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pandas as pd
import pytest

from features.contract.policies import Policies
from features.contract.profiles import profiles_from_frames
from features.definitions import feature_set
from features.engine.build import build_features
from features.engine.histories import packed_histories, unpacked
from serving.fresh_events import with_events
from serving.profile import ProfileEngine, profile_features
from serving.schemas import EventsInput
from tests.histories import AS_OF, ATTRIBUTES, Line, dense_history

ZONE = "Europe/Paris"
FEATURES = feature_set(ATTRIBUTES)
ENGINE = ProfileEngine(FEATURES, ATTRIBUTES, ZONE)


def given(line: Line) -> EventsInput:
    names = (
        "transaction_id",
        "event_time",
        "ingested_at",
        "amount",
        "discount",
        "quantity",
        "product_id",
        "category",
        "channel",
    )
    row = {name: getattr(line, name) for name in names}
    row |= {"amount": float(line.amount), "discount": float(line.discount)}
    return EventsInput.model_validate({"transactions": [row]})


@pytest.mark.parametrize("seed", range(4))
def test_history_and_event(seed: int) -> None:
    before = dense_history(seed, ZONE)
    old = before.lines[0]
    who = old.customer_id
    moment = AS_OF - timedelta(hours=2)
    new = replace(old, transaction_id="brand new", event_time=moment, ingested_at=moment)
    after = replace(before, lines=(*before.lines, new))
    with profiles_from_frames(after.frames(), ATTRIBUTES, ZONE) as profiles:
        expected = build_features(profiles, FEATURES, AS_OF).loc[[who]]
        stored_with_it = dict(packed_histories(profiles, AS_OF))[who]
    with profiles_from_frames(before.frames(), ATTRIBUTES, ZONE) as profiles:
        stored = dict(packed_histories(profiles, AS_OF))[who]
    columns = [name for name in expected if "account" not in name]
    for content in (stored, stored_with_it):  # in the second the event is a duplicate, and counts once
        profile = with_events(who, unpacked(content), given(new), AS_OF)
        found = profile_features(ENGINE, profile, AS_OF, Policies(timezone=ZONE))
        pd.testing.assert_frame_equal(found[columns], expected[columns], check_exact=True)
    unchanged = profile_features(
        ENGINE, with_events(who, unpacked(stored), EventsInput(), AS_OF), AS_OF, Policies(timezone=ZONE)
    )
    assert not unchanged[columns].equals(expected[columns])
