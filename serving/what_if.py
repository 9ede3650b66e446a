"""What would be said of a customer if some features were others: the request's ``what_if``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from features.engine.definition import Feature
from kernel.errors import ForesightError, did_you_mean
from kernel.feature_rows import FeatureRows

WhatIf = Mapping[str, float | str | None]
"""Feature -> its value instead: a number, a word, or None for unknown."""


class WhatIfError(ForesightError):
    """A value of ``what_if`` that no feature can have; ``where`` is its path in the request."""


def with_what_if(rows: FeatureRows, what_if: WhatIf, features: Iterable[Feature]) -> FeatureRows:
    """The same customers with other values; features that depend on the same events stay as they are.

    Args:
        rows: of the customers.
        what_if: given to each of them. A number may be written as a text.
        features: of the project.

    Raises:
        WhatIfError: the feature is unknown, or the value is not of its kind.
    """
    is_word = {feature.name: feature.is_word for feature in features}
    values: dict[str, float | str | None] = {}
    for name, value in what_if.items():
        if name not in is_word:
            raise WhatIfError(
                f"'{name}' is no feature of this project.", where=f"what_if.{name}", fix=did_you_mean(name, is_word)
            )
        values[name] = _word(name, value) if is_word[name] else _number(name, value)
    return rows.with_values(values)


def _word(name: str, value: float | str | None) -> str | None:
    if value is not None and not isinstance(value, str):
        raise WhatIfError(f"'{name}' is a word.", where=f"what_if.{name}", fix="Send a text, or null for unknown.")
    return value


def _number(name: str, value: float | str | None) -> float | None:
    try:
        number = None if value is None else float(value)
    except ValueError:
        number = math.nan
    if number is not None and not math.isfinite(number):
        raise WhatIfError(f"'{name}' is a number.", where=f"what_if.{name}", fix="Send one, or null for unknown.")
    return number
