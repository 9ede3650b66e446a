"""The figures as a table for the screen and as ``results.md``."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from datetime import datetime
from importlib.metadata import version

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Figure

_PACKAGES = ("duckdb", "ibis-framework", "pandas", "lightgbm", "lifetimes", "bentoml", "pydantic")
_HEADINGS = ("what", "ours", "baseline", "", "against", "ratio")


def print_table(figures: Sequence[Figure], console: Console) -> None:
    """One row per figure, a section per question."""
    table = Table(title="ratio above 1: better than the baseline")
    for heading in _HEADINGS:
        table.add_column(heading, justify="right" if heading in ("ours", "baseline", "ratio") else "left")
    for i, figure in enumerate(figures):
        last = i + 1 == len(figures) or figures[i + 1].question != figure.question
        table.add_row(*_cells(figure), end_section=last)
    console.print(table)


def machine(load: float) -> str:
    """The facts about this machine that a reader needs: cores, Python, versions, and how busy it was.

    Args:
        load: runnable processes in the minute before the run.
    """
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, load {load:.1f} before the run; "
        f"Python {platform.python_version()}, {versions}"
    )


def markdown(
    figures: Sequence[Figure], when: datetime, facts: str, remarks: str, *, questions: Sequence[str], before: str
) -> str:
    """The content of results.md: a section for each question, with its own date.

    Args:
        figures: of the questions that were answered now.
        questions: all there are, in their order.
        before: the content so far, whose other sections stay.
    """
    sections = dict(part.split("\n\n", 1) for part in before.split("\n## ")[1:])
    for question in dict.fromkeys(figure.question for figure in figures):
        own = [figure for figure in figures if figure.question == question]
        sections[question] = "\n\n".join([f"{when:%Y-%m-%d}. {facts}.", _rows(own), *_notes(own)])
    parts = ["# Speed, beside baselines of the same run", remarks.strip()]
    parts += [f"## {question}\n\n{sections[question].strip()}" for question in questions if question in sections]
    return "\n\n".join(parts) + "\n"


def _rows(figures: Iterable[Figure]) -> str:
    lines = ["| what | ours | baseline | | against | ratio |", "|---|---:|---:|---|---|---:|"]
    return "\n".join([*lines, *("| " + " | ".join(_cells(figure)) + " |" for figure in figures)])


def _notes(figures: Iterable[Figure]) -> list[str]:
    notes = dict.fromkeys(f"{figure.what}: {figure.note}." for figure in figures if figure.note)
    return ["\n".join(f"- {note}" for note in notes)] if notes else []


def _cells(figure: Figure) -> tuple[str, ...]:
    numbers = (_written(figure.ours), _written(figure.baseline))
    return (figure.what, *numbers, figure.unit, figure.against, f"{figure.ratio:.2f}")


def _written(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"
