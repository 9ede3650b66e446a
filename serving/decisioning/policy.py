"""The policy: with which probability each action is chosen, and the draw from exactly these probabilities."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Annotated, cast

import numpy as np
import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

from serving.decisioning.belief import Draws
from serving.decisioning.columns import Bools, Floats, Ints
from serving.decisioning.value import ActionTerms, incremental_total

ALGORITHM = 1  # raise it whenever the same settings and catalogue would give other probabilities
SEED_BITS = 53  # the largest whole numbers that JSON readers and float64 keep exactly
_CELLS = 1 << 17  # rows x actions x draws at a time: arrays of a megabyte, so that those in use stay in the cache
_ABOVE_NOTHING = np.nextafter(0.0, 1.0)


class PolicySettings(BaseModel):
    """How much the policy explores.

    Attributes:
        thompson: share of the choice that follows the probability of being best.
        uniform: share that is spread evenly, so that every surviving action keeps some probability.
        draws: posterior draws behind the probability of being best; a power of two keeps the shares exact.
        salt: changes every draw; part of the policy version.
        holdout: share of customers who get no action in a quarter, so that what all actions bring can be measured.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)

    thompson: Annotated[float, Field(ge=0, le=1)] = 0.15
    uniform: Annotated[float, Field(ge=0, le=1)] = 0.02
    draws: Annotated[int, Field(ge=64, le=65536)] = 512
    salt: Annotated[str, Field(min_length=1)] = "foresight"
    holdout: Annotated[float, Field(ge=0, le=0.5)] = 0.0

    @model_validator(mode="after")
    def _sound(self) -> PolicySettings:
        if self.thompson + self.uniform > 1:
            raise ValueError("thompson and uniform are together more than 1")
        if self.draws & (self.draws - 1):
            raise ValueError("draws is not a power of two")
        return self

    def version(self, catalogue_hash: str) -> str:
        """The policy version: algorithm, settings and catalogue; equal versions give equal decisions."""
        return f"{self._version}/{catalogue_hash[:12]}"

    @cached_property
    def _version(self) -> str:
        salt = hashlib.sha256(self.salt.encode()).hexdigest()[:8]
        holdout = f",h={self.holdout:g}" if self.holdout else ""
        numbers = f"t={self.thompson:g},f={self.uniform:g},n={self.draws},s={salt}{holdout}"
        return f"greedy-thompson-uniform/{ALGORITHM}/{numbers}"


