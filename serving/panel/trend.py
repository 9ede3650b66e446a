"""How the churn risk has moved over past scorings: a line over time, the same in words, and every value in a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING

from kernel.types import Band
from serving.panel.markup import Html, element
from serving.panel.words import Words
from serving.schemas import CustomerInsight

if TYPE_CHECKING:
    from serving.scoring.ledger import PastScore

_TOPS = (0.05, 0.1, 0.25, 0.5, 1.0)  # where the axis may end
_WIDTH, _HEIGHT = 1000.0, 100.0


@dataclass(frozen=True, slots=True)
class _Point:
    as_of: datetime
    risk: float
    band: Band | None
    model: str


def churn_trend(words: Words, past: Sequence[PastScore], score: CustomerInsight) -> Html:
    """The trend up to ``score``; nothing for a customer without a churn risk.

    Args:
        words: of the language.
        past: rising by ``as_of``; scores as of ``score.as_of`` or later do not count, nor those without a risk.
        score: the one on the card, the last point.
    """
    if score.churn_probability is None:
        return Html("")
    points = [
        _Point(one.as_of, one.churn_probability, one.churn_band, one.churn_model)
        for one in past
        if one.churn_probability is not None and one.as_of < score.as_of
    ]
    points.append(_Point(score.as_of, score.churn_probability, score.churn_band, score.churn_model))
    parts = (
        [_figure(words, points), *_model_changes(words, points), _table(words, points)]
        if len(points) > 1
        else [element("p", words.say("trend.first"), class_="quiet")]
    )
    return element("section", element("h3", words.say("trend.title")), *parts, class_="section trend")


def _figure(words: Words, points: Sequence[_Point]) -> Html:
    risks = [point.risk for point in points]
    top = next(top for top in _TOPS if max(risks) <= top)
    spoken = words.say(
        "trend.spoken",
        count=len(points),
        first=words.day(points[0].as_of),
        last=words.day(points[-1].as_of),
        start=words.percent(risks[0]),
        end=words.percent(risks[-1]),
        lowest=words.percent(min(risks)),
        highest=words.percent(max(risks)),
    )
    scale = element("div", element("span", words.percent(top)), element("span", words.percent(0)), class_="scale")
    days = (element("span", words.day(point.as_of)) for point in (points[0], points[-1]))
    return element(
        "div",
        scale,
        _line(points, top),
        element("div", *days, class_="days"),
        class_="plot",
        role="img",
        aria_label=spoken,
    )


def _line(points: Sequence[_Point], top: float) -> Html:
    begin, end = points[0].as_of, points[-1].as_of
    places = [(_WIDTH * ((point.as_of - begin) / (end - begin)), _HEIGHT * (1 - point.risk / top)) for point in points]
    line = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    drawn = [
        element("path", class_="trend-area", d=f"M0 {_HEIGHT:g}L{line}L{_WIDTH:g} {_HEIGHT:g}Z"),
        *(
            element("path", class_="trend-model", d=f"M{x:.1f} 0V{_HEIGHT:g}")
            for (x, _), changed in zip(places[1:], _changed(points), strict=True)
            if changed
        ),
        element("path", class_="trend-line", d=f"M{line}"),
        # A line of no length with round ends stays a round dot, however the drawing is stretched.
        *(element("path", class_="trend-dot", d=f"M{x:.1f} {y:.1f}h0") for x, y in places[:-1]),
        element("path", class_="trend-dot now", d=f"M{places[-1][0]:.1f} {places[-1][1]:.1f}h0"),
    ]
    band = points[-1].band
    return element(
        "svg",
        *drawn,
        class_=f"band-{band.value if band else 'none'}",
        viewBox=f"0 0 {_WIDTH:g} {_HEIGHT:g}",
        preserveAspectRatio="none",
        aria_hidden="true",
        focusable="false",
    )


def _changed(points: Sequence[_Point]) -> list[bool]:
    return [one.model != other.model for one, other in pairwise(points)]


def _model_changes(words: Words, points: Sequence[_Point]) -> list[Html]:
    return [
        element(
            "p",
            element("span", class_="model-mark", aria_hidden="true"),
            words.say("trend.model_changed", day=words.day(after.as_of), before=before.model, after=after.model),
            class_="quiet",
        )
        for (before, after), changed in zip(pairwise(points), _changed(points), strict=True)
        if changed
    ]


def _table(words: Words, points: Sequence[_Point]) -> Html:
    head = (element("th", words.say(f"trend.{name}"), scope="col") for name in ("date", "risk", "band", "model"))
    rows = (
        element(
            "tr",
            element("th", words.day(point.as_of), scope="row"),
            element("td", words.percent(point.risk)),
            element("td", words.say(f"bands.{point.band.value}") if point.band else ""),
            element("td", point.model),
        )
        for point in reversed(points)
    )
    return element(
        "details",
        element("summary", words.say("trend.values")),
        element("table", element("thead", element("tr", *head)), element("tbody", *rows)),
    )
