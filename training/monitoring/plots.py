"""Charts of the monitoring page: how far features lie from the training, and figures by scored moment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from kernel.monitoring_settings import MonitoringSettings
from training.evaluation.plots import (
    FIRST,
    GUIDE,
    INK,
    LINE,
    SECOND,
    SOFT,
    Chart,
    draw_intervals,
    draw_legend,
    draw_line,
    new_axes,
    square_root,
)
from training.evaluation.words import day, decimal
from training.monitoring.drift import FeatureDrift
from training.monitoring.figures import Bounded
from training.monitoring.ripeness import Kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW = 0.46  # inches of a feature
_MOST_DATES = 5


def drift_chart(kind: Kind, drifted: Sequence[FeatureDrift], settings: MonitoringSettings, when: str) -> Chart:
    """PSI of features with its interval, the name above; thresholds as lines, what a feature moves anyway as a mark."""
    figure, axes = new_axes("PSI and its interval (square-root scale)", "")
    figure.set_size_inches(4.2, 0.8 + _ROW * len(drifted))
    for threshold, word, side in ((settings.psi_watch, "watch ", "right"), (settings.psi_alarm, " alarm", "left")):
        axes.axvline(threshold, color=SOFT, linewidth=1, linestyle=(0, (1, 2)))
        axes.annotate(word, (threshold, 1), xycoords=("data", "axes fraction"), fontsize=9, color=SOFT, ha=side)
    for place, one in enumerate(drifted):
        y, color = -place, SECOND if one.level != "ok" else FIRST
        axes.plot([one.psi.low, one.psi.high], [y, y], color=color, linewidth=2.2)
        axes.plot([one.psi.value], [y], color=color, marker="o", markersize=6)
        axes.plot([one.moved], [y], color=INK, marker="|", markersize=11, markeredgewidth=1.6)
        axes.annotate(
            one.column.name,
            (0, y),
            xycoords=("axes fraction", "data"),
            xytext=(0, 6),
            textcoords="offset points",
            fontsize=9,
            color=INK,
        )
    axes.set_xscale("function", functions=(square_root, np.square))
    top = max([settings.psi_alarm, *(max(one.psi.high, one.moved) for one in drifted)])
    axes.set_xlim(0, 1.05 * top)
    axes.set_xticks([tick for tick in (0, 0.5, 1, 2, 4, 8, 16) if tick <= 1.05 * top])
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_yticks([])
    axes.set_ylim(-len(drifted) + 0.6, 0.9)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=LINE, linewidth=0.8)
    alt = "PSI against the training: " + "; ".join(
        f"{one.column.name} {decimal(one.psi.value)} ({decimal(one.psi.low)} to {decimal(one.psi.high)}), "
        f"usual {decimal(one.moved)}"
        for one in drifted
    )
    return Chart(f"{kind}_drift", f"What moved most of the {kind} model, {when}", alt, figure)


def course_chart(
    name: str,
    title: str,
    unit: str,
    points: Sequence[tuple[datetime, Bounded]],
    guide: tuple[str, Sequence[float]],
) -> Chart:
    """A figure by scored moment, with its interval, beside what it should be.

    Args:
        points: rising.
        guide: what it should be at each point, and its name.
    """
    figure, axes = new_axes("Scores of", unit)
    across = np.arange(len(points))
    draw_line(axes, across, guide[1], GUIDE, guide[0])
    middle = np.array([one.estimate for _, one in points])
    low, high = (np.array([getattr(one, side) for _, one in points]) for side in ("low", "high"))
    draw_intervals(axes, across, (middle, low, high), "Came, 95 % interval")
    _dates(axes, [moment for moment, _ in points])
    draw_legend(axes, columns=2)
    alt = f"{title}: " + "; ".join(
        f"{day(moment)} {decimal(one.estimate)} ({decimal(one.low)} to {decimal(one.high)}), {guide[0].lower()} "
        f"{decimal(should)}"
        for (moment, one), should in zip(points, guide[1], strict=True)
    )
    return Chart(name, title, alt, figure)


def _dates(axes: Axes, moments: Sequence[datetime]) -> None:
    every = -(-len(moments) // _MOST_DATES)
    shown = range(len(moments) - 1, -1, -every)
    axes.set_xticks(list(shown), [day(moments[place]).rsplit(" ", 1)[0] for place in shown])
    axes.set_xlim(-0.5, len(moments) - 0.5)
