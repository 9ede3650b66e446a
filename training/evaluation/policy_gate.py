"""May a policy take the place of the one in use? A verdict with its reasons, from logged decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from kernel.part import Floats
from training.evaluation.discrimination import Interval
from training.evaluation.off_policy import LoggedDecisions, clustered_interval, gain_over_logged
from training.evaluation.policy_checks import (
    Check,
    enough,
    guardrail_checks,
    integrity,
    maturity,
    placebo_check,
    slope_check,
)

CONFIDENCE = 0.975  # of the lower bound alone: of policies that gain nothing, one in forty passes
_SURE = 0.99  # of placebo and guardrails: many are looked at
CANARY_LOSS = 0.02  # of what the policy in use earns


class Verdict(StrEnum):
    """What to do with the judged policy."""

    SHIP = "ship"
    CANARY = "canary"
    REFUSE = "refuse"


@dataclass(frozen=True)
class Watched:
    """Something that must not get worse: unsubscribes, contacts, cost.

    Attributes:
        amount: what followed each decision, shape (decisions,); the more the worse.
        tolerated: rise per decision that is accepted.
    """

    amount: Floats
    tolerated: float = 0.0


@dataclass(frozen=True)
class Evidence:
    """All that a verdict rests on.

    Attributes:
        log: logged decisions with the judged policy as target.
        logged: the logging policy's probability of every action, shape (decisions, actions).
        matured: whether the outcome has had its time, shape (decisions,).
        currency: of the rewards.
        watched: name -> what must not get worse.
        segment: of each customer, shape (decisions,); None to look at no segments.
        before: what happened before each decision of what the reward measures, shape (decisions,); None where unknown.
        slope: of the actual effects on those that the policy goes by; None where it goes by none.
        context: what was known of the customers, as numbers, shape (decisions, columns); None to leave out whether
            it swayed the draws beyond the logged probabilities.
    """

    log: LoggedDecisions
    logged: Floats
    matured: NDArray[np.bool_]
    currency: str = ""
    watched: Mapping[str, Watched] = field(default_factory=dict)
    segment: NDArray[np.object_] | None = None
    before: Floats | None = None
    slope: Interval | None = None
    context: Floats | None = None


@dataclass(frozen=True)
class Judgement:
    """The verdict and what it rests on.

    Attributes:
        verdict: what to do.
        sentence: the same for a manager, with its reason.
        gain: of the judged policy over the one in use, per decision; the lower bound holds with ``CONFIDENCE``.
        in_use: what the policy in use earned per decision.
        checks: each with what was found.
    """

    verdict: Verdict
    sentence: str
    gain: Interval
    in_use: float
    checks: tuple[Check, ...]


def judge(evidence: Evidence) -> Judgement:
    """Check the log, then compare the judged policy with the one that was logged, on the same decisions."""
    log = evidence.log
    gain = _gain(evidence, log.reward, log.expected, CONFIDENCE)
    in_use = float(log.reward.mean())
    checks = [maturity(evidence.matured), *integrity(log, evidence.logged, evidence.context), *enough(log)]
    if evidence.slope is not None:
        checks.append(slope_check(evidence.slope))
    if evidence.before is not None:
        checks.append(placebo_check(_gain_in(evidence, evidence.before, (1 + _SURE) / 2)))
    checks += guardrail_checks(
        {name: (_gain_in(evidence, of.amount, _SURE), of.tolerated) for name, of in evidence.watched.items()}
    )
    checks += _segments(evidence)
    broken = [check for check in checks if not check.holds]
    if broken:
        verdict = Verdict.REFUSE
    elif gain.low > 0:
        verdict = Verdict.SHIP
    elif gain.low > -CANARY_LOSS * abs(in_use):
        verdict = Verdict.CANARY
    else:
        verdict = Verdict.REFUSE
    return Judgement(verdict, _sentence(verdict, gain, in_use, broken, evidence.currency), gain, in_use, tuple(checks))


def _gain(evidence: Evidence, reward: Floats, expected: Floats, confidence: float) -> Interval:
    found = gain_over_logged(replace(evidence.log, reward=reward, expected=expected), evidence.logged)
    return clustered_interval(found.value, found.influence, evidence.log.cluster, confidence, one_sided=True)


def _gain_in(evidence: Evidence, amount: Floats, confidence: float) -> Interval:
    """Of something that no model was fitted for: its mean stands in for one, and the estimate stays unbiased."""
    level = np.full(evidence.log.expected.shape, float(amount.mean()))
    return _gain(evidence, amount, level, confidence)


def _segments(evidence: Evidence) -> list[Check]:
    """Is no segment surely harmed? Each is held to its share of the chance of a false alarm."""
    if evidence.segment is None:
        return []
    names = np.unique(evidence.segment)
    found: list[Check] = []
    for name in names:
        rows = evidence.segment == name
        if np.unique(evidence.log.cluster[rows]).size < 2:
            continue
        change = gain_over_logged(_rows(evidence.log, rows), evidence.logged[rows])
        confidence = 1 - (1 - _SURE) / len(names)
        interval = clustered_interval(
            change.value, change.influence, evidence.log.cluster[rows], confidence, one_sided=True
        )
        found.append(
            Check(
                f"segment {name}",
                interval.high >= 0,
                f"segment {name} would gain {interval.estimate:+.3g} a decision "
                f"({interval.low:+.3g} to {interval.high:+.3g})",
            )
        )
    return found


def _rows(log: LoggedDecisions, rows: NDArray[np.bool_]) -> LoggedDecisions:
    return LoggedDecisions(
        log.action[rows],
        log.reward[rows],
        log.propensity[rows],
        log.target[rows],
        log.expected[rows],
        log.cluster[rows],
    )


def _sentence(verdict: Verdict, gain: Interval, in_use: float, broken: list[Check], currency: str) -> str:
    unit = f" {currency}" if currency else ""
    change = (
        f"{abs(gain.estimate):,.3g}{unit} {'more' if gain.estimate >= 0 else 'less'} per decision than the policy in "
        f"use, which earns {in_use:,.3g}{unit} (95 % interval of the difference {gain.low:+,.3g} to {gain.high:+,.3g})"
    )
    if broken:
        return f"Do not ship: {broken[0].name} fails. {broken[0].found[:1].upper()}{broken[0].found[1:]}."
    if verdict is Verdict.SHIP:
        return f"Ship: the policy is expected to earn {change}."
    if verdict is Verdict.CANARY:
        return (
            f"Canary: show it to a few customers first. It is expected to earn {change}; that it is better is not "
            f"shown, but it loses less than {100 * CANARY_LOSS:g} % at worst."
        )
    return f"Do not ship: that the policy is better is not shown. It is expected to earn {change}."
