"""Charts of lifetime value: what the models of buying say, and how much was spent, by whom and when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from kernel.part import Floats
from training.evaluation.plots import (
    FIRST,
    GUIDE,
    INK,
    SOFT,
    STYLES,
    Chart,
    Style,
    at_first_tenth,
    draw_chance,
    draw_legend,
    draw_line,
    draw_shares,
    from_zero,
    new_axes,
    whole_numbers,
)
from training.evaluation.words import day, decimal, label, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike
    from pandas import DatetimeIndex

    from kernel.btyd import BgNbd
    from kernel.pareto_nbd import ParetoNbd

_COLUMNS, _ROWS = 25, 60  # most cells of a heat map
_PALEST = 0.1  # opacity of the lowest cells, which still differ from none
_MOST_COHORTS = 8
_LABEL_HEIGHT = 0.075  # as a share of the axes' height
_MOST_DATES = 3  # under a time axis: more run into each other
_LEADER = {"arrowstyle": "-", "linewidth": 0.6, "relpos": (0, 0.5), "shrinkA": 2, "shrinkB": 0}  # to a label
_EXPECTED, _ACTUAL = STYLES[0]._replace(marker=""), Style(INK, "", (0, None), 1.0)


def frequency_recency_heatmaps(
    model: BgNbd | ParetoNbd, T_days: float, horizon_days: float, most_frequency: int
) -> tuple[Chart, Chart]:
    """P(alive), and purchase days expected within the horizon, of customers of one age by frequency and recency.

    What no history can be stays blank: a last purchase after ``x`` days with more than ``x`` repeat purchase days, and
    without any a last purchase later than the first.

    Args:
        model: fitted, of any of the kinds.
        T_days: days since the first purchase.
        horizon_days: in which purchases are expected.
        most_frequency: highest number of repeat purchase days shown; from 25 on only every n-th is.

    Raises:
        UsageError: ``horizon_days`` is negative or not finite.
        DataError: ``T_days`` is.
        ValueError: ``most_frequency`` is negative.
    """
    if most_frequency < 0:
        raise ValueError(f"No customer has {most_frequency} repeat purchase days.")
    grid = _Grid.of(T_days, most_frequency)
    alive = grid.possible(100 * model.probability_alive(*grid.histories()))
    purchases = grid.possible(model.expected_purchases(horizon_days, *grid.histories()))
    return (
        _heatmap(
            "alive_by_history",
            f"P(alive), {T_days:g} days after the first purchase",
            _Cells(grid, alive, np.linspace(0, 100, 11), "P(alive), %"),
        ),
        _heatmap(
            "purchases_by_history",
            f"Purchases expected in the next {horizon_days:g} days",
            _Cells(grid, purchases, _levels(purchases), f"Purchase days expected in {horizon_days:g} days"),
        ),
    )


def alive_through_time(
    model: BgNbd | ParetoNbd, purchase_days: ArrayLike, last_day: float, who: str = "one customer"
) -> Chart:
    """P(alive) of one customer at the end of each day from the first purchase on, with a tick for each purchase day.

    Args:
        model: fitted, of any of the kinds.
        purchase_days: since some origin, shape (purchases,); several on a day count once, NaN and what comes after
            ``last_day`` not at all.
        last_day: until which the customer was watched, since the same origin.
        who: the customer, as the title names it.

    Raises:
        ValueError: no purchase until ``last_day``.
    """
    bought = np.asarray(purchase_days, dtype=float)
    bought = np.unique(np.floor(bought[bought <= last_day]))
    if not bought.size:
        raise ValueError("P(alive) starts at the first purchase, and there is none.")
    bought, days = bought - bought[0], np.arange(np.floor(last_day) - bought[0] + 1)
    purchases = np.searchsorted(bought, days, side="right")
    alive = 100 * model.probability_alive(purchases - 1, bought[purchases - 1], days)
    figure, axes = new_axes("Days since the first purchase", "P(alive), %")
    draw_line(axes, days, alive, _EXPECTED, "P(alive)")
    axes.plot(days[-1:], alive[-1:], color=FIRST, marker="o", markersize=5, clip_on=False)
    axes.vlines(bought, 0, 5, color=INK, linewidth=1.2, label="Purchase day")
    axes.set_xlim(-0.01 * max(days[-1], 1), 1.01 * max(days[-1], 1))
    axes.set_ylim(0, 101)
    whole_numbers(axes.xaxis)
    draw_legend(axes, columns=2)
    lowest = int(np.argmin(alive))
    alt = (
        f"P(alive) of {who}: {percent(alive[-1] / 100)} on day {days[-1]:.0f}; purchase days: {bought.size:,}; "
        f"lowest on day {days[lowest]:.0f} with {percent(alive[lowest] / 100)}."
    )
    return Chart("alive_through_time", f"P(alive) of {who}, day by day", alt, figure)


def weekly_actual_against_expected(
    weeks: DatetimeIndex,
    actual: ArrayLike,
    expected: ArrayLike,
    known_until: datetime,
    *,
    currency: str = "",
    zone: str = "UTC",
    cumulative: bool = False,
) -> Chart:
    """Purchases or spend of each week, actual and expected, with a line where the model stopped knowing.

    Args:
        weeks: first day of each, as a midnight in UTC, rising; at least one, shape (weeks,).
        actual, expected: of all customers, shape (weeks,); NaN where it is not known, which ends a cumulative line.
        known_until: the moment up to which the model knew the purchases.
        currency: of the spend; empty where purchases are counted.
        zone: time zone of the days.
        cumulative: the sums since the first week instead of the weeks' own.
    """
    from matplotlib.dates import date2num

    what = "Spend" if currency else "Purchases"
    unit = f", {currency}" if currency else ""
    lines = {"Expected": np.asarray(expected, dtype=float), "Actual": np.asarray(actual, dtype=float)}
    alt = f"{what} of all weeks{unit}: " + "; ".join(
        f"{name.lower()} {_total(values[known])} until {day(known_until)}, {_total(values[~known])} after it"
        for known in [np.asarray(weeks < known_until)]
        for name, values in lines.items()
    )
    figure, axes = new_axes(f"Week that starts on ({zone})", f"{what} {'so far' if cumulative else 'per week'}{unit}")
    for (name, values), style in zip(lines.items(), (_EXPECTED, _ACTUAL), strict=True):
        draw_line(axes, weeks, np.cumsum(values) if cumulative else values, style, name)
    axes.axvline(date2num(known_until), color=SOFT, linestyle=GUIDE.dashes, linewidth=1.4, label="Known until")
    from_zero(axes)
    _few_dates(axes, weeks)
    draw_legend(axes, columns=3)
    name = f"{'cumulative' if cumulative else 'weekly'}_{what.lower()}"
    title = f"{what} {'so far' if cumulative else 'per week'}, known until {day(known_until)}"
    return Chart(name, title, alt, figure)


def cohort_curves(curves: Mapping[str, Floats], currency: str, as_of: datetime) -> Chart:
    """Cumulative spend per customer by whole months since the first purchase, a line for each cohort.

    Args:
        curves: by name, oldest cohort first; the i-th figure of a cohort is its customers' mean spend until i months
            after their first purchase, NaN where that is not known yet.
        currency: of the spend.
        as_of: the moment up to which purchases were looked at.

    Raises:
        ValueError: more than 8 cohorts.
    """
    if len(curves) > _MOST_COHORTS:
        raise ValueError(f"{len(curves)} cohorts are more than {_MOST_COHORTS} lines that can be told apart.")
    figure, axes = new_axes("Months since the first purchase", f"Spend per customer so far, {currency}")
    ends: list[_End] = []
    for place, (name, spend) in enumerate(curves.items()):
        known = np.flatnonzero(np.isfinite(spend))
        style = _cohort_style(place)
        draw_line(axes, np.arange(len(spend)), spend, style, name)
        if known.size:
            ends.append(_End(name, int(known[-1]), float(spend[known[-1]]), style))
    from_zero(axes)
    axes.set_xlim(0, max((end.month for end in ends), default=0) or 1)
    whole_numbers(axes.xaxis)
    _label_ends(axes, ends)
    alt = f"Spend per customer in {currency}, by cohort: " + "; ".join(
        f"{end.name} {decimal(end.spend, 0)} by month {end.month}" for end in ends
    )
    return Chart("cohort_curves", f"Spend since the first purchase, {day(as_of)}", alt, figure)


def lorenz_chart(curves: Mapping[str, tuple[Floats, Floats]], as_of: datetime) -> Chart:
    """Share of all spend that the customers expected to spend most have: by models, in the best order, by chance.

    Args:
        curves: by name, such as ``model``, ``carry_forward``, ``actual``: share of the customers, highest expected
            first, and share of the spend, each from 0 to 1, as :func:`~.value.lorenz` gives them for the expected and
            the actual spend. Spend below 0 lifts a curve above 1 on its way.
        as_of: the date of the back-test.

    Raises:
        ValueError: more than 4 curves.
    """
    figure, axes = new_axes("Customers, highest expected first, %", "Share of all spend, %")
    found: list[str] = []
    for (name, (customers, spend)), style in zip(curves.items(), STYLES[: len(curves)], strict=True):
        found.append(f"{label(name)} {percent(at_first_tenth(customers, spend))}")
        draw_shares(axes, customers, spend, style, label(name))
    draw_chance(axes)
    axes.margins(y=0.01)
    draw_legend(axes, columns=2)
    alt = f"Share of all spend that the first tenth of customers has: {', '.join(found)}, by chance {percent(0.1)}"
    return Chart("lorenz", f"Share of all spend, {day(as_of)}", alt, figure)


class _End(NamedTuple):
    """Where the line of a cohort ends."""

    name: str
    month: int
    spend: float
    style: Style


def _cohort_style(place: int) -> Style:
    """Colours and dashes come twice, the second time thinner; which line it is says its label."""
    style = STYLES[place % len(STYLES)]
    return style._replace(marker="", width=style.width if place < len(STYLES) else 0.6 * style.width)


def _label_ends(axes: Axes, ends: Sequence[_End]) -> None:
    """A dot at each line's end, and its name right of the axes at that height, or so far off that all can be read."""
    low, high = axes.get_ylim()
    ends, (_, last) = sorted(ends, key=lambda end: end.spend), axes.get_xlim()
    for end, height in zip(ends, _apart(np.array([(end.spend - low) / (high - low) for end in ends])), strict=True):
        colour = end.style.color
        axes.plot([end.month, last], [end.spend] * 2, color=colour, linestyle=GUIDE.dashes, linewidth=0.8)
        axes.plot([end.month], [end.spend], color=colour, marker="o", markersize=4, clip_on=False)
        axes.annotate(
            end.name,
            (last, end.spend),
            xytext=(1.1, height),
            textcoords="axes fraction",
            color=colour,
            fontsize=10,
            va="center",
            parse_math=False,
            arrowprops=_LEADER | {"color": colour},
        )


