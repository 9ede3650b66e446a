"""A recommendation in plain words: what it is expected to bring, from which parts, why it is open and what would change
it; and why another action is not offered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache

from kernel.uplift_predictor import EffectStatus
from serving.decisioning.action import Action, MandatoryAction, Offerable
from serving.decisioning.catalogue import Catalogue
from serving.decisioning.decision import Candidate
from serving.decisioning.rules import Rule
from serving.decisioning.words import in_words

_SOURCE = {
    EffectStatus.PRIOR: "The effect is a business assumption, not a measurement.",
    EffectStatus.LEARNING: "The effect is still being learned from outcomes.",
    EffectStatus.CALIBRATED: "The effect is measured and calibrated.",
}
_BASIS = {
    "consent": "with the customer's consent",
    "legitimate_interest": "out of a legitimate interest",
    "contract": "by contract",
    "legal_obligation": "by law",
}
_NEGLIGIBLE = 5e-3  # amounts are shown with two decimals


class ActionExplainer:
    """The explanations of one action; what is the same for all customers is put into words once."""

    def __init__(self, action: Offerable, rules: Mapping[str, Rule], permissions: Mapping[str, Rule], currency: str):
        self._action = action
        self._rules = rules
        self._permissions = permissions
        self._currency = currency
        self._in_words: dict[tuple[str, ...], str] = {}

    @cached_property
    def _fits(self) -> str:
        """The rules in words, put together when the action is first shown."""
        clauses = [
            in_words(expression)
            for stage, rule in self._rules.items()
            for expression in rule.expressions
            if stage != "exploration"
        ]
        return f" It fits the customer: {'; '.join(clauses)}." if clauses else ""

    def explain(self, candidate: Candidate, *, explored: bool) -> str:
        """Why this action stands where it does; ``explored``: it was drawn although another is worth more."""
        if not isinstance(self._action, Action):
            basis = _BASIS[self._action.legal_basis.value]
            return f"A message that is due {basis}: it comes before anything is weighed.{self._fits}"
        learning = _learning(candidate) if explored else ""
        return self._worth(candidate) + self._parts(candidate, self._action) + self._fits + learning

    def _worth(self, of: Candidate) -> str:
        value = of.expected_incremental_value or 0.0
        low, high = of.eiv_low or 0.0, of.eiv_high or 0.0
        compared = "more" if value >= 0 else "less"
        return (
            f"Expected to bring {self._money(abs(value))} {compared} than doing nothing "
            f"(90 % interval {low:,.2f} to {self._money(high)}): "
        )

    def _parts(self, of: Candidate, action: Action) -> str:
        outcome = f"{action.outcome.name.replace('_', ' ')} within {action.outcome.window_days} days"
        if action.outcome.kind == "binary":
            effect = f"{100 * of.uplift:.2f} percentage points more likely to {outcome}"
            worth = f"{effect} x {self._money(of.value or 0.0)} a time"
        else:
            worth = f"{self._money(of.uplift)} more to {outcome} x {100 * (of.value or 0.0):.4g} % kept of it"
        incentive = f", less {self._money(of.incentive_cost)} expected incentive" if of.incentive_cost else ""
        lever = of.lever_effect or 0.0
        levered = f", {'plus' if lever > 0 else 'less'} {self._money(abs(lever))} by the lever" if lever else ""
        fatigue = f", less {self._money(of.fatigue_cost)} for the contacts before" if of.fatigue_cost else ""
        price = f", less {self._money(of.price)} that it would bring elsewhere in the campaign" if of.price else ""
        return (
            f"{worth} = {self._money(of.expected_margin or 0.0)}, less {self._money(of.contact_cost)} contact"
            f"{incentive}{levered}{fatigue}{price}. {_SOURCE[of.status]}"
        )

    def threshold(self, of: Candidate, value: float) -> str:
        """From which effect on the action would be worth ``value``; "" where no effect makes it so."""
        low, high = of.eiv_low, of.eiv_high
        if low is None or high is None or of.expected_incremental_value is None or of.uplift_high <= of.uplift_low:
            return ""
        slope = (high - low) / (of.uplift_high - of.uplift_low)  # the value is a straight line of the effect
        effect = of.uplift + (value - of.expected_incremental_value) / slope if slope > 0 else float("inf")
        binary = isinstance(self._action, Action) and self._action.outcome.kind == "binary"
        if effect > (1.0 if binary else float("1e300")):
            return ""
        if binary:
            return f"{100 * effect:.2f} percentage points (now {100 * of.uplift:.2f})"
        return f"{self._money(effect)} (now {self._money(of.uplift)})"

    def why_not(self, codes: tuple[str, ...]) -> str:
        """Why the action is not offered, and so what would have to be otherwise; "" without codes."""
        if codes not in self._in_words:
            self._in_words[codes] = f"{'; '.join(map(self._worded, codes))}." if codes else ""
        return self._in_words[codes]

    def _worded(self, code: str) -> str:
        kind, _, rest = code.partition(":")
        rest = rest.strip()
        if kind == "missing":
            words = f"{rest.replace('_', ' ')} is not known"
        elif kind in self._rules:
            words = self._clause(self._rules[kind], rest, "It asks for")
        elif kind == "channel":
            name, _, clause = rest.partition(":")
            words = self._clause(self._permissions[name], clause.strip(), f"{name.replace('_', ' ')} asks for")
        elif kind in ("cooldown", "suppressed"):
            known = "it reached the customer lately" if kind == "cooldown" else "the customer did not want it"
            words = f"{known}, so it waits {rest}"
        elif kind == "contact_limit":
            name, _, limit = rest.partition(":") if ":" in rest else ("", "", rest)
            by = f" by {name.replace('_', ' ')}" if name else ""
            words = f"the customer was contacted{by} as often as is allowed: {limit.strip()}"
        elif kind in ("capacity", "budget"):
            limit = f"places are taken: {rest}" if kind == "capacity" else f"budget of {rest} {self._currency} is spent"
            words = f"its {limit}"
        else:
            day = self._action.start if kind == "not_started" else self._action.end
            words = f"it {'starts' if kind == 'not_started' else 'ended'} on {day}"
        return words[:1].upper() + words[1:]

    def _clause(self, rule: Rule, clause: str, asks: str) -> str:
        if clause.startswith("undefined:"):
            return f"{clause.removeprefix('undefined:').strip()} cannot be computed"
        known = dict(zip(rule.clauses, rule.expressions, strict=True))
        return f"{asks}: {in_words(known[clause])}"

    def _money(self, amount: float) -> str:
        return f"{amount:,.2f} {self._currency}"


class Explainers:
    """The explanations of a whole catalogue; what has been put into words once stays so."""

    @classmethod
    @lru_cache(maxsize=16)
    def of(cls, catalogue: Catalogue, currency: str) -> Explainers:
        """Those of a catalogue, made once."""
        return cls(catalogue, currency)

    def __init__(self, catalogue: Catalogue, currency: str) -> None:
        offerable: tuple[Action | MandatoryAction, ...] = (*catalogue.actions, *catalogue.mandatory)
        self._of = {
            action.id: ActionExplainer(action, catalogue.rules[action.id], catalogue.permissions, currency)
            for action in offerable
        }
        self._currency = currency

    def __getitem__(self, action_id: str) -> ActionExplainer:
        return self._of[action_id]

    def would_change(self, candidates: Sequence[Candidate], shown: Candidate, rival: Candidate) -> str:
        """From which effect on the order of two candidates would be another.

        Args:
            candidates: doing nothing first.
            shown: whose place is explained.
            rival: the one next to it in worth.
        """
        nothing = candidates[0]
        value, other = (one.expected_incremental_value or 0.0 for one in (shown, rival))
        if shown is nothing:
            found = self[rival.action_id].threshold(rival, 0.0) if rival is not nothing else ""
            return f"'{rival.label}' would be worth it if its effect were above {found}." if found else ""
        found = self[shown.action_id].threshold(shown, 0.0 if rival is nothing else other)
        than = "doing nothing" if rival is nothing else f"'{rival.label}'"
        if not found or (rival is not nothing and abs(value - other) < _NEGLIGIBLE):
            return ""
        if value >= other:
            return f"It would bring less than {than} if its effect were below {found}."
        return f"It would bring more than {than} if its effect were above {found}."


def explain_nothing(candidate: Candidate, *, explored: bool, alternatives: bool) -> str:
    """Why doing nothing is recommended; ``alternatives``: some action survived the filters."""
    if explored:
        return "No action this time." + _learning(candidate)
    if alternatives:
        return "No action that the customer may have is expected to bring more than it costs."
    return "No action is open to the customer now."


def explain_holdout(year: int, quarter: int) -> str:
    """Why a customer of the global holdout gets nothing."""
    return (
        f"The customer is in the control group of quarter {quarter} of {year}, which gets no action: it shows what all "
        "actions together bring."
    )


def _learning(candidate: Candidate) -> str:
    return f" Chosen this time in order to learn; it had a {100 * candidate.probability:.1f} % chance."
