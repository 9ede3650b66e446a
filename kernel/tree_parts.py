"""Exact parts of what shallow trees say of a row (path-dependent TreeSHAP, Lundberg et al. 2020), from tables.

What a leaf adds to the features on its path depends on nothing but which conditions of the path a row meets. Where the
trees are shallow, these patterns are few, and what they are worth is computed once a model (as Yang 2021 does, "Fast
TreeSHAP"). Here the tables are of groups of neighbouring leaves, which share most of their conditions: a row asks for
one line of eight numbers or fewer of each group, and the lines are summed by feature.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from kernel.part import Floats

Integers = NDArray[np.int64]
_DEEPEST = 8
"""Conditions of a path; a pattern of them is one byte."""
_TOGETHER = 6
"""Conditions of a group of several leaves: 8 make tables four times as large, and rows hardly faster (measured)."""
_LARGEST = 64 * 2**20
"""Bytes of the tables of one model."""
_BLOCK = 1000
"""Rows that are laid out at once."""
_AT_ONCE = 2**16
"""Patterns of leaves that are computed at once."""
_ZERO = float(np.float32(1e-35))
"""kZeroThreshold of LightGBM/meta.h: what is nearer to 0 is 0."""


class PartTables:
    """The tables of one model, and the sums of their lines."""

    def __init__(self, columns: list[_Column], groups: list[_Group], base: float, features: int) -> None:
        """The tables of ``groups``, whose conditions are of ``columns``.

        Args:
            base: what the trees say of nobody in particular.
            features: inputs of the trees.
        """
        self._features, self._base = features, base
        self._layout = _Layout(sorted(columns))
        sizes = [1 << len(group.bits) for group in groups]
        self._starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
        self._columns = np.zeros((len(groups), _DEEPEST), dtype=np.int64)
        self._thresholds = np.full((len(groups), _DEEPEST), np.inf)
        places = np.full((len(groups), _width(groups)), features)
        for index, group in enumerate(groups):
            for condition, bit in group.bits.items():
                self._columns[index, bit] = self._layout.places[condition.column]
                self._thresholds[index, bit] = condition.threshold
            places[index, : len(group.slots)] = list(group.slots)
        self._columns, self._thresholds = self._columns.ravel(), self._thresholds.ravel()
        self._places = places.ravel()
        self._table = _table(groups, self._starts, sum(sizes))

    @classmethod
    def of(cls, booster: lgb.Booster) -> PartTables | None:
        """None where the tables would be large, or the trees are not of the plain kind: deep, linear, several outputs.

        The trees are those that ``booster`` has now: another that grows out of it needs tables of its own.
        """
        if booster.num_model_per_iteration() > 1:
            return None
        try:
            return cls._of(booster.dump_model(), booster.num_feature())
        except _NotPlainError:
            return None

    @classmethod
    def _of(cls, model: dict[str, Any], features: int) -> PartTables | None:
        if model["average_output"]:
            return None
        columns: set[_Column] = set()
        trees = [_grown(tree["tree_structure"], columns, 0) for tree in model["tree_info"]]
        groups = [group for tree in trees for group in _groups(tree, [])]
        size = 8 * _width(groups) * sum(1 << len(group.bits) for group in groups)
        if not groups or size + sum(column.codes for column in columns) > _LARGEST:
            return None
        return cls(list(columns), groups, sum(_expected(tree) for tree in trees), features)

    def parts(self, inputs: Floats) -> Floats:
        """The parts of each row's sum of leaves; a row's digits do not depend on the rows beside it.

        Args:
            inputs: shape (rows, columns).

        Returns:
            Shape (rows, columns + 1), in the unit of the leaves; the last column is the base.

        Raises:
            ValueError: the trees have another number of inputs.
        """
        if inputs.shape[1] != self._features:
            raise ValueError(f"the trees have {self._features} inputs, not {inputs.shape[1]}")
        found = np.empty((len(inputs), self._features + 1))
        for first in range(0, len(inputs), _BLOCK):
            for index, row in enumerate(self._layout.of(inputs[first : first + _BLOCK]), start=first):
                patterns = np.packbits(row.take(self._columns) > self._thresholds, bitorder="little")
                lines = self._table.take(self._starts + patterns, axis=0)
                found[index] = np.bincount(self._places, lines.ravel(), self._features + 1)
        found[:, -1] = self._base
        return found


class _NotPlainError(Exception):
    """Trees that the tables are not for."""


class _Column(NamedTuple):
    """A feature as a kind of condition reads it: what it puts for a missing value, and the categories it sends left."""

    kind: int
    feature: int
    missing: float
    left: tuple[int, ...] = ()

    @property
    def codes(self) -> int:
        """Categories from 0 to the last that goes left."""
        return max(self.left, default=-1) + 1


_NUMBER, _NOT_ZERO, _CATEGORY = range(3)


class _Condition(NamedTuple):
    """What is above the threshold goes to the right."""

    column: _Column
    threshold: float


@dataclass(frozen=True, slots=True)
class _Leaf:
    value: float
    count: int


@dataclass(frozen=True, slots=True)
class _Split:
    condition: _Condition
    left: _Split | _Leaf
    right: _Split | _Leaf
    count: int


_Path = list[tuple[_Condition, int, float]]
"""Of each split from the root: its condition, 1 to the right of it, and the share of its rows on this side."""


class _Term(NamedTuple):
    """A leaf as its group's patterns see it, one entry for each feature of its path."""

    slots: list[int]
    bits: list[int]
    wanted: list[int]
    shares: list[float]
    value: float


