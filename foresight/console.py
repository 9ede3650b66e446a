"""What the command line prints: tables and steps; figures always with unit and date."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from features.contract.findings import Finding, State
from training.backtest import BacktestResult

_COLOURS = {State.ERROR: "red", State.WARNING: "yellow", State.RECOMMENDATION: "cyan", State.INFO: "dim"}


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


def findings_table(findings: Iterable[Finding]) -> Table:
    """The usability report."""
    table = Table(title="Usability report", title_justify="left")
    for column in ("Code", "State", "Table", "Column", "Details", "Required", "Actual"):
        table.add_column(column, overflow="fold")
    for one in findings:
        state = f"[{_COLOURS[one.state]}]{one.state}[/]"
        table.add_row(one.code, state, one.table, one.column, one.details, one.required, one.actual)
    return table


def backtest_table(result: BacktestResult, currency: str) -> Table:
    """Models and baselines on one test cohort."""
    title = (
        f"Back-test as of {result.as_of:%Y-%m-%d}: {result.customers:,} customers, trained on {result.training_rows:,} "
        f"rows of {result.cutoffs} earlier cut-offs"
    )
    table = Table(title=title, title_justify="left")
    for column in ("", "AUC", "avg. precision", "calibration error", f"MAE {currency}", "rank corr.", "total / actual"):
        table.add_column(column, justify="left" if not column else "right")
    for name, metrics in result.churn.items():
        table.add_row(f"churn · {_words(name)}", *_figures(metrics, "auc", "average_precision", "ece"), "", "", "")
    for name, metrics in result.value.items():
        table.add_row(f"value · {_words(name)}", "", "", "", *_figures(metrics, "mae", "spearman", "total_ratio"))
    return table


def _words(name: str) -> str:
    return name.replace("_", " ")


def _figures(metrics: dict[str, float], *names: str) -> list[str]:
    return [
        f"{metrics[name]:.1f}" if name == "mae" else f"{metrics[name]:.3f}" if name in metrics else "-"
        for name in names
    ]
