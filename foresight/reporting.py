"""The report page of a project: back-tests, models, data findings, published figures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from foresight.project import Project
from kernel.clock import utc_now
from kernel.errors import NotEnoughDataError, UsageError
from training.backtest import BacktestResult
from training.evaluation.report import render_report
from training.splits import training_cutoffs

_MOST_DATES = 4
_APART = timedelta(days=30)


def default_dates(project: Project) -> list[datetime]:
    """The newest moments, a month apart, whose label window is over and whose history suffices: up to four, rising.

    Raises:
        NotEnoughDataError: there is none.
    """
    trainer = project.trainer
    first, _ = project.profiles.span()
    newest = project.default_as_of() - timedelta(days=trainer.window.length_days)
    start = first.replace(tzinfo=newest.tzinfo)
    dates: list[datetime] = []
    while len(dates) < _MOST_DATES:
        date = newest - len(dates) * _APART
        try:
            training_cutoffs(start, date, trainer.window, project.settings.training)
        except NotEnoughDataError:
            if not dates:
                raise
            break
        dates.append(date)
    return dates[::-1]


def write_report(project: Project, results: Sequence[BacktestResult], path: Path) -> None:
    """Write the page.

    Raises:
        UsageError: the folder does not exist.
    """
    if not path.parent.is_dir():
        raise UsageError(f"The folder '{path.parent}' does not exist.", where="--out", fix="Make it, or name another.")
    names = {kind: project.registry.champion(project.settings.model_name(kind)) for kind in ("churn", "value")}
    page = render_report(
        project.settings,
        results,
        findings=project.findings,
        models={kind: str(version) for kind, version in names.items() if version is not None},
        as_of=max(result.as_of for result in results),
        made_at=utc_now(),
    )
    path.write_text(page, encoding="utf-8")
