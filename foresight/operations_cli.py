"""Commands of whoever runs the service: ``foresight doctor``."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

_out = Console()
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "bold red"}


class DoctorFormat(StrEnum):
    """What ``foresight doctor`` prints."""

    TABLE = "table"
    JSON = "json"


def doctor(
    config: Annotated[Path, typer.Option("--config", "-c", help="foresight.toml, or the folder that holds it.")] = Path(
        "foresight.toml"
    ),
    form: Annotated[DoctorFormat, typer.Option("--format", help="What standard output holds.")] = DoctorFormat.TABLE,
) -> None:
    """Check that everything is there that the service needs; the exit code is 1 if something is not."""
    from foresight.doctor import State, as_json, examine

    checks = examine(config)
    if form is DoctorFormat.JSON:
        sys.stdout.write(as_json(checks))
    else:
        table = Table("", "check", "found", box=None)
        for one in checks:
            said = Text(one.found) if not one.fix else Text(f"{one.found}\n→ {one.fix}")
            table.add_row(Text(one.state.value, style=_COLOURS[one.state.value]), Text(one.name), said)
        _out.print(table)
    if any(one.state is State.FAIL for one in checks):
        raise typer.Exit(1)
