"""A numbered rule of the usability report: what is looked for, why it matters, what to do."""

from __future__ import annotations

from dataclasses import dataclass

from features.contract.findings import Finding, State


@dataclass(frozen=True, slots=True)
class Rule:
    """One code.

    Attributes:
        step: "read", "train" or "score": what suffers.
        state: how much it matters.
        table: the semantic table it speaks of; "" where it may be any, and the finding says which.
        column: likewise.
        required: the rule in words, with its figures.
        why: why it matters.
        fix: what to do.
    """

    code: str
    name: str
    step: str
    state: State
    table: str
    column: str
    required: str
    why: str
    fix: str

    def finding(
        self, details: str, *, actual: str, required: str | None = None, table: str = "", column: str = ""
    ) -> Finding:
        """A finding under this code; ``required`` None: as the rule says."""
        return Finding(
            self.code,
            self.name,
            self.step,
            self.state,
            table or self.table,
            column or self.column,
            details,
            required=self.required if required is None else required,
            actual=actual,
        )


def share(part: int, total: int, unit: str) -> str:
    """``12 of 480 customers (2.5%)``."""
    return f"{part:,} of {total:,} {unit} ({part / total if total else 0:.1%})"
