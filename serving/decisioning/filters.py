"""Who may have an action, by which channel, and why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from serving.decisioning.action import Offerable
from serving.decisioning.catalogue import Stages
from serving.decisioning.columns import Bools, Columns, Ints
from serving.decisioning.contact_policy import NO_RULINGS, Rulings
from serving.decisioning.rules import FEW_ROWS, Rule

_Told = tuple[tuple[str, ...], Sequence[int] | Ints]  # what codes stand for, "" for none, and the code of each customer


@dataclass(eq=False, slots=True)  # to freeze it takes as long as a rule on one customer
class Filtered:
    """An action against some customers.

    Attributes:
        reasons: per customer, every reason why the action is out, in the order of the pipeline; empty when it is in.
        channel: per customer, by which the action would reach them; None where by none.
    """

    reasons: list[tuple[str, ...]]
    channel: Sequence[str | None]

    @property
    def eligible(self) -> Bools:
        """Shape (customers,)."""
        return np.fromiter((not codes for codes in self.reasons), dtype=np.bool_, count=len(self.reasons))


class Filters:
    """The filters of one call: what the day, the customers' columns and contact policy say."""

    def __init__(
        self, day: date, columns: Columns, permissions: Mapping[str, Rule], ruled: Rulings = NO_RULINGS
    ) -> None:
        """``permissions``: channel -> who may be reached by it."""
        self._day = day
        self._columns = columns
        self._permissions = permissions
        self._ruled = ruled
        self._restricted = permissions.keys() | ruled.channels.keys()
        self._closed: dict[str, list[str]] = {}
        self._reached: dict[tuple[str, ...], tuple[Sequence[str | None], dict[int, tuple[str, ...]]]] = {}

    def apply(self, action: Offerable, stages: Stages, unknown: Bools | None = None) -> Filtered:
        """The action's reasons: calendar, its rules in the order of the stages, channel, contact policy, use, value.

        Args:
            stages: of the action, from ``Catalogue.stages``.
            unknown: where the value of a conversion is not known, shape (customers,).

        Raises:
            DataError: a column is missing or of the wrong type.
            UsageError: a column's type does not fit a rule.
        """
        columns, rows = self._columns, self._columns.rows
        told: list[_Told]
        if rows <= FEW_ROWS:
            told = [(table, codes) for table, rule in stages if any(codes := rule.codes(columns))]
        else:
            told = [(table, rule.codes(columns)) for table, rule in stages]
        if calendar := action.calendar(self._day):
            told.insert(0, (("", calendar), [1] * rows))
        channel, closed = self._channels(action)
        reasons = _listed(told, rows)
        ruled, own = self._ruled, self._ruled.actions.get(action.id, {})
        if closed or own or ruled.customers:
            for row in dict.fromkeys((*closed, *own, *ruled.customers)):
                stopped = (ruled.customers[row],) if row in ruled.customers else ()
                reasons[row] = _joined(reasons[row], closed.get(row, ()), own.get(row, ()), stopped)
        if used_up := ruled.everybody.get(action.id):
            reasons = [_joined(before, (used_up,)) for before in reasons]
        if unknown is not None:
            for row in np.flatnonzero(unknown).tolist():
                reasons[row] = _joined(reasons[row], ("missing:lifetime_value",))
        return Filtered(reasons, channel)

    def _channels(self, action: Offerable) -> tuple[Sequence[str | None], dict[int, tuple[str, ...]]]:
        """The first channel open to each customer; and of those to whom none is, why each is closed."""
        rows = self._columns.rows
        if self._restricted.isdisjoint(action.channels):
            return [action.channels[0]] * rows, {}
        if (known := self._reached.get(action.channels)) is not None:
            return known
        shut = [self._shut(name) for name in action.channels]
        channel: list[str | None] = []
        closed: dict[int, tuple[str, ...]] = {}
        for row in range(rows):
            name = next((name for name, of in zip(action.channels, shut, strict=True) if not of[row]), None)
            channel.append(name)
            if name is None:
                closed[row] = tuple(of[row] for of in shut)
        self._reached[action.channels] = channel, closed
        return channel, closed

    def _shut(self, channel: str) -> list[str]:
        """Why each customer is not reached by the channel, "" where he is."""
        if channel not in self._closed:
            found = [""] * self._columns.rows
            if rule := self._permissions.get(channel):
                table = rule.codes_at(f"channel:{channel}")
                found = [table[code] for code in rule.codes(self._columns)]
            for row, code in self._ruled.channels.get(channel, {}).items():
                found[row] = found[row] or code
            self._closed[channel] = found
        return self._closed[channel]


def _joined(*parts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(code for part in parts for code in part if code))


def _listed(told: Sequence[_Told], rows: int) -> list[tuple[str, ...]]:
    """Per customer, the reasons that were told, each once and in order; customers with the same share one."""
    if not told:
        return [()] * rows
    if rows <= FEW_ROWS:
        return [tuple(dict.fromkeys([table[of[row]] for table, of in told if of[row]])) for row in range(rows)]
    tables, codes = zip(*told, strict=True)
    lengths = tuple(len(table) for table in tables)
    distinct, positions = np.unique(np.ravel_multi_index(codes, lengths), return_inverse=True)
    parts = np.unravel_index(distinct, lengths)
    lists = [_named(tables, own) for own in zip(*(part.tolist() for part in parts), strict=True)]
    return [lists[position] for position in positions.tolist()]


def _named(tables: Sequence[tuple[str, ...]], codes: Sequence[int]) -> tuple[str, ...]:
    return _joined(tuple(table[code] for table, code in zip(tables, codes, strict=True)))
