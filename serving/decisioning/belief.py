"""What is believed of an action's effect, for all customers alike or for each on its own."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import orjson
from scipy.special import betaincinv, ndtri

from kernel.uplift_predictor import Effects, EffectStatus
from serving.decisioning.action import Prior
from serving.decisioning.columns import Floats, Ints, spread


@dataclass(frozen=True, slots=True)
class Draws:
    """Draws of an action's effect, one from each of as many equally likely intervals; or of several actions.

    Attributes:
        centre, spread: of shape (customers,), or (1,) where they are the same for all; of several actions a column for
            each.
        noise: shape (draws,), shared by all customers, so that one customer and a batch get the same draws; of several
            actions (actions, draws).
    """

    centre: Floats
    spread: Floats
    noise: Floats

    @classmethod
    def beside(cls, each: Sequence[Draws]) -> Draws:
        """Those of several actions in one."""
        return cls(
            beside([one.centre for one in each]),
            beside([one.spread for one in each]),
            np.array([one.noise for one in each]),
        )

    @property
    def count(self) -> int:
        """How many each customer has."""
        return self.noise.shape[-1]

    def at(self, rows: slice, actions: Ints) -> Floats:
        """Of the customers ``rows`` and of some of several actions, shape (customers or 1, actions, draws)."""
        centre, scale = (
            (part if len(part) == 1 else part[rows])[:, actions, None] for part in (self.centre, self.spread)
        )
        drawn = scale * self.noise[actions]
        return np.add(centre, drawn, out=drawn if len(scale) >= len(centre) else None)


def beside(columns: Sequence[Floats]) -> Floats:
    """One column for each action, shape (customers, actions), or (1, actions) where all are the same for all."""
    rows = next((len(column) for column in columns if len(column) != 1), None)
    if rows is None:
        return np.array([[column.item() for column in columns]])
    return np.column_stack([spread(column, (rows,)) for column in columns])


class Belief(Protocol):
    """A distribution over the additional probability of an action's outcome, or over additional money."""

    @property
    def status(self) -> EffectStatus:
        """Where it comes from."""
        ...

    @property
    def mean(self) -> Floats:
        """The expected effect, shape (customers,), or (1,) where it is the same for all."""
        ...

    def quantile(self, probability: float) -> Floats:
        """The effect below which it lies with ``probability``; of the shape of ``mean``."""
        ...

    def draws(self, action_id: str, count: int, salt: str) -> Draws:
        """Draws in an order that depends on the action and the salt alone."""
        ...

    def take(self, rows: Ints) -> Belief:
        """The same of some customers, by their positions."""
        ...


@dataclass(frozen=True, slots=True)
class PriorBelief:
    """A Beta distribution, the same for all customers.

    Attributes:
        successes, failures: its parameters.
    """

    successes: float
    failures: float
    status: EffectStatus = EffectStatus.PRIOR

    @classmethod
    def of(cls, rate: float, strength: float) -> PriorBelief:
        """Beta(rate * strength, (1 - rate) * strength)."""
        return cls(rate * strength, (1 - rate) * strength)

    @property
    def mean(self) -> Floats:
        """See :class:`Belief`."""
        return np.array([self.successes / (self.successes + self.failures)])

    def quantile(self, probability: float) -> Floats:
        """See :class:`Belief`."""
        return np.array([_beta_quantile(self.successes, self.failures, probability)])

    def draws(self, action_id: str, count: int, salt: str) -> Draws:
        """See :class:`Belief`."""
        return _beta_draws(action_id, self.successes, self.failures, count, salt)

    def take(self, rows: Ints) -> PriorBelief:
        """See :class:`Belief`."""
        return self


@dataclass(frozen=True, slots=True)
class LearnedBelief:
    """A normal distribution for each customer, from a model of effects."""

    effects: Effects

    @property
    def status(self) -> EffectStatus:
        """See :class:`Belief`."""
        return self.effects.status

    @property
    def mean(self) -> Floats:
        """See :class:`Belief`."""
        return self.effects.mean

    def quantile(self, probability: float) -> Floats:
        """See :class:`Belief`."""
        return self.effects.mean + _normal_quantile(probability) * self.effects.error

    def draws(self, action_id: str, count: int, salt: str) -> Draws:
        """See :class:`Belief`."""
        return Draws(self.effects.mean, self.effects.error, _normal_noise(action_id, count, salt))

    def take(self, rows: Ints) -> LearnedBelief:
        """See :class:`Belief`."""
        of = self.effects
        return self if len(of.mean) == 1 else LearnedBelief(Effects(of.mean[rows], of.error[rows], of.status))


def assumed(prior: Prior) -> Belief:
    """What the catalogue assumes: a Beta distribution of a probability, a normal one of money."""
    if prior.rate is not None and prior.strength is not None:
        return PriorBelief.of(prior.rate, prior.strength)
    mean, deviation = prior.moments()
    return LearnedBelief(Effects(np.array([mean]), np.array([deviation]), EffectStatus.PRIOR))


@lru_cache(maxsize=1024)
def _beta_quantile(successes: float, failures: float, probability: float) -> float:
    return float(betaincinv(successes, failures, probability))


@lru_cache(maxsize=64)
def _normal_quantile(probability: float) -> float:
    return float(ndtri(probability))


@lru_cache(maxsize=1024)
def _beta_draws(action_id: str, successes: float, failures: float, count: int, salt: str) -> Draws:
    drawn = np.asarray(betaincinv(successes, failures, _levels(action_id, count, salt)), dtype=np.float64)
    drawn.setflags(write=False)
    return Draws(np.zeros(1), np.ones(1), drawn)


@lru_cache(maxsize=1024)
def _normal_noise(action_id: str, count: int, salt: str) -> Floats:
    noise = np.asarray(ndtri(_levels(action_id, count, salt)), dtype=np.float64)
    noise.setflags(write=False)
    return noise


def _levels(action_id: str, count: int, salt: str) -> Floats:
    """The middles of ``count`` equal parts of (0, 1), in an order of the action's own."""
    key = orjson.dumps([salt, action_id])
    noise = np.frombuffer(hashlib.shake_256(key).digest(8 * count), dtype="<u8")
    order: Ints = np.argsort(noise, kind="stable")
    return (order + 0.5) / count
