"""The parts of the insight card; each takes answers and gives HTML."""

from __future__ import annotations

from collections.abc import Sequence

from kernel.types import LowerBand, Status
from serving.panel.gauge import churn_gauge
from serving.panel.markup import Html, element, join
from serving.panel.words import (
    BANDS,
    EVIDENCE,
    STATUS_TEXTS,
    STATUSES,
    count,
    day,
    money,
    percent,
    top_share,
)
from serving.schemas import ActionAnswer, CustomerScore, ReasonAnswer, WithheldActionAnswer

_NOTHING = Html("")
_YEAR = 12  # months
_MOST_REASONS = 5


def heading(score: CustomerScore, project: str) -> Html:
    """Who, at which moment of knowledge, in which state."""
    chips = [element("span", STATUSES[score.status], class_="chip")]
    if score.is_high_value:
        chips.append(element("span", "High value", class_="chip accent"))
    return element(
        "header",
        element(
            "div",
            element("p", f"Customer insight · {project}", class_="quiet"),
            element("h1", score.customer_id, tabindex=-1),
        ),
        element(
            "div",
            element("div", *chips, class_="chips"),
            element("p", f"As of {day(score.as_of)}", class_="quiet"),
        ),
        class_="head",
    )


def status_note(status: Status) -> Html:
    """Why numbers are missing; nothing for a customer with all of them."""
    if status not in STATUS_TEXTS:
        return _NOTHING
    return note(*STATUS_TEXTS[status])


def note(title: str, *paragraphs: str) -> Html:
    """A short message within the card."""
    return element(
        "div", element("div", element("h3", title), *(element("p", text) for text in paragraphs)), class_="note"
    )


def numbers(score: CustomerScore) -> Html:
    """Churn and value beside each other, what else is known below; a part without numbers is left out."""
    parts = [part for part in (_churn(score), _value(score)) if part]
    if not parts:
        return _NOTHING
    return element("div", *parts, _facts(score), class_="numbers two" if len(parts) == 2 else "numbers")


def _churn(score: CustomerScore) -> Html:
    if score.churn_probability is None:
        return _NOTHING
    low, high = score.churn_probability_low, score.churn_probability_high
    lines: list[str] = []
    if low is not None and high is not None:
        lines.append(f"Likely between {percent(low)} and {percent(high)}")
    if score.churn_percentile is not None:
        lines.append(f"{top_share(score.churn_percentile)} of risk among customers".capitalize())
    return element(
        "section",
        element("h2", f"Risk of leaving within {score.churn_horizon_days} days", id="risk"),
        churn_gauge(score.churn_probability, low, high, score.churn_band),
        *(element("p", line, class_="under") for line in lines),
        class_="section",
        aria_labelledby="risk",
    )


def _value(score: CustomerScore) -> Html:
    if score.lifetime_value is None:
        return _NOTHING
    parts = [
        element("h2", f"Expected value over {score.value_horizon_days} days", id="value"),
        *_amount(score, score.lifetime_value, (score.lifetime_value_low, score.lifetime_value_high), "big"),
    ]
    if score.value_12m is not None:
        parts += [
            element("h3", "Over 12 months", class_="quiet further"),
            *_amount(score, score.value_12m, (score.value_12m_low, score.value_12m_high), "middling"),
        ]
        if score.value_shown_months < _YEAR:
            known = f"Outcomes are known for {score.value_shown_months} months; the rest is carried on"
            parts.append(element("p", known, class_="quiet"))
    return element("section", *parts, class_="section", aria_labelledby="value")


def _amount(score: CustomerScore, value: float, bounds: tuple[float | None, float | None], size: str) -> list[Html]:
    amount = [element("p", money(value, score.currency), class_=size)]
    low, high = bounds
    if low is not None and high is not None:
        likely = f"Likely {money(low, score.currency)} to {money(high, score.currency)}"
        amount.append(element("p", likely, class_="quiet"))
    return amount


def _facts(score: CustomerScore) -> Html:
    facts: list[tuple[str, str]] = []
    if score.probability_alive is not None:
        facts.append(("Not lost for good", percent(score.probability_alive)))
    if score.expected_purchases is not None:
        facts.append(("Expected purchases", count(score.expected_purchases)))
    if score.historic_value is not None:
        facts.append(("Spent so far", money(score.historic_value, score.currency)))
    if score.next_order_date is not None:
        facts.append(("Next order: half come by", f"{score.next_order_date:%-d %b %Y}"))
    if score.order_overdue_days is not None and score.order_overdue_days >= 1:
        facts.append(("Overdue", f"{score.order_overdue_days:.0f} days"))
    if score.value_percentile is not None:
        facts.append(("Value among customers", top_share(score.value_percentile).capitalize()))
    facts.append(("Currency", score.currency))
    listed = (element("div", element("dt", name), element("dd", text)) for name, text in facts)
    return element("dl", *listed, class_="section facts")


def reasons(items: Sequence[ReasonAnswer]) -> Html:
    """What raises and lowers the risk most, the strongest first; bars are relative to the strongest."""
    if not items:
        return _NOTHING
    strongest = sorted(items, key=lambda reason: -abs(reason.effect))[:_MOST_REASONS]
    largest = abs(strongest[0].effect) or 1.0
    return element(
        "section",
        element("h2", "Why this risk", id="reasons"),
        element("ul", *(_reason(reason, abs(reason.effect) / largest) for reason in strongest), class_="reasons"),
        class_="section",
        aria_labelledby="reasons",
    )


