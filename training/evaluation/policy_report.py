"""One self-contained HTML page on a judged policy, for a manager: the verdict first, then what it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from html import escape
from importlib.resources import files
from string import Template
from xml.etree.ElementTree import Element

from training.evaluation.action_gains import ActionGain, OutcomeGains
from training.evaluation.discrimination import Interval
from training.evaluation.fixed_policies import GATE, PolicyValue
from training.evaluation.markup import tag, written
from training.evaluation.plots import Chart
from training.evaluation.policy_gate import Verdict
from training.evaluation.policy_plots import calibration_chart, gain_chart, scaled, values_chart
from training.evaluation.tables import body_row, head_row, scrolled
from training.evaluation.words import NONE, day, decimal, minute, money, percent
from training.policy_evaluation import PolicyEvaluation, Programme

_GAP = "\N{NO-BREAK SPACE}"
_SHOWN = 3  # actions whose charts are unfolded
_FOLLOWS = {
    Verdict.SHIP: "good",
    Verdict.CANARY: "warn",
    Verdict.REFUSE: "bad",
}
_CSS = """
.checks tr > :nth-child(n+2) { text-align: left; }
.checks td:last-child { white-space: normal; min-width: 150px; }
.ok { color: var(--good); font-weight: 600; } .not { color: var(--bad); font-weight: 600; }
.none-there { color: var(--soft); }
"""
_CAPTIONS = {
    "policy_values": "Doubly robust, on the same decisions. The dotted line is what the policy in use earns. Bars of "
    "two policies may overlap and the paired difference still be sure: the table has it.",
    "gain": "The higher the line over the dotted one, the better those come first whom the action moves. At 100 % "
    "everybody is treated.",
    "calibration": "Points on the dotted line: the effect is as large as the policy takes it to be.",
}
_TERMS = (
    (
        "Doubly robust (DR)",
        "What a reward model says of each decision, corrected by the weighted residuals of those that were drawn. "
        "Right where the model or the probabilities are (Dudík, Langford and Li 2011).",
    ),
    (
        "SNDR",
        "The same with the correction over the mean weight (Thomas and Brunskill 2016). Verdicts rest on DR only, and "
        "only of DR and SNDR does the interval hold what it promises.",
    ),
    ("IPS, SNIPS", "The weighted rewards alone, and over the sum of the weights."),
    ("DM", "The reward model alone: its interval leaves out the model's own error."),
    ("switch-DR, DRos", "DR with large weights left out or shrunk: less noise, and biased."),
    (
        "Effective decisions",
        "How many decisions of equal weight would tell as much (Kish). A weight says how many decisions of the judged "
        "policy a logged one stands for.",
    ),
    (
        "Better than the best fixed policy",
        "The best of several looks better than it is. A policy counts as better only where its paired difference from "
        "each of them is above 0.",
    ),
    (
        "Qini",
        "Area between the gain curve and a random order, over the mean effect (Radcliffe 2007). Not given where the "
        "mean effect may be 0.",
    ),
    ("Slope", "By how much actual effects rise where the predicted ones rise by 1 (Robinson 1988)."),
    (
        "Placebo",
        "The same comparison on what the customers bought before the decision. What seems to change there is no "
        "effect.",
    ),
)


@dataclass(frozen=True)
class PolicyPage:
    """What was judged, on which decisions, and what was found.

    Attributes:
        project, currency: of the settings.
        measure: what a decision's reward is, without its costs.
        window_days: after the decision in which the reward is looked for.
        effects, catalogue: that the judged policy goes by.
        policies: versions that were logged.
        first, last: moments of the judged decisions.
        known_until: what came later is not seen.
        made_at: when this was made.
        decisions, customers: how many judge.
        drawn: action -> how often it was drawn.
        left_out: why -> how many decisions.
        mean_cost, contact_rate: of the policy in use, per decision.
        programme: all of decisioning against customers held out; None where nobody was.
        evaluation: the result.
    """

    project: str
    currency: str
    measure: str
    window_days: int
    effects: str
    catalogue: str
    policies: tuple[str, ...]
    first: datetime
    last: datetime
    known_until: datetime
    made_at: datetime
    decisions: int
    customers: int
    drawn: Mapping[str, int]
    left_out: Mapping[str, int]
    mean_cost: float
    contact_rate: float
    programme: Programme | None
    evaluation: PolicyEvaluation

    @property
    def when(self) -> str:
        """The time of the decisions, ``1 Nov 2017`` or ``1 Nov to 3 Dec 2017``."""
        first, last = day(self.first), day(self.last)
        return first if first == last else f"{first} to {last}"


def render_policy_report(page: PolicyPage) -> str:
    """The page: no script, no external asset, every text escaped, light or dark as the reader's system is."""
    title = f"{page.project.replace('_', ' ').capitalize()}: may the policy be changed?"
    body = tag(
        "main",
        _header(page, title),
        _in_short(page),
        _policies(page),
        _checks(page),
        _programme_section(page),
        _effects(page),
        _exploration(page),
        _decisions(page),
        _method(page),
        tag(
            "footer",
            tag("p", f"Made {minute(page.made_at)} · known until {minute(page.known_until)} · no customer is named."),
        ),
    )
    css = _package_text("report.css") + _CSS
    return Template(_package_text("report.html")).substitute(title=escape(title), css=css, content=written(body))


