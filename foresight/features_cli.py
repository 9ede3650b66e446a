"""``foresight features``: build, list and show what the feature store holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from features.engine.online import OnlineStore
    from kernel.settings import Settings

features = typer.Typer(
    help="Stored features: build a snapshot, list what there is, show a customer's values.", no_args_is_help=True
)
_out = Console()

Config = Annotated[Path, typer.Option("--config", "-c", help="foresight.toml, or the folder that holds it.")]


@features.command(epilog="Example: foresight features build -c examples/complete_journey --as-of 2017-11-01")
def build(
    config: Config = Path("foresight.toml"),
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="Moment of knowledge; default: the day after the last transaction."),
    ] = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="Put it in service as well: the service answers as of then.")
    ] = False,
) -> None:
    """Build the features of every customer as of a moment, or reuse those that are stored."""
    from foresight.project import Project

    with _out.status("read tables") as status:
        project = Project.open(config)
        moment = project.default_as_of() if as_of is None else project.moment(as_of)
        status.update("build features")
        before = {snapshot.id for snapshot in project.snapshots.list()}
        snapshot = project.publish(as_of=moment) if publish else project.snapshot(as_of=moment)
    manifest = snapshot.manifest
    how = "stored before" if snapshot.id in before else f"built in {manifest.seconds:.1f} s"
    _out.print(
        f"{manifest.customers:,} customers, {len(manifest.feature_versions)} features as of {moment:%Y-%m-%d}: "
        f"{snapshot.id}, {how}{', in service' if publish else ''}",
        soft_wrap=True,
        highlight=False,
    )


@features.command("list", epilog="Example: foresight features list -c examples/complete_journey")
def list_snapshots(config: Config = Path("foresight.toml")) -> None:
    """List the stored snapshots; the one in service is marked."""
    from features.engine.store import SnapshotStore
    from foresight.console import snapshots_table
    from kernel.settings import load_settings

    settings = load_settings(config)
    found = SnapshotStore.of(settings).list()
    if not found:
        _out.print("No features are stored yet.")
        return
    with _online(settings) as online:
        _out.print(snapshots_table(found, online.current_id()))


@features.command(epilog="Example: foresight features show 1609 -c examples/complete_journey")
def show(
    customer_id: Annotated[str, typer.Argument(help="The unified customer.")],
    config: Config = Path("foresight.toml"),
) -> None:
    """Show a customer's values as the service has them, each with its unit and its meaning."""
    from features.definitions import project_features
    from foresight.console import values_table
    from kernel.errors import NotFoundError
    from kernel.settings import load_settings

    settings = load_settings(config)
    with _online(settings) as online:
        found = online.look_up([customer_id])
    if found.features.empty:
        raise NotFoundError(
            f"This customer is not in the snapshot of {found.manifest.as_of:%Y-%m-%d}.",
            where="CUSTOMER_ID",
            fix="Check the id; it is the customer_id of the customers table.",
        )
    known = project_features(settings, found.manifest.attributes)
    _out.print(values_table(customer_id, found, known, settings.project.currency))


def _online(settings: Settings) -> OnlineStore:
    from features.engine.online import OnlineStore

    return OnlineStore.of(settings)
