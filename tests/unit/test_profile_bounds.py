"""What a profile may hold of moments and numbers, and what the way through the tables refuses as the short way does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from features.contract.policies import Policies
from features.definitions import feature_set
from kernel.errors import DataError
from serving.profile import ProfileEngine, profile_features
from serving.schemas import ProfileInput

AS_OF = datetime(2017, 11, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def engine() -> ProfileEngine:
    return ProfileEngine(feature_set({"age": "float64"}), {"age": "float64"}, "UTC")


def profile(**customer: Any) -> ProfileInput:
    return ProfileInput.model_validate({"customer": {"customer_id": "x", **customer}})


@pytest.mark.parametrize("year", [1, 999, 9000, 9999])
def test_a_moment_at_the_end_of_the_calendar(year: int) -> None:
    with pytest.raises(ValidationError, match="give a year from 1000 to 8999"):
        profile(created_at=f"{year:04}-06-01T00:00:00+14:00")
    assert profile(created_at="1000-06-01").customer.created_at == datetime(1000, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize("value", ["inf", "-Infinity", " NaN "])
def test_a_text_that_is_no_finite_number(engine: ProfileEngine, value: str) -> None:
    with pytest.raises(DataError) as refused:
        profile_features(engine, profile(attributes={"age": value}), AS_OF, Policies())
    assert refused.value.where == "customer.attributes"


def test_a_number_as_a_text(engine: ProfileEngine) -> None:
    texts, numbers = (
        profile_features(engine, profile(attributes={"age": value}), AS_OF, Policies()) for value in ("41", 41.0)
    )
    assert texts.equals(numbers)


@pytest.mark.parametrize("lines", ["as_mapped", "orders"])
def test_a_customer_of_the_future(engine: ProfileEngine, lines: Any) -> None:
    with pytest.raises(DataError) as refused:
        profile_features(engine, profile(created_at="2018-01-01"), AS_OF, Policies(lines=lines))
    assert refused.value.where == "customer.created_at"
