"""``foresight openapi`` writes the interface's description without a running service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from foresight.cli import app
from kernel.errors import UsageError

SERVER = "https://scores.example.com"


def test_it_writes_the_version_and_the_address_that_are_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "foresight-2.0.json"
    ran = CliRunner().invoke(app, ["openapi", "--version", "2.0", "--server", SERVER, "--out", str(out)])
    assert (ran.exit_code, "OpenAPI 2.0: " in ran.output) == (0, True)
    written = json.loads(out.read_bytes())
    assert (written["swagger"], written["host"], written["security"]) == (
        "2.0",
        "scores.example.com",
        [{"apiKey": []}],
    )


def test_without_a_file_it_prints_nothing_but_the_document() -> None:
    ran = CliRunner().invoke(app, ["openapi"])
    assert json.loads(ran.stdout)["openapi"] == "3.1.0"


@pytest.mark.parametrize("server", ["scores.example.com", "ftp://scores.example.com", "https://", "https://a/?b=c"])
def test_an_address_that_is_none(server: str) -> None:
    raised = CliRunner().invoke(app, ["openapi", "--server", server]).exception
    assert isinstance(raised, UsageError)
    assert raised.where == "--server"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    raised = CliRunner().invoke(app, ["openapi", "--out", str(tmp_path / "none" / "a.json")]).exception
    assert isinstance(raised, UsageError)
    assert raised.where == "--out"
