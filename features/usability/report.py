"""All checks over one project: findings in order of weight, with the moment and the counts they speak of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from features.contract.checks import naive
from features.contract.findings import Finding, State
from features.contract.profiles import Profiles
from features.contract.tables import TABLES
from features.usability import (
    amounts,
    columns,
    contract_rules,
    days,
    filled,
    history,
    leaks,
    moments,
    population,
    repeats,
    robots,
)
from features.usability.data import Data
from features.usability.rules import Rule
from kernel.clock import iso, parse_as_of
from kernel.errors import NotEnoughDataError
from kernel.settings import Settings

SCHEMA_VERSION = 1
_ORDER = list(State)
_PARTS = (history, population, filled, moments, days, repeats, amounts, columns, leaks, robots)
RULES: dict[str, Rule] = {rule.code: rule for part in (contract_rules, *_PARTS) for rule in part.RULES}


@dataclass(frozen=True, slots=True)
class UsabilityReport:
    """What is wrong or thin in the tables of a project.

    Attributes:
        project: its name.
        as_of: the moment that the checks look back from, in UTC.
        first: first transaction, in UTC.
        last: last transaction before ``as_of``, in UTC.
        counts: rows of each semantic table, future ones included.
        findings: errors first, then warnings, recommendations, information; by code within.
    """

    project: str
    as_of: datetime
    first: datetime
    last: datetime
    counts: dict[str, int]
    findings: tuple[Finding, ...]

    @property
    def has_errors(self) -> bool:
        """Whether a step would fail or mislead."""
        return any(finding.state is State.ERROR for finding in self.findings)

    def count(self, state: State) -> int:
        """How many findings have this state."""
        return sum(finding.state is state for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON has it; ``docs/reference/checks.md`` describes every field."""
        return {
            "schema_version": SCHEMA_VERSION,
            "project": self.project,
            "as_of": iso(self.as_of),
            "first_transaction": iso(self.first),
            "last_transaction": iso(self.last),
            "rows": dict(self.counts),
            "states": {state.value: self.count(state) for state in State},
            "findings": [_with_advice(finding) for finding in self.findings],
        }


def _with_advice(finding: Finding) -> dict[str, str]:
    rule = RULES[finding.code]
    return {**finding.to_dict(), "why": rule.why, "fix": rule.fix}


def usability(
    profiles: Profiles, settings: Settings, *, now: datetime, as_of: datetime | None = None
) -> UsabilityReport:
    """Run every check.

    Args:
        profiles: the project's tables.
        settings: its windows.
        now: the present, by the caller's clock.
        as_of: look back from here; None: the midnight (UTC) after the last transaction that has happened by ``now``.

    Raises:
        NotEnoughDataError: no transaction lies before that moment.
    """
    until = naive(now) if as_of is None else naive(as_of)
    cursor = profiles.connection.cursor()
    comparison = "<=" if as_of is None else "<"
    first, last = cursor.execute(
        f"SELECT min(event_time), max(event_time) FROM transactions WHERE event_time {comparison} $until",
        {"until": until},
    ).fetchall()[0]
    if last is None:
        raise NotEnoughDataError(
            "No transaction lies before that moment.", where="transactions", fix="Name a later date with --as-of."
        )
    moment = datetime(last.year, last.month, last.day) + timedelta(days=1) if as_of is None else until
    data = Data.open(profiles, settings, moment)
    try:
        found = [finding for part in _PARTS for check in part.CHECKS for finding in check(data)]
    finally:
        data.cursor.close()
    findings = sorted([*profiles.findings, *found], key=lambda one: (_ORDER.index(one.state), one.code))
    return UsabilityReport(
        settings.project.name,
        parse_as_of(moment),
        parse_as_of(first),
        parse_as_of(last),
        {name: profiles.count(name) for name in TABLES},
        tuple(findings),
    )
