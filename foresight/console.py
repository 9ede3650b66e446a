"""What the command line prints: tables and steps; figures always with unit and date."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import pandas as pd
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from features.contract.findings import Finding, State
from features.engine.definition import FeatureSet, Unit
from features.engine.snapshot import Snapshot, StoredRows
from features.groups import group_label
from features.usability.report import UsabilityReport
from kernel.segment import SegmentValue
from training.backtest import BacktestResult
from training.evaluation.band_changes import summed
from training.evaluation.statements import grade_sentence, treated_sentence
from training.flat_table import TableJudgement
from training.labels.rhythm import Rhythm
from training.train import TrainingOutcome

if TYPE_CHECKING:
    from foresight.action_training import ActionTraining
    from serving.campaign import Campaign
    from training.tuning import Tuned

_COLOURS = {State.ERROR: "red", State.WARNING: "yellow", State.RECOMMENDATION: "cyan", State.INFO: "dim"}
_WIDE = 120  # characters that eight columns need to be read
_WEAK, _WIDE_AUC = 0.65, 0.1
_MOST_CHANGES = 8
_REACH = 1.6449  # standard deviations to both sides that hold 90 % of a normal distribution


@contextmanager
def progress(console: Console) -> Generator[Progress]:
    """A progress display that shows on a terminal and stays silent in a log."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as shown:
        yield shown


def tables_line(report: UsabilityReport) -> str:
    """Which data the usability report speaks of."""
    shown = ("customers", "transactions", "activities")
    counts = [f"{count:,} {name}" for name, count in report.counts.items() if count or name in shown]
    return (
        f"{report.project}: {', '.join(counts)}; transactions from {report.first:%Y-%m-%d} to {report.last:%Y-%m-%d} "
        f"(UTC), as of {report.as_of:%Y-%m-%d}"
    )


@dataclass(frozen=True)
class FindingsTable:
    """The usability report, as wide as the terminal is: a column for each figure, or one finding below the other."""

    findings: Sequence[Finding]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield _wide(self.findings) if options.max_width >= _WIDE else _narrow(self.findings)


def findings_table(findings: Iterable[Finding]) -> FindingsTable:
    """The usability report."""
    return FindingsTable(tuple(findings))


def _wide(findings: Iterable[Finding]) -> Table:
    table = Table(title="Usability report", title_justify="left")
    for column in ("Code", "Step", "State", "Table", "Column", "Name and details", "Required", "Actual"):
        table.add_column(column, overflow="fold", no_wrap=column in ("Code", "Step"))
    for one in findings:
        said = f"[bold]{escape(one.name)}[/]\n{escape(one.details)}"
        texts = map(escape, (one.table, one.column))
        table.add_row(one.code, one.step, _state(one), *texts, said, escape(one.required), escape(one.actual))
    return table


def _narrow(findings: Iterable[Finding]) -> Table:
    table = Table(title="Usability report", title_justify="left", show_lines=True)
    table.add_column("Code", no_wrap=True)
    table.add_column("Finding", overflow="fold")
    for one in findings:
        place = f"{one.table}.{one.column}" if one.column else one.table
        lines = [f"[bold]{escape(one.name)}[/] [dim]{escape(place)}[/]", escape(one.details)]
        lines += [f"[dim]{word}[/] {escape(text)}" for word, text in _figures(one) if text]
        table.add_row(f"{one.code}\n{_state(one)}\n{one.step}", "\n".join(lines))
    return table


def _figures(one: Finding) -> tuple[tuple[str, str], ...]:
    return ("required", one.required), ("actual  ", one.actual)


def _state(one: Finding) -> str:
    return f"[{_COLOURS[one.state]}]{one.state}[/]"


