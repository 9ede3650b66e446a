"""Parameters of a distribution: numbers above 0, and how they are stored."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Self

from kernel.errors import RegistryError, UsageError, did_you_mean


@dataclass(frozen=True)
class Parameters:
    """What the models of buying behaviour share; every field is a parameter.

    Raises:
        UsageError: a parameter is not above 0.
    """

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value > 0):
                raise UsageError(
                    f"The parameter {field.name} is {value}, and has to be a number above 0.",
                    where=f"{type(self).__name__}.{field.name}",
                    fix="Fit the model again, or correct the stored parameters.",
                )

    def to_dict(self) -> dict[str, float]:
        """The parameters, ready for JSON; floats survive the round trip exactly."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, object]) -> Self:
        """The inverse of ``to_dict``.

        Raises:
            RegistryError: a parameter is missing, unknown or no number.
            UsageError: a parameter is not above 0.
        """
        names = [field.name for field in fields(cls)]
        where, fix = f"stored {cls.__name__}", "Train the model again."
        for name in stored:
            if name not in names:
                what = f"'{name}' is no parameter. {did_you_mean(name, names)}"
                raise RegistryError(what, where=where, fix=fix)
        parameters: dict[str, float] = {}
        for name in names:
            value = stored.get(name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise RegistryError(f"The parameter '{name}' is missing or no number.", where=where, fix=fix)
            parameters[name] = float(value)
        return cls(**parameters)
