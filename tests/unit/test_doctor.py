"""Each check of the doctor can fail, says what is wrong, and lets the others go on."""

from __future__ import annotations

import json
import os
import socket

import pytest
from packaging.requirements import Requirement
from typer.testing import CliRunner

from foresight import doctor_machine, doctor_project
from foresight.cli import app
from foresight.doctor import Check, State, examine
from kernel.settings import Settings
from serving.feedback.store import DecisionStore
from tests.projects import TABLES, TinyProject


def of(settings: Settings) -> dict[str, Check]:
    return {one.name: one for one in examine(settings.file)}


def with_service(project: TinyProject, line: str) -> Settings:
    return project.settings(f"{TABLES}\n[service]\n{line}\n")


def test_a_project_before_training_fails_where_something_is_missing_and_nowhere_else(project: TinyProject) -> None:
    found = of(project.settings())
    failed = {name: one.fix for name, one in found.items() if one.state is State.FAIL}
    assert failed == {"features": "Run foresight score.", "models": "Run foresight train first."}
    assert found["configuration"].found == "foresight.toml of the project tiny"
    assert found["source sales"] == Check("source sales", State.OK, "1 file")
    assert found["catalogue"].state is State.WARN
    assert found["database state.url"] == Check(
        "database state.url", State.WARN, "It is not there yet.", "foresight serve and foresight score make it."
    )
    assert not (project.folder / ".foresight").exists()  # nothing was made by looking


def test_a_wrong_configuration_is_the_only_line(project: TinyProject) -> None:
    project.settings()
    project.write("foresight.toml", "[project]\nnme = 'tiny'\n")
    [only] = examine(project.folder)
    assert (only.name, only.state) == ("configuration", State.FAIL)
    assert "Unknown key 'nme'" in only.found and only.fix == "Did you mean 'name'?"


def test_sources(project: TinyProject) -> None:
    settings = project.settings(TABLES.replace("sales.csv", "sales.parquet").replace("customers.csv", "nobody.csv"))
    project.write("sales.parquet", "no parquet")
    found = of(settings)
    assert found["source customers"].found == "No file matches its path."
    assert found["source sales"].found == "sales.parquet cannot be read (ArrowInvalid)."
    lost = TABLES.replace('"sales.csv"', '{ postgres = "postgresql://nobody@127.0.0.1:1/x", table = "t" }')
    assert of(project.settings(lost))["source sales"].found == "The database cannot be reached (OperationalError)."


def test_databases(project: TinyProject) -> None:
    settings = project.settings()
    file = settings.state_folder / "decisions.db"
    store = DecisionStore(settings.state_url)
    store.close()
    assert of(settings)["database state.url"].found == "SQLite, WAL, can be written to"
    file.write_bytes(b"no database at all" * 100)
    found = of(settings)["database state.url"]
    assert (found.state, found.found) == (State.FAIL, "It cannot be reached or written to (DatabaseError).")
    file.write_bytes(b"")
    assert of(settings)["database state.url"].found == "SQLite keeps its journal as 'delete'."
    gone = project.settings(f'{TABLES}\n[state]\nurl = "postgresql://nobody@127.0.0.1:1/x"\n')
    assert of(gone)["database state.url"].found == "It cannot be reached or written to (OperationalError)."


def test_postgres(project: TinyProject, postgres_url: str) -> None:
    found = of(project.settings(f'{TABLES}\n[state]\nurl = "{postgres_url}"\n'))["database state.url"]
    assert found.state is State.OK
    assert found.found.startswith("PostgreSQL ") and found.found.endswith(", can be written to")


def test_disk(project: TinyProject, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = project.settings()
    for free, state in ((1e12, State.OK), (1e9, State.WARN), (1e8, State.FAIL)):
        usage = type("Usage", (), {"free": free})
        monkeypatch.setattr(doctor_project.shutil, "disk_usage", lambda _, usage=usage: usage)
        assert of(settings)["disk"].state is state


def test_catalogue(project: TinyProject) -> None:
    settings = project.settings(f'{TABLES}\n[actions]\ncatalogue = "actions.toml"\n')
    assert of(settings)["catalogue"].state is State.FAIL


def test_keys(project: TinyProject) -> None:
    def state(line: str, key: str = "") -> State:
        [found] = doctor_machine.keys(with_service(project, line), {"FORESIGHT_API_KEY": key})
        return found.state

    long = "h7Kx-2mQ9vLp4TzR8wYc6NbE3sJd5UfA"
    production = 'environment = "production"\nhost = "0.0.0.0"'
    assert state("", "") is State.WARN
    assert state('host = "0.0.0.0"') is State.FAIL
    assert state('host = "0.0.0.0"', long) is State.FAIL
    assert state(production, long) is State.OK
    assert state(production) is State.FAIL
    assert state("", "short") is State.FAIL
    guessed = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"  # of "secret"
    assert state(f'api_keys_sha256 = ["{guessed}"]', long) is State.FAIL
    assert of(with_service(project, 'api_keys_sha256 = ["secret"]'))["keys"].state is State.FAIL


def test_port(project: TinyProject) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        number = other.getsockname()[1]
        found = of(with_service(project, f"port = {number}"))[f"port {number}"]
    assert (found.state, found.found) == (State.WARN, "It cannot be listened on: Address already in use.")
    assert of(with_service(project, f"port = {number}"))[f"port {number}"].state is State.OK


def test_clock_and_cores(project: TinyProject, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = with_service(project, "workers = 3")
    monkeypatch.setattr(doctor_machine.os, "sched_getaffinity", lambda _: {0, 1})
    found = of(settings)
    assert found["cores"] == Check("cores", State.WARN, "3 workers on 2 cores", "Set [service] workers = 2.")
    assert found["clock"].state is State.OK
    later = settings.file.stat().st_mtime + 3600
    os.utime(settings.file, (later, later))
    assert of(settings)["clock"].state is State.FAIL


def test_packages() -> None:
    assert doctor_machine.installed([Requirement("numpy>=2")]) == Check("packages", State.OK, "1 as required")
    found = doctor_machine.installed([Requirement("numpy>=999"), Requirement("no-such-package>=1")])
    assert found.state is State.FAIL
    assert ">=999; no-such-package is missing." in found.found


def test_a_check_that_faints_lets_the_others_go_on(project: TinyProject, monkeypatch: pytest.MonkeyPatch) -> None:
    def faint(_: Settings) -> list[Check]:
        raise ValueError("a row with Ada Lovelace")

    monkeypatch.setitem(doctor_project.OF_THE_PROJECT, "models", faint)
    found = of(project.settings())
    assert found["models"] == Check("models", State.FAIL, "The check failed with a ValueError.", "Report this.")
    assert "cores" in found


def test_the_command_ends_with_1_on_a_failure_and_prints_json(project: TinyProject) -> None:
    project.settings()
    ended = CliRunner().invoke(app, ["doctor", "-c", str(project.folder), "--format", "json"])
    assert ended.exit_code == 1
    assert json.loads(ended.stdout)[0] == {
        "name": "configuration",
        "state": "ok",
        "found": "foresight.toml of the project tiny",
        "fix": "",
    }
