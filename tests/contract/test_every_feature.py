"""What every registered feature must keep, checked for each by name."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from features.contract.profiles import profiles_from_frames
from features.definitions import feature_set
from features.engine.build import build_features
from features.engine.definition import Feature, FeatureSet, Unit, View
from features.engine.scope import scoped_tables
from kernel.errors import UsageError
from tests.histories import AS_OF, ATTRIBUTES, SILENT, Contract, History, Person, bits, dense_history

FEATURES = feature_set(ATTRIBUTES)
every_feature = pytest.mark.parametrize("feature", FEATURES, ids=FEATURES.names)
MOMENT = timedelta(microseconds=1)


def _built(history: History, as_of=AS_OF) -> pd.DataFrame:  # type: ignore[no-untyped-def]
    return build_features(profiles_from_frames(history.frames(), ATTRIBUTES, history.timezone), FEATURES, as_of)


HISTORY = dense_history(7)


@pytest.fixture(scope="module")
def values() -> pd.DataFrame:
    return _built(HISTORY)


def _copies(event_shift: timedelta | None, ingested_at_shift: timedelta) -> History:
    """The history and a loud copy of every row, moved to ``AS_OF`` + shift (None: left where it happened)."""

    def moved(row):  # type: ignore[no-untyped-def]
        event_time = row.event_time if event_shift is None else AS_OF + event_shift
        return replace(row, event_time=event_time, ingested_at=AS_OF + ingested_at_shift)

    lines = tuple(
        replace(moved(line), transaction_id=f"x{number}", amount=line.amount * 7 + 1, category="new", channel="new")
        for number, line in enumerate(HISTORY.lines)
    )
    deeds = tuple(
        replace(moved(deed), detail="C", sentiment=-0.99, value=deed.value and deed.value * 2 + 1)
        for deed in HISTORY.deeds
    )
    contracts = tuple(
        version for number, row in enumerate(HISTORY.contracts) for version in _versions(moved(row), f"x{number}")
    )
    return replace(
        HISTORY,
        lines=lines + HISTORY.lines,
        deeds=deeds + HISTORY.deeds,
        contracts=contracts + HISTORY.contracts,
    )


def _versions(row: Contract, name: str) -> tuple[Contract, Contract]:
    """Two versions of a contract, which cannot be of the same moment: both known, or both unknown."""
    apart = timedelta(days=1) if row.event_time >= AS_OF else -timedelta(days=1)
    start, days_left = row.start_date - timedelta(days=9), {"0": 5, "1": -1}.get(name[-1])
    ends = None if days_left is None else AS_OF.date() + timedelta(days=days_left)
    one = replace(row, subscription_id=name, start_date=start, end_date=ends, amount=Decimal(7), plan="basic")
    other = replace(one, event_time=row.event_time + apart, end_date=None, amount=Decimal(9), plan="gold")
    return one, other


@pytest.fixture(scope="module")
def unhappened() -> dict[str, pd.DataFrame]:
    return {
        "at as_of": _built(_copies(timedelta(0), timedelta(0))),
        "after as_of": _built(_copies(timedelta(days=3), timedelta(days=3))),
        "told before it happened": _built(_copies(MOMENT, -timedelta(days=1))),
    }


@pytest.fixture(scope="module")
def untold() -> dict[str, pd.DataFrame]:
    return {
        "told a moment later": _built(_copies(None, MOMENT)),
        "told much later": _built(_copies(-MOMENT, timedelta(days=30))),
    }


@pytest.fixture(scope="module")
def told() -> list[pd.DataFrame]:
    """The same copies, of which the engine may know: they happened just before or long ago, and were told in time."""
    ages = (MOMENT, timedelta(days=350), timedelta(days=400), timedelta(days=2000))
    return [_built(_copies(-age, timedelta(0))) for age in ages]


@pytest.fixture(scope="module")
def shuffled() -> list[pd.DataFrame]:
    made: list[pd.DataFrame] = []
    for seed in (1, 2):
        chance = random.Random(seed)
        mixed = History(
            tuple(chance.sample(HISTORY.people, len(HISTORY.people))),
            tuple(chance.sample(HISTORY.lines, len(HISTORY.lines))),
            tuple(chance.sample(HISTORY.deeds, len(HISTORY.deeds))),
            HISTORY.timezone,
            tuple(chance.sample(HISTORY.contracts, len(HISTORY.contracts))),
        )
        made.append(_built(mixed))
    return made


def _bits(frame: pd.DataFrame, feature: Feature) -> object:
    return bits(frame[[feature.name]])


@every_feature
def test_rows_from_as_of_on_change_nothing(
    feature: Feature, values: pd.DataFrame, unhappened: dict[str, pd.DataFrame]
) -> None:
    changed = [when for when, frame in unhappened.items() if _bits(frame, feature) != _bits(values, feature)]
    assert changed == []


@every_feature
def test_rows_told_after_as_of_change_nothing(
    feature: Feature, values: pd.DataFrame, untold: dict[str, pd.DataFrame]
) -> None:
    changed = [when for when, frame in untold.items() if _bits(frame, feature) != _bits(values, feature)]
    assert changed == []


@every_feature
def test_rows_told_in_time_do_count(feature: Feature, values: pd.DataFrame, told: list[pd.DataFrame]) -> None:
    """Without this the two tests above could pass on rows that no feature looks at."""
    counted = any(_bits(frame, feature) != _bits(values, feature) for frame in told)
    assert counted is (feature.name not in {"days_since_created", *ATTRIBUTES})


@every_feature
def test_the_history_says_something(feature: Feature, values: pd.DataFrame) -> None:
    assert values[feature.name].drop(SILENT).nunique(dropna=True) >= 2


@every_feature
def test_the_order_of_rows_changes_no_bit(feature: Feature, values: pd.DataFrame, shuffled: list[pd.DataFrame]) -> None:
    assert [_bits(frame, feature) for frame in shuffled] == [_bits(values, feature)] * len(shuffled)


@every_feature
def test_the_value_when_nothing_is_known(feature: Feature, values: pd.DataFrame) -> None:
    value = values.at[SILENT, feature.name]
    if feature.is_word:
        assert value is None
    elif feature.when_unknown is None:
        assert np.isnan(value)
    else:
        assert value == feature.when_unknown


@every_feature
def test_type_and_range(feature: Feature, values: pd.DataFrame) -> None:
    column = values[feature.name]
    if feature.is_word:
        assert column.dtype == "object"
        assert set(column.dropna()) <= {"Ulm", "Bonn"}
        return
    assert column.dtype == "float64"
    assert not np.isinf(column).any()
    if feature.unit in (Unit.COUNT, Unit.DAYS, Unit.SHARE):
        assert column.min() >= 0
    if feature.unit is Unit.SHARE:
        assert column.max() <= 1


@every_feature
def test_a_feature_explains_itself(feature: Feature) -> None:
    assert feature.name.isidentifier()
    assert feature.phrase.strip() == feature.phrase != ""
    assert not feature.phrase.endswith(".")
    assert feature.group
    assert feature.owner
    assert feature.version >= 1
    assert feature.window_days is None or feature.name.endswith(f"_{feature.window_days}d")
    assert FEATURES.named(feature.name) is feature


def test_names_are_unique() -> None:
    assert len(set(FEATURES.names)) == len(FEATURES)
    assert FEATURES.words == ["city"]


def _speaking(frames: dict[str, pd.DataFrame]) -> int:
    """How many features say something: two values at least, "missing" not counted."""
    frame = build_features(profiles_from_frames(frames, {}, "UTC"), feature_set({}), AS_OF)
    return int((frame.nunique(dropna=True) >= 2).sum())


def test_a_bare_table_of_transactions_has_80_features() -> None:
    frames = HISTORY.frames()
    bare = ["customer_id", "transaction_id", "event_time", "amount"]
    assert (
        _speaking({"customers": frames["customers"][["customer_id"]], "transactions": frames["transactions"][bare]})
        >= 100
    )


def test_baskets_and_campaigns_have_150_features() -> None:
    """The tables and columns of the Complete Journey example, its kinds of activity included."""
    frames = HISTORY.frames()
    deeds = frames["activities"]
    deeds = deeds[deeds["kind"].isin(("campaign_received", "coupon_redeemed"))]
    tables = {
        "customers": frames["customers"][["customer_id"]],
        "transactions": frames["transactions"].drop(columns="ingested_at"),
        "activities": deeds[["customer_id", "event_time", "kind", "detail"]],
    }
    assert _speaking(tables) >= 165


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        FeatureSet([*FEATURES, FEATURES.named("frequency")])
    assert caught.value.what == "Two features are called 'frequency'."
    with pytest.raises(UsageError, match="Two features are called 'frequency'"):
        feature_set({"frequency": "float64"})


def test_a_definition_cannot_see_a_moment() -> None:
    seen = {name for table in scoped_tables({}, orders=True, accounts=True) for name in table.columns}
    assert seen.isdisjoint({"event_time", "ingested_at", "created_at"})
    leaking = Feature("leak", "x", View.LINES, lambda lines: lines.event_time.max(), "leak", Unit.DAYS)
    profiles = profiles_from_frames(HISTORY.frames(), ATTRIBUTES, HISTORY.timezone)
    with pytest.raises(AttributeError, match="event_time"):
        build_features(profiles, FeatureSet([leaking]), AS_OF)


def test_customers_are_in_the_order_of_their_ids(values: pd.DataFrame) -> None:
    assert list(values.index) == sorted(person.customer_id for person in HISTORY.people)
    assert list(values.columns) == FEATURES.names


def test_a_customer_who_became_known_at_as_of_is_not_there_yet() -> None:
    history = replace(HISTORY, people=(Person("c00", AS_OF), Person("c01", AS_OF - MOMENT)))
    assert list(_built(history).index) == ["c01"]


def test_derived_features_may_build_on_each_other_in_any_order() -> None:
    def derived(name: str, of: str) -> Feature:
        return Feature(name, "x", View.FEATURES, lambda wide: wide[of] * 2, "twice", Unit.RATIO)

    features = FeatureSet([derived("fourfold", "double"), derived("double", "frequency"), FEATURES.named("frequency")])
    profiles = profiles_from_frames(HISTORY.frames(), ATTRIBUTES, HISTORY.timezone)
    frame = build_features(profiles, features, AS_OF)
    assert (frame["frequency"] > 0).sum() == 12
    pd.testing.assert_series_equal(frame["fourfold"], frame["frequency"] * 4, check_names=False)


def test_a_derived_feature_of_nothing_that_exists_is_an_error() -> None:
    lost = Feature("lost", "x", View.FEATURES, lambda wide: wide.no_such_feature * 2, "lost", Unit.RATIO)
    profiles = profiles_from_frames(HISTORY.frames(), ATTRIBUTES, HISTORY.timezone)
    with pytest.raises(AttributeError, match="no_such_feature"):
        build_features(profiles, FeatureSet([lost]), AS_OF)
