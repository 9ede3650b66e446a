"""``foresight features``: exit codes, what a person sees, and that a build puts nothing in service unasked."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from features.engine.lock import locked
from foresight.cli import main
from tests.projects import TABLES, TinyProject

CITY = TABLES.replace(
    'customer_id = "id" }\n\n[tables.tr', 'customer_id = "id" }\nattributes = { city = "city" }\n\n[tables.tr'
)


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    def lines(self) -> list[str]:
        return [" ".join(re.split(r"[│┃\s]+", line)).strip() for line in self.out.splitlines()]


Run = Callable[..., Ran]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], project: TinyProject) -> Run:
    project.write("customers.csv", "id,city\nanna,Łódź [old]\nbert,\n")
    project.settings(CITY)
    monkeypatch.setattr("foresight.features_cli._out", Console(width=160))

    def running(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["foresight", "features", *arguments, "-c", str(project.folder)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        written = capsys.readouterr()
        return Ran(int(ended.value.code or 0), written.out, written.err)

    return running


def test_build_list_and_show(run: Run) -> None:
    assert run("list").out == "No features are stored yet.\n"
    built = run("build", "--as-of", "2024-02-01")
    assert (built.code, built.err) == (0, "")
    assert re.fullmatch(
        r"2 customers, \d+ features as of 2024-02-01: 2024-02-01T000000Z-\w{12}, built in .+ s\n", built.out
    )
    assert "in service" not in run("list").out
    again = run("build", "--as-of", "2024-02-01", "--publish")
    assert again.out.endswith(", stored before, in service\n")
    run("build", "--as-of", "2024-01-20")
    listed = [line for line in run("list").lines() if line.startswith("2024")]
    assert [line.split()[0] for line in listed] == ["2024-01-20", "2024-02-01"]
    assert ["in service" in line for line in listed] == [False, True]
    shown = run("show", "anna")
    assert (shown.code, shown.err) == (0, "")
    assert shown.lines()[0] == "Customer anna as of 2024-02-01 00:00 (UTC)"
    assert "net_spend 12.5 EUR spent so far, net of returns" in shown.lines()
    assert any(line.startswith("city Łódź [old] word ") for line in shown.lines())
    assert any(line.startswith("city unknown word ") for line in run("show", "bert").lines())


def test_without_a_date_the_newest_is_built(run: Run) -> None:
    assert " as of 2024-01-07: " in run("build").out


def test_showing_without_anything_in_service(run: Run) -> None:
    run("build")
    ran = run("show", "anna")
    assert ran.code == 1
    assert ran.err.splitlines()[-1] == "fix   Run foresight score first."


def test_an_unknown_customer_and_a_wrong_moment(run: Run) -> None:
    run("build", "--publish")
    unknown = run("show", "nobody")
    assert (unknown.code, unknown.err.splitlines()[0]) == (
        1,
        "error This customer is not in the snapshot of 2024-01-07.",
    )
    early = run("build", "--as-of", "2023-01-01")
    assert early.code == 2
    assert early.err.startswith("error Nothing was known at 2023-01-01")


def test_a_busy_store_is_an_error_in_three_parts(run: Run, project: TinyProject) -> None:
    with (project.folder / "foresight.toml").open("a", encoding="utf-8") as file:
        file.write("\n[state]\nlock_wait_seconds = 0\n")
    with locked(project.folder / ".foresight" / "tiny" / "build.lock", "building", wait_seconds=0):
        ran = run("build")
    assert ran.code == 1
    assert re.fullmatch(r"error The feature store is busy: building since .+\nwhere .+/tiny\nfix   .+\n", ran.err)


@pytest.mark.parametrize("command", ["build", "list", "show"])
def test_help_shows_an_example(run: Run, command: str) -> None:
    shown = run(command, "--help")
    assert shown.code == 0
    assert f"Example: foresight features {command}" in shown.out


def test_the_state_is_in_the_folder_of_the_settings(run: Run, project: TinyProject) -> None:
    run("build", "--publish")
    state: Path = project.folder / ".foresight" / "tiny"
    assert {path.name for path in state.iterdir()} >= {"snapshots", "online.db", "build.lock"}
    assert (state / "build.lock").read_text(encoding="utf-8") == ""
