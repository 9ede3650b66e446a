"""Commands about the models in use: ``foresight promote``, ``foresight rollback`` and ``foresight shadow-report``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

_out = Console()
_FOLLOWS = "A service that runs follows within [service] poll_seconds ({seconds:g} s), once the model passed its check."

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
    verdict = registry.verdict(registry.require(name))
    _out.print(f"{name}/{version} is the champion{'' if before is None else f', in place of {before}'}.")
    if verdict is not None:
        _out.print(f"The gate said of it: {verdict}", soft_wrap=True, markup=False, highlight=False)
    _out.print(_FOLLOWS.format(seconds=settings.service.poll_seconds), soft_wrap=True)


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
    _out.print(_FOLLOWS.format(seconds=settings.service.poll_seconds), soft_wrap=True)


def shadow_report(config: Config = Path("foresight.toml")) -> None:
    """Say how far the challenger, scored unseen beside the champion, agrees with it."""
    from foresight.shadow_report import agreement, agreement_lines
    from kernel.settings import load_settings
    from serving.shadow_log import ShadowLog

    settings = load_settings(config)
    found = agreement(ShadowLog.of(settings).read())
    for line in agreement_lines(found, settings.project.currency):
        _out.print(line, soft_wrap=isinstance(line, str))
