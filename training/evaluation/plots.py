"""Charts of a back-test, as SVG for a page and PNG for a file; colours follow the page's theme."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree

import numpy as np

from kernel.part import Floats
from training.evaluation.discrimination import auc_interval, gains_curve
from training.evaluation.value import deciles
from training.evaluation.words import day, label, percent
from training.labels.rhythm import RETURNED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from training.backtest import BacktestResult
    from training.labels.rhythm import Rhythm

_SIZE = (4.2, 3.2)  # inches; small, so that its text is still read on a telephone
_WILSON_CONFIDENCE = 0.9
_CSS = "{http://www.w3.org/2000/svg}"

# Each colour has a CSS variable, with which a page's dark theme replaces it.
INK, SOFT, LINE, FIRST, SECOND, THIRD = "#171a21", "#565f6d", "#e2e5ea", "#2b50c8", "#b4540a", "#6b7280"
_VARIABLES = {
    INK: "--ink",
    SOFT: "--soft",
    LINE: "--line",
    FIRST: "--first",
    SECOND: "--second",
    THIRD: "--third",
}


class Style(NamedTuple):
    """How a line is drawn."""

    color: str
    marker: str
    dashes: tuple[int, tuple[float, ...] | None]
    width: float


# Colour is never the only difference of two lines.
STYLES = (
    Style(FIRST, "o", (0, None), 2.2),
    Style(SECOND, "s", (0, (5, 2)), 1.6),
    Style(THIRD, "^", (0, (2, 1.5)), 1.6),
    Style(INK, "D", (0, (6, 1.5, 1, 1.5)), 1.2),
)
GUIDE = Style(SOFT, "", (0, (1, 2)), 1.2)
_SPENDS = ("trees", "two_part", "btyd", "rfm_cells")
"""Whose errors of spend are followed through time: the spend models and the strictest baseline."""
_LADDERS = ((0, 1, 3, 6, 10, 15), (0, 2, 5, 10, 20, 30), (0, 5, 20, 40, 70, 100))


@dataclass(frozen=True)
class Chart:
    """One drawn chart.

    Attributes:
        name: file name without ending.
        title: what it shows, with its date; identifiers in the SVG differ between titles.
        alt: the same in words and numbers, for those who do not see it.
    """

    name: str
    title: str
    alt: str
    figure: Figure

    def svg(self) -> ElementTree.Element:
        """An ``svg`` element to stand in HTML: text stays text, no size of its own, colours as CSS variables."""
        from matplotlib import rc_context

        written = BytesIO()
        with rc_context({"svg.fonttype": "none", "svg.hashsalt": self.name + self.title}):
            self.figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
        return _for_html(ElementTree.fromstring(written.getvalue()), self.alt)

    def png(self) -> bytes:
        """The chart with its title, as a PNG file of 2 pixels per point on white."""
        self.figure.suptitle(self.title, fontsize=11, color=INK, x=0.02, ha="left")
        written = BytesIO()
        self.figure.savefig(written, format="png", dpi=200, facecolor="white", metadata={"Software": None})
        self.figure.suptitle("")
        return written.getvalue()


def write_plots(result: BacktestResult, folder: Path, currency: str) -> tuple[Path, ...]:
    """Write the charts of one back-test as PNG files into an existing folder, and return their paths."""
    files: list[Path] = []
    for chart in backtest_charts(result, currency):
        file = folder / f"{chart.name}.png"
        file.write_bytes(chart.png())
        files.append(file)
    return tuple(files)


def backtest_charts(result: BacktestResult, currency: str) -> list[Chart]:
    """Reliability, gains and spend by tenth; no gains where nobody left."""
    return [
        reliability_chart(result),
        *([gains_chart(result)] if result.churned.any() else []),
        value_chart(result, currency),
    ]


def reliability_chart(result: BacktestResult) -> Chart:
    """Observed churn of ten groups against the predicted one, with 90 % Wilson intervals (Wilson 1927)."""
    from scipy.stats import binomtest

    bins = result.reliability
    predicted = 100 * np.array([one.predicted for one in bins])
    observed = 100 * np.array([one.observed for one in bins])
    intervals = [
        binomtest(round(one.observed * one.customers), one.customers).proportion_ci(_WILSON_CONFIDENCE, "wilson")
        for one in bins
    ]
    low, high = (100 * np.array([getattr(one, side) for one in intervals]) for side in ("low", "high"))
    figure, axes = new_axes("Predicted churn, %", "Customers who left, %")
    top = 1.08 * max(high.max(), predicted.max())
    draw_line(axes, [0, top], [0, top], GUIDE, "Prediction comes true")
    draw_intervals(axes, predicted, (observed, low, high), "A tenth of the customers, 90 % interval", clip_on=False)
    # Most customers are at low risk: a square-root scale spreads them, and a true prediction stays on the diagonal.
    for scale, limit, axis in (
        (axes.set_xscale, axes.set_xlim, axes.xaxis),
        (axes.set_yscale, axes.set_ylim, axes.yaxis),
    ):
        scale("function", functions=(square_root, np.square))
        limit(0, top)
        axis.set_ticks(_root_ticks(top))
        axis.set_major_formatter("{x:g}")
    draw_legend(axes, columns=1)
    alt = "Predicted and observed churn by tenth of customers: " + "; ".join(
        f"{percent(one.predicted)} predicted, {percent(one.observed)} left" for one in bins
    )
    return Chart("reliability", f"Predicted and actual churn, {day(result.as_of)}", alt, figure)


def gains_chart(result: BacktestResult) -> Chart:
    """How many of those who left are found among the customers with the highest scores: model, recency rule, chance.

    Raises:
        ValueError: nobody left.
    """
    figure, axes = new_axes("Customers contacted, highest risk first, %", "Of those who left: found, %")
    found: list[str] = []
    for name, score, style in (
        ("model", result.probability, STYLES[0]),
        ("recency_rule", result.recency, STYLES[1]),
    ):
        taken, share = gains_curve(score, result.churned)
        found.append(f"{label(name)} {percent(at_first_tenth(taken, share))}")
        draw_shares(axes, taken, share, style, label(name))
    draw_chance(axes)
    axes.set_ylim(0, 101)
    draw_legend(axes, columns=3)
    alt = "Share of those who left found in the first tenth of customers: " + ", ".join(found) + ", by chance 10 %"
    return Chart("gains", f"Who left and was found, {day(result.as_of)}", alt, figure)


def value_chart(result: BacktestResult, currency: str) -> Chart:
    """Mean expected and mean actual spend of each tenth of customers, by falling expectation; bars are 95 % intervals
    of the latter."""
    parts = deciles(result.expected, result.spend)
    actual, high = (np.array([getattr(part, name) for part in parts]) for name in ("actual", "high"))
    place = np.arange(1, len(parts) + 1)
    figure, axes = new_axes("Tenth of customers, highest expected first", f"Mean spend per customer, {currency}")
    axes.bar(place, actual, width=0.68, color=LINE, edgecolor=SOFT, linewidth=0.8, label="Actual")
    axes.errorbar(place, actual, yerr=high - actual, fmt="none", ecolor=SOFT, elinewidth=1.2)
    expected = [part.expected for part in parts]
    axes.plot(place, expected, color=FIRST, marker="o", linestyle="", markersize=6, label="Expected")
    axes.set_xticks(place)
    from_zero(axes)
    draw_legend(axes, columns=2)
    alt = f"Mean spend per customer in {currency} by tenth, highest expected first: " + "; ".join(
        f"{one.expected:,.0f} expected, {one.actual:,.0f} actual" for one in parts
    )
    return Chart("value_tenths", f"Expected and actual spend, {day(result.as_of)}", alt, figure)


def auc_over_time_chart(results: Sequence[BacktestResult]) -> Chart:
    """AUC of model and baselines at each date; bars are 95 % intervals (DeLong et al. 1988)."""
    figure, axes = new_axes("Back-test as of (UTC)", "AUC")
    lines = {name: [result.churn[name].get("auc", np.nan) for result in results] for name in results[0].churn}
    place = np.arange(len(results))
    _lines(axes, place, lines)
    for x, interval in zip(place, (auc_interval(one.probability, one.churned) for one in results), strict=True):
        if interval is not None:
            axes.vlines(x, interval.low, interval.high, color=FIRST, linewidth=1.2)
    _dates(axes, results)
    axes.margins(y=0.08)
    draw_legend(axes, columns=2)
    return Chart("auc_over_time", f"AUC of churn, {_span(results)}", _alt("AUC", results, lines, "{:.3f}"), figure)


def error_over_time_chart(results: Sequence[BacktestResult]) -> Chart:
    """Mean absolute error of spend as a share of what carrying the past forward misses by, at each date."""
    figure, axes = new_axes("Back-test as of (UTC)", "Error, % of carry-forward's")
    names = [name for name in _SPENDS if name in results[0].value]
    lines = {name: [100 * error_ratio(result, name) for result in results] for name in names}
    draw_line(axes, [-0.5, len(results) - 0.5], [100, 100], GUIDE, "Carry-forward = 100 %")
    _lines(axes, np.arange(len(results)), lines)
    axes.margins(y=0.15)
    axes.yaxis.set_major_formatter("{x:g}")
    _dates(axes, results)
    draw_legend(axes, columns=2)
    alt = _alt("Error of spend in % of carry-forward's", results, lines, "{:.1f}")
    return Chart("error_over_time", f"Error of expected spend, {_span(results)}", alt, figure)


def rhythm_chart(rhythm: Rhythm, horizon_days: int) -> Chart:
    """Share of returns that have come after so many days of silence, with the horizon and the one the data choose."""
    figure, axes = new_axes("Days since the last purchase", "Returns that have come, %")
    last = max(float(rhythm.days[np.searchsorted(rhythm.returned, 0.99)]), 1.1 * horizon_days)
    shown = rhythm.days <= last
    curve = Style(FIRST, "", (0, None), 2.2)
    draw_line(axes, rhythm.days[shown], 100 * rhythm.returned[shown], curve, "Of all returns")
    for days, style, text in (
        (horizon_days, Style(SECOND, "", (0, (5, 2)), 1.6), f"Horizon, {horizon_days} days"),
        (rhythm.horizon_days, Style(THIRD, "", (0, (2, 1.5)), 1.6), f"By the data, {rhythm.horizon_days} days"),
    ):
        draw_line(axes, [days, days], [0, 100], style, text)
    axes.set_xlim(0, last)
    axes.set_ylim(0, 100)
    draw_legend(axes, columns=2)
    alt = (
        f"Of all returns, {percent(rhythm.returned_by(horizon_days))} come within the horizon of {horizon_days} days; "
        f"{percent(RETURNED)} within {rhythm.horizon_days} days."
    )
    return Chart("rhythm", f"When customers come back, {day(rhythm.as_of)}", alt, figure)


def error_ratio(result: BacktestResult, name: str) -> float:
    """Mean absolute error of a spend model over that of carry-forward; NaN where carry-forward has no error."""
    carried = result.value["carry_forward"]["mae"]
    return result.value[name]["mae"] / carried if carried else float("nan")


def new_axes(across: str, up: str) -> tuple[Figure, Axes]:
    """An empty chart with the names of its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(across, color=SOFT, fontsize=10)
    axes.set_ylabel(up, color=SOFT, fontsize=10)
    axes.tick_params(colors=SOFT, labelsize=10, length=0)
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(SOFT)
    return figure, axes


