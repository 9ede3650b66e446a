"""Charts of a judged policy: what each policy earns, what an action brings, and whether effects are as predicted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from training.evaluation.action_gains import ActionGain
from training.evaluation.fixed_policies import PolicyValue
from training.evaluation.plots import (
    FIRST,
    GUIDE,
    INK,
    LINE,
    SECOND,
    SOFT,
    Chart,
    Style,
    draw_intervals,
    draw_legend,
    draw_line,
    new_axes,
)
from training.evaluation.words import decimal

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW = 0.46  # inches of a policy
_CURVE = Style(FIRST, "", (0, None), 2.2)
_HUNDRED = 100  # a probability is shown as outcomes of a hundred customers


def scaled(gain: ActionGain) -> tuple[float, str]:
    """By what effects are multiplied to be shown, and their unit without a currency's name."""
    return (_HUNDRED, "of 100 customers") if gain.kind == "binary" else (1.0, "a customer")


def values_chart(policies: Sequence[PolicyValue], ours: int, currency: str, when: str) -> Chart:
    """What each policy earned per decision, doubly robust with its 95 % interval, its name above.

    Args:
        ours: place of the judged policy.
        when: the time of the decisions.
    """
    figure, axes = new_axes(f"{currency} per decision, 95 % interval", "")
    figure.set_size_inches(4.2, 0.75 + _ROW * len(policies))
    in_use = policies[0].value.estimate
    axes.axvline(in_use, color=SOFT, linewidth=1, linestyle=(0, (1, 2)))
    for place, one in enumerate(policies):
        color = FIRST if place == ours else INK if place == 0 else SECOND
        found, y = one.value, -place
        axes.plot([found.low, found.high], [y, y], color=color, linewidth=2.4 if place == ours else 1.6)
        axes.plot([found.estimate], [y], color=color, marker="o" if place == ours else "s", markersize=6)
        axes.annotate(
            f"{one.name[:1].upper()}{one.name[1:]}",
            (0, y),
            xycoords=("axes fraction", "data"),
            xytext=(0, 5),
            textcoords="offset points",
            fontsize=9.5,
            color=INK,
        )
    axes.set_yticks([])
    axes.set_ylim(-len(policies) + 0.6, 0.9)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=LINE, linewidth=0.8)
    alt = f"Money per decision in {currency}, doubly robust: " + "; ".join(
        f"{one.name} {decimal(one.value.estimate)} ({decimal(one.value.low)} to {decimal(one.value.high)})"
        for one in policies
    )
    return Chart("policy_values", f"What each policy earns, {when}", alt, figure)


def gain_chart(gain: ActionGain, currency: str, when: str) -> Chart:
    """What treating the most promising customers first brings, with a 90 % band, beside a random order."""
    by, per = scaled(gain)
    unit = "Additional outcomes" if gain.kind == "binary" else f"Additional {currency}"
    figure, axes = new_axes("Customers treated, most promising first, %", f"{unit} {per}")
    across = 100 * gain.share
    axes.fill_between(across, by * gain.low, by * gain.high, color=LINE, linewidth=0, label="90 % band")
    draw_line(axes, across, by * gain.gain, _CURVE, "By predicted effect")
    draw_line(axes, [0, 100], [0, by * gain.gain[-1]], GUIDE, "In a random order")
    _zero(axes)
    axes.set_xlim(0, 100)
    draw_legend(axes, columns=2)
    alt = f"{unit} {per} by share treated: " + "; ".join(
        f"{100 * gain.share[i]:.0f} % {decimal(by * gain.gain[i], 2)} "
        f"({decimal(by * gain.low[i], 2)} to {decimal(by * gain.high[i], 2)})"
        for i in range(4, len(gain.share), 4)
    )
    return Chart(f"gain_{gain.action}", f"Gain of {gain.action}, {when}", alt, figure)


def calibration_chart(gain: ActionGain, currency: str, when: str) -> Chart:
    """Predicted and actual mean effect of equal groups of customers, the actual one with its 90 % interval."""
    by, per = scaled(gain)
    unit = f"additional outcomes {per}" if gain.kind == "binary" else f"additional {currency} {per}"
    figure, axes = new_axes(f"Predicted, {unit}", "Actual")
    predicted = by * np.array([said for said, _ in gain.groups])
    actual, low, high = (by * np.array([getattr(one, name) for _, one in gain.groups]) for name in _BOUNDS)
    ends = [float(predicted.min()), float(predicted.max())]
    draw_line(axes, ends, ends, GUIDE, "Prediction comes true")
    draw_intervals(axes, predicted, (actual, low, high), f"One of {len(gain.groups)} equal groups, 90 % interval")
    _zero(axes)
    draw_legend(axes, columns=1)
    alt = f"Mean effect by group, {unit}: " + "; ".join(
        f"{decimal(by * said, 2)} predicted, {decimal(by * one.estimate, 2)} actual "
        f"({decimal(by * one.low, 2)} to {decimal(by * one.high, 2)})"
        for said, one in gain.groups
    )
    return Chart(f"calibration_{gain.action}", f"Predicted and actual effect of {gain.action}, {when}", alt, figure)


_BOUNDS = ("estimate", "low", "high")


def _zero(axes: Axes) -> None:
    axes.axhline(0, color=SOFT, linewidth=0.8)
