"""Mean effects of actions from decisions whose outcomes may still come, by the share that has come by then."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from kernel.part import Floats
from training.action_log import Delays, Waiting
from training.evaluation.off_policy import standard_error
from training.models.uplift_learners import counted_fully

_FEWEST = 50  # decisions for an action and to do nothing, and outcomes whose delay is known
_SMALLEST = 0.05  # share of the outcomes that has come, below which a decision is too young to count
_CELLS = 1 << 24


@dataclass(frozen=True)
class DelayedEffects:
    """Of the actions of one outcome.

    Attributes:
        effect: mean of each action, shape (actions,); 0 where nothing is known.
        error: its standard error; infinite where nothing is known.
        positives: outcomes that came so far, shape (actions,).
        controls: decisions to do nothing they are compared with.
    """

    effect: Floats
    error: Floats
    positives: Floats
    controls: int


def seen_by(age: Floats, delays: Delays) -> Floats:
    """Share of the outcomes that is known at each age in days, shape of ``age``."""
    order = np.argsort(delays.days, kind="stable")
    come = np.append(0.0, np.cumsum(delays.weight[order]))
    return come[np.searchsorted(delays.days[order], age, side="right")] / come[-1]


def delayed_effects(waiting: Waiting, delays: Delays, level: float) -> DelayedEffects:
    """Outcomes so far are divided by the share that has come at the decision's age; nothing that may still come counts
    as nothing. Delays are taken to be those of matured decisions, for all arms and customers alike.

    The standard error is by customer, and has the error of the delays' distribution in it.

    Args:
        level: what an outcome is about on average; the nearer, the smaller the error.
    """
    actions = waiting.probability.shape[1] - 1
    none = DelayedEffects(np.zeros(actions), np.full(actions, np.inf), np.zeros(actions), 0)
    if len(delays.days) < _FEWEST or float(delays.weight.sum()) <= 0:
        return none
    share = seen_by(waiting.age, delays)
    old = share >= _SMALLEST
    kept = Waiting(*(part[old] for part in vars(waiting).values()))
    share = share[old]
    drawn = np.bincount(kept.arm, minlength=actions + 1)
    if drawn[0] < _FEWEST:
        return none
    in_arm = kept.arm[:, None] == np.arange(actions + 1)
    inverse = np.where(in_arm, 1 / np.maximum(kept.probability, 1e-12), 0.0)
    # The younger a decision, the more its outcome is multiplied: it counts by what has come.
    weight = counted_fully(kept.probability) * share[:, None]
    weight /= np.maximum(weight.sum(axis=0), 1e-12)
    part = weight * (inverse[:, 1:] - inverse[:, :1])
    missed = kept.outcome / share - level
    effect = part.T @ missed
    error = _errors(kept, part * missed[:, None] - weight * effect, part, missed, share)
    error = np.hypot(error, _errors_of_share(part, kept, share, delays))
    told = drawn[1:] >= _FEWEST
    positives = ((kept.outcome > 0)[:, None] & in_arm[:, 1:]).sum(axis=0)
    return replace(
        none,
        effect=np.where(told, effect, 0.0),
        error=np.where(told, error, np.inf),
        positives=np.where(told, positives, 0).astype(float),
        controls=int(drawn[0]),
    )


def _errors(kept: Waiting, influence: Floats, part: Floats, missed: Floats, share: Floats) -> Floats:
    """By customer; at least what outcomes tell that vary as much as those of all arms together."""
    found = np.array([standard_error(len(column) * column, kept.customer)[0] for column in influence.T])
    usual = float(np.mean(share * missed**2))
    return np.maximum(found, np.sqrt((part**2 / share[:, None]).sum(axis=0) * usual))


def _errors_of_share(part: Floats, kept: Waiting, share: Floats, delays: Delays) -> Floats:
    """What each matured outcome's delay moves the effects by, put together; shape (actions,)."""
    rows = np.flatnonzero(kept.outcome)
    moved = (part[rows] * (kept.outcome[rows] / share[rows] ** 2)[:, None]).T
    total = float(delays.weight.sum())
    square = np.zeros(len(moved))
    step = max(1, _CELLS // max(1, len(rows)))
    for start in range(0, len(delays.days), step):
        some = slice(start, start + step)
        come = (delays.days[some] <= kept.age[rows][:, None]) - share[rows][:, None]
        square += np.square(moved @ come * (delays.weight[some] / total)).sum(axis=1)
    return np.sqrt(square)
