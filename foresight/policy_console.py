"""What the command line prints of a judged policy."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from training.evaluation.discrimination import Interval
from training.evaluation.fixed_policies import GATE
from training.evaluation.policy_report import PolicyPage, exploration_sentence, programme_sentence


def policy_lines(page: PolicyPage) -> Iterable[RenderableType]:
    """The verdict, what was checked, what each policy earns, and what else a manager asks."""
    found = page.evaluation
    yield f"[bold]{escape(found.judgement.sentence)}[/]"
    yield _checks(page)
    yield _values(page)
    yield escape(found.comparison.sentence)
    yield escape(programme_sentence(page))
    yield escape(exploration_sentence(page))
    for note in found.notes:
        yield f"[yellow]{escape(note)}[/]"
    for why, count in page.left_out.items():
        yield escape(f"Left out: {count:,} {why}")


def _checks(page: PolicyPage) -> Table:
    table = Table(title="What was checked", title_justify="left")
    table.add_column("check", overflow="fold")
    table.add_column("")
    table.add_column("what was found", overflow="fold")
    for check in page.evaluation.judgement.checks:
        state = "[green]holds[/]" if check.holds else "[red]fails[/]"
        table.add_row(escape(check.name), state, escape(check.found))
    return table


def _values(page: PolicyPage) -> Table:
    title = f"{page.currency} per decision, {page.decisions:,} decisions of {page.when} (UTC), 95 % intervals"
    table = Table(title=title, title_justify="left")
    table.add_column("policy", overflow="fold")
    for heading in (*GATE, "effective decisions"):
        table.add_column(heading, justify="right")
    for one in page.evaluation.policies:
        if not one.is_supported:
            table.add_row(escape(one.name), "no support", "-", "-")
            continue
        figures = (_figure(one.estimates[name]) for name in GATE)
        table.add_row(escape(one.name), *figures, f"{one.effective:,.0f}")
    return table


def _figure(found: Interval | None) -> str:
    return "-" if found is None else f"{found.estimate:,.3f} ({found.low:,.3f} to {found.high:,.3f})"
