"""Why a customer's churn score is what it is: the largest exact parts in words, and all of them by group."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from kernel.artefacts import ColumnGroups, FeatureColumn, Floats
from kernel.feature_rows import FeatureRows
from kernel.types import GroupEffect, Reason
from serving.scoring.wording import Value, Wording

TOP = 5
PER_GROUP = 2


def top_reasons(
    rows: FeatureRows,
    inputs: Floats,
    contributions: Floats,
    columns: tuple[FeatureColumn, ...],
    wording: Wording,
) -> list[tuple[Reason, ...]]:
    """The features with the largest effect, up or down, for each row: ``TOP`` at most, ``PER_GROUP`` of one group.

    Args:
        rows: the features; read for words, and for the customer's own usual levels.
        inputs: shape (rows, columns), the model's.
        contributions: shape (rows, columns + 1), log-odds; the last column is the base and no reason.
    """
    parts = contributions[:, :-1]
    order = np.argsort(-np.abs(parts), axis=1, kind="stable")
    read, there = cache(rows.values), rows.names  # few of the columns are among anybody's reasons
    reasons: list[tuple[Reason, ...]] = []
    for row in range(len(parts)):
        found: list[Reason] = []
        for i in _spread_over_groups(order[row], parts[row], columns):
            column = columns[i]
            value = _known(float(inputs[row, i]) if column.categories is None else read(column.name)[row])
            own = _known(read(column.usual)[row]) if column.usual in there else None
            own = own if isinstance(own, float) and value is not None else None
            text = wording.reason(column, value, own)
            found.append(Reason(column.name, text, value, float(parts[row, i]), column.group, own, column.typical))
        reasons.append(tuple(found))
    return reasons


def group_effects(contributions: Floats, groups: ColumnGroups, wording: Wording) -> list[tuple[GroupEffect, ...]]:
    """The parts summed by group, the largest first; with the base they make the log-odds of each row.

    Args:
        contributions: shape (rows, columns + 1), log-odds.
        groups: of the columns.
    """
    names, effects = groups.names, groups.sums(contributions)
    labels = [wording.group(name) for name in names]
    order = np.argsort(-np.abs(effects), axis=1, kind="stable").tolist()
    return [
        tuple([GroupEffect(names[i], labels[i], row[i]) for i in ranked])
        for row, ranked in zip(effects.tolist(), order, strict=True)
    ]


def _spread_over_groups(order: NDArray[np.intp], parts: Floats, columns: tuple[FeatureColumn, ...]) -> list[int]:
    """Columns in the order of their effect; neighbours such as spend in 30 and in 60 days say the same thing twice."""
    chosen: list[int] = []
    taken: dict[str, int] = {}
    for i in order.tolist():
        if len(chosen) == TOP or parts[i] == 0:
            break
        group = columns[i].group
        if taken.get(group, 0) < PER_GROUP:
            taken[group] = taken.get(group, 0) + 1
            chosen.append(i)
    return chosen


def _known(found: Value) -> Value:
    return None if found is None or found != found else found
