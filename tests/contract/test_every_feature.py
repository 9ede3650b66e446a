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
from tests.histories import AS_OF, ATTRIBUTES, Deed, History, Line, Person, bits

FEATURES = feature_set(ATTRIBUTES)
SILENT = "nobody"
every_feature = pytest.mark.parametrize("feature", FEATURES, ids=FEATURES.names)
MOMENT = timedelta(microseconds=1)


def _line(chance: random.Random, customer: str, age: timedelta) -> Line:
    cents = chance.choice((chance.randint(1, 9_000), chance.randint(1, 9_000), -chance.randint(1, 300)))
    return Line(
        customer,
        f"{customer}-r{chance.randint(1, 15)}",
        AS_OF - age,
        AS_OF - age,
        Decimal(cents) / 100,
        Decimal(chance.choice((0, 25, 120))) / 100,
        f"p{chance.randint(1, 30)}",
        chance.choice(("tea", "rice", "soap", None)),
        chance.choice(("web", "shop", "phone")[: 1 + int(customer[1:]) % 3]),
    )


def _deed(chance: random.Random, customer: str, age: timedelta) -> Deed:
    kind = chance.choice(("campaign_received", "coupon_redeemed", "visit"))
    return Deed(customer, AS_OF - age, AS_OF - age, kind, chance.choice(("A", "B", None)))


def _history() -> History:
    chance = random.Random(7)
    customers = [f"c{number:02}" for number in range(12)]

    def age() -> timedelta:
        return timedelta(seconds=chance.randint(1, 86_400 * chance.choice((5, 25, 80, 360, 450))))

    people = tuple(
        Person(name, AS_OF - age(), chance.choice(("Ulm", "Bonn")), float(chance.randint(18, 80))) for name in customers
    )
    lines = tuple(_line(chance, name, age()) for name in customers for _ in range(chance.randint(8, 40)))
    deeds = tuple(_deed(chance, name, age()) for name in customers for _ in range(chance.randint(2, 12)))
    return History((*people, Person(SILENT)), lines, deeds, "Europe/Paris")


def _built(history: History, as_of=AS_OF) -> pd.DataFrame:  # type: ignore[no-untyped-def]
    return build_features(profiles_from_frames(history.frames(), ATTRIBUTES, history.timezone), FEATURES, as_of)


HISTORY = _history()


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
    deeds = tuple(replace(moved(deed), detail="C") for deed in HISTORY.deeds)
    return replace(HISTORY, lines=lines + HISTORY.lines, deeds=deeds + HISTORY.deeds)


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
    return [_built(_copies(-MOMENT, timedelta(0))), _built(_copies(-timedelta(days=2000), timedelta(0)))]


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


def test_names_are_unique_and_there_are_at_least_60() -> None:
    assert len(set(FEATURES.names)) == len(FEATURES) >= 60
    assert FEATURES.words == ["city"]


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        FeatureSet([*FEATURES, FEATURES.named("frequency")])
    assert caught.value.what == "Two features are called 'frequency'."
    with pytest.raises(UsageError, match="Two features are called 'frequency'"):
        feature_set({"frequency": "float64"})


def test_a_definition_cannot_see_a_moment() -> None:
    seen = {name for table in scoped_tables({}) for name in table.columns}
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
