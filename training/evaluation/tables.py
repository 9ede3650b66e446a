"""The tables of a report; every model stands beside its baselines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from features.groups import group_label
from training.evaluation.discrimination import auc_interval
from training.evaluation.markup import tag
from training.evaluation.missed import HABITS
from training.evaluation.plots import error_ratio
from training.evaluation.statements import reach
from training.evaluation.summary import BASELINES, SummaryRow, summary_rows
from training.evaluation.words import NONE, day, decimal, label, money, percent

if TYPE_CHECKING:
    from features.contract.findings import Finding
    from training.backtest import BacktestResult
    from training.evaluation.grade import Grade
    from training.evaluation.missed import Group
    from training.evaluation.value_grade import ValueGrade


_MOST_GROUPS = 8
_CHOSEN = frozenset({"model", "trees"})  # those whose predictions the back-test keeps and the charts show


@dataclass(frozen=True, slots=True)
class PublishedFigure:
    """A figure that others published, beside ours on the same data.

    Attributes:
        name: what is measured, on which data and date.
        source: who published it, where and when.
        ours, theirs: in ``unit``.
    """

    name: str
    source: str
    ours: float
    theirs: float
    unit: str = ""


def churn_table(results: Sequence[BacktestResult]) -> Element:
    """Ranking and calibration of the churn model and its baselines: the mean, then each date."""
    heads = ("", "AUC", "Average precision", "Lift, top tenth", "Calibration error", "Brier score", "Mean prediction")
    groups = [
        (f"{day(one.as_of)} · {one.customers:,} customers, {percent(float(one.churned.mean()))} left", _churn_rows(one))
        for one in results
    ]
    means = [row for row in summary_rows(results) if row.subject == "churn"]
    return _model_table(heads, groups, [_churn_row(row.name, row.means, "") for row in means])


def value_table(results: Sequence[BacktestResult], currency: str) -> Element:
    """Errors, ranks and totals of the spend models and the baseline: the mean, then each date."""
    heads = (
        "",
        "Mean absolute error",
        "Error against carry-forward",
        "Rank correlation",
        "Normalised Gini",
        "Total, expected of actual",
    )
    groups = [
        (
            f"{day(one.as_of)} · {one.customers:,} customers, {money(float(one.spend.sum()), currency)} spent",
            [_value_row(name, figures, error_ratio(one, name), currency) for name, figures in one.value.items()],
        )
        for one in results
    ]
    means = [
        _value_row(row.name, row.means, _mean_ratio(row, results), currency)
        for row in summary_rows(results)
        if row.subject == "value"
    ]
    return _model_table(heads, groups, means)


def grade_table(results: Sequence[BacktestResult]) -> Element:
    """The grade of churn at each date, how sure it is, and what it rests on."""
    heads = ("Date", "Grade", "Sure", "Right about", "Finds", "Baseline finds", "More than it", "Baseline")
    rows = [
        (one.as_of, [*_letter(grade), percent(grade.right), *_finds(grade), grade.baseline] if grade else [])
        for one, grade in ((one, one.grade) for one in results)
    ]
    return _by_date(heads, rows, "last-words")


def value_grade_table(results: Sequence[BacktestResult]) -> Element:
    """The same of lifetime value."""
    heads = ("Date", "Grade", "Sure", "Spent most", "Finds", "Formula finds", "More than it")
    rows = [
        (one.as_of, [*_letter(grade), f"{grade.high_value:,}", *_finds(grade)] if grade else [])
        for one, grade in ((one, one.value_grade) for one in results)
    ]
    return _by_date(heads, rows, None)


def _by_date(
    heads: Sequence[str], rows: Iterable[tuple[datetime, Sequence[str | Element]]], class_: str | None
) -> Element:
    """A row for each date; dashes where there are no cells."""
    unknown = [NONE] * (len(heads) - 1)
    body = tag("tbody", *(body_row([day(date), *(cells or unknown)]) for date, cells in rows))
    return scrolled(tag("table", head_row(heads), body, class_=class_))


def _letter(grade: Grade | ValueGrade) -> list[str | Element]:
    return [tag("strong", grade.letter), percent(grade.sureness[grade.letter])]


def _finds(grade: Grade | ValueGrade) -> list[str | Element]:
    more = grade.advantage
    bounds = tag("small", f"{percent(more.low)} to {percent(more.high)}")
    more_than_it = tag("span", percent(more.estimate), bounds, class_="bounded")
    return [percent(grade.found), percent(grade.baseline_found), more_than_it]


def fates_table(result: BacktestResult, currency: str) -> Element:
    """Who those are that the model found, missed, and was not asked to find."""
    heads = ("", "Customers", "Median risk", *(name.capitalize() for name in HABITS.values()))
    rows: list[list[str | Element]] = [
        [group.name.capitalize(), f"{group.customers:,}", percent(group.risk), *_habits(group, currency)]
        for group in result.fates
    ]
    return scrolled(tag("table", head_row(heads), tag("tbody", *(body_row(row) for row in rows))))


def factors_table(result: BacktestResult) -> Element:
    """What raises and lowers the risk in each band, by group of features: mean parts in the log-odds."""
    groups = list(dict.fromkeys(name for band in result.factors for name in band.effects))
    groups.sort(key=lambda name: -max(abs(band.effects[name]) for band in result.factors))
    heads = ("Group of features", *(f"{band.band.capitalize()} band" for band in result.factors))
    rows: list[list[str | Element]] = [
        ["Customers", *(f"{band.customers:,}" for band in result.factors)],
        ["Mean risk", *(percent(band.risk) for band in result.factors)],
        *(
            [group_label(name), *(f"{band.effects[name]:+.2f}" for band in result.factors)]
            for name in groups[:_MOST_GROUPS]
        ),
    ]
    return scrolled(tag("table", head_row(heads), tag("tbody", *(body_row(row) for row in rows))))


def _habits(group: Group, currency: str) -> list[str]:
    return [
        money(value, currency) if name.startswith("spend") else decimal(value, 0)
        for name, value in zip(HABITS, group.habits, strict=True)
    ]


def reach_table(results: Sequence[BacktestResult], most: int) -> Element:
    """Whom a team reaches at each date with the model, with the recency rule and by chance."""
    heads = ("Date", "Customers", "Left", "Contacts", "Model reaches", "Recency rule", "By chance")
    rows: list[list[str | Element]] = []
    for result in results:
        found = reach(result, most)
        rows.append(
            [
                day(result.as_of),
                f"{result.customers:,}",
                f"{found.left:,}",
                f"{found.customers}",
                tag("strong", f"{found.model:.0f}"),
                f"{found.recency_rule:.0f}",
                f"{found.chance:.0f}",
            ]
        )
    return scrolled(tag("table", head_row(heads), tag("tbody", *(body_row(row) for row in rows))))


def published_table(figures: Sequence[PublishedFigure]) -> Element:
    """Ours beside what others published."""
    rows = [
        body_row([one.name, _with_unit(one.ours, one.unit), _with_unit(one.theirs, one.unit), one.source])
        for one in figures
    ]
    heads = ("Figure", "Ours", "Published", "Source")
    return scrolled(tag("table", head_row(heads), tag("tbody", *rows), class_="words last-words"))


def findings_list(findings: Iterable[Finding]) -> Element:
    """The usability report: what is wrong or thin in the tables, with what is needed and what is there."""
    return tag("ul", *(_finding(one) for one in findings), class_="findings")


def _finding(one: Finding) -> Element:
    place = f"{one.table}.{one.column}" if one.column else one.table
    amounts = [f"{word}: {text}" for word, text in (("Actual", one.actual), ("required", one.required)) if text]
    return tag(
        "li",
        tag("p", tag("span", str(one.state), class_=f"chip {one.state}"), " ", tag("strong", one.name)),
        tag("p", one.details),
        tag("p", " · ".join(filter(None, [place, ", ".join(amounts), one.code])), class_="quiet"),
    )


def _churn_rows(result: BacktestResult) -> list[Element]:
    interval = auc_interval(result.probability, result.churned)
    bounds = "" if interval is None else f"{decimal(interval.low)} to {decimal(interval.high)}"
    return [_churn_row(name, metrics, bounds if name == "model" else "") for name, metrics in result.churn.items()]


def _churn_row(name: str, metrics: Mapping[str, float], bounds: str) -> Element:
    auc: str | Element = _number(metrics, "auc", decimal)
    if bounds and auc != NONE:
        auc = tag("span", auc, tag("small", bounds), class_="bounded")
    return _model_row(
        name,
        [
            auc,
            _number(metrics, "average_precision", decimal),
            _number(metrics, "lift_top_tenth", lambda lift: f"{lift:.1f} ×"),
            _number(metrics, "ece", decimal),
            _number(metrics, "brier", decimal),
            _number(metrics, "mean_prediction", percent),
        ],
    )


def _value_row(name: str, metrics: Mapping[str, float], ratio: float, currency: str) -> Element:
    return _model_row(
        name,
        [
            _number(metrics, "mae", lambda error: money(error, currency)),
            percent(ratio),
            _number(metrics, "spearman", decimal),
            _number(metrics, "gini", decimal),
            _number(metrics, "total_ratio", percent),
        ],
    )


def _mean_ratio(row: SummaryRow, results: Sequence[BacktestResult]) -> float:
    return sum(error_ratio(result, row.name) for result in results) / len(results)


def _number(metrics: Mapping[str, float], name: str, form: Callable[[float], str]) -> str:
    return form(metrics[name]) if name in metrics else NONE


def _model_table(heads: Sequence[str], groups: Sequence[tuple[str, list[Element]]], means: list[Element]) -> Element:
    if len(groups) > 1:
        groups = [(f"Mean of {len(groups)} dates", means), *groups]
    bodies = [
        tag(
            "tbody",
            tag("tr", tag("th", tag("span", title), colspan=str(len(heads)), scope="rowgroup"), class_="group"),
            *rows,
        )
        for title, rows in groups
    ]
    return scrolled(tag("table", head_row(heads), *bodies, class_="models"))


def _model_row(name: str, cells: Sequence[str | Element]) -> Element:
    first: list[str | Element] = [label(name)]
    if name not in _CHOSEN:
        first.append(tag("small", "baseline" if name in BASELINES else "alternative"))
    row = tag("tr", tag("th", *first, scope="row"), *(tag("td", cell) for cell in cells))
    if name in _CHOSEN:
        row.set("class", "ours")
    return row


def head_row(heads: Sequence[str]) -> Element:
    """The names of a table's columns."""
    return tag("thead", tag("tr", *(tag("th", head, scope="col") if head else tag("td") for head in heads)))


def body_row(cells: Sequence[str | Element]) -> Element:
    """A row, whose first cell names it."""
    return tag("tr", tag("th", cells[0], scope="row"), *(tag("td", cell) for cell in cells[1:]))


def _with_unit(figure: float, unit: str) -> str:
    return f"{figure:,.4g}\N{NO-BREAK SPACE}{unit}".rstrip()


def scrolled(table: Element) -> Element:
    """The table in a frame of its own."""
    # A wide table scrolls by itself, also with the keyboard; the page never does.
    return tag("div", table, class_="scroll", tabindex="0")
