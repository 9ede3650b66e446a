"""What an action changes for whom, on decisions that the model of effects had not seen: gains, Qini, calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import rankdata

from kernel.part import Floats
from training.evaluation.discrimination import Interval
from training.evaluation.off_policy import clustered_interval
from training.evaluation.uplift import effect_by_group, gain_curve
from training.models.rewards import expected_rewards
from training.models.uplift import effect_slope
from training.models.uplift_learners import Trial, robust_effects

CONFIDENCE = 0.9
_POINTS = 21  # of a gain curve
_MANY = 3000  # decisions from which tenths are shown, below it fifths
_ALIKE = 1e-9


@dataclass(frozen=True)
class OutcomeRows:
    """The judged decisions to do nothing or for an action with one outcome.

    Attributes:
        name: of the outcome, for people.
        window_days: within which it counts.
        actions: of the trial's arms after doing nothing.
        trial: with the outcome that followed.
        predicted: effects that the judged policy goes by, shape (rows, actions).
    """

    name: str
    window_days: int
    actions: tuple[str, ...]
    trial: Trial
    predicted: Floats


@dataclass(frozen=True)
class ActionGain:
    """One action against doing nothing. Effects are additional outcomes, or money, per decision.

    Attributes:
        action: its id.
        outcome: its name.
        kind: of the outcome: "binary" for a probability, "value" for money.
        given: decisions for the action; ``controls``: to do nothing, that it could have had.
        effect: mean effect on those who could have it, doubly robust, with its 90 % interval.
        predicted: mean of what the policy goes by.
        share: of decisions, most promising first; ``gain``, ``low`` and ``high`` are what treating them brings per
            decision of all, with a 90 % band. Empty where the predictions are alike.
        area: between the gain curve and a random order, with its 90 % interval; None where predictions are alike.
        qini: the area over the mean effect; None where that may be 0.
        groups: predicted and actual mean effect by rising prediction, the actual one with its 90 % interval.
    """

    action: str
    outcome: str
    kind: Literal["binary", "value"]
    given: int
    controls: int
    effect: Interval
    predicted: float
    share: Floats
    gain: Floats
    low: Floats
    high: Floats
    area: Interval | None
    qini: float | None
    groups: tuple[tuple[float, Interval], ...]


@dataclass(frozen=True)
class OutcomeGains:
    """All actions with one outcome.

    Attributes:
        outcome: its name.
        slope: of the actual on the predicted effects beyond their means, with its 95 % interval; None where the
            predictions are alike.
        actions: each with its gain.
    """

    outcome: str
    slope: Interval | None
    actions: tuple[ActionGain, ...]


def outcome_gains(of: OutcomeRows) -> OutcomeGains:
    """Measure the effects of one outcome's actions; the trial's models leave each row's customer out."""
    trial = of.trial
    expected = expected_rewards(
        trial.inputs, trial.categories, trial.arm, trial.outcome, trial.customer, 1 + trial.actions
    )
    scores = robust_effects(trial, expected)
    slope = effect_slope(of.predicted, expected, trial)
    return OutcomeGains(
        of.name,
        slope if np.isfinite(slope.low) else None,
        tuple(_gain(of, number, scores[:, number]) for number in range(trial.actions)),
    )


def _gain(of: OutcomeRows, number: int, scores: Floats) -> ActionGain:
    trial = of.trial
    # Who could not have the action tells nothing of it.
    rows = np.flatnonzero((trial.probability[:, 0] > 0) & (trial.probability[:, number + 1] > 0))
    effect, score, customer = scores[rows], of.predicted[rows, number], trial.customer[rows]
    mean = float(effect.mean())
    average = clustered_interval(mean, effect - mean, customer, CONFIDENCE)
    alike = bool(np.ptp(score) < _ALIKE)
    area = None if alike else _area(score, effect, customer)
    sure = not average.low <= 0 <= average.high
    share, gain, low, high = (np.empty(0),) * 4 if alike else _curve(score, effect, customer)
    return ActionGain(
        action=of.actions[number],
        outcome=of.name,
        kind=trial.kind,
        given=int((trial.arm[rows] == number + 1).sum()),
        controls=int((trial.arm[rows] == 0).sum()),
        effect=average,
        predicted=float(score.mean()),
        share=share,
        gain=gain,
        low=low,
        high=high,
        area=area,
        qini=area.estimate / mean if area is not None and sure else None,
        groups=() if alike else tuple(effect_by_group(score, effect, customer, 10 if len(rows) >= _MANY else 5)),
    )


def _curve(score: Floats, effect: Floats, customer: np.ndarray) -> tuple[Floats, Floats, Floats, Floats]:
    """Share, gain, and the bounds of its 90 % band at each share; the order is taken as given."""
    whole_share, whole_gain = gain_curve(score, effect)
    share = np.linspace(0, 1, _POINTS)
    gain = np.interp(share, whole_share, whole_gain)
    place = np.empty(len(score))
    place[np.argsort(-score, kind="stable")] = np.arange(len(score))
    low, high = gain.copy(), gain.copy()
    for i, part in enumerate(share[1:], start=1):
        terms = np.where(place < part * len(score), effect, 0.0)
        mean = float(terms.mean())
        band = clustered_interval(mean, terms - mean, customer, CONFIDENCE)
        low[i], high[i] = gain[i] + band.low - mean, gain[i] + band.high - mean
    return share, gain, low, high


def _area(score: Floats, effect: Floats, customer: np.ndarray) -> Interval:
    """As in :func:`training.evaluation.uplift.qini`, as a mean of terms: what comes first counts most."""
    terms = effect * (0.5 - (rankdata(-score) - 0.5) / len(score))
    mean = float(terms.mean())
    return clustered_interval(mean, terms - mean, customer, CONFIDENCE)
