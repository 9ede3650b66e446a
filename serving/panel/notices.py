"""Cards without a customer: loading, nothing chosen, failures. The element shows them too, so it has no words of its
own."""

from __future__ import annotations

from enum import StrEnum

from serving.panel.markup import Html, element
from serving.panel.words import Words


class Notice(StrEnum):
    """What a card may say instead of an insight."""

    LOADING = "loading"
    EMPTY = "empty"  # no customer was named
    UNKNOWN = "unknown"  # no customer has this id
    UNAVAILABLE = "unavailable"  # the service answered with an error
    UNREACHABLE = "unreachable"  # the service did not answer
    EXPIRED = "expired"  # the token is no longer good, or there was none
    FORBIDDEN = "forbidden"  # the token is good, but for something else
    LOCKED = "locked"  # asks for the API key; only on the service's own page, in development


_RETRIED = frozenset({Notice.UNAVAILABLE, Notice.UNREACHABLE, Notice.EXPIRED})
_CALM = frozenset({Notice.LOADING, Notice.EMPTY, Notice.LOCKED})


def notice_card(notice: Notice, words: Words) -> Html:
    """The card of one notice."""
    title = words.say(f"notices.{notice.value}.title")
    if notice is Notice.LOADING:
        return _skeleton(title, words)
    text = element("p", words.say(f"notices.{notice.value}.text"))
    parts = [element("h2", title, tabindex=-1), text]
    if notice in _RETRIED:
        parts.append(element("button", words.say("notices.retry"), type="button", class_="primary", data_retry=True))
    if notice is Notice.LOCKED:
        parts.append(_key_form(words))
    body = element("div", *parts, role=None if notice in _CALM else "alert")
    return _card(element("div", body, class_="notice"), notice, words)


def _card(content: Html, notice: Notice, words: Words) -> Html:
    return element("article", content, class_="card", lang=words.language, data_notice=notice.value)


def _skeleton(title: str, words: Words) -> Html:
    bones = (element("div", class_=f"bone {size}", aria_hidden="true") for size in ("short", "tall", "long", "long"))
    said = element("p", title, class_="hidden", role="status")
    return _card(element("div", said, *bones, class_="section skeleton"), Notice.LOADING, words)


def _key_form(words: Words) -> Html:
    field = element("input", type="password", name="key", autocomplete="off", required=True, maxlength=500)
    return element(
        "form",
        element("label", words.say("key.label"), field),
        element("button", words.say("key.submit"), type="submit", class_="primary"),
        element("p", class_="said", role="status"),
        class_="key",
        data_refused=words.say("key.refused"),
    )
