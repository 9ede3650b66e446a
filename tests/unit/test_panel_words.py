"""What the panel says: every language has the same texts, and writes numbers, money and dates in its own way."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import orjson
import pytest

from kernel.types import Band, Status
from kernel.uplift_predictor import EffectStatus
from serving.panel.notices import Notice
from serving.panel.script import element_script
from serving.panel.words import LANGUAGES, Words, words_for

EN, DE = Words.of("en"), Words.of("de")


def texts(of: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every key with the parts that its text is filled with."""
    for key, value in of.items():
        if isinstance(value, dict):
            yield from texts(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", tuple(sorted(re.findall(r"\{(\w+)\}", str(value))))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_text_with_the_same_parts(language: str) -> None:
    assert dict(texts(Words.of(language).texts)) == dict(texts(EN.texts))
    assert len(Words.of(language).texts["months"]) == 12


@pytest.mark.parametrize("language", LANGUAGES)
def test_there_are_words_for_every_state(language: str) -> None:
    words = Words.of(language).texts
    assert set(words["bands"]) == {band.value for band in Band}
    assert set(words["statuses"]) == {status.value for status in Status}
    assert set(words["notes"]) == {status.value for status in Status if status is not Status.SCORED}
    assert set(words["evidence"]) == {status.value for status in EffectStatus}
    assert {name for name, text in words["notices"].items() if isinstance(text, dict)} == {one.value for one in Notice}


def test_money() -> None:
    assert [EN.money(amount, "USD") for amount in (0, 3.2, 99.994, 1240.5, -3.1)] == [
        "$0.00",
        "$3.20",
        "$99.99",
        "$1,240",
        "\N{MINUS SIGN}$3.10",
    ]
    assert (EN.money(12, "CHF"), EN.money(12.4, "JPY")) == ("12.00\u00a0CHF", "¥12")
    assert [DE.money(amount, "EUR") for amount in (3.2, 1240.5, -3.1)] == [
        "3,20\u00a0€",
        "1.240\u00a0€",
        "\N{MINUS SIGN}3,10\u00a0€",
    ]


def test_shares_counts_and_days() -> None:
    assert [EN.percent(share) for share in (0, 0.004, 0.345, 0.996, 1)] == ["0%", "<1%", "34%", ">99%", "100%"]
    assert [DE.percent(share) for share in (0.004, 0.345)] == ["<1\u00a0%", "34\u00a0%"]
    assert [EN.standing(percentile) for percentile in (82, 100, 4)] == ["top 18%", "top 1%", "bottom 4%"]
    assert [words.count(1234.5) for words in (EN, DE)] == ["1,234", "1.234"]
    assert [words.count(9.5) for words in (EN, DE)] == ["9.5", "9,5"]
    assert [words.day(date(2017, 3, 1)) for words in (EN, DE)] == ["1 Mar 2017", "1. März 2017"]


@pytest.mark.parametrize(
    ("wanted", "accepted", "otherwise", "language"),
    [
        (None, None, "de", "de"),
        ("de-AT", "en", "en", "de"),
        ("fr", "de;q=0.5, en-GB;q=0.8", "de", "en"),
        (None, "fr, de;q=0.5", "en", "de"),
        (None, "de;q=0, *", "en", "en"),
        (None, "de;q=x," * 200, "en", "en"),
        ("", "de_DE", "fr", "en"),
    ],
)
def test_the_language(wanted: str | None, accepted: str | None, otherwise: str, language: str) -> None:
    assert words_for(wanted, accepted, otherwise).language == language


def test_the_elements_file_has_the_notices_of_every_language_and_no_key_form() -> None:
    script, tag = element_script()
    text = script.decode()
    notices = orjson.loads(text.split("const NOTICES = ")[1].split(";\n")[0])
    assert set(notices) == set(LANGUAGES)
    for language, cards in notices.items():
        assert set(cards) == {one.value for one in Notice if one is not Notice.LOCKED}
        assert all(f'lang="{language}"' in card for card in cards.values())
    assert "Der Dienst ist nicht erreichbar" in notices["de"]["unreachable"]
    assert '"STYLE"' not in text
    assert ".gauge-number" in text
    assert re.fullmatch(r'"[0-9a-f]{32}"', tag)
