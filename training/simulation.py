"""Customers, actions and outcomes of which the truth is known: what a policy is worth can be computed, not estimated.

A customer converts with a probability that depends on the customer and on the action. Doing nothing is action 0 and
costs nothing; every other action costs its contact. Money is in units of no currency.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kernel.part import Floats
from training.evaluation.off_policy import LoggedDecisions
from training.models.rewards import expected_rewards
from training.models.uplift_learners import Trial

Ints = NDArray[np.int64]
LoggingPolicy = Callable[[pd.DataFrame], Floats]

NUMBERS = tuple(f"x{i}" for i in range(8))
CHANNELS = ("phone", "shop", "web")
CATEGORIES = (0,) * len(NUMBERS) + (len(CHANNELS),)
"""Number of words of each column of ``model_inputs``, 0 for a number."""
_CORRELATION = 0.3  # of any two numbers
_OF_CHANNEL = np.array([-0.3, 0.0, 0.3])  # log-odds


class Scenario(StrEnum):
    """How the actions work."""

    NULL = "null"  # no action changes anything
    LINEAR = "linear"  # log-odds change along straight lines: some customers are helped, some harmed
    NONLINEAR = "nonlinear"  # only where two conditions meet; elsewhere the action harms a little
    RARE = "rare"  # as linear, and one customer in eighty converts by himself
    DELAYED = "delayed"  # as linear, and conversions come some days after the decision
    NEW_ACTION = "new_action"  # as linear, and the last action was never tried
    DRIFT = "drift"  # as linear, and the effects turn round within a year


def model_inputs(features: pd.DataFrame) -> Floats:
    """The features as a model takes them, words by their number, shape (customers, columns)."""
    words = pd.Categorical(features["channel"], categories=CHANNELS).codes.astype(float)
    return np.column_stack([features[list(NUMBERS)].to_numpy(float), words])


@dataclass(frozen=True)
class Log:
    """Decisions of a policy that drew at random, and what followed.

    Attributes:
        features: one row per decision.
        day: of the decision, shape (decisions,).
        action: drawn, 0 for doing nothing, shape (decisions,).
        probabilities: with which each action was drawn, shape (decisions, 1 + actions).
        converted: 1.0 where the customer ever converts, shape (decisions,).
        converted_after: days until then; infinite where the customer does not, shape (decisions,).
    """

    features: pd.DataFrame
    day: Floats
    action: Ints
    probabilities: Floats
    converted: Floats
    converted_after: Floats

    def __len__(self) -> int:
        return len(self.action)

    def trial(self) -> Trial:
        """What effects are learned from; every decision is of another customer."""
        rows = np.arange(len(self))
        inputs = model_inputs(self.features)
        return Trial(inputs, CATEGORIES, self.action, self.converted, self.probabilities, rows)

    def judged(self, reward: Floats, target: Floats, *, modelled: bool = True) -> LoggedDecisions:
        """The log as an evaluation of another policy takes it.

        Args:
            reward: of each decision, shape (decisions,).
            target: the judged policy's probability of every action, shape (decisions, 1 + actions).
            modelled: with a model's reward of every action; else the mean stands in for one.
        """
        rows, (_, actions) = np.arange(len(self)), self.probabilities.shape
        if modelled:
            expected = expected_rewards(model_inputs(self.features), CATEGORIES, self.action, reward, rows, actions)
        else:
            expected = np.full((len(self), actions), reward.mean())
        return LoggedDecisions(self.action, reward, self.probabilities[rows, self.action], target, expected, rows)

    def take(self, rows: NDArray[np.bool_] | Ints) -> Log:
        """The log of some decisions only."""
        return Log(
            self.features.loc[rows] if rows.dtype == np.bool_ else self.features.iloc[rows],
            self.day[rows],
            self.action[rows],
            self.probabilities[rows],
            self.converted[rows],
            self.converted_after[rows],
        )


@dataclass(frozen=True)
class Simulation:
    """A world. The same settings and seeds give the same world and the same draws.

    Attributes:
        scenario: how the actions work.
        actions: how many there are, without doing nothing.
        seed: of the world: which features matter to which action.
        margin: money of one conversion.
        costs: money of one contact, by action.
        mean_delay: days from the decision to the conversion, in the scenario of delays.
        turns_after: days in which the effects turn round, in the scenario of drift.
    """

    scenario: Scenario
    actions: int = 5
    seed: int = 0
    margin: float = 10.0
    costs: tuple[float, ...] = (0.3, 0.35, 0.4, 0.45, 0.5)
    mean_delay: float = 7.0
    turns_after: float = 365.0

    def __post_init__(self) -> None:
        if len(self.costs) != self.actions:
            raise ValueError(f"{self.actions} actions have {len(self.costs)} costs.")

    @classmethod
    def of(cls, scenario: Scenario, seed: int = 0) -> Simulation:
        """The scenario as the literature would have it: where conversions are rare, one is worth ten times as much."""
        world = cls(scenario, seed=seed)
        return replace(world, margin=100.0) if scenario is Scenario.RARE else world

    def customers(self, count: int, seed: int) -> pd.DataFrame:
        """Features of new customers: eight correlated numbers and a word."""
        random = np.random.default_rng([seed, 1])
        shared, own = random.normal(size=(count, 1)), random.normal(size=(count, len(NUMBERS)))
        numbers = np.sqrt(_CORRELATION) * shared + np.sqrt(1 - _CORRELATION) * own
        frame = pd.DataFrame(numbers, columns=list(NUMBERS))
        frame["channel"] = np.array(CHANNELS, dtype=object)[random.integers(0, len(CHANNELS), count)]
        return frame

    def conversion(self, features: pd.DataFrame, day: float | Floats = 0.0) -> Floats:
        """The true probability of conversion under every action, shape (customers, 1 + actions)."""
        numbers = features[list(NUMBERS)].to_numpy(float)
        base = self._base(numbers) + _OF_CHANNEL[pd.Categorical(features["channel"], categories=CHANNELS).codes]
        effects = self._effects(numbers) * self._turned(day, len(features))[:, None]
        return _logistic(base[:, None] + np.hstack([np.zeros((len(features), 1)), effects]))

    def value(self, features: pd.DataFrame, day: float | Floats = 0.0) -> Floats:
        """The true expected money under every action, net of its cost, shape (customers, 1 + actions)."""
        return self.margin * self.conversion(features, day) - np.array([0.0, *self.costs])

    def reward(self, log: Log) -> Floats:
        """Money that followed each decision of a log, net of its cost, shape (decisions,)."""
        return self.margin * log.converted - np.array([0.0, *self.costs])[log.action]

    def worth(self, probabilities: Floats, features: pd.DataFrame, day: float | Floats = 0.0) -> float:
        """What a policy truly earns per customer.

        Args:
            probabilities: of every action, shape (customers, 1 + actions).
        """
        return float(np.einsum("ij,ij->i", probabilities, self.value(features, day)).mean())

    def oracle(self, features: pd.DataFrame, day: float | Floats = 0.0) -> float:
        """What the best policy earns per customer, which knows the truth."""
        return float(self.value(features, day).max(axis=1).mean())

    def log(self, decisions: int, seed: int, *, days: float = 0.0, policy: LoggingPolicy | None = None) -> Log:
        """Decisions of a policy that draws.

        Args:
            decisions: how many, of different customers.
            seed: of customers and draws.
            days: they are spread over so many days.
            policy: features -> probability of every action; None for ``leaning``.
        """
        random = np.random.default_rng([seed, 2])
        features = self.customers(decisions, seed)
        day = np.sort(random.uniform(0, days, decisions)) if days else np.zeros(decisions)
        probabilities = (policy or self.leaning)(features)
        point = random.uniform(size=(decisions, 1)) * probabilities.sum(axis=1, keepdims=True)
        action = (probabilities.cumsum(axis=1) <= point).sum(axis=1).clip(0, self.actions)
        conversion = self.conversion(features, day)[np.arange(decisions), action]
        converted = (random.uniform(size=decisions) < conversion).astype(float)
        delay = random.exponential(self.mean_delay, decisions) if self.scenario is Scenario.DELAYED else 0.0
        return Log(features, day, action, probabilities, converted, np.where(converted > 0, delay, np.inf))

    def uniform(self, features: pd.DataFrame) -> Floats:
        """Every action that was ever tried, and doing nothing, alike."""
        return self._among(np.ones((len(features), self._tried)))

    def leaning(self, features: pd.DataFrame) -> Floats:
        """Softmax along the first numbers, with a floor of 5 %: who a customer is sways what he gets."""
        lean = np.exp(0.5 * features[list(NUMBERS)].to_numpy(float)[:, np.arange(self._tried) % len(NUMBERS)])
        return self._among(0.05 + (1 - 0.05 * self._tried) * lean / lean.sum(axis=1, keepdims=True))

    @property
    def _tried(self) -> int:
        """Actions that logging policies try, with doing nothing."""
        return 1 + self.actions - (self.scenario is Scenario.NEW_ACTION)

    def _among(self, shares: Floats) -> Floats:
        untried = np.zeros((len(shares), 1 + self.actions - self._tried))
        return np.hstack([shares / shares.sum(axis=1, keepdims=True), untried])

    def _base(self, numbers: Floats) -> Floats:
        level = -4.6 if self.scenario is Scenario.RARE else -2.0
        straight = level + 0.6 * numbers[:, 0] - 0.4 * numbers[:, 1] + 0.3 * numbers[:, 2]
        if self.scenario is Scenario.NONLINEAR:
            return straight + 0.5 * (np.abs(numbers[:, 3]) - 0.8) - 0.4 * (numbers[:, 0] * numbers[:, 4])
        return straight

    def _effects(self, numbers: Floats) -> Floats:
        if self.scenario is Scenario.NULL:
            return np.zeros((len(numbers), self.actions))
        effect = _where_two_meet if self.scenario is Scenario.NONLINEAR else _along_a_line
        random = np.random.default_rng([self.seed, 3])
        return np.stack([effect(random)(numbers) for _ in range(self.actions)], axis=1)

    def _turned(self, day: float | Floats, rows: int) -> Floats:
        if self.scenario is not Scenario.DRIFT:
            return np.ones(rows)
        return np.broadcast_to(np.cos(np.pi * np.asarray(day) / self.turns_after), (rows,))


def _along_a_line(random: np.random.Generator) -> Callable[[Floats], Floats]:
    """Three numbers matter; to most customers the action brings less than it costs."""
    mean, which = random.uniform(-0.3, 0.1), random.choice(len(NUMBERS), 3, replace=False)
    slope = random.choice([-1.0, 1.0], 3) * random.uniform(0.1, 0.4, 3)
    return lambda numbers: mean + numbers[:, which] @ slope


def _where_two_meet(random: np.random.Generator) -> Callable[[Floats], Floats]:
    """Strong for a quarter of the customers, slightly harmful for the others."""
    first, second = random.choice(len(NUMBERS), 2, replace=False)
    above = random.choice([-1.0, 1.0], 2)
    gain, harm = random.uniform(0.8, 1.4), random.uniform(0.1, 0.3)

    def effect(numbers: Floats) -> Floats:
        meet = (above[0] * numbers[:, first] > 0) & (above[1] * numbers[:, second] > 0)
        return np.where(meet, gain, -harm)

    return effect


def _logistic(log_odds: Floats) -> Floats:
    return 1 / (1 + np.exp(-log_odds))