def _lines(axes: Axes, place: ArrayLike, lines: Mapping[str, Sequence[float]]) -> None:
    """A line for each model; a ValueError, and none left out, where there are more of them than styles."""
    for (name, figures), style in zip(lines.items(), STYLES[: len(lines)], strict=True):
        draw_line(axes, place, figures, style, label(name))


def draw_line(axes: Axes, x: ArrayLike, y: ArrayLike, style: Style, text: str) -> None:
    """A line, and its name for the legend."""
    axes.plot(
        x,
        y,
        color=style.color,
        marker=style.marker,
        linestyle=style.dashes,
        linewidth=style.width,
        markersize=5,
        label=text,
    )


def draw_intervals(
    axes: Axes, x: ArrayLike, points: tuple[Floats, Floats, Floats], text: str, *, clip_on: bool = True
) -> None:
    """Points with their intervals; ``points``: what was found, and its lower and upper bound."""
    found, low, high = points
    axes.errorbar(
        x,
        found,
        yerr=np.maximum([found - low, high - found], 0),
        color=FIRST,
        fmt="o",
        markersize=5,
        elinewidth=1.4,
        capsize=2.5,
        clip_on=clip_on,
        label=text,
    )


def draw_shares(axes: Axes, taken: Floats, share: Floats, style: Style, text: str) -> None:
    """What share the customers taken have, with a mark at the first tenth of them; both from 0 to 1."""
    draw_line(axes, 100 * taken, 100 * share, style._replace(marker=""), text)
    axes.plot([10], [100 * at_first_tenth(taken, share)], color=style.color, marker=style.marker, markersize=5)