def _apart(heights: Floats) -> Floats:
    """Rising heights, moved as little as lets labels not overlap (least squares), between 0 and 1 where there is room.

    Shape (labels,), in shares of the axes' height.
    """
    from scipy.optimize import isotonic_regression

    if not heights.size:
        return heights
    steps = _LABEL_HEIGHT * np.arange(heights.size)
    return np.clip(isotonic_regression(heights - steps).x, 0, max(0, 1 - steps[-1])) + steps


class _Grid(NamedTuple):
    """Histories of customers of one age: a column per frequency, a row per part of the age.

    Attributes:
        frequency: repeat purchase days, shape (columns,).
        edges: of the recency of the rows, in days, shape (rows + 1,); the last one is the age.
    """

    frequency: Floats
    edges: Floats

    @classmethod
    def of(cls, T_days: float, most_frequency: int) -> Self:
        step = 1 + most_frequency // _COLUMNS
        return cls(np.arange(0, most_frequency + 1, step, dtype=float), np.linspace(0, T_days, _ROWS + 1))

    def histories(self) -> tuple[Floats, Floats, float]:
        """Frequency, recency and T as the models take them; of shape (columns, 1), (columns, rows) and a number."""
        x = self.frequency[:, None]
        return x, np.where(x > 0, (self.edges[:-1] + self.edges[1:]) / 2, 0.0), float(self.edges[-1])

    def possible(self, cells: Floats) -> Floats:
        """The cells, shape (columns, rows), and NaN where fewer days than purchase days lie up to the last one."""
        x, latest = self.frequency[:, None], self.edges[1:]
        return np.where(np.where(x > 0, latest >= x, latest <= self.edges[1]), cells, np.nan)


