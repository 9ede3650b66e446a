"""The usability report: what is wrong or thin in the user's tables, with numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum


class State(StrEnum):
    """How much a finding matters: an error stops the step, a warning does not, a recommendation would help."""

    ERROR = "error"
    WARNING = "warning"
    RECOMMENDATION = "recommendation"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the usability report; ``required`` and ``actual`` are figures with their unit."""

    code: str
    name: str
    step: str
    state: State
    table: str
    column: str
    details: str
    required: str = ""
    actual: str = ""

    @classmethod
    def from_dict(cls, values: Mapping[str, str]) -> Finding:
        """The finding that :meth:`to_dict` wrote."""
        return cls(**{**values, "state": State(values["state"])})  # type: ignore[arg-type]

    def to_dict(self) -> dict[str, str]:
        """All fields as text."""
        return {key: str(value) for key, value in asdict(self).items()}