@dataclass(frozen=True, slots=True)
class _Group:
    """Leaves whose conditions fit one pattern: condition -> bit of the pattern, feature -> place in the line."""

    bits: dict[_Condition, int]
    slots: dict[int, int]
    terms: list[_Term]


def _grown(node: dict[str, Any], columns: set[_Column], depth: int) -> _Split | _Leaf:
    """A node of ``dump_model``; its columns join ``columns``."""
    if "leaf_value" in node:
        if "leaf_const" in node:
            raise _NotPlainError("a linear tree")
        return _Leaf(node["leaf_value"], node.get("leaf_count", 0))
    if depth == _DEEPEST or not node["internal_count"]:
        raise _NotPlainError("a deep tree, or a split that no row came to")
    condition = _condition(node)
    columns.add(condition.column)
    left, right = (_grown(node[side], columns, depth + 1) for side in ("left_child", "right_child"))
    if not left.count or not right.count:
        raise _NotPlainError("a side that no row went to")
    return _Split(condition, left, right, node["internal_count"])


def _condition(node: dict[str, Any]) -> _Condition:
    """As Tree::Decision of LightGBM/tree.h: zeros and missing values go where they go there."""
    feature, missing = node["split_feature"], node["missing_type"]
    if node["decision_type"] == "==":
        left = tuple(sorted({int(code) for code in node["threshold"].split("||")}))
        return _Condition(_Column(_CATEGORY, feature, -1.0, left), 0.5)
    threshold = float(node["threshold"])
    if node["decision_type"] != "<=" or missing not in ("None", "Zero", "NaN") or not np.isfinite(threshold):
        raise _NotPlainError("another kind of split")
    # Inputs this near to 0 are 0 for LightGBM: the threshold moves, so that they need not.
    if -_ZERO <= threshold < _ZERO:
        threshold = float(np.nextafter(-_ZERO, -np.inf)) if threshold < 0 else _ZERO
    if missing == "None":
        return _Condition(_Column(_NUMBER, feature, 0.0), threshold)
    outside = -np.inf if node["default_left"] else np.inf
    return _Condition(_Column(_NOT_ZERO if missing == "Zero" else _NUMBER, feature, outside), threshold)


def _expected(tree: _Split | _Leaf) -> float:
    return tree.value if isinstance(tree, _Leaf) else _total(tree) / tree.count


def _total(node: _Split | _Leaf) -> float:
    return node.value * node.count if isinstance(node, _Leaf) else _total(node.left) + _total(node.right)


def _groups(node: _Split | _Leaf, path: _Path) -> Iterator[_Group]:
    """The largest subtrees whose conditions, and those of the path to them, fit one pattern."""
    if isinstance(node, _Leaf) and not path:
        return
    conditions = dict.fromkeys([step[0] for step in path])
    conditions.update(dict.fromkeys(_conditions(node)))
    if isinstance(node, _Leaf) or len(conditions) <= _TOGETHER:
        group = _Group({condition: bit for bit, condition in enumerate(conditions)}, {}, [])
        _add_terms(group, node, path)
        yield group
    else:
        for child, step in _sides(node):
            yield from _groups(child, [*path, step])


def _conditions(node: _Split | _Leaf) -> Iterator[_Condition]:
    if isinstance(node, _Split):
        yield node.condition
        yield from _conditions(node.left)
        yield from _conditions(node.right)


def _sides(node: _Split) -> Iterator[tuple[_Split | _Leaf, tuple[_Condition, int, float]]]:
    yield node.left, (node.condition, 0, node.left.count / node.count)
    yield node.right, (node.condition, 1, node.right.count / node.count)


