"""Commands about the models in use: ``foresight promote``, ``foresight rollback`` and ``foresight shadow-report``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from kernel.settings import Settings

_out = Console()

Config = Annotated[Path, typer.Option("--config", "-c", help="foresight.toml, or the folder that holds it.")]


class ModelKind(StrEnum):
    """The models of a project."""

    CHURN = "churn"
    VALUE = "value"
    UPLIFT = "uplift"


def promote(
    kind: Annotated[ModelKind, typer.Argument(help="Of which model.")],
    version: Annotated[int, typer.Argument(help="The version that shall answer.", min=1)],
    config: Config = Path("foresight.toml"),
) -> None:
    """Make a version the champion by hand, whatever the gate said of it."""
    from kernel.model_registry import ModelRegistry
    from kernel.settings import load_settings

    settings = load_settings(config)
    registry = ModelRegistry.of(settings)
    name = settings.model_name(kind.value)
    before = registry.champion(name)
    registry.promote(name, version)
    champion = registry.require(name)
    replaced = "" if before in (None, champion) else f", in place of {before}"
    _out.print(f"{champion} is the champion{replaced}.")
    verdict = registry.verdict(champion)
    if verdict is not None:
        _out.print(f"The gate said of it: {verdict}", soft_wrap=True, markup=False, highlight=False)
    _say_when(settings)


def rollback(
    kind: Annotated[ModelKind, typer.Argument(help="Which model to take back.")],
    config: Config = Path("foresight.toml"),
) -> None:
    """Put the version back in use that the present champion replaced."""
    from kernel.model_registry import ModelRegistry
    from kernel.settings import load_settings

    settings = load_settings(config)
    registry = ModelRegistry.of(settings)
    name = settings.model_name(kind.value)
    taken_back = registry.require(name)
    _out.print(f"{registry.rollback(name)} is the champion again, in place of {taken_back}.")
    _say_when(settings)


def _say_when(settings: Settings) -> None:
    _out.print(
        f"A service that runs follows within [service] poll_seconds ({settings.service.poll_seconds:g} s), once the "
        "model has passed its check.",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )


def shadow_report(config: Config = Path("foresight.toml")) -> None:
    """Say how far the challenger, scored unseen beside the champion, agrees with it."""
    from foresight.shadow_report import agreement, agreement_lines
    from kernel.settings import load_settings
    from serving.shadow_log import ShadowLog

    settings = load_settings(config)
    found = agreement(ShadowLog.of(settings).read())
    for line in agreement_lines(found, settings.project.currency):
        _out.print(line, soft_wrap=isinstance(line, str), markup=False)