class _Cells(NamedTuple):
    """Figures of the cells of a grid, shape (columns, rows), NaN where blank, and the limits of what looks alike."""

    grid: _Grid
    figures: Floats
    levels: Floats
    unit: str


def _heatmap(name: str, title: str, cells: _Cells) -> Chart:
    """Steps of one colour, so that a dark page can replace it."""
    from matplotlib.colors import to_rgb

    grid, shades = cells.grid, np.linspace(_PALEST, 1, len(cells.levels) - 1)
    figure, axes = new_axes("Repeat purchase days (frequency)", "Last purchase, day (recency)")
    column, start, stop, level = np.array(list(_runs(cells))).reshape(-1, 4).T
    axes.bar(
        grid.frequency[column],
        grid.edges[stop] - grid.edges[start],
        bottom=grid.edges[start],
        width=0.92 * (grid.frequency[1] if len(grid.frequency) > 1 else 1),
        color=[(*to_rgb(FIRST), shade) for shade in shades[level]],
        antialiased=False,  # seams would show between cells
    )
    axes.grid(visible=False)
    axes.set_ylim(0, max(grid.edges[-1], 1))
    whole_numbers(axes.xaxis)
    _colour_bar(figure, axes, cells.levels, [(*to_rgb(FIRST), shade) for shade in shades], cells.unit)
    return Chart(name, title, _ranges(cells), figure)


