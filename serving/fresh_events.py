"""Events of a request together with the stored history of the customer: "they just bought" counts at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from features.engine.histories import History, own_values
from kernel.errors import ForesightError
from serving.schemas import (
    ActivityInput,
    CustomerInput,
    EventsInput,
    ProfileInput,
    SubscriptionInput,
    TransactionInput,
)

_KINDS: Mapping[str, type[BaseModel]] = {
    "transactions": TransactionInput,
    "activities": ActivityInput,
    "subscriptions": SubscriptionInput,
}
_KEYS = {
    "transactions": ("transaction_id", "line_id"),
    "activities": ("activity_id",),
    "subscriptions": ("subscription_id", "event_time"),
}
_JUST_AFTER = timedelta(microseconds=1)


class EventsError(ForesightError):
    """Events that cannot be counted; ``where`` is the path in the request."""


class NoHistoryError(ForesightError):
    """The histories of customers are not stored, or not this one's."""

    def __init__(self) -> None:
        super().__init__(
            "The customer's history is not stored, so that new events cannot be added to it.",
            where="events",
            fix="Set [state] online_histories and run foresight score, or send the whole profile.",
        )


def moment_of(events: EventsInput, snapshot: datetime, now: datetime) -> datetime:
    """The moment of knowledge: the one given, else just after the newest event, and never before the snapshot's.

    Raises:
        EventsError: a moment is still to come.
    """
    newest = snapshot
    for name in _KINDS:
        for place, row in enumerate(getattr(events, name)):
            for column in ("event_time", "ingested_at"):
                moment: datetime | None = getattr(row, column)
                if moment is None:
                    continue
                _refuse_future(moment, now, f"events.{name}.{place}.{column}")
                newest = max(newest, moment + _JUST_AFTER)
    if events.as_of is None:
        return newest
    _refuse_future(events.as_of, now, "events.as_of")
    if events.as_of < snapshot:
        raise EventsError(
            "as_of is before that of the stored history.", where="events.as_of", fix="Leave it out, or send a profile."
        )
    return events.as_of


def with_events(customer_id: str, history: History, events: EventsInput, as_of: datetime) -> ProfileInput:
    """The stored history and the new events as one profile; an event that is stored already does not count twice."""
    own = own_values(history)
    created = own.pop("created_at")
    parts: dict[str, Any] = {}
    for name, kind in _KINDS.items():
        stored = [kind.model_construct(**row) for row in _rows(history.get(name, {}))]
        known = {key for row in stored if (key := _key(name, row)) is not None}
        given: Iterable[BaseModel] = getattr(events, name)
        parts[name] = (*stored, *(row for row in given if _key(name, row) not in known))
    customer = CustomerInput.model_construct(
        customer_id=customer_id, created_at=_utc(created), consent=True, account_id=None, attributes=own
    )
    return ProfileInput.model_construct(customer=customer, as_of=as_of, **parts)


def _rows(columns: Mapping[str, Sequence[Any]]) -> Iterable[dict[str, Any]]:
    for values in zip(*columns.values(), strict=True):
        row = dict(zip(columns, values, strict=True))
        yield row | {name: _utc(row[name]) for name in ("event_time", "ingested_at")}


def _key(table: str, row: BaseModel) -> tuple[Any, ...] | None:
    """By which a row is known; None for an activity that has no id."""
    key = tuple(one.strip(" ") if isinstance(one := getattr(row, name), str) else one for name in _KEYS[table])
    return None if key == (None,) else key


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)


def _refuse_future(moment: datetime, now: datetime, where: str) -> None:
    if moment > now:
        raise EventsError("The moment is still to come.", where=where, fix="Send what has happened, in UTC.")
