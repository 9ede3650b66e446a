"""How reasons are said: one file per language, ``words/en.toml`` and its neighbours."""

from __future__ import annotations

import math
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from features.engine.definition import Unit
from features.groups import group_label
from kernel.artefacts import FeatureColumn

Value = float | str | None
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class Wording:
    """The texts of one language, and the currency of money."""

    texts: dict[str, Any]
    currency: str

    @classmethod
    def of(cls, language: str, currency: str) -> Wording:
        """The wording of a language such as "en", of which there is a file."""
        return cls(_read(language), currency)

    def reason(self, column: FeatureColumn, value: Value, usual: float | None = None) -> str:
        """A feature's value as a phrase with its unit, beside the customer's own usual one and that of the peers."""
        phrase = self.phrase(column)
        if value is None:
            # A mean or a share needs rows to be taken from: there were none in its window.
            return self._text("nothing", phrase=phrase)
        if isinstance(value, str):
            return self._text("word", phrase=phrase, value=value)
        beside = [
            self._text(name, **{name: self.number(level, column.unit)})
            for name, level in (("usual", usual), ("typical", column.typical))
            if level is not None
        ]
        said = self._text("number", value=self.number(value, column.unit), phrase=phrase)
        return f"{said} ({'; '.join(beside)})" if beside else said

    def change(self, column: FeatureColumn, value: float, target: float) -> str:
        """What a feature is, and what it would have to be."""
        told = {name: self.number(number, column.unit) for name, number in (("value", value), ("target", target))}
        return self._text("change", phrase=self.phrase(column), **told)

    def behaviour(self, name: str) -> str:
        """A behaviour of ``kernel.behaviours`` in words."""
        return str(self.texts["behaviours"][name])

    def phrase(self, column: FeatureColumn) -> str:
        """The feature in words: those of the language, or of its definition."""
        phrase = self.texts["phrases"].get(_NUMBER.sub("#", column.name))
        return column.phrase if phrase is None else phrase.format(*_NUMBER.findall(column.name))

    def group(self, name: str) -> str:
        """A group of features in words; one of the project's own by its name."""
        return self.texts["groups"].get(name, group_label(name))

    def number(self, number: float, unit: str) -> str:
        """A number with its unit, in the language's digits."""
        marks = {".": self.texts["decimal"], ",": self.texts["thousands"]}
        return re.sub(r"[.,]", lambda mark: marks[mark[0]], _digits(number, unit, self.currency))

    def _text(self, name: str, **parts: str) -> str:
        return str(self.texts[name]).format(**parts)


@cache
def _read(language: str) -> dict[str, Any]:
    return tomllib.loads(files("serving.scoring").joinpath(f"words/{language}.toml").read_text(encoding="utf-8"))


def _digits(number: float, unit: str, currency: str) -> str:
    if unit == Unit.MONEY:
        return f"{currency} {number:,.0f}" if abs(number) >= 10 else f"{currency} {number:z,.2f}"
    if unit == Unit.SHARE:
        return f"{number:.0%}"
    if unit == Unit.RATIO and 0 < abs(number) < 0.1:
        return f"{number:z.2f}"  # rates and concentrations are small: one digit would say 0.0 of all of them
    if unit == Unit.RATIO or (number != math.floor(number) and abs(number) < 10):
        return f"{number:z,.1f}"
    return f"{number:,.0f}"