def programme_sentence(page: PolicyPage) -> str:
    """What all of decisioning brings against customers held out, or that nobody was."""
    found = page.programme
    if found is None:
        return "No customers are held out: what all of decisioning brings cannot be told."
    more = found.difference
    sure = "" if more.low > 0 or more.high < 0 else " That it is not nothing is not shown."
    return (
        f"All of decisioning brings {_signed(more.estimate, page.currency)} per customer and {page.window_days} days "
        f"against the customers held out (95 % interval {_span(more, page.currency)}; {found.decided:,} windows with "
        f"decisions, {found.held:,} held out).{sure}"
    )


def exploration_sentence(page: PolicyPage) -> str:
    """What drawing at random cost the policy in use."""
    cost = page.evaluation.exploration[0]
    total = money(cost.by_model * page.decisions, page.currency)
    return (
        f"Exploring cost the policy in use {money(cost.by_model, page.currency)} per decision by its own values, "
        f"{total} over {page.decisions:,} decisions; measured {_signed(cost.measured.estimate, page.currency)} per "
        f"decision (95 % interval {_span(cost.measured, page.currency)})."
    )


def _header(page: PolicyPage, title: str) -> Element:
    facts = {
        "Decisions": f"{page.decisions:,} about {page.customers:,} customers, {page.when} (UTC)",
        "Reward of a decision": f"{page.measure}; less contact cost and incentives, in {page.currency}",
        "Judged policy": f"catalogue {page.catalogue}; effects: {page.effects}",
        "Policy in use": ", ".join(page.policies),
    }
    return tag(
        "header",
        tag("p", "Policy report", class_="quiet"),
        tag("h1", title),
        tag("p", page.evaluation.judgement.sentence, class_=f"verdict {_FOLLOWS[page.evaluation.judgement.verdict]}"),
        tag("dl", *(tag("div", tag("dt", name), tag("dd", fact)) for name, fact in facts.items()), class_="facts"),
    )


def _in_short(page: PolicyPage) -> Element:
    found = page.evaluation
    says = [found.comparison.sentence, programme_sentence(page), exploration_sentence(page)]
    heading = "Where the evidence is thin" if found.notes else "No thin evidence was found"
    thin = (
        _listed(found.notes, "")
        if found.notes
        else tag("p", "Every action was tried, and enough effective decisions speak for every policy below.")
    )
    return tag(
        "section",
        tag("h2", "In short"),
        _listed(says, "says"),
        tag("div", tag("h3", heading), thin, class_="thin" if found.notes else "thin none"),
    )


def _policies(page: PolicyPage) -> Element:
    found = page.evaluation
    unit = page.currency
    heads = (
        "Policy",
        f"DR, {unit} per decision",
        f"SNDR, {unit}",
        f"Judged one is ahead by, {unit}",
        "Effective decisions",
    )
    rows = [body_row(_value_cells(one, page)) for one in found.policies]
    rows[1].set("class", "ours")
    others = [name for name in found.in_use.estimates if name not in GATE]
    other_rows = [
        body_row([_capital(one.name), *(_bounded(one.estimates[name]) for name in others), percent(one.largest)])
        for one in found.policies
        if one.is_supported
    ]
    drawn = [one for one in found.policies if one.is_supported]
    place = next((i for i, one in enumerate(drawn) if one is found.comparison.judged), -1)
    return tag(
        "section",
        tag("h2", "What each policy earns"),
        tag("p", found.comparison.sentence),
        scrolled(tag("table", head_row(heads), tag("tbody", *rows))),
        tag(
            "p",
            f"Decisions of {page.when} (UTC); small figures are 95 % intervals. 'Always X' gives X wherever it may be "
            "given, else nothing.",
            class_="quiet under",
        ),
        _charts([values_chart(drawn, place, page.currency, page.when)] if drawn else []),
        tag("h3", "Other estimators"),
        scrolled(
            tag(
                "table",
                head_row(("Policy", *others, "Largest weight")),
                tag("tbody", *other_rows),
            )
        ),
        tag("p", f"In {unit} per decision, for comparison only: no verdict rests on these.", class_="quiet under"),
    )


