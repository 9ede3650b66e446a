"""Commands that ask whether an action works: ``foresight plan-pilot`` and ``foresight check-effect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

_out = Console()
_problems = Console(stderr=True)

Config = Annotated[Path, typer.Option("--config", "-c", help="foresight.toml, or the folder that holds it.")]


def plan_pilot(
    action: Annotated[
        str | None,
        typer.Argument(help="An action of the catalogue; without one give --rate (or --spread) and --effect."),
    ] = None,
    config: Config = Path("foresight.toml"),
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Moment of knowledge; default: the day after the last transaction.")
    ] = None,
    effect: Annotated[
        float | None,
        typer.Option(help="The smallest effect that would pay: .01 is one customer in a hundred; money with --spread."),
    ] = None,
    rate: Annotated[float | None, typer.Option(help="Probability of the outcome when nothing is done.")] = None,
    spread: Annotated[
        float | None, typer.Option(help="Of an outcome of money: its standard deviation between customers.")
    ] = None,
    window_days: Annotated[int | None, typer.Option(help="Days within which the outcome counts.")] = None,
    per_day: Annotated[
        float | None,
        typer.Option(help="Customers who can enter a day; default: all who may have the action, on one day."),
    ] = None,
    power: Annotated[float, typer.Option(help="Probability of finding the effect if it is there.")] = 0.8,
    significance: Annotated[float, typer.Option(help="Probability of finding one where there is none.")] = 0.05,
    control_share: Annotated[float, typer.Option(help="Share of the customers who get nothing.")] = 0.5,
) -> None:
    """Say how many customers and days a randomised pilot of an action takes."""
    from foresight.pilot_plan import PilotQuestion, pilot_lines, size_pilot
    from foresight.project import Project

    question = PilotQuestion(effect, rate, spread, window_days, per_day, power, significance, control_share)
    if action is None:
        plan = size_pilot(question)
    else:
        with _problems.status("read tables"):
            project = Project.open(config)
            plan = project.plan_pilot(action, question, as_of=as_of or project.default_as_of())
    for line in pilot_lines(plan, action or "the action"):
        _out.print(line, soft_wrap=True, markup=False, highlight=False)


def check_effect(
    kind: Annotated[str, typer.Argument(help="The kind of activity that is the treatment, such as campaign_received.")],
    start: Annotated[str, typer.Option(help="Day on which it happened, UTC; features are as of then.")],
    days: Annotated[int, typer.Option(help="Length of the window in which net spend counts.")],
    detail: Annotated[str | None, typer.Option(help="The activity's detail, such as a type; default: any.")] = None,
    entry_days: Annotated[int, typer.Option(help="It happened to the treated within so many days from the start.")] = 1,
    config: Config = Path("foresight.toml"),
    known_at: Annotated[
        str | None, typer.Option(help="Moment of knowledge; default: the day after the last transaction.")
    ] = None,
) -> None:
    """Say whether an effect on spend may be claimed, where nobody drew who was treated."""
    from foresight.effect_check import effect_lines
    from foresight.project import Project

    with _problems.status("read tables") as status:
        project = Project.open(config)
        status.update("compare")
        found = project.check_effect(
            kind, start=start, days=days, detail=detail, entry_days=entry_days, known_at=known_at
        )
    for line in effect_lines(found):
        _out.print(line, soft_wrap=True, markup=False, highlight=False)
