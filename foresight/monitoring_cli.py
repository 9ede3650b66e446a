"""``foresight monitor``: does what the models were trained on still hold, and does what they said come true?"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from kernel.alerts import Monitoring

_out = Console()
_problems = Console(stderr=True)
_COLOURS = {"ok": "green", "watch": "yellow", "alarm": "red"}


class FailOn(StrEnum):
    """From which level on the exit code is 1."""

    WATCH = "watch"
    ALARM = "alarm"


def monitor(
    config: Annotated[Path, typer.Option("--config", "-c", help="foresight.toml, or the folder that holds it.")] = Path(
        "foresight.toml"
    ),
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Moment of knowledge; default: the day after the last transaction.")
    ] = None,
    to: Annotated[Path, typer.Option("--out", help="HTML file to write; the alerts stand beside it as JSON.")] = Path(
        "monitoring.html"
    ),
    fail_on: Annotated[
        FailOn | None, typer.Option("--fail-on", help="Exit with 1 where something is at least so grave.")
    ] = None,
) -> None:
    """Compare features and scores with the training, and ripe scores with what came; the exit code is 0 whatever is
    found, unless --fail-on says otherwise."""
    from foresight.check_page import check_target
    from foresight.monitoring import monitor as look
    from foresight.monitoring import write_monitoring
    from foresight.project import Project
    from kernel.alerts import LEVELS, Level
    from kernel.clock import utc_now

    page = check_target(to, (".html",))
    with _problems.status("read tables") as status:
        project = Project.open(config)
        moment = project.default_as_of() if as_of is None else project.moment(as_of)
        found, result = look(project, moment, utc_now(), say=lambda step: status.update(step))
        beside = write_monitoring(found, result, project.settings, page)
    for line in monitoring_lines(result):
        _out.print(line, soft_wrap=True, highlight=False)
    _out.print(f"Report: {page}, alerts: {beside}", soft_wrap=True, highlight=False)
    if fail_on is not None and LEVELS.index(result.level) >= LEVELS.index(Level(fail_on.value)):
        raise typer.Exit(1)


def monitoring_lines(result: Monitoring) -> Iterable[str]:
    """The gravest level, each check, what to do, and what could not be judged."""
    yield f"{result.project} as of {result.as_of:%Y-%m-%d}: [{_COLOURS[result.level]}]{result.level}[/]"
    for alert in result.alerts:
        yield f"[{_COLOURS[alert.level]}]{alert.level:<5}[/] {alert.model} {alert.check}: {_plain(alert.what)}"
        if alert.advice:
            yield f"      {_plain(alert.advice)}"
    for text in result.not_judged:
        yield f"[dim]{'-':<5}[/] {_plain(text)}"


def _plain(text: str) -> str:
    return text.replace("[", "\\[")
