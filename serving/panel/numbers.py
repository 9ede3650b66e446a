"""The numbers of the insight card: churn and value beside each other, and what else is known."""

from __future__ import annotations

from serving.panel.gauge import churn_gauge
from serving.panel.markup import Html, element
from serving.panel.words import Words
from serving.schemas import CustomerInsight

_NOTHING = Html("")
_YEAR = 12  # months


def numbers(words: Words, score: CustomerInsight) -> Html:
    """Churn and value; a part without numbers is left out."""
    parts = [part for part in (_churn(words, score), _value(words, score)) if part]
    return element("div", *parts, class_="numbers two" if len(parts) == 2 else "numbers") if parts else _NOTHING


def facts(words: Words, score: CustomerInsight) -> Html:
    """Further numbers, each with what it refers to; nothing where there is none."""
    known = _facts(words, score)
    if not known:
        return _NOTHING
    listed = (
        element("div", element("dt", name), element("dd", text), element("dd", about, class_="quiet"))
        for name, text, about in known
    )
    title = element("h3", words.say("facts.title"), class_="hidden")
    return element("section", title, element("dl", *listed, class_="facts"), class_="section")


def _churn(words: Words, score: CustomerInsight) -> Html:
    if score.churn_probability is None:
        return _NOTHING
    low, high = score.churn_probability_low, score.churn_probability_high
    lines: list[str] = []
    if low is not None and high is not None:
        lines.append(_capital(words.likely(words.percent(low), words.percent(high))))
    if score.churn_percentile is not None:
        lines.append(_capital(words.say("churn.among", share=words.standing(score.churn_percentile))))
    return element(
        "section",
        element("h3", words.say("churn.title", days=score.churn_horizon_days)),
        churn_gauge(words, score.churn_probability, low, high, score.churn_band),
        *(element("p", line, class_="under") for line in lines),
        class_="section",
    )


def _value(words: Words, score: CustomerInsight) -> Html:
    if score.lifetime_value is None:
        return _NOTHING
    bounds = score.lifetime_value_low, score.lifetime_value_high
    parts = [
        element("h3", words.say("value.title", days=score.value_horizon_days)),
        *_amount(words, score.currency, score.lifetime_value, bounds, "big"),
    ]
    if score.value_12m is not None:
        bounds = score.value_12m_low, score.value_12m_high
        parts += [
            element("h4", words.say("value.year"), class_="quiet further"),
            *_amount(words, score.currency, score.value_12m, bounds, "middling"),
        ]
        if score.value_shown_months < _YEAR:
            known = words.say("value.carried_on", months=score.value_shown_months)
            parts.append(element("p", known, class_="quiet"))
    return element("section", *parts, class_="section")


def _amount(
    words: Words, currency: str, value: float, bounds: tuple[float | None, float | None], size: str
) -> list[Html]:
    amount = [element("p", words.money(value, currency), class_=size)]
    low, high = bounds
    if low is not None and high is not None:
        likely = _capital(words.likely(words.money(low, currency), words.money(high, currency)))
        amount.append(element("p", likely, class_="quiet"))
    return amount


def _facts(words: Words, score: CustomerInsight) -> list[tuple[str, str, str]]:
    """Name, value, and the time the value is of."""
    found: list[tuple[str, str, str]] = []
    day = words.day(score.as_of)

    def add(name: str, value: str, about: str) -> None:
        found.append((words.say(f"facts.{name}"), value, about))

    if score.probability_alive is not None:
        add("alive", words.percent(score.probability_alive), words.say("facts.alive_note", day=day))
    if score.expected_purchases is not None:
        within = words.say("facts.purchases_note", days=score.value_horizon_days)
        add("purchases", words.count(score.expected_purchases), within)
    if score.historic_value is not None:
        add("spent", words.money(score.historic_value, score.currency), words.say("facts.spent_note", day=day))
    if score.next_order_date is not None:
        add("next_order", words.day(score.next_order_date), words.say("facts.next_order_note"))
    if score.order_overdue_days is not None and score.order_overdue_days >= 1:
        late = words.say("facts.overdue_days", days=f"{score.order_overdue_days:.0f}")
        add("overdue", late, words.say("facts.overdue_note", day=day))
    if score.value_percentile is not None:
        over = words.say("facts.percentile_note", days=score.value_horizon_days)
        add("percentile", _capital(words.standing(score.value_percentile)), over)
    return found


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
