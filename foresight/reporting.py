"""The report page of a project: back-tests, models, data findings, published figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from foresight.project import Project
from kernel.clock import utc_now
from kernel.errors import NotEnoughDataError, UsageError, did_you_mean
from kernel.settings import Settings
from training.backtest import BacktestResult
from training.evaluation.plots import write_plots
from training.evaluation.report import PublishedFigure, render_report
from training.labels.buying import WeeklyPurchases, cohort_spend, weekly_purchases
from training.labels.rhythm import Rhythm, purchase_rhythm
from training.splits import training_cutoffs

_MOST_DATES = 4
_APART = timedelta(days=30)
_FIGURES = {
    "auc": "AUC",
    "ece": "calibration error",
    "mae": "mean absolute error",
    "spearman": "rank correlation",
    "gini": "normalised Gini",
    "total_ratio": "total expected over actual",
}


def default_dates(project: Project) -> list[datetime]:
    """The newest moments, a month apart, whose label window is over and whose history suffices: up to four, rising.

    Raises:
        NotEnoughDataError: there is none.
    """
    trainer = project.trainer
    newest = project.default_as_of() - timedelta(days=trainer.window.days)
    first, _ = project.profiles.span(newest)
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


def published_figures(settings: Settings, results: Sequence[BacktestResult]) -> list[PublishedFigure]:
    """Our figures beside the published ones of the same dates.

    Raises:
        UsageError: a metric that the back-test does not have.
    """
    by_date = {result.as_of.date(): result for result in results}
    figures: list[PublishedFigure] = []
    for one in settings.published:
        result = by_date.get(one.as_of)
        if result is None:
            continue
        ours = result.churn["model"] if one.model == "churn" else result.value["trees"]
        if one.metric not in ours:
            raise UsageError(
                f"'{one.metric}' is no figure of the {one.model} back-test.",
                where=f"{settings.file}: published",
                fix=did_you_mean(one.metric, ours),
            )
        words = _FIGURES.get(one.metric, one.metric.replace("_", " "))
        name = f"{one.model.capitalize()}, {words}, {one.as_of.day} {one.as_of:%b %Y}"
        unit = settings.project.currency if one.metric == "mae" else ""
        figures.append(PublishedFigure(name, one.source, ours[one.metric], one.value, unit))
    return figures


def _rhythm(project: Project, as_of: datetime) -> Rhythm | None:
    if project.settings.churn.definition != "transactions":
        return None
    try:
        return purchase_rhythm(project.profiles, as_of)
    except NotEnoughDataError:
        return None


def _purchases(project: Project, as_of: datetime) -> WeeklyPurchases | None:
    try:
        # As far as the back-test looked: its labels are known until then.
        return weekly_purchases(project.profiles, as_of, as_of + timedelta(days=project.trainer.window.days))
    except NotEnoughDataError:
        return None


def write_report(project: Project, results: Sequence[BacktestResult], path: Path) -> None:
    """Write the page.

    Raises:
        UsageError: the folder does not exist.
    """
    if not path.parent.is_dir():
        raise UsageError(f"The folder '{path.parent}' does not exist.", where="--out", fix="Make it, or name another.")
    names = {kind: project.registry.champion(project.settings.model_name(kind)) for kind in ("churn", "value")}
    models = {kind: str(version) for kind, version in names.items() if version is not None}
    path.write_text(_page(project, results, models), encoding="utf-8")


def training_files(project: Project, result: BacktestResult, folder: Path) -> tuple[Path, ...]:
    """The plots of a training's back-test, and the report of it, written into a folder."""
    report = folder / "report.html"
    report.write_text(_page(project, [result], {"both": "of this run"}), encoding="utf-8")
    return (report, *write_plots(result, folder, project.settings.project.currency))


def _page(project: Project, results: Sequence[BacktestResult], models: Mapping[str, str]) -> str:
    as_of = max(result.as_of for result in results)
    return render_report(
        project.settings,
        results,
        findings=project.findings,
        models=models,
        as_of=as_of,
        made_at=utc_now(),
        published=published_figures(project.settings, results),
        rhythm=_rhythm(project, as_of),
        purchases=_purchases(project, as_of),
        cohorts=cohort_spend(project.profiles, as_of),
    )
