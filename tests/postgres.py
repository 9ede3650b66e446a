"""A real PostgreSQL server for the length of a test run, where its programs are installed."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Select, text

from kernel.sql import checked_url, open_sql

PASSWORD = "correct-horse"


@dataclass(frozen=True)
class Server:
    """What a test may do to the server, if it leaves it running."""

    stop: Callable[[], None]
    start: Callable[[], None]


_SERVERS: dict[str, Server] = {}


def server_of(url: str) -> Server:
    """The server of ``postgres_url``."""
    return _SERVERS[url]


def _programs() -> Path | None:
    """The folder of ``initdb`` and ``pg_ctl``; Debian keeps them off the PATH, one folder per version."""
    on_path = shutil.which("pg_ctl")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in candidates if (folder / "initdb").exists()), None)


def _run_as() -> str | None:
    """The user the server must run as: PostgreSQL refuses root. None where it may run as the present user."""
    return "postgres" if os.geteuid() == 0 else None


def _command(*words: str) -> None:
    user = _run_as()
    prefix = [] if user is None else ["runuser", "-u", user, "--"]
    subprocess.run([*prefix, *words], check=True, capture_output=True, timeout=60, cwd="/")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _reason_to_skip() -> str | None:
    if _programs() is None:
        return "PostgreSQL's initdb and pg_ctl are not installed"
    user = _run_as()
    if user is not None and (
        shutil.which("runuser") is None or user not in {entry.pw_name for entry in pwd.getpwall()}
    ):
        return "PostgreSQL cannot run as root, and there is no user 'postgres' to run it as"
    return None


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of an empty database of a server that asks for a password; the server goes with the session."""
    reason = _reason_to_skip()
    if reason is not None:
        pytest.skip(reason)
    programs = _programs()
    assert programs is not None
    folder = Path(tempfile.mkdtemp(prefix="foresight-postgres-"))
    try:
        yield from _serving(programs, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def state_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database for a project's state, of either kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'state' / 'decisions.db'}"
        return
    url = str(request.getfixturevalue("postgres_url"))
    yield url
    with psycopg.connect(url) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")


def found(url: str, query: str | Select[*tuple[Any, ...]]) -> list[tuple[object, ...]]:
    """What a query finds, past all code of the project but the types of its tables."""
    engine = open_sql(checked_url(url, "test"), pragmas={})
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query) if isinstance(query, str) else query)]
    finally:
        engine.dispose()


def _serving(programs: Path, folder: Path) -> Iterator[str]:
    password_file, data, port = folder / "password", folder / "data", _free_port()
    password_file.write_text(PASSWORD)
    user = _run_as()
    if user is not None:
        shutil.chown(folder, user)
        shutil.chown(password_file, user)
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    _command(
        str(programs / "initdb"),
        *("-D", str(data), "-U", "owner", "-A", "scram-sha-256", "--pwfile", str(password_file)),
        *("-E", "UTF8", "--no-sync"),
    )
    control = (str(programs / "pg_ctl"), "-D", str(data), "-w")
    start = (*control, "-l", str(folder / "log"), "-o", options, "start")
    url = f"postgresql://owner:{PASSWORD}@127.0.0.1:{port}/postgres"
    _SERVERS[url] = Server(
        stop=lambda: _command(*control, "-m", "fast", "stop"),
        start=lambda: _command(*start),
    )
    _command(*start)
    try:
        yield url
    finally:
        _command(*control, "-m", "immediate", "stop")