def _value_cells(one: PolicyValue, page: PolicyPage) -> list[str | Element]:
    found = page.evaluation
    if not one.is_supported:
        why = tag("span", "no support: hardly tried", class_="none-there")
        return [_capital(one.name), why, NONE, NONE, NONE]
    if one is found.in_use:
        ahead: Interval | None = found.judgement.gain
    else:
        ahead = found.comparison.ahead.get(one.name)
    return [
        _capital(one.name),
        *(_bounded(one.estimates[name]) for name in GATE),
        NONE if ahead is None else _bounded(ahead, signed=True),
        f"{one.effective:,.0f}",
    ]


def _checks(page: PolicyPage) -> Element:
    rows = [
        body_row([_capital(check.name), _state(check.holds), _capital(check.found)])
        for check in page.evaluation.judgement.checks
    ]
    return tag(
        "section",
        tag("h2", "What was checked"),
        tag("p", "A single check that fails refuses the policy: then the log cannot carry a verdict, or harm is sure."),
        scrolled(tag("table", head_row(("Check", "", "What was found")), tag("tbody", *rows), class_="checks")),
    )


def _state(holds: bool) -> Element:
    return tag("span", "holds" if holds else "fails", class_="ok" if holds else "not")


def _programme_section(page: PolicyPage) -> Element:
    parts = [tag("h2", "All of decisioning"), tag("p", programme_sentence(page))]
    if (found := page.programme) is not None:
        heads = ("", "Windows", f"Mean reward, {page.currency} in {page.window_days} days")
        rows = [
            body_row(["With decisions", f"{found.decided:,}", decimal(found.mean_decided)]),
            body_row(["Held out", f"{found.held:,}", decimal(found.mean_held)]),
        ]
        parts.append(scrolled(tag("table", head_row(heads), tag("tbody", *rows))))
    return tag("section", *parts)


def _effects(page: PolicyPage) -> Element:
    gains = page.evaluation.gains
    if not gains:
        text = "Too few decisions to do nothing, or for an action, to measure what actions change."
        return tag("section", tag("h2", "What the actions change"), tag("p", text))
    heads = ("Action", "Given", "To do nothing", "Actual effect", "Predicted", "Gain over chance", "Qini")
    each = [(of, one) for of in gains for one in of.actions]
    rows = [body_row(_effect_cells(one)) for _, one in each]
    drawn = [[gain_chart(one, page.currency, page.when), calibration_chart(one, page.currency, page.when)]
             for _, one in each if one.groups]  # fmt: skip
    shown, folded = [c for pair in drawn[:_SHOWN] for c in pair], [c for pair in drawn[_SHOWN:] for c in pair]
    alike = [one.action for _, one in each if not one.groups]
    return tag(
        "section",
        tag("h2", "What the actions change"),
        tag(
            "p",
            f"Measured on the decisions of {page.when} (UTC), which the model of effects had not seen: the action "
            f"against doing nothing, for those who could have had it. Effects are additional outcomes of 100 "
            f"customers, or {page.currency} a customer where the outcome is money; small figures are 90 % intervals.",
        ),
        *(tag("p", _slope_sentence(of), class_="under") for of in gains),
        scrolled(tag("table", head_row(heads), tag("tbody", *rows))),
        *(
            [
                tag(
                    "p",
                    f"Predicted alike for everybody, so that there is no order to look at: {', '.join(alike)}.",
                    class_="quiet under",
                )
            ]
            if alike
            else []
        ),
        _charts(shown),
        *([tag("details", tag("summary", "The same for the other actions"), _charts(folded))] if folded else []),
    )


def _effect_cells(one: ActionGain) -> list[str | Element]:
    by, _ = scaled(one)
    return [
        one.action,
        f"{one.given:,}",
        f"{one.controls:,}",
        _bounded(one.effect, by=by, signed=True, digits=2),
        f"{by * one.predicted:+,.2f}",
        NONE if one.area is None else _bounded(one.area, by=by, signed=True, digits=2),
        NONE if one.qini is None else decimal(one.qini, 2),
    ]


