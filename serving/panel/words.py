"""What the panel says, in English: numbers, moments and states in plain words."""

from __future__ import annotations

from datetime import datetime

from kernel.types import Band, Status

_SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥"}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

BANDS = {Band.LOW: "Low risk", Band.MEDIUM: "Medium risk", Band.HIGH: "High risk"}

STATUSES = {
    Status.SCORED: "Scored",
    Status.INACTIVE: "Inactive",
    Status.INSUFFICIENT_HISTORY: "Not enough history",
    Status.INSUFFICIENT_EVIDENCE: "Not enough evidence",
    Status.NO_CONSENT: "No consent",
}

STATUS_TEXTS = {
    Status.INACTIVE: (
        "Already inactive",
        "This customer has not purchased for so long that they count as gone, so there is no churn risk to predict. "
        "Value and the chance of a return still hold.",
    ),
    Status.INSUFFICIENT_HISTORY: (
        "Not enough history yet",
        "Too little is known about this customer. Numbers shown here are those of a typical new customer, "
        "not of this one.",
    ),
    Status.INSUFFICIENT_EVIDENCE: (
        "Unlike the customers we know",
        "What is known about this customer lies outside everything the models were trained on. Numbers shown here are "
        "those of a typical customer, not of this one.",
    ),
    Status.NO_CONSENT: (
        "No consent to profiling",
        "This customer has not agreed to be profiled. Nothing is predicted, and no action is suggested.",
    ),
}

EVIDENCE = {
    "prior": "Based on assumptions",
    "learning": "Still learning",
    "calibrated": "Measured",
    "exact": "Baseline",
}


def money(amount: float, currency: str) -> str:
    """``$1,240`` or ``-€3.20``; cents below 100, the currency's code where it has no common symbol."""
    sign = "\N{MINUS SIGN}" if round(amount, 2) < 0 else ""
    number = f"{abs(amount):,.0f}" if abs(amount) >= 99.995 or currency == "JPY" else f"{abs(amount):,.2f}"
    symbol = _SYMBOLS.get(currency)
    return f"{sign}{symbol}{number}" if symbol else f"{sign}{number} {currency}"


def percent(share: float) -> str:
    """``34%``; a share that is neither none nor all never reads as 0% or 100%."""
    if 0 < share < 0.01:
        return "<1%"
    if 0.99 < share < 1:
        return ">99%"
    return f"{100 * share:.0f}%"


def top_share(percentile: float) -> str:
    """``top 8%`` or ``bottom 30%``: where a percentile (0-100) stands among all customers."""
    if percentile >= 50:
        return f"top {max(1, round(100 - percentile))}%"
    return f"bottom {max(1, round(percentile))}%"


def count(number: float) -> str:
    """One decimal below 10, none above."""
    return f"{number:.1f}" if number < 9.95 else f"{number:,.0f}"


def day(moment: datetime) -> str:
    """``1 Nov 2017``."""
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"
