"""What monitoring last found, as a small file: written by ``foresight monitor``, read by whoever shows it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from kernel.part import Part
from kernel.settings import Settings

ModelKind = Literal["churn", "value"]
Check = Literal["features", "scores", "ranking", "calibration"]


class Level(StrEnum):
    """How much a change matters."""

    OK = "ok"
    WATCH = "watch"
    ALARM = "alarm"


LEVELS = tuple(Level)
"""The lightest first."""


def worst(levels: Iterable[Level]) -> Level:
    """The gravest of some; ok where there is none."""
    return max(levels, key=LEVELS.index, default=Level.OK)


class Alert(Part):
    """One check of one model, whatever came out.

    Attributes:
        check: features (PSI), scores (PSI), ranking (AUC below what was promised), or calibration (observed over
            expected).
        model: the kind.
        what, advice: the finding in words, and what to do; the latter is empty where nothing is to be done.
        estimate, low, high: of the figure; ``threshold`` is what the interval would have to lie beyond for an alarm.
    """

    check: Check
    model: ModelKind
    level: Level
    what: str
    advice: str = ""
    estimate: float
    low: float
    high: float
    threshold: float


class Monitoring(Part):
    """All that one run of the monitoring says.

    Attributes:
        as_of: what came later was not known to it, UTC.
        made_at: when it ran, UTC.
        psi_max: of each kind of model, the largest PSI beyond chance among the features that matter.
        alerts: one for each check that could be made.
        not_judged: what could not be, and why.
    """

    project: str
    as_of: datetime
    made_at: datetime
    psi_max: dict[ModelKind, float]
    alerts: tuple[Alert, ...]
    not_judged: tuple[str, ...] = ()

    @property
    def level(self) -> Level:
        """The gravest of the alerts."""
        return worst(alert.level for alert in self.alerts)

    def count(self, level: Level) -> int:
        """Checks that came out so."""
        return sum(alert.level is level for alert in self.alerts)


def latest_file(settings: Settings) -> Path:
    """Where a project's newest monitoring is kept."""
    return settings.state_folder / "monitoring" / "latest.json"


def write_alerts(found: Monitoring, path: Path) -> None:
    """Write it by one rename; readers see the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")
    unfinished.replace(path)


def read_alerts(path: Path) -> Monitoring | None:
    """What was written; None where nothing was yet, or another version wrote it."""
    try:
        return Monitoring.model_validate_json(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValidationError):
        return None