def _slope_sentence(of: OutcomeGains) -> str:
    name = f"'{of.outcome}'"
    if of.slope is None:
        return f"Effects on {name} are predicted alike for everybody: there is no slope to measure."
    return (
        f"Effects on {name} predicted as 1 turn out as {of.slope.estimate:.2f} (95 % interval {of.slope.low:.2f} to "
        f"{of.slope.high:.2f})."
    )


def _exploration(page: PolicyPage) -> Element:
    heads = (
        "Policy",
        "By its own values, per decision",
        f"In total, {page.decisions:,} decisions",
        f"Measured (DR), {page.currency} per decision",
        f"In total, {page.currency}",
    )
    rows = [
        body_row(
            [
                _capital(one.policy),
                money(one.by_model, page.currency),
                money(one.by_model * page.decisions, page.currency),
                _bounded(one.measured, signed=True),
                _bounded(one.measured, by=page.decisions, signed=True, digits=0),
            ]
        )
        for one in page.evaluation.exploration
    ]
    return tag(
        "section",
        tag("h2", "What exploring costs"),
        tag(
            "p",
            "Taking always what is expected to be worth most, less what the policy draws. It buys the evidence on this "
            "page. Measured below 0: what was taken to be best is not.",
        ),
        scrolled(tag("table", head_row(heads), tag("tbody", *rows))),
    )


def _decisions(page: PolicyPage) -> Element:
    drawn = [
        body_row([name, f"{count:,}", percent(count / page.decisions)])
        for name, count in sorted(page.drawn.items(), key=lambda item: -item[1])
    ]
    out = [body_row([_capital(why), f"{count:,}"]) for why, count in page.left_out.items()]
    return tag(
        "section",
        tag("h2", "The decisions"),
        tag(
            "p",
            f"{page.decisions:,} decisions of {page.when} (UTC). The policy in use contacts "
            f"{percent(page.contact_rate)} of them and costs {money(page.mean_cost, page.currency)} per decision.",
        ),
        scrolled(tag("table", head_row(("Drawn", "Decisions", "Share")), tag("tbody", *drawn))),
        tag("h3", "Left out"),
        *(
            [scrolled(tag("table", head_row(("Why", "Decisions")), tag("tbody", *out)))]
            if out
            else [tag("p", "No decision was left out.")]
        ),
        tag("p", "What may still come is left out, and never counts as nothing.", class_="quiet under"),
    )


def _method(page: PolicyPage) -> Element:
    return tag(
        "section",
        tag("h2", "How it was measured"),
        tag(
            "p",
            "Each logged decision has the probability with which its action was drawn. By these the same decisions say "
            "what another policy would have earned. Features are those of the moment of each decision, scores those of "
            f"today's champions. The verdict: {page.evaluation.judgement.sentence}",
        ),
        tag("dl", *(tag("div", tag("dt", term), tag("dd", text)) for term, text in _TERMS), class_="terms"),
    )


def _charts(drawn: Sequence[Chart]) -> Element:
    return tag("div", *map(_figure, drawn), class_="charts")


def _figure(chart: Chart) -> Element:
    words = _CAPTIONS.get(chart.name) or _CAPTIONS[chart.name.partition("_")[0]]
    return tag("figure", tag("figcaption", tag("h3", chart.title), tag("p", words)), chart.svg())


def _listed(texts: Sequence[str], class_: str) -> Element:
    return tag("ul", *(tag("li", text) for text in texts), class_=class_)


def _bounded(found: Interval | None, *, by: float = 1.0, signed: bool = False, digits: int = 3) -> str | Element:
    if found is None:
        return NONE
    form = f"{'+' if signed else ''},.{digits}f"
    bounds = tag("small", f"{by * found.low:{form}} to {by * found.high:{form}}".replace(" ", _GAP))
    return tag("span", f"{by * found.estimate:{form}}", bounds)


def _signed(amount: float, currency: str) -> str:
    return f"{amount:+,.2f}{_GAP}{currency}"


def _span(found: Interval, currency: str) -> str:
    return f"{found.low:+,.2f} to {found.high:+,.2f}{_GAP}{currency}"


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


@cache
def _package_text(name: str) -> str:
    return files("training.evaluation").joinpath(name).read_text(encoding="utf-8")
