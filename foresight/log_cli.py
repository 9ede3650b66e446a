"""Commands for the log of decisions: ``foresight log rotate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

log = typer.Typer(help="The log of decisions and feedback.", no_args_is_help=True)
_out = Console()
_problems = Console(stderr=True)

Config = Annotated[Path, typer.Option("--config", "-c", help="foresight.toml, or the folder that holds it.")]


@log.callback()
def log_commands() -> None:
    """The log of decisions and feedback."""


@log.command(epilog="Example: foresight log rotate -c examples/complete_journey --older-than-days 180")
def rotate(
    config: Config = Path("foresight.toml"),
    older_than_days: Annotated[
        int, typer.Option(min=1, help="Whole months leave that ended so many days ago; the rest stays.")
    ] = 90,
) -> None:
    """Move old decisions and their feedback out of the database into Parquet files, where training still finds them."""
    from features.engine.lock import locked
    from foresight.project import Project
    from kernel.clock import utc_now
    from serving.feedback.archive import Archive
    from serving.feedback.rotation import rotate as move
    from serving.feedback.store import DecisionStore
    from serving.runtime import open_catalogue

    with _problems.status("read tables") as status:
        project = Project.open(config)
        settings = project.settings
        catalogue = open_catalogue(settings, project.feature_set)
        status.update("move")
        archive = Archive(settings.log_archive)
        store = DecisionStore(settings.state_url)
        try:
            with locked(archive.folder / "lock", "moving the log", wait_seconds=settings.state.lock_wait_seconds):
                moved = move(store, archive, older_than_days, catalogue, utc_now())
        finally:
            store.close()
    months = f" of {', '.join(moved.months)}" if moved.months else ""
    _out.print(
        f"{moved.decisions:,} decisions and {moved.feedback:,} events{months}: {archive.folder}",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )
