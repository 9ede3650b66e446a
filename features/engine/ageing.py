"""What the passing of days alone does to a feature: read off its expression.

For a customer to whom nothing happened, a feature of yesterday still holds (``still``), has grown by the days that
passed (``grows``), or must be computed again (``again``). Nothing happened to a customer when no row became known and
no row crossed an edge: the age in days at which it enters or leaves what the feature counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NoReturn

import ibis.expr.operations as ops

from features.engine.definition import Feature, View
from features.engine.scope import ScopedTables
from features.engine.views import GROUPED, view_rows

Op = Any  # a node of an Ibis expression


class Course(StrEnum):
    """How a feature changes while nothing happens."""

    STILL = "still"
    GROWS = "grows"  # by the exact days that passed
    GROWS_BY_DAY = "grows by day"  # by the calendar days that passed
    AGAIN = "again"


@dataclass(frozen=True, slots=True)
class Ageing:
    """A feature's course, and the ages in days (rising) at which a row matters."""

    course: Course
    edges: tuple[float, ...]


_CLOCKS = {"days_ago": Course.GROWS, "day_ago": Course.GROWS_BY_DAY}
_ORDERED = ops.Greater | ops.GreaterEqual | ops.Less | ops.LessEqual


_NOT_FOLLOWED = frozenset(
    {
        View.CUSTOMERS,  # attributes have no history
        View.FEATURES,  # follow from the others
        View.SUBSCRIPTIONS,  # contracts begin, renew and end with the calendar
        View.ACCOUNT_LINES,  # what happened to one customer changes others
    }
)


class _Unknown(Exception):  # noqa: N818
    """The expression depends on time in a way that is not followed."""


def ageing(feature: Feature, scoped: ScopedTables) -> Ageing:
    """Read a feature's ageing off its definition."""
    if feature.view in _NOT_FOLLOWED:
        return Ageing(Course.AGAIN, ())
    rows = view_rows(feature.view, feature.window_days, scoped)
    edges: set[float] = set() if feature.window_days is None else {float(feature.window_days)}
    try:
        course = _course(feature.expression(rows).op(), edges, inside=feature.view in GROUPED)
    except _Unknown:
        return Ageing(Course.AGAIN, ())
    if course is not Course.STILL and feature.when_unknown is not None:
        return Ageing(Course.AGAIN, ())  # what is stored may be that value, which does not grow
    return Ageing(course, tuple(sorted(edges)))


def _course(op: Op, edges: set[float], *, inside: bool) -> Course:
    if isinstance(op, ops.Field):
        # Further clocks of a view (first_days_ago, purchase_days_ago) are of other rows than its own.
        hidden = op.name.endswith(("days_ago", "day_ago", "_in_days")) and op.name not in _CLOCKS
        return _unknown() if hidden else _CLOCKS.get(op.name, Course.STILL)
    if isinstance(op, ops.Literal):
        return Course.STILL
    if isinstance(op, _ORDERED) and isinstance(op.right, ops.Literal):
        return _compared(op.left, [op.right], edges, inside=inside)
    if (
        isinstance(op, ops.Between)
        and isinstance(op.lower_bound, ops.Literal)
        and isinstance(op.upper_bound, ops.Literal)
    ):
        return _compared(op.arg, [op.lower_bound, op.upper_bound], edges, inside=inside)
    children = [child for child in op.__children__ if isinstance(child, ops.Value)]
    courses = [_course(child, edges, inside=inside) for child in children]
    moving = {course for course in courses if course is not Course.STILL}
    if not moving:
        return Course.STILL
    match op:
        case ops.Max() | ops.Min() if courses[1:] == [Course.STILL] * (len(courses) - 1):
            return courses[0]
        case ops.Cast() if op.to.is_floating() or courses[0] is Course.GROWS_BY_DAY:
            return courses[0]  # to whole numbers, exact days would grow in steps
        case ops.ArgMax() | ops.ArgMin() if courses[0] is Course.STILL:
            return Course.STILL  # the order of rows in time does not change
        case ops.Subtract() if courses == [Course.GROWS_BY_DAY] * 2:
            return Course.STILL  # a difference of exact days may change in its last bit
        case _:
            return _unknown()


def _compared(arg: Op, bounds: list[Op], edges: set[float], *, inside: bool) -> Course:
    course = _course(arg, edges, inside=inside)
    if course is Course.STILL:
        return course
    # A calendar day turns at another moment than a day of 24 hours ends; the difference is followed by nobody yet.
    if course is not Course.GROWS or not isinstance(arg, ops.Field) or inside:
        return _unknown()
    edges.update(float(bound.value) for bound in bounds)
    return Course.STILL


def _unknown() -> NoReturn:
    raise _Unknown
