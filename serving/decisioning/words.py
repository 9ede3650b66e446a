"""A rule's clause in plain words, for people who do not read SQL."""

from __future__ import annotations

from collections.abc import Sequence

from serving.decisioning.expression import (
    AllOf,
    AnyOf,
    Arithmetic,
    Call,
    Comparison,
    Expression,
    Field,
    IsNull,
    Literal,
    Not,
)

_COMPARED = {
    "=": "is",
    "<>": "is not",
    "<": "is below",
    "<=": "is at most",
    ">": "is above",
    ">=": "is at least",
}
_COMPUTED = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}


def in_words(expression: Expression) -> str:
    """``days_since_last_purchase <= 56`` as "days since last purchase is at most 56"."""
    match expression:
        case Field(name):
            return name.replace("_", " ")
        case Literal(value):
            return _literal(value)
        case Comparison(operator, left, right):
            return f"{in_words(left)} {_COMPARED[operator]} {in_words(right)}"
        case AllOf((Comparison(">=", item, low), Comparison("<=", same, high))) if item == same:
            return f"{in_words(item)} is between {in_words(low)} and {in_words(high)}"
        case AllOf(parts):
            return " and ".join(_grouped(part) for part in parts)
        case AnyOf(parts):
            return _any_of(parts)
        case Not(IsNull(part)):
            return f"{in_words(part)} is known"
        case Not(part):
            return f"not ({in_words(part)})"
        case IsNull(part):
            return f"{in_words(part)} is unknown"
        case Arithmetic(operator, left, right):
            return f"({in_words(left)} {_COMPUTED[operator]} {in_words(right)})"
        case Call(name, arguments):
            return f"{name}({', '.join(in_words(argument) for argument in arguments)})"
        case _:
            raise TypeError(f"no words for {type(expression).__name__}")


def _any_of(parts: Sequence[Expression]) -> str:
    first = parts[0]
    options = [part.right for part in parts if isinstance(part, Comparison) and part.operator == "="]
    subjects = {part.left for part in parts if isinstance(part, Comparison)}
    if isinstance(first, Comparison) and len(options) == len(parts) and len(subjects) == 1:
        return f"{in_words(first.left)} is {' or '.join(in_words(option) for option in options)}"
    return " or ".join(_grouped(part) for part in parts)


def _grouped(part: Expression) -> str:
    words = in_words(part)
    return f"({words})" if isinstance(part, AllOf | AnyOf) else words


def _literal(value: float | str | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else f"{value:.12g}"