def _add_terms(group: _Group, node: _Split | _Leaf, path: _Path) -> None:
    """The leaves below the node join the group, the splits on their paths merged by feature."""
    if isinstance(node, _Split):
        for child, step in _sides(node):
            _add_terms(group, child, [*path, step])
        return
    merged: dict[int, tuple[int, int, float]] = {}
    for condition, side, share in path:
        bit, feature = group.bits[condition], condition.column.feature
        bits, wanted, shares = merged.get(feature, (0, 0, 1.0))
        merged[feature] = bits | 1 << bit, wanted | side << bit, shares * share
    slots = [group.slots.setdefault(feature, len(group.slots)) for feature in merged]
    bits, wanted, shares = zip(*merged.values(), strict=True)
    group.terms.append(_Term(slots, list(bits), list(wanted), list(shares), node.value))


def _width(groups: list[_Group]) -> int:
    return max((len(group.slots) for group in groups), default=0)


def _table(groups: list[_Group], starts: Integers, lines: int) -> Floats:
    """What the leaves of each group add to its features, a line for each pattern, shape (lines, :func:`_width`)."""
    alike: defaultdict[tuple[int, int], list[tuple[int, _Term]]] = defaultdict(list)
    for start, group in zip(starts.tolist(), groups, strict=True):
        for term in group.terms:
            alike[len(group.bits), len(term.slots)].append((start, term))
    table = np.zeros((lines, _width(groups)))
    for (bits, _), terms in alike.items():
        step = max(1, _AT_ONCE >> bits)
        for first in range(0, len(terms), step):
            _add_parts(table, np.arange(1 << bits), terms[first : first + step])
    return table


def _add_parts(table: Floats, patterns: Integers, terms: list[tuple[int, _Term]]) -> None:
    """Adds the parts of leaves with as many features, shapes (features, leaves, patterns).

    The Shapley weight of a coalition of s among the k - 1 other features is the integral over t in (0, 1) of
    t^s (1 - t)^(k - 1 - s). So a feature's part is the integral of a product over the others, a polynomial of degree
    k - 1, which Gauss-Legendre's rule of k/2 nodes gives exactly; no factor is 0, so each product is a quotient.
    """
    starts, shares, values = np.array([start for start, _ in terms]), _entries(terms, 3), _entries(terms, 4)
    wanted = _entries(terms, 2).astype(np.int64)
    met = ((_entries(terms, 1).astype(np.int64) & patterns) == wanted).astype(np.float64)
    nodes, weights = np.polynomial.legendre.leggauss((len(shares) + 1) // 2)
    parts = np.zeros(met.shape)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        factors = shares * (1 - node) + met * node
        parts += weight * np.prod(factors, axis=0) / factors
    parts *= (met - shares) * values
    lines = starts[:, None] + patterns
    np.add.at(table, (lines, _entries(terms, 0).astype(np.int64)), parts)


def _entries(terms: list[tuple[int, _Term]], field: int) -> Floats:
    """A field of the leaves, shape (features, leaves, 1), or (leaves, 1) where it is one for all features."""
    return np.array([term[field] for _, term in terms], dtype=np.float64).T[..., None]


class _Layout:
    """A row as the conditions read it: a column for each way to read a feature, so that all of them are ``>``."""

    def __init__(self, columns: list[_Column]) -> None:
        """In the order of ``columns``, which are sorted by kind."""
        self.places = {column: place for place, column in enumerate(columns)}
        kinds = [column.kind for column in columns]
        self._not_zero = slice(kinds.count(_NUMBER), len(kinds) - kinds.count(_CATEGORY))
        self._category = slice(self._not_zero.stop, len(kinds))
        self._features = np.array([column.feature for column in columns])
        self._missing = np.array([column.missing for column in columns])
        right = [np.ones(column.codes + 1, dtype=np.bool_) for column in columns[self._category]]
        for codes, column in zip(right, columns[self._category], strict=True):
            codes[list(column.left)] = False
        self._codes = np.array([len(codes) - 1 for codes in right], dtype=np.float64)
        self._starts = np.cumsum([0, *map(len, right)])[:-1]
        self._right = np.concatenate([np.empty(0, dtype=np.bool_), *right])

    def of(self, inputs: Floats) -> Floats:
        """Shape (rows, columns of the layout)."""
        rows = np.asarray(inputs, dtype=np.float64).take(self._features, axis=1)
        rows = np.where(np.isnan(rows), self._missing, rows)
        if self._not_zero.start < self._not_zero.stop:
            near, missing = rows[:, self._not_zero], self._missing[self._not_zero]
            rows[:, self._not_zero] = np.where(np.abs(near) <= _ZERO, missing, near)
        if len(self._codes):
            codes = rows[:, self._category]
            # A code is cut to a whole number, as LightGBM does; one that is not known goes right.
            known = (codes > -1) & (codes < self._codes)
            rows[:, self._category] = self._right[self._starts + np.where(known, codes, self._codes).astype(np.int64)]
        return rows