def snapshots_table(snapshots: Iterable[Snapshot], in_service: str | None) -> Table:
    """One row per stored snapshot."""
    table = Table(title="Stored features", title_justify="left")
    for column in ("As of (UTC)", "Snapshot", "Built (UTC)", "Engine"):
        table.add_column(column, no_wrap=True)
    for column in ("Customers", "Features", "MB", "Seconds"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("")
    for one in snapshots:
        made = one.manifest
        table.add_row(
            f"{made.as_of:%Y-%m-%d %H:%M}",
            made.digest,
            f"{made.built_at:%Y-%m-%d %H:%M}",
            made.engine,
            f"{made.customers:,}",
            str(len(made.feature_versions)),
            f"{one.file.stat().st_size / 1e6:,.1f}",
            f"{made.seconds:,.1f}",
            "[green]in service[/]" if one.id == in_service else "",
        )
    return table


def values_table(customer_id: str, stored: StoredRows, known: FeatureSet, currency: str) -> Table:
    """One customer's stored values, each with its unit and its meaning."""
    consent = "" if stored.consent[0] else "; no consent: never scored"
    table = Table(
        title=f"Customer {escape(customer_id)} as of {stored.manifest.as_of:%Y-%m-%d %H:%M} (UTC){consent}",
        title_justify="left",
    )
    table.add_column("Feature", no_wrap=True)
    table.add_column("Value", justify="right", overflow="fold")
    for column in ("Unit", "Meaning"):
        table.add_column(column, overflow="fold")
    described = {feature.name: feature for feature in known}
    for name, value in stored.features.iloc[0].items():
        feature = described.get(str(name))
        unit = "" if feature is None else currency if feature.unit is Unit.MONEY else feature.unit.value
        table.add_row(str(name), _value(value), unit, "" if feature is None else escape(feature.phrase))
    return table


def _value(value: object) -> str:
    if isinstance(value, str):
        return escape(value)
    return f"{value:,.6g}" if isinstance(value, float) and value == value else "unknown"


def backtest_tables(result: BacktestResult, currency: str) -> Group:
    """Models and baselines on one test cohort: churn, then value."""
    of = f"{result.customers:,} customers, {result.training_rows:,} training rows of {result.cutoffs} earlier cut-offs"
    churn = _figures_table(
        f"Churn back-test as of {result.as_of:%Y-%m-%d}: {of}",
        {"auc": "AUC", "average_precision": "avg. precision", "ece": "calib. error", "base_rate": "churned"},
        result.churn,
    )
    covered = f"{result.interval_coverage:.0%} of customers inside their 90 % interval"
    value = _figures_table(
        f"Value back-test as of {result.as_of:%Y-%m-%d}: {covered}",
        {"mae": f"MAE {currency}", "spearman": "rank corr.", "gini": "Gini", "total_ratio": "total/actual"},
        result.value,
    )
    notes = [] if result.grade is None else [grade_sentence(result.grade)]
    notes += [treated_sentence(result)] if result.treated else []
    notes += [
        f"[yellow]The feature '{escape(name)}' tells the outcome almost alone (AUC {auc:.3f}): was it known before?[/]"
        for name, auc in result.suspects.items()
    ]
    return Group(churn, *notes, value)


def rhythm_lines(rhythm: Rhythm, horizon_days: int) -> Iterable[RenderableType]:
    """The share of returns by length of silence, and the horizon that it suggests beside the one that is set."""
    table = Table(
        title=f"Returns after a silence, as of {rhythm.as_of:%Y-%m-%d} ({rhythm.returns:,} returns)",
        title_justify="left",
    )
    for heading in ("Days of silence", "Have come", "of all that ever come"):
        table.add_column(heading, justify="left" if heading.startswith("of") else "right")
    shown = {7 * 2**step for step in range(6)} | {horizon_days, rhythm.horizon_days}
    for days in sorted(shown):
        share = rhythm.returned_by(days)
        note = "chosen by the data" if days == rhythm.horizon_days else ""
        note = " and ".join(filter(None, [note, "set now" if days == horizon_days else ""]))
        table.add_row(f"{days}", f"{share:.1%}", f"{'█' * round(20 * share):<20} {note}".rstrip())
    yield table
    if rhythm.horizon_days == horizon_days:
        yield "The horizon that is set is the one that the data choose."
        return
    yield "To take what the data choose, write:"
    yield "\\[churn]"
    yield f"horizon_days = {rhythm.horizon_days}"


def segment_lines(found: SegmentValue, as_of: datetime, horizon_days: int, currency: str) -> Iterable[str]:
    """What a segment is worth."""
    if not found.customers:
        yield "No customer with a value meets the condition."
        return
    yield (
        f"{found.customers:,} customers, net spend expected in the {horizon_days} days from {as_of:%Y-%m-%d} (UTC): "
        f"{found.expected:,.0f} {currency} in all, {found.confidence:.0%} interval of the total "
        f"{found.low:,.0f} to {found.high:,.0f} {currency}"
    )
    yield f"{found.expected / found.customers:,.2f} {currency} a customer on average"


def campaign_table(planned: Campaign, as_of: datetime, currency: str) -> Table:
    """What each action of the plan is given, brings and costs, and what one more of it would bring."""
    table = Table(title=f"Campaign planned as of {as_of:%Y-%m-%d} (UTC)", title_justify="left")
    table.add_column("action")
    money = (f"expected gain {currency}", f"cost {currency}", f"one more brings {currency}")
    for heading in ("customers", "at most", *money):
        table.add_column(heading, justify="right")
    for number, name in enumerate(planned.actions):
        given = planned.plan.loc[planned.plan["action"].to_numpy(object) == name]
        gain, cost = float(given["expected_value"].sum()), float(given["cost"].sum())
        limit = planned.capacities[number]
        table.add_row(
            escape(name),
            f"{planned.allocation.used[number]:,}",
            "-" if limit == float("inf") else f"{limit:,.0f}",
            f"{gain:,.2f}",
            f"{cost:,.2f}",
            "-" if limit == float("inf") else f"{planned.allocation.prices.capacity[number]:,.2f}",
        )
    return table


def campaign_lines(planned: Campaign, currency: str) -> Iterable[str]:
    """Totals with their interval, what the budget is worth, and why customers are left out."""
    found, gain = planned.allocation, planned.gain
    reached = int((found.chosen > 0).sum())
    yield (
        f"{reached:,} of {len(planned.plan):,} customers get an action: expected gain over doing nothing "
        f"{gain.expected:,.2f} {currency} ({gain.confidence:.0%} interval {gain.low:,.2f} to {gain.high:,.2f}) "
        f"for {found.spent:,.2f} {currency}"
    )
    if planned.budget is not None:
        yield (
            f"Budget {planned.budget:,.2f} {currency}: one more {currency} would bring "
            f"{found.prices.budget:,.2f} {currency} of gain"
        )
    yield f"No plan within these limits brings more than {found.bound:,.2f} {currency} (gap {found.gap:.3%})"
    left = planned.plan.loc[planned.plan["action"].isna(), "why"].value_counts()
    if len(left):
        yield "Left out: " + ", ".join(f"{count:,} {escape(str(why))}" for why, count in left.items())


def action_training_lines(learned: ActionTraining) -> list[str]:
    """What was learned of each action's effect, and what became of the model."""
    lines = [
        f"{effect.action}: {effect.effect:+.4f} of the outcome on average (90 % interval "
        f"{effect.effect - _REACH * effect.error:+.4f} to {effect.effect + _REACH * effect.error:+.4f}), "
        f"{effect.status}; {effect.positives:,} positives, {effect.controls:,} controls"
        for effect in learned.effects
    ]
    state = "decisions go by it from now on" if learned.promoted else "challenger; decisions go by the one before"
    return [*lines, *learned.notes, f"{learned.version}: {state}"]


def training_lines(outcome: TrainingOutcome) -> Iterable[RenderableType]:
    """What a training chose, what became of each model and why, and who changes band by it."""
    if outcome.tuned is not None:
        yield from _tuned_lines(outcome.tuned)
    for model in (outcome.churn, outcome.value):
        became = "champion" if model.verdict.promote else "challenger only"
        yield f"{model.version} as of {outcome.as_of:%Y-%m-%d}: {became} ({escape(model.verdict.reason)})"
        if model.changes is not None:
            yield from _changes_lines(model.changes, model.verdict.promote)


def _tuned_lines(tuned: Tuned) -> Iterable[str]:
    figures = f"log-loss {tuned.loss:.5f}, with the usual ones {tuned.loss_before:.5f}, on customers not searched by"
    if not tuned.is_better:
        yield f"{tuned.trials} settings of the trees were tried; none is surely better ({figures})."
        return
    yield f"{tuned.trials} settings of the trees were tried; these are better ({figures}). To keep them:"
    yield "\\[churn.trees]"
    for name, value in tuned.trees.model_dump().items():
        yield f"{name} = {str(value).lower() if isinstance(value, bool) else f'{value:.4g}'}"


def _changes_lines(changes: pd.DataFrame, promoted: bool) -> Iterable[RenderableType]:
    looked_at = changes.attrs["customers"]
    would = "change" if promoted else "would change"
    yield f"{len(changes):,} of {looked_at:,} customers {would} their band by it."
    if changes.empty:
        return
    table = Table(title="Bands, before and now, and the features that move most customers", title_justify="left")
    for column in ("Before", "Now", "Mostly by"):
        table.add_column(column)
    table.add_column("Customers", justify="right")
    for _, row in summed(changes).head(_MOST_CHANGES).iterrows():
        group = group_label(str(row["group"]))
        table.add_row(str(row["band_before"]), str(row["band_now"]), group, f"{row['customers']:,}")
    yield table


def judgement_table(found: TableJudgement, label: str) -> Group:
    """What a flat table is worth: figures, the grade, and what was left out."""
    table = Table(
        title=f"'{label}' told from {len(found.columns)} columns, by folds of customers", title_justify="left"
    )
    for column in ("Figure", "Value"):
        table.add_column(column, justify="right" if column == "Value" else "left", overflow="fold")
    auc, metrics = found.auc, found.metrics
    table.add_row("Customers", f"{found.customers:,}")
    table.add_row("with the outcome", f"{found.happened:,} ({found.happened / found.customers:.1%})")
    interval = "" if auc is None else f" (95 % interval {auc.low:.3f} to {auc.high:.3f})"
    table.add_row("AUC", f"{metrics['auc']:.3f}{interval}")
    table.add_row("AUC, mean of five folds", f"{metrics['auc_of_folds']:.3f}")
    table.add_row("Average precision", f"{metrics['average_precision']:.3f} (chance {metrics['base_rate']:.3f})")
    table.add_row("Brier score", f"{metrics['brier']:.4f}")
    table.add_row("Calibration error", f"{metrics['ece']:.3f}")
    table.add_row("Lift, top tenth", f"{metrics['lift_top_tenth']:.1f}")
    notes = [] if found.grade is None else [grade_sentence(found.grade)]
    notes += [f"Weak: {weakness}" for weakness in _weaknesses(found)]
    notes += [f"Left out: {escape(name)} ({reason})." for name, reason in found.left_out.items()]
    if found.repeated:
        notes.append(f"{found.repeated:,} rows equal another one; equal rows were kept in one fold.")
    notes.append("A table without dates cannot show that a column was known before the outcome: that is yours to know.")
    return Group(table, *notes)


def _weaknesses(found: TableJudgement) -> list[str]:
    auc = found.auc
    if auc is None:
        return ["no interval of the AUC can be told."]
    notes: list[str] = []
    if auc.estimate < _WEAK:
        notes.append(f"an AUC of {auc.estimate:.2f} is closer to chance (.50) than to what churn models mostly reach.")
    if auc.high - auc.low > _WIDE_AUC:
        notes.append(f"the AUC may lie anywhere from {auc.low:.2f} to {auc.high:.2f}: too few customers.")
    return notes


def _figures_table(title: str, headings: Mapping[str, str], models: Mapping[str, Mapping[str, float]]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("model", no_wrap=True)
    for heading in headings.values():
        table.add_column(heading, justify="right", no_wrap=True)
    for name, metrics in models.items():
        table.add_row(name.replace("_", " "), *(_figure(metrics, metric) for metric in headings))
    return table


def _figure(metrics: Mapping[str, float], name: str) -> str:
    if name not in metrics:
        return "-"
    return f"{metrics[name]:.1f}" if name == "mae" else f"{metrics[name]:.3f}"