def at_first_tenth(taken: Floats, share: Floats) -> float:
    """What share the first tenth of the customers has."""
    return float(np.interp(0.1, taken, share))


def draw_chance(axes: Axes) -> None:
    """What comes without an order, and where the first tenth ends."""
    draw_line(axes, [0, 100], [0, 100], GUIDE, "By chance")
    axes.axvline(10, color=LINE, linewidth=1, zorder=0)
    axes.set_xlim(0, 100)


def draw_legend(axes: Axes, columns: int) -> None:
    """The names of what is drawn, above it."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=columns,
        frameon=False,
        fontsize=10,
        labelcolor=INK,
        borderaxespad=0,
        borderpad=0.2,
        handlelength=1.9,
        handletextpad=0.5,
        columnspacing=1.1,
    )


def from_zero(axes: Axes) -> None:
    """Heights in whole numbers from 0 on, with a line at 0 where some are below."""
    if axes.dataLim.y0 < 0:
        axes.axhline(0, color=SOFT, linewidth=0.8)
    else:
        axes.set_ylim(bottom=0)
    whole_numbers(axes.yaxis)


def whole_numbers(axis: Axis) -> None:
    """Ticks at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 2.5, 5, 10], integer=True))
    axis.set_major_formatter("{x:,.0f}")