def _levels(figures: Floats) -> Floats:
    """About eight round steps from 0 to the highest figure."""
    from matplotlib.ticker import MaxNLocator

    return np.asarray(MaxNLocator(8).tick_values(0, float(np.nanmax(figures)) or 1.0))


def _runs(cells: _Cells) -> Iterator[tuple[int, int, int, int]]:
    """Column, first row, row after the last and level of what looks alike and lies together: one mark, not many."""
    levels = np.where(np.isfinite(cells.figures), np.digitize(cells.figures, cells.levels[1:-1]), -1)
    for column, level in enumerate(levels):
        starts = np.flatnonzero(np.diff(level, prepend=-2))
        for start, stop in zip(starts, [*starts[1:], level.size], strict=True):
            if level[start] >= 0:
                yield column, int(start), int(stop), int(level[start])


def _colour_bar(figure: Figure, axes: Axes, levels: Floats, shades: Sequence[tuple[float, ...]], unit: str) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm, ListedColormap

    mappable = ScalarMappable(BoundaryNorm(levels.tolist(), len(shades)), ListedColormap(np.array(shades)))
    bar = figure.colorbar(mappable, ax=axes, location="top", aspect=35, pad=0.03, ticks=levels[::2].tolist())
    bar.outline.set_visible(False)
    bar.ax.tick_params(which="both", colors=SOFT, labelsize=10, length=0)
    bar.ax.xaxis.set_major_formatter("{x:g}")
    bar.set_label(unit, color=INK, fontsize=10, loc="left")


def _ranges(cells: _Cells) -> str:
    """Lowest and highest figure of some columns, in words."""
    columns = [
        (x, known)
        for x, figures in zip(cells.grid.frequency, cells.figures, strict=True)
        if (known := figures[np.isfinite(figures)]).size
    ]
    return f"{cells.unit}, by repeat purchase days: " + "; ".join(
        f"{x:.0f}: {decimal(known.min(), 1)} to {decimal(known.max(), 1)}"
        for x, known in columns[:: 1 + len(columns) // 6]
    )


def _few_dates(axes: Axes, weeks: DatetimeIndex) -> None:
    shown = weeks[np.unique(len(weeks) * (2 * np.arange(_MOST_DATES) + 1) // (2 * _MOST_DATES))]
    axes.set_xticks(shown, [day(week) for week in shown])


def _total(figures: Floats) -> str:
    """The sum of what is known; a dash where nothing is."""
    return decimal(float(np.nansum(figures)), 0) if np.isfinite(figures).any() else decimal(float("nan"))
