"""``foresight openapi``: the description of the HTTP interface as a file, for importers, without a running service."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console

from kernel.errors import UsageError
from serving.http.paths import OpenApiVersion

_out = Console()


def openapi(
    version: Annotated[
        OpenApiVersion, typer.Option(help="3.0 and 2.0 are for importers of CRMs, and hold what a CRM calls.")
    ] = OpenApiVersion.V3_1,
    server: Annotated[
        str | None,
        typer.Option(help="The address of the service as the CRM sees it, such as https://scores.example.com."),
    ] = None,
    to: Annotated[Path | None, typer.Option("--out", help="JSON file to write; default: standard output.")] = None,
) -> None:
    """Write the description of the HTTP interface, with the API key it asks for."""
    from serving.http.openapi import openapi_document

    if server is None:
        document = openapi_document(version, secured=True)
    else:
        document = openapi_document(version, secured=True, server=_checked(server))
    if to is None:
        sys.stdout.buffer.write(document + b"\n")
        return
    try:
        to.write_bytes(document + b"\n")
    except OSError as error:
        raise UsageError(
            f"'{to.name}' cannot be written.", where="--out", fix="Name a file in a folder that is there."
        ) from error
    _out.print(f"OpenAPI {version.value}: {to}", soft_wrap=True)


def _checked(server: str) -> str:
    address = urlsplit(server)
    if address.scheme not in ("http", "https") or not address.netloc or address.query or address.fragment:
        raise UsageError("The address cannot be used.", where="--server", fix="Write https://HOST, with a path if any.")
    return server