def _reason(reason: ReasonAnswer, share: float) -> Html:
    raises = reason.effect > 0
    kind = "raises" if raises else "lowers"
    bar = element(
        "svg",
        element("rect", class_=kind, x=0, y=0, width=f"{max(100 * share, 2):.1f}", height=10),
        class_="bar",
        viewBox="0 0 100 10",
        preserveAspectRatio="none",
        aria_hidden="true",
        focusable="false",
    )
    return element(
        "li",
        element("span", "▲ Raises risk" if raises else "▼ Lowers risk", class_=f"chip {kind}"),
        element("div", element("p", reason.text), bar),
    )


def changes(items: Sequence[LowerBand]) -> Html:
    """What would bring the customer into a lower band; nothing where no single behaviour would."""
    if not items:
        return _NOTHING
    lines = (
        element(
            "li",
            element("strong", item.label),
            join(f": {item.text}. The risk would read {percent(item.probability)}, "),
            element("span", BANDS[item.band].lower(), class_=f"chip band-{item.band.value}"),
        )
        for item in items
    )
    return element(
        "section",
        element("h2", "What would change it", id="changes"),
        element("ul", *lines, class_="changes"),
        element(
            "p",
            "This is what the model says of customers who are like this one but for that. It does not show that an "
            "action brings it about.",
            class_="quiet",
        ),
        class_="section",
        aria_labelledby="changes",
    )


def actions(
    items: Sequence[ActionAnswer], withheld: Sequence[WithheldActionAnswer], score: CustomerScore, *, live: bool
) -> Html:
    """The ranked actions; ``live`` gives them their buttons."""
    if score.status is Status.NO_CONSENT:
        return _NOTHING
    ranked = [_action(item, score, live=live) for item in items]
    return element(
        "section",
        element("h2", "Recommended next", id="actions"),
        element("ol", *ranked, class_="actions") if ranked else element("p", "No action fits this customer now."),
        _withheld(withheld),
        element("p", class_="said", role="status", aria_live="polite"),
        key_form(hidden=True) if live else _NOTHING,
        class_="section",
        aria_labelledby="actions",
    )


def _action(item: ActionAnswer, score: CustomerScore, *, live: bool) -> Html:
    body = element(
        "div",
        element(
            "div",
            element("h3", item.label),
            element("span", EVIDENCE.get(item.status, item.status), class_="chip"),
            class_="action-head",
        ),
        element("p", item.explanation),
        element("p", item.what_would_change, class_="quiet") if item.what_would_change else _NOTHING,
        _gain(item, score.currency),
        _buttons(item) if live else _NOTHING,
    )
    return element(
        "li",
        element("span", str(item.rank), class_="rank", aria_hidden="true"),
        body,
        class_="action first" if item.rank == 1 else "action",
        data_action=item.action,
    )


def _gain(item: ActionAnswer, currency: str) -> Html:
    if item.expected_value == item.cost == item.expected_value_low == item.expected_value_high == 0:
        return element("p", "No cost, no expected gain", class_="gain quiet")
    interval = f"likely {money(item.expected_value_low, currency)} to {money(item.expected_value_high, currency)}"
    return element(
        "p",
        "Expected gain ",
        element("strong", money(item.expected_value, currency)),
        f" · {interval} · cost {money(item.cost, currency)}",
        class_="gain quiet",
    )


def _buttons(item: ActionAnswer) -> Html:
    return element(
        "div",
        _button("Accept", "accept", "accepted", f"{item.label}: accepted and saved.", item.label),
        _button("Dismiss", "dismiss", "dismissed", f"{item.label}: dismissed and saved.", item.label),
        class_="buttons",
    )


def _button(text: str, kind: str, event: str, done: str, label: str) -> Html:
    return element(
        "button",
        text,
        type="button",
        class_=kind,
        data_event=event,
        data_done=done,
        aria_pressed="false",
        aria_label=f"{text}: {label}",
    )


def _withheld(items: Sequence[WithheldActionAnswer]) -> Html:
    if not items:
        return _NOTHING
    noun = "action" if len(items) == 1 else "actions"
    lines = (element("li", element("strong", item.label), join(" – ", item.explanation)) for item in items)
    return element(
        "details",
        element("summary", f"Why {len(items)} {noun} {'is' if len(items) == 1 else 'are'} not offered"),
        element("ul", *lines, class_="withheld quiet"),
    )


def key_form(*, hidden: bool) -> Html:
    """Asks for the API key, which stays in the page's memory."""
    field = element("input", type="password", name="key", autocomplete="off", required=True, maxlength=500)
    return element(
        "form",
        element("label", "API key", field),
        element("button", "Continue", type="submit", class_="primary"),
        class_="key",
        hidden=hidden,
    )


def footer(score: CustomerScore) -> Html:
    """Which models and policy answered, and when."""
    versions = [text for text in (score.churn_model, score.value_model, score.policy) if text]
    return element(
        "footer",
        element("span", " · ".join(versions)),
        element("span", f"Scored {day(score.scored_at)}"),
        class_="foot",
    )
