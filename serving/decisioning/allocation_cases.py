"""Customers who are one to the linear programme of an allocation: equal ones in doubt, similar ones where clear."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from serving.decisioning.columns import Bools, Floats, Ints

SLICES = 8  # of the margins of the clear ones, for each doubling of the margin's rank


@dataclass(frozen=True, slots=True)
class Cases:
    """What each case may choose; choice 0 is doing nothing.

    Attributes:
        worth, cost, open: of each choice, shape (cases, choices).
        size: customers of each case, shape (cases,).
        of: case of each customer, shape (customers,).
        margin: by how much the best choice of each customer is better than the second, shape (customers,).
    """

    worth: Floats
    cost: Floats
    open: Bools
    size: Ints
    of: Ints
    margin: Floats


def cases_at(surplus: Floats, worth: Floats, cost: Floats, doubts: int) -> Cases:
    """Those in doubt, about ``doubts`` distinct cases, may choose all that comes near their best; the clear ones, taken
    together where best, second and a slice of margins are the same, only the best and the second.

    Args:
        surplus: at the present prices, minus infinity where not open, shape (customers, choices).
        worth: shape (customers, choices).
        cost: shape (choices,) or (customers, choices).
        doubts: distinct margins that are in doubt.
    """
    everyone = np.arange(len(surplus))
    best = surplus.argmax(axis=1)
    others = surplus.copy()
    others[everyone, best] = -np.inf
    second = others.argmax(axis=1)
    margin = surplus[everyone, best] - others[everyone, second]
    # Equal customers have equal margins: however many they are, they are one case.
    distinct, rank = np.unique(margin, return_inverse=True)
    in_doubt = (rank < doubts) & np.isfinite(margin)
    doubtful, clear = np.flatnonzero(in_doubt), np.flatnonzero(~in_doubt)
    near = surplus[doubtful]
    widest = distinct[min(doubts, len(distinct)) - 1]
    near = np.isfinite(near) & (near >= near.max(axis=1, keepdims=True) - widest)
    slices = np.floor(SLICES * np.log2(1 + rank[clear] / doubts)).astype(np.int64)
    equal = _equal(worth[doubtful], cost if cost.ndim == 1 else cost[doubtful], near)
    whole = np.broadcast_to(cost, worth.shape)
    similar = _similar(worth[clear], whole[clear], best[clear], second[clear], slices)
    of = np.empty_like(best)
    of[doubtful], of[clear] = equal.number, len(equal.worth) + similar.number
    return Cases(
        np.concatenate([equal.worth, similar.worth]),
        np.concatenate([equal.cost, similar.cost]),
        np.concatenate([equal.open, similar.open]),
        np.bincount(of, minlength=len(equal.worth) + len(similar.worth)),
        of,
        margin,
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """Some of the cases, and the case of each of their customers."""

    worth: Floats
    cost: Floats
    open: Bools
    number: Ints


def _equal(worth: Floats, cost: Floats, near: Bools) -> _Part:
    """One case for all customers with the same near choices, worth and cost."""
    look = np.where(near, worth, -np.inf)
    if cost.ndim == 2:
        look = np.concatenate([look, np.where(near, cost, 0.0)], axis=1)
    _, first, number = np.unique(look, axis=0, return_index=True, return_inverse=True)
    return _Part(worth[first], np.broadcast_to(cost, worth.shape)[first], near[first], number)


def _similar(worth: Floats, cost: Floats, best: Ints, second: Ints, slices: Ints) -> _Part:
    """One case for all customers with the same best, second and slice, at the mean of their worth and cost."""
    choices = worth.shape[1]
    _, first, number = np.unique((slices * choices + best) * choices + second, return_index=True, return_inverse=True)
    count, size, rows = len(first), np.bincount(number, minlength=len(first)), np.arange(len(worth))
    part = _Part(np.zeros((count, choices)), np.zeros((count, choices)), np.zeros((count, choices), np.bool_), number)
    for choice in (best, second):
        place = (np.arange(count), choice[first])
        part.open[place] = True
        part.worth[place] = np.bincount(number, worth[rows, choice], count) / size
        part.cost[place] = np.bincount(number, cost[rows, choice], count) / size
    return part
