"""The ranked actions of the insight card, with accept, dismiss and why; and why others are not offered."""

from __future__ import annotations

from serving.panel.markup import Html, element
from serving.panel.words import Words
from serving.schemas import ActionAnswer, CustomerInsight, WithheldActionAnswer

_NOTHING = Html("")
_EXPLAINED_IN = "en"  # serving.decisioning explains in English only


def actions(words: Words, decided: CustomerInsight) -> Html:
    """The ranked actions; a decision that is kept gives them their buttons."""
    live = decided.decision_id is not None
    ranked = [_action(words, item, decided.currency, live=live) for item in decided.recommended_actions]
    return element(
        "section",
        element("h3", words.say("actions.title")),
        element("ol", *ranked, class_="actions") if ranked else element("p", words.say("actions.none")),
        _withheld(words, decided.not_offered),
        class_="section",
    )


def _action(words: Words, item: ActionAnswer, currency: str, *, live: bool) -> Html:
    evidence = words.say(f"evidence.{item.status}")
    body = element(
        "div",
        element("div", element("h4", item.label), element("span", evidence, class_="chip"), class_="action-head"),
        _gain(words, item, currency),
        _buttons(words, item) if live else _NOTHING,
        element("p", class_="said", role="status") if live else _NOTHING,
        _why(words, item),
    )
    return element(
        "li",
        element("span", str(item.rank), class_="rank", aria_hidden="true"),
        body,
        class_="action first" if item.rank == 1 else "action",
        data_action=item.action,
    )


def _gain(words: Words, item: ActionAnswer, currency: str) -> Html:
    if item.expected_value == item.cost == item.expected_value_low == item.expected_value_high == 0:
        return element("p", words.say("actions.no_gain"), class_="gain quiet")
    low, high = words.money(item.expected_value_low, currency), words.money(item.expected_value_high, currency)
    cost = words.say("actions.cost", money=words.money(item.cost, currency))
    return element(
        "p",
        words.say("actions.gain"),
        " ",
        element("strong", words.money(item.expected_value, currency)),
        f" · {words.likely(low, high)} · {cost}",
        class_="gain quiet",
    )


def _why(words: Words, item: ActionAnswer) -> Html:
    chance = [words.say("actions.chance", percent=words.percent(item.probability))]
    if item.channel:
        chance.append(words.say("actions.by", channel=item.channel.replace("_", " ")))
    explained = (text for text in (item.explanation, item.what_would_change) if text)
    return element(
        "details",
        element("summary", words.say("actions.why"), element("span", f": {item.label}", class_="hidden")),
        *(element("p", text, lang=_EXPLAINED_IN) for text in explained),
        element("p", " ".join(chance), class_="quiet"),
    )


def _buttons(words: Words, item: ActionAnswer) -> Html:
    return element(
        "div",
        _button(words, "accept", "accepted", item.label),
        _button(words, "dismiss", "dismissed", item.label),
        class_="buttons",
    )


def _button(words: Words, kind: str, event: str, label: str) -> Html:
    text = words.say(f"actions.{kind}")
    return element(
        "button",
        text,
        type="button",
        class_=kind,
        data_event=event,
        data_done=words.say(f"actions.{event}", label=label),
        aria_pressed="false",
        aria_label=words.say("actions.of", button=text, label=label),
    )


def _withheld(words: Words, items: tuple[WithheldActionAnswer, ...]) -> Html:
    if not items:
        return _NOTHING
    title = words.say("actions.withheld_one") if len(items) == 1 else words.say("actions.withheld", count=len(items))
    lines = (
        element("li", element("strong", item.label), " – ", element("span", item.explanation, lang=_EXPLAINED_IN))
        for item in items
    )
    return element(
        "details",
        element("summary", title),
        element("ul", *lines, class_="withheld quiet"),
        class_="not-offered",
    )