def thompson_share(terms: ActionTerms, draws: Draws, eligible: Bools) -> Floats:
    """The share of draws in which each candidate has the largest expected incremental value.

    Args:
        terms: with a column for each action.
        draws: likewise, from ``Draws.beside``.
        eligible: shape (customers, actions).

    Returns:
        Shape (customers, 1 + actions); the first column is doing nothing, whose value is 0 and which wins ties.
    """
    customers, actions = eligible.shape
    wins = np.zeros((customers, actions + 1), dtype=np.int64)
    step = max(1, _CELLS // (draws.count * max(actions, 1)))
    for start in range(0, customers, step):
        rows = slice(start, min(start + step, customers))
        wins[rows] = _wins(terms, draws, eligible[rows], rows)
    return wins / draws.count


def _wins(terms: ActionTerms, draws: Draws, eligible: Bools, rows: slice) -> Ints:
    count, actions = eligible.shape
    live = np.flatnonzero(eligible.any(axis=0))
    wins = np.zeros((count, actions + 1), dtype=np.int64)
    if not len(live):
        wins[:, 0] = draws.count
        return wins
    drawn = incremental_total(draws.at(rows, live), terms.before_draws(rows, live))
    possible = eligible[:, live]
    if not possible.all():
        drawn = np.where(possible[:, :, None], drawn, 0.0)
    # Doing nothing wins at 0, so that the best of a draw is only what lies above it.
    top = np.maximum(drawn.max(axis=1), _ABOVE_NOTHING)
    best = drawn == top[:, None]
    if np.count_nonzero(best) > np.count_nonzero(top > _ABOVE_NOTHING):
        best &= np.cumsum(best, axis=1) == 1  # of equal ones the first
    wins[:, 1 + live] = np.count_nonzero(best, axis=2)
    wins[:, 0] = draws.count - wins.sum(axis=1)
    return wins


def greedy_choice(value: Floats, eligible: Bools) -> Ints:
    """The candidate with the largest expected incremental value; 0, doing nothing, unless one is worth more than that.

    Args:
        value: expected incremental values, shape (customers, actions); NaN only where not eligible.
        eligible: shape (customers, actions).
    """
    worth = np.zeros((len(value), value.shape[1] + 1))
    np.copyto(worth[:, 1:], value, where=eligible & (value > 0))
    return worth.argmax(axis=1)  # of equal ones the first


@dataclass(frozen=True, slots=True)
class Chance:
    """Where chance plays a part, and how large it is at least.

    Attributes:
        explores: whether it may give the action or withhold it, shape (customers, actions).
        floor: the action's least probability where it may be given, NaN for an equal part of the uniform share; shape
            (actions,).
    """

    explores: Bools
    floor: Floats

    @property
    def is_everywhere(self) -> bool:
        """Whether every action explores for everybody, each with an equal part."""
        return bool(self.explores.all() and np.isnan(self.floor).all())


def choice_probabilities(
    greedy: Ints, share: Floats, eligible: Bools, settings: PolicySettings, chance: Chance | None = None
) -> Floats:
    """``(1 - t - f) * greedy + t * Thompson share + f * uniform`` over doing nothing and the eligible actions.

    An action without chance is given for certain where it is the greedy one, and never elsewhere; its Thompson share
    goes to the greedy one. Doing nothing explores where some action does.

    Args:
        greedy: shape (customers,), from ``greedy_choice``.
        share: shape (customers, 1 + actions), from ``thompson_share``.
        eligible: shape (customers, actions).
        chance: where it plays a part; None for everywhere.

    Returns:
        Shape (customers, 1 + actions); each row sums to 1 within 1e-12 and is 0 where not eligible.
    """
    customers, actions = eligible.shape
    chosen = greedy[:, None] == np.arange(actions + 1)
    if chance is None or chance.is_everywhere:
        survivors = np.concatenate([np.ones((customers, 1), dtype=np.bool_), eligible], axis=1)
        spread = settings.uniform / np.count_nonzero(survivors, axis=1)
        rest = 1.0 - settings.thompson - settings.uniform
        return rest * chosen + settings.thompson * share + np.where(survivors, spread[:, None], 0.0)
    explores = eligible & chance.explores
    survivors = np.concatenate([explores.any(axis=1, keepdims=True), explores], axis=1)
    equal = settings.uniform / np.maximum(np.count_nonzero(survivors, axis=1), 1)
    own = np.concatenate([[np.nan], chance.floor])
    floor = np.where(survivors, np.where(np.isnan(own), equal[:, None], own), 0.0)
    kept = np.where(survivors, share, 0.0)
    kept = kept + (1.0 - kept.sum(axis=1, keepdims=True)) * chosen
    rest = 1.0 - settings.thompson - floor.sum(axis=1, keepdims=True)
    mixed = rest * chosen + settings.thompson * kept + floor
    certain = ~np.take_along_axis(survivors, greedy[:, None], axis=1)
    return cast("Floats", np.where(certain, chosen.astype(np.float64), mixed))


def in_holdout(customer_id: str, day: date, settings: PolicySettings) -> bool:
    """Whether the customer is in the global holdout of the day's quarter: for all of it, whatever is asked."""
    quarter = f"{day.year}Q{(day.month + 2) // 3}"
    return settings.holdout > 0 and _point([settings.salt, "holdout", customer_id, quarter]) < settings.holdout


def _point(key: Sequence[str]) -> float:
    """A number in [0, 1) that depends on the key alone."""
    return _digits(key) / (1 << SEED_BITS)


def _digits(key: Sequence[str]) -> int:
    return int.from_bytes(hashlib.sha256(orjson.dumps(key)).digest()[:8], "big") >> (64 - SEED_BITS)


def seed_of(decision_id: str, settings: PolicySettings) -> int:
    """The draw's seed: a whole number below 2**53, from the decision's id and the salt."""
    return _digits([settings.salt, decision_id])


def draw(probabilities: Floats, seeds: Sequence[int]) -> Ints:
    """One candidate per customer, drawn from its row of ``probabilities`` by its seed alone; shape (customers,)."""
    point = np.array(seeds, dtype=np.float64) / (1 << SEED_BITS)
    possible = probabilities > 0
    reached = possible & (point[:, None] < np.cumsum(probabilities, axis=1))
    # The row may sum to a hair below 1, and a point may lie in the gap.
    last = probabilities.shape[1] - 1 - possible[:, ::-1].argmax(axis=1)
    return np.where(reached.any(axis=1), reached.argmax(axis=1), last)
