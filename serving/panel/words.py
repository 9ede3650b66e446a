"""What the panel says: one file per language, ``words/en.toml`` and its neighbours, with numbers, money and dates."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache, reduce
from importlib.resources import files
from typing import Any

LANGUAGES = ("en", "de")
_SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥"}
_CHOICE = re.compile(r"\s*([A-Za-z]{1,8})[A-Za-z0-9-]*\s*(?:;\s*q=([0-9.]{1,5})\s*)?")


@dataclass(frozen=True)
class Words:
    """The texts of one language."""

    language: str
    texts: Mapping[str, Any]

    @classmethod
    @cache
    def of(cls, language: str) -> Words:
        """Those of one of ``LANGUAGES``."""
        text = files("serving.panel").joinpath(f"words/{language}.toml").read_text(encoding="utf-8")
        return cls(language, tomllib.loads(text))

    def say(self, key: str, /, **parts: object) -> str:
        """The text under a dotted key (``churn.title``), its ``{parts}`` filled in."""
        found: Any = reduce(lambda texts, name: texts[name], key.split("."), self.texts)
        return str(found).format(**parts)

    def money(self, amount: float, currency: str) -> str:
        """``$1,240`` or ``-€3.20``; cents below 100, the currency's code where it has no common symbol."""
        sign = "\N{MINUS SIGN}" if round(amount, 2) < 0 else ""
        whole = abs(amount) >= 99.995 or currency == "JPY"
        number = self._digits(f"{abs(amount):,.0f}" if whole else f"{abs(amount):,.2f}")
        symbol = _SYMBOLS.get(currency)
        return sign + self.say("money" if symbol else "money_by_code", number=number, symbol=symbol or currency)

    def percent(self, share: float) -> str:
        """``34%``; a share that is neither none nor all never reads as 0% or 100%."""
        number = "<1" if 0 < share < 0.01 else ">99" if 0.99 < share < 1 else f"{100 * share:.0f}"
        return self.say("percent", number=number)

    def standing(self, percentile: float) -> str:
        """``top 8%`` or ``bottom 30%``: where a percentile (0-100) stands among all customers."""
        top = percentile >= 50
        share = max(1, round(100 - percentile if top else percentile))
        return self.say("top" if top else "bottom", share=self.say("percent", number=share))

    def count(self, number: float) -> str:
        """One decimal below 10, none above."""
        return self._digits(f"{number:.1f}" if number < 9.95 else f"{number:,.0f}")

    def day(self, moment: date) -> str:
        """``1 Nov 2017``."""
        month = self.texts["months"][moment.month - 1]
        return self.say("day", day=moment.day, month=month, year=moment.year)

    def likely(self, low: str, high: str) -> str:
        """Both ends of an interval that are already in words."""
        return self.say("likely", range=self.say("range", low=low, high=high))

    def _digits(self, number: str) -> str:
        marks = {".": self.texts["decimal"], ",": self.texts["thousands"]}
        return re.sub(r"[.,]", lambda mark: marks[mark[0]], number)


def words_for(wanted: str | None, accepted: str | None, otherwise: str) -> Words:
    """The words of the first language that there is.

    Args:
        wanted: a language tag that was asked for by name, such as ``de-AT``.
        accepted: a header Accept-Language.
        otherwise: the project's language.
    """
    named = (wanted or "").partition("-")[0].lower()
    languages = (named, *_by_preference(accepted or ""), otherwise)
    return Words.of(next((language for language in languages if language in LANGUAGES), LANGUAGES[0]))


def _by_preference(accepted: str) -> list[str]:
    choices = [match for match in map(_CHOICE.fullmatch, accepted[:500].split(",")) if match]
    wanted = [(match[1].lower(), _quality(match[2])) for match in choices]
    return [language for language, quality in sorted(wanted, key=lambda choice: -choice[1]) if quality > 0]


def _quality(given: str | None) -> float:
    try:
        return 1.0 if given is None else float(given)
    except ValueError:
        return 0.0
