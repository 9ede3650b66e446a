"""A whole profile in a request: its features, computed on the spot by the same definitions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd
from pydantic import BaseModel

from features.contract.policies import Policies
from features.contract.profiles import profiles_from_frames
from features.engine.build import build_features
from features.engine.definition import FeatureSet
from features.engine.single.engine import SingleCustomer
from features.engine.single.program import NotCompiledError
from kernel.errors import DataError
from serving.schemas import ProfileInput

_EVENTS = ("transactions", "activities", "subscriptions")


class ProfileEngine:
    """The features of a project, ready for one profile at a time; any number of threads may use it.

    Attributes:
        single: computes in milliseconds; None where a definition of the project's own is beyond it, and every profile
            goes through DuckDB, some hundred milliseconds each.
    """

    def __init__(self, features: FeatureSet, attributes: Mapping[str, str], timezone: str) -> None:
        self.features = features
        self.attributes = dict(attributes)
        self.timezone = timezone
        try:
            self.single: SingleCustomer | None = SingleCustomer(features, attributes, timezone)
        except NotCompiledError:
            self.single = None


def profile_features(engine: ProfileEngine, profile: ProfileInput, as_of: datetime, policies: Policies) -> pd.DataFrame:
    """One row of features.

    Raises:
        DataError: the profile breaks the contract.
    """
    customer = profile.customer
    _refuse_infinite(customer.attributes, engine.attributes)
    if engine.single is None or not _as_they_are(profile, policies):
        with profiles_from_frames(_frames(profile), engine.attributes, engine.timezone, policies) as profiles:
            built = build_features(profiles, engine.features, as_of)
        if built.empty:  # the same refusal as that of the short way below
            raise DataError(
                "The customer became known at or after as_of, so that nothing can be said of them then.",
                where="customer.created_at",
                fix="Send an earlier created_at, or a later as_of.",
            )
        return built
    known = {"created_at": customer.created_at, **(customer.attributes if customer.consent else {})}
    events = {name: _columns(getattr(profile, name)) for name in _EVENTS if customer.consent}
    return engine.single.features(customer.customer_id, known, events, as_of)


# CPython takes frames from pieces of 16 KB, or larger ones for a frame that needs more, and gives a piece back when its
# last frame ends. Where this function's frame happened to end near the edge of a piece, each of the thousands of calls
# below it asked the operating system for one: 20 milliseconds a profile rather than 4. Saying that the frame needs
# 64 KB puts it into a piece of its own, with room for the calls.
profile_features.__code__ = profile_features.__code__.replace(co_stacksize=8192)


def _refuse_infinite(given: Mapping[str, float | str | None], kinds: Mapping[str, str]) -> None:
    """A number may be written as a text, and "inf" and "nan" are numbers to all who read one."""
    for name, value in given.items():
        if kinds.get(name) == "float64" and isinstance(value, str) and _INFINITE.fullmatch(value.strip()):
            raise DataError(
                f"The value of '{name}' is no number.",
                where="customer.attributes",
                fix="Send a number, or leave it out.",
            )


_INFINITE = re.compile(r"[+-]?(inf|infinity|nan)", re.IGNORECASE)


def _as_they_are(profile: ProfileInput, policies: Policies) -> bool:
    """Whether no policy changes a line: then the lines need not pass through the tables of the contract."""
    lines = profile.transactions
    cancelled = {word.strip().lower() for word in policies.cancelled}
    return (
        policies.lines == "as_mapped"
        and all(line.status is None or line.status.strip().lower() not in cancelled for line in lines)
        and all(line.currency in (None, policies.currency) for line in lines)
        and (policies.returns == "net" or all(line.amount >= 0 for line in lines))
        and (policies.zero_orders == "keep" or all(line.amount != 0 for line in lines))
    )


def _columns(rows: Sequence[BaseModel]) -> dict[str, list[Any]]:
    return {name: [getattr(row, name) for row in rows] for name in type(rows[0]).model_fields} if rows else {}


def _frames(profile: ProfileInput) -> dict[str, pd.DataFrame]:
    customer = profile.customer
    tables = {
        # Without the account: its other customers are not here, and a part must not pass for the whole.
        "customers": [customer.model_dump(exclude={"attributes", "account_id"}) | customer.attributes],
        **{name: [row.model_dump() for row in getattr(profile, name)] for name in _EVENTS},
    }
    frames = {name: pd.DataFrame(rows) for name, rows in tables.items() if rows}
    for frame in frames.values():
        frame["customer_id"] = customer.customer_id
        for column in ("created_at", "event_time", "ingested_at"):
            if column in frame:
                # Said to the microsecond: of a column of nothing but None, pandas would make whole seconds.
                frame[column] = pd.to_datetime(frame[column], utc=True).dt.tz_localize(None).dt.as_unit("us")
        if "ingested_at" in frame:
            frame["ingested_at"] = frame["ingested_at"].fillna(frame["event_time"])
    return frames
