"""The gate a challenger must pass before it answers customers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gate:
    """One figure that must not get worse by more than ``tolerance`` (in the figure's own unit, or as a share of it)."""

    metric: str
    higher_is_better: bool
    tolerance: float
    relative: bool


# The tolerance is about half the width of a 90 % interval on 2,000 customers: less than that is noise.
GATES = {
    "churn": Gate("auc", higher_is_better=True, tolerance=0.02, relative=False),
    "value": Gate("mae", higher_is_better=False, tolerance=0.03, relative=True),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the challenger becomes champion, and why, as a sentence."""

    promote: bool
    reason: str


def judge(gate: Gate, challenger: dict[str, float], champion: dict[str, float] | None) -> Verdict:
    """Compare the back-test figures of challenger and champion.

    Args:
        champion: None when there is no champion yet.
    """
    ours = challenger.get(gate.metric)
    theirs = None if champion is None else champion.get(gate.metric)
    if champion is None:
        return Verdict(True, "there was no champion yet")
    if ours is None:
        return Verdict(False, f"the challenger has no {gate.metric}: too little history for a back-test")
    if theirs is None:
        return Verdict(True, f"the champion has no {gate.metric} to compare with")
    allowed = gate.tolerance * (abs(theirs) if gate.relative else 1.0)
    worse_by = theirs - ours if gate.higher_is_better else ours - theirs
    said = f"{gate.metric} {ours:.4g} against the champion's {theirs:.4g}"
    return Verdict(worse_by <= allowed, said)
