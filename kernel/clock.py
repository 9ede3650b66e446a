"""Moments of knowledge. Logic takes ``as_of``; only the edges (command line, service) read the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime

from kernel.errors import UsageError


def parse_as_of(text: str | date | datetime) -> datetime:
    """The moment of knowledge, in UTC; a plain date means its first instant, so that day is not yet known.

    Raises:
        UsageError: ``text`` is no ISO 8601 date or time.
    """
    if isinstance(text, datetime):
        moment = text
    elif isinstance(text, date):
        moment = datetime(text.year, text.month, text.day)
    else:
        try:
            moment = datetime.fromisoformat(text.strip())
        except ValueError as error:
            raise UsageError(
                f"'{text}' is not a date.", where="as_of", fix="Write it as 2017-11-01 or 2017-11-01T08:30:00Z."
            ) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def later_moment(text: str, where: str) -> datetime:
    """A moment that is still to come, in UTC.

    Raises:
        UsageError: ``text`` is no ISO 8601 date or time, or has passed; ``where``: what it was given for.
    """
    moment = parse_as_of(text)
    if moment <= utc_now():
        raise UsageError(f"{moment:%Y-%m-%d} has passed.", where=where, fix="Name a later date.")
    return moment


def utc_now() -> datetime:
    """The present, in UTC; called at the edges only."""
    return datetime.now(UTC)


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC with a Z, whole seconds when there is no fraction: ``2017-11-01T00:00:00Z``."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
