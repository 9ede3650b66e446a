"""The churn gauge: a half circle from 0 to 100 %, the interval as a thin arc outside it."""

from __future__ import annotations

from math import cos, pi, sin

from kernel.types import Band
from serving.panel.markup import Html, element
from serving.panel.words import Words

_CENTRE_X, _CENTRE_Y = 110.0, 108.0
_RADIUS, _INTERVAL_RADIUS = 84.0, 99.0


def churn_gauge(words: Words, probability: float, low: float | None, high: float | None, band: Band | None) -> Html:
    """The gauge as an element of role ``meter``; ``probability`` and the interval are in [0, 1]."""
    said = words.percent(probability)
    named = words.say(f"bands.{band.value}") if band else ""
    likely = "" if low is None or high is None else words.likely(words.percent(low), words.percent(high))
    return element(
        "div",
        _drawing(probability, low, high),
        element(
            "div",
            element("span", said, class_="gauge-number"),
            element("span", named, class_=f"chip band-{band.value}") if band else Html(""),
            class_="gauge-reading",
            aria_hidden="true",
        ),
        class_=f"gauge band-{band.value if band else 'none'}",
        role="meter",
        aria_label=words.say("churn.label"),
        aria_valuemin=0,
        aria_valuemax=100,
        aria_valuenow=round(100 * probability),
        aria_valuetext=", ".join(part for part in (said, named, likely) if part),
    )


def _drawing(probability: float, low: float | None, high: float | None) -> Html:
    arcs = [_arc("gauge-track", _RADIUS, 0.0, 1.0), _arc("gauge-value", _RADIUS, 0.0, max(probability, 0.004))]
    if low is not None and high is not None:
        arcs.append(_arc("gauge-interval", _INTERVAL_RADIUS, low, max(high, low + 0.004)))
    return element("svg", *arcs, viewBox="0 0 220 120", aria_hidden="true", focusable="false")


def _arc(kind: str, radius: float, start: float, end: float) -> Html:
    x1, y1 = _point(radius, start)
    x2, y2 = _point(radius, end)
    return element("path", class_=kind, d=f"M{x1:.2f} {y1:.2f}A{radius:g} {radius:g} 0 0 1 {x2:.2f} {y2:.2f}")


def _point(radius: float, share: float) -> tuple[float, float]:
    angle = pi * (1 - min(max(share, 0.0), 1.0))
    return _CENTRE_X + radius * cos(angle), _CENTRE_Y - radius * sin(angle)
