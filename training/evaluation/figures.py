"""How charts stand on the report page: a title, what to read in it, the drawing."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from training.evaluation.markup import tag
from training.evaluation.plots import Chart

_CAPTIONS = {
    "reliability": "Each point is a tenth of the customers. Points on the dotted line: as many left as were predicted. "
    "Both scales are square-root scales.",
    "gains": "The higher the line, the more of those who left are found with the same number of contacts. The points "
    "mark the first tenth of the customers.",
    "value_tenths": "Customers in ten equal groups by expected spend. A point at the height of its bar: the group "
    "spent what was expected. Thin lines are 95 % intervals of the actual mean.",
    "lorenz": "The higher the line, the more of all spend is that of the customers who come first. No order beats the "
    "actual one. The points mark the first tenth of the customers.",
    "auc_over_time": "1 is a perfect order, 0.5 is chance. The bars are 95 % intervals of the model's AUC.",
    "rhythm": "A silence that still lasts counts for as long as it was watched (Kaplan and Meier); each customer once.",
    "error_over_time": "Below 100 %: a smaller mean error than when the past spend is carried forward.",
    "weekly_purchases": "Purchase days after each customer's first, of those who had bought before the dotted line. "
    "Expected: by the dates of the first purchases alone.",
    "cumulative_purchases": "The same, added up. Lines that part after the dotted line: the level of purchases is off.",
    "alive_by_history": "The chance that a customer still buys. The same silence says more of those who came often. "
    "Blank: no history can be like that.",
    "purchases_by_history": "What the same customers are expected to buy: few purchases, or a long silence, foretell "
    "little.",
    "cohort_curves": "Customers by the month of their first purchase, also those who never came back; net of returns. "
    "A line ends where a month is not over for all of them. Customers of before the data begin look new at first.",
}


def charts(drawn: Sequence[Chart]) -> Element:
    """Charts side by side."""
    return tag("div", *map(_figure, drawn), class_="charts")


def earlier(drawn: Sequence[Chart]) -> list[Element]:
    """Charts of earlier dates, folded away; nothing where there are none."""
    return [tag("details", tag("summary", "The same for earlier dates"), charts(drawn))] if drawn else []


def _figure(chart: Chart) -> Element:
    caption = tag("figcaption", tag("h3", chart.title), tag("p", _CAPTIONS[chart.name]))
    return tag("figure", caption, chart.svg())
