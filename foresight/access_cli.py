"""Commands for who may use the service: ``foresight keys`` and ``foresight panel-token``."""

from __future__ import annotations

import os
import secrets
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from kernel.errors import UsageError
from kernel.service_settings import KeySettings, Scope

keys = typer.Typer(help="API keys and secrets of the service; nothing is kept here.", no_args_is_help=True)


@keys.command(epilog="Example: foresight keys new --name crm --scope read --scope write >> foresight.toml")
def new(
    name: Annotated[str, typer.Option(help="Whose key it is; a caller's next key has the same name.")],
    scope: Annotated[list[Scope], typer.Option(help="What it is good for; may be repeated.")],
    expires: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="From this day on (UTC) it is refused.")
    ] = None,
) -> None:
    """Make a random key: shown this once on standard error, while standard output has the lines that let it in."""
    from serving.http.keys import digest_of

    key = f"fs_{secrets.token_urlsafe(32)}"
    try:
        made = KeySettings(name=name, sha256=digest_of(key.encode()), scopes=tuple(dict.fromkeys(scope)))
    except ValidationError as error:
        what, fix = (
            "This is no name for a key.",
            "Use letters, digits, '.', '_' and '-', at most 60, a letter or digit first.",
        )
        raise UsageError(what, where="--name", fix=fix) from error
    sys.stderr.write(f"The key, for the caller's own store of secrets; it cannot be shown again:\n{key}\n")
    scopes = ", ".join(f'"{one}"' for one in made.scopes)
    last = [f"expires = {expires:%Y-%m-%d}"] if expires else []
    _write("[[service.keys]]", f'name = "{made.name}"', f'sha256 = "{made.sha256}"', f"scopes = [{scopes}]", *last)


@keys.command(epilog="Example: FORESIGHT_TOKEN_SECRET=$(foresight keys secret)")
def secret() -> None:
    """Print a new random secret to sign panel tokens with."""
    _write(secrets.token_urlsafe(48))


def panel_token(
    customer: Annotated[str, typer.Argument(help="The customer's id.")],
    user: Annotated[str, typer.Option(help="Who looks, in the CRM's words.")],
    config: Annotated[Path, typer.Option("--config", "-c", help="foresight.toml, or the folder that holds it.")] = Path(
        "foresight.toml"
    ),
    minutes: Annotated[int, typer.Option(min=1, max=60, help="For how long it opens the panel.")] = 5,
    feedback: Annotated[bool, typer.Option("--feedback", help="Feedback may be sent with it too.")] = False,
) -> None:
    """Print the panel's path with a token that opens this one customer."""
    from kernel.clock import utc_now
    from kernel.settings import load_settings
    from serving.http.tokens import PanelToken, configured_secrets, expiry, panel_path, sign_token, signing_secret

    project = load_settings(config).project.name
    ends = expiry(utc_now(), 60 * minutes)
    token = PanelToken(customer, user, project, ends, feedback=feedback)
    _write(panel_path(customer, sign_token(token, signing_secret(configured_secrets(os.environ)))))


def _write(*lines: str) -> None:
    # Whatever reads it wants these characters, not colours and folded lines.
    sys.stdout.writelines(f"{line}\n" for line in lines)
