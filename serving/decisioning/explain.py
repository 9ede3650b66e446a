"""A recommendation in plain words: what it is expected to bring, from which parts, and which rules it meets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from kernel.uplift_predictor import EffectStatus
from serving.decisioning.action import Action
from serving.decisioning.decision import Candidate
from serving.decisioning.rules import Rule
from serving.decisioning.words import in_words

_SOURCE = {
    EffectStatus.PRIOR: "The effect is a business assumption, not a measurement.",
    EffectStatus.LEARNING: "The effect is still being learned from outcomes.",
    EffectStatus.CALIBRATED: "The effect is measured and calibrated.",
}


class ActionExplainer:
    """The explanations of one action; what is the same for all customers is put into words once."""

    def __init__(self, action: Action, rules: Mapping[str, Rule], currency: str) -> None:
        outcome = action.outcome.name.replace("_", " ")
        self._rules = rules
        self._currency = currency
        self._outcome = f"more likely to {outcome} within {action.outcome.window_days} days"

    @cached_property
    def _fits(self) -> str:
        """The rules in words, put together when the action is first shown."""
        clauses = [in_words(expression) for rule in self._rules.values() for expression in rule.expressions]
        return f" It fits the customer: {'; '.join(clauses)}." if clauses else ""

    def explain(self, candidate: Candidate, *, explored: bool) -> str:
        """Why this action stands where it does; ``explored``: it was drawn although another is worth more."""
        return self._worth(candidate) + self._parts(candidate) + self._fits + (_learning(candidate) if explored else "")

    def _worth(self, of: Candidate) -> str:
        value = of.expected_incremental_value or 0.0
        low, high = of.eiv_low or 0.0, of.eiv_high or 0.0
        compared = "more" if value >= 0 else "less"
        return (
            f"Expected to bring {self._money(abs(value))} {compared} than doing nothing "
            f"(90 % interval {low:,.2f} to {self._money(high)}): "
        )

    def _parts(self, of: Candidate) -> str:
        incentive = f", less {self._money(of.incentive_cost)} expected incentive" if of.incentive_cost else ""
        effect = of.lever_effect or 0.0
        lever = f", {'plus' if effect > 0 else 'less'} {self._money(abs(effect))} by the lever" if effect else ""
        return (
            f"{100 * of.uplift:.2f} percentage points {self._outcome} x {self._money(of.value or 0.0)} a time "
            f"= {self._money(of.expected_margin or 0.0)}, less {self._money(of.contact_cost)} contact"
            f"{incentive}{lever}. {_SOURCE[of.status]}"
        )

    def _money(self, amount: float) -> str:
        return f"{amount:,.2f} {self._currency}"


def explain_nothing(candidate: Candidate, *, explored: bool, alternatives: bool) -> str:
    """Why doing nothing is recommended; ``alternatives``: some action survived the filters."""
    if explored:
        return "No action this time." + _learning(candidate)
    if alternatives:
        return "No action that the customer may have is expected to bring more than it costs."
    return "No action is open to the customer now."


def _learning(candidate: Candidate) -> str:
    return f" Chosen this time in order to learn; it had a {100 * candidate.probability:.1f} % chance."