def _dates(axes: Axes, results: Sequence[BacktestResult]) -> None:
    axes.set_xticks(np.arange(len(results)), [day(result.as_of) for result in results])
    axes.set_xlim(-0.5, len(results) - 0.5)


def _span(results: Sequence[BacktestResult]) -> str:
    dates: list[datetime] = [result.as_of for result in results]
    return f"{day(min(dates))} to {day(max(dates))}"


def _alt(what: str, results: Sequence[BacktestResult], lines: dict[str, list[float]], form: str) -> str:
    return f"{what}: " + "; ".join(
        f"{day(result.as_of)} "
        + ", ".join(f"{label(name)} {form.format(figures[i])}" for name, figures in lines.items())
        for i, result in enumerate(results)
    )


def square_root(values: np.ndarray) -> np.ndarray:
    """For a scale that spreads what is small; of matplotlib's own margin below 0 it makes 0."""
    return np.sqrt(np.maximum(values, 0))


def _root_ticks(top: float) -> list[float]:
    ladder = next((ticks for ticks in _LADDERS if ticks[-1] >= 0.6 * top), _LADDERS[-1])
    return [tick for tick in ladder if tick <= top]


def _for_html(svg: ElementTree.Element, alt: str) -> ElementTree.Element:
    width, height = (float(svg.attrib[side].removesuffix("pt")) for side in ("width", "height"))
    for element in svg.iter():
        for child in [one for one in element if one.tag.endswith(("metadata", "style"))]:
            element.remove(child)
        element.tag = element.tag.removeprefix(_CSS)
        attributes = {name.rpartition("}")[2]: _themed(value) for name, value in element.attrib.items()}
        # Groups are numbered anew in each figure: on one page these names would not be unique.
        if re.fullmatch(r"[A-Za-z0-9.]+_\d+", attributes.get("id", "")):
            del attributes["id"]
        element.attrib.clear()
        element.attrib.update(attributes)
    svg.attrib.clear()
    svg.attrib.update({"viewBox": f"0 0 {width:g} {height:g}", "role": "img", "aria-label": alt})
    return svg


def _themed(value: str) -> str:
    for colour, variable in _VARIABLES.items():
        value = value.replace(colour, f"var({variable}, {colour})")
    return value
