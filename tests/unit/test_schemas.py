"""Requests: what is accepted, and that a refusal never repeats a value."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from pydantic import ValidationError

from serving.schemas import FeedbackRequest, ProfileInput, ScoreRequest

SECRET = "Ada Lovelace"


def refusal(
    content: str, model: type[ScoreRequest | FeedbackRequest | ProfileInput] = ScoreRequest
) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate_json(content)
    assert SECRET not in str(caught.value)
    return [(".".join(map(str, error["loc"])), error["type"]) for error in caught.value.errors()]


def test_a_moment_without_offset_is_utc() -> None:
    profile = ProfileInput.model_validate_json(
        '{"customer": {"customer_id": "1"}, "transactions": ['
        '{"transaction_id": "a", "event_time": "2017-10-01T10:00:00", "amount": 1},'
        '{"transaction_id": "b", "event_time": "2017-10-01T10:00:00+02:00", "amount": 1},'
        '{"transaction_id": "c", "event_time": "2017-10-01", "amount": 1}]}'
    )
    assert [line.event_time for line in profile.transactions] == [
        datetime(2017, 10, 1, 10, tzinfo=UTC),
        datetime(2017, 10, 1, 8, tzinfo=UTC),
        datetime(2017, 10, 1, tzinfo=UTC),
    ]


def test_defaults_are_those_of_the_contract() -> None:
    profile = ProfileInput.model_validate_json(
        '{"customer": {"customer_id": "1"}, "transactions": '
        '[{"transaction_id": "a", "event_time": "2017-10-01", "amount": -3}]}'
    )
    [line] = profile.transactions
    assert (line.discount, line.quantity, line.ingested_at, profile.customer.consent) == (0.0, 1.0, None, True)


def test_attributes_keep_their_type() -> None:
    profile = ProfileInput.model_validate_json(
        '{"customer": {"customer_id": "1", "attributes": {"age": 41, "code": "41", "income": null}}}'
    )
    assert profile.customer.attributes == {"age": 41.0, "code": "41", "income": None}


def test_a_version_of_a_subscription() -> None:
    profile = ProfileInput.model_validate_json(
        '{"customer": {"customer_id": "1", "account_id": "a"}, "subscriptions": '
        '[{"subscription_id": "s", "event_time": "2017-10-01", "start_date": "2017-10-02", "plan": "gold"}]}'
    )
    [version] = profile.subscriptions
    assert (version.event_time, version.start_date) == (datetime(2017, 10, 1, tzinfo=UTC), date(2017, 10, 2))
    assert (version.end_date, version.is_recurring, profile.customer.account_id) == (None, None, "a")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{}", [("", "value_error")]),
        ('{"customer_id": "1", "customer_ids": ["2"]}', [("", "value_error")]),
        ('{"customer_ids": []}', [("customer_ids", "too_short")]),
        ('{"customer_id": ""}', [("customer_id", "string_too_short")]),
        ('{"customer_id": "a\\u0000b"}', [("customer_id", "string_pattern_mismatch")]),
        ('{"customer_id": "1", "Ada": 1}', [("Ada", "extra_forbidden")]),
        (
            '{"profile": {"customer": {"customer_id": {"n": "Ada Lovelace"}}}}',
            [("profile.customer.customer_id", "string_type")],
        ),
        (
            '{"profile": {"customer": {"customer_id": "1"}, "activities": '
            '[{"event_time": "Ada Lovelace", "kind": "k"}]}}',
            [("profile.activities.0.event_time", "datetime_from_date_parsing")],
        ),
        (
            '{"profile": {"customer": {"customer_id": "1"}, "transactions": '
            '[{"transaction_id": "t", "event_time": "2017-01-01", "amount": NaN}]}}',
            [("profile.transactions.0.amount", "finite_number")],
        ),
        (
            '{"profile": {"customer": {"customer_id": "1"}, "transactions": '
            '[{"transaction_id": "t", "event_time": "2017-01-01", "amount": 1, "currency": "euro"}]}}',
            [("profile.transactions.0.currency", "string_pattern_mismatch")],
        ),
        (
            '{"profile": {"customer": {"customer_id": "1"}, "activities": '
            '[{"event_time": "2017-01-01", "kind": "review", "sentiment": 4.5}]}}',
            [("profile.activities.0.sentiment", "less_than_equal")],
        ),
    ],
)
def test_refusals_name_the_field(content: str, expected: list[tuple[str, str]]) -> None:
    assert refusal(content) == expected


def test_an_outcome_needs_its_value() -> None:
    event = '{"event_id": "e", "decision_id": "d", "action": "a", "event": "outcome_value"%s}'
    assert refusal(event % "", FeedbackRequest) == [("", "value_error")]
    assert FeedbackRequest.model_validate_json(event % ', "value": 12.5').value == 12.5
    assert refusal(event.replace("outcome_value", "clicked") % "", FeedbackRequest) == [("event", "enum")]
