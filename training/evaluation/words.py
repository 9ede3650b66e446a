"""How a report writes models, dates, shares and money."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernel.settings import ChurnSettings

NONE = "–"
_GAP = "\N{NO-BREAK SPACE}"  # a number and its unit stay on one line

_LABELS = {
    "model": "Model",
    "logistic_regression": "Logistic regression",
    "recency_rule": "Recency rule",
    "p_alive": "P(alive)",
    "trees": "Trees over BTYD",
    "two_part": "Two-part trees",
    "btyd": "BTYD",
    "carry_forward": "Carry-forward",
    "formula": "Formula",
    "rfm_cells": "RFM cell mean",
    "cohort_curve": "Cohort curve",
    "bg_nbd": "BG/NBD",
    "mbg_nbd": "MBG/NBD",
    "pareto_nbd": "Pareto/NBD",
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def label(name: str) -> str:
    """A model, a family of models or a baseline as a reader knows it."""
    return _LABELS.get(name, name.replace("_", " ").capitalize())


def who(churn: ChurnSettings) -> str:
    """Of whom churn is predicted."""
    if churn.definition == "subscriptions":
        return "customers with an active contract"
    return f"customers with a purchase in the {churn.active_days} days before"


def what(churn: ChurnSettings) -> str:
    """What counts as having left."""
    days = f"in the next {churn.horizon_days} days"
    if churn.event is not None:
        return f"{churn.event.where} ({churn.event.table}) {days}"
    if churn.definition == "subscriptions":
        return f"the last contract ends {days} and none follows within {churn.grace_days}"
    return f"no purchase {days}"


def day(moment: datetime) -> str:
    """``1 Nov 2017``, in UTC."""
    utc = moment.astimezone(UTC)
    return f"{utc.day} {_MONTHS[utc.month - 1]} {utc.year}"


def month(first: date) -> str:
    """``Nov 2017``."""
    return f"{_MONTHS[first.month - 1]} {first.year}"


def minute(moment: datetime) -> str:
    """``1 Nov 2017, 08:30 UTC``."""
    return f"{day(moment)}, {moment.astimezone(UTC):%H:%M} UTC"


def percent(share: float) -> str:
    """``5.2 %`` below ten, ``31 %`` above; a dash where there is none."""
    if not math.isfinite(share):
        return NONE
    return f"{100 * share:.1f}{_GAP}%" if abs(share) < 0.0995 else f"{100 * share:.0f}{_GAP}%"


def decimal(number: float, digits: int = 3) -> str:
    """``0.861``, never ``-0.000``; a dash where there is none."""
    return f"{number:z,.{digits}f}" if math.isfinite(number) else NONE


def money(amount: float, currency: str) -> str:
    """``1,240 USD``, with cents below 100; a dash where there is none."""
    if not math.isfinite(amount):
        return NONE
    return f"{amount:,.0f}{_GAP}{currency}" if abs(amount) >= 99.995 else f"{amount:,.2f}{_GAP}{currency}"


def listed(words: list[str]) -> str:
    """``a, b and c``."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
