"""Real processes on one feature store: killed half-way, and two at once."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import text

from features.definitions import feature_set
from features.engine.online import OnlineStore
from features.engine.online_load import stored_rows
from features.engine.store import SnapshotStore
from kernel.clock import parse_as_of
from kernel.sql import checked_url, open_sql
from tests.projects import TinyProject

ROOT = Path(__file__).parents[2]
OLD, NEW = "2024-01-06", "2024-02-01"
FEATURES = feature_set({})


@dataclass(frozen=True)
class Child:
    process: subprocess.Popen[str]

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        assert self.process.wait(timeout=30) == -signal.SIGKILL

    def ended(self) -> tuple[int, list[str]]:
        out, _ = self.process.communicate(timeout=60)
        return self.process.returncode, out.split("\n")[:-1]


Start = Callable[..., Child]


@dataclass(frozen=True)
class Place:
    """A tiny project with the snapshot of OLD in service."""

    project: TinyProject
    url: str

    @property
    def store(self) -> SnapshotStore:
        return SnapshotStore(self.project.folder / "state", wait_seconds=30)

    def publish(self, as_of: str) -> None:
        with OnlineStore(self.url, "tiny", wait_seconds=30) as online:
            self.store.publish(self.project.profiles(), FEATURES, parse_as_of(as_of), online=online)

    def in_service(self) -> str:
        """The day of the snapshot that offline and online agree is in service, after its rows were compared."""
        current = self.store.current()
        with OnlineStore(self.url, "tiny") as online:
            found = online.look_up(["anna", "bert"])
        assert found.manifest == current.manifest
        pd.testing.assert_frame_equal(found.features, current.features, check_exact=True)
        return f"{current.as_of:%Y-%m-%d}"

    def rows_online(self) -> int:
        engine = open_sql(checked_url(self.url, "test"), pragmas={})
        try:
            return stored_rows(engine)
        finally:
            engine.dispose()

    def debris(self) -> list[str]:
        return [path.name for path in self.store.folder.glob(".*")]


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, project: TinyProject) -> Iterator[Place]:
    if request.param == "sqlite":
        url = f"sqlite:///{project.folder / 'state' / 'online.db'}"
    else:
        url = str(request.getfixturevalue("postgres_url"))
    made = Place(project, url)
    made.publish(OLD)
    yield made
    if request.param == "postgresql":
        engine = open_sql(checked_url(url, "test"), pragmas={})
        with engine.begin() as connection:
            connection.execute(
                text("DROP TABLE IF EXISTS online_features, online_histories, online_current, online_snapshots")
            )
        engine.dispose()


@pytest.fixture
def start(place: Place) -> Iterator[Start]:
    children: list[Child] = []

    def started(what: str, as_of: str = NEW, wait: float = 60) -> Child:
        command = [sys.executable, "-m", "tests.doubles.store_process", what]
        command += [str(place.project.folder), as_of, place.url, str(wait)]
        child = Child(
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=dict(os.environ)
            )
        )
        children.append(child)
        return child

    yield started
    for child in children:
        child.process.kill()
        child.process.communicate()


def test_a_build_that_is_killed(place: Place, start: Start) -> None:
    child = start("build")
    assert child.line() == "half"
    assert len(place.debris()) == 1
    child.kill()
    assert place.in_service() == OLD
    assert [f"{one.as_of:%Y-%m-%d}" for one in place.store.list()] == [OLD]
    # The lock went with the process, though its file still names it.
    assert f"process {child.process.pid} on " in (place.store.state / "build.lock").read_text(encoding="utf-8")
    begin = time.monotonic()
    place.publish(NEW)
    assert time.monotonic() - begin < 20
    assert place.in_service() == NEW
    assert place.debris() == []


def test_a_load_that_is_killed(place: Place, start: Start) -> None:
    child = start("publish")
    assert child.line() == "half"
    assert place.rows_online() == 2 + 1
    assert place.in_service() == OLD
    child.kill()
    assert place.in_service() == OLD
    place.publish(NEW)
    assert place.in_service() == NEW
    assert place.rows_online() == 2


def test_the_second_build_waits_and_reuses_what_the_first_made(place: Place, start: Start) -> None:
    first = start("build")
    assert first.line() == "half"
    second = start("publish")
    said = second.line()
    who = (
        rf"publishing the features of {NEW} since \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ by process {first.process.pid} on "
    )
    assert re.match(rf"The feature store is busy: {who}.+\. Waiting up to 60 seconds\.", said), said
    first.go_on()
    assert first.ended() == (0, ["done"])
    assert second.ended() == (0, ["done"])  # it never stopped half-way: the rows were there
    assert place.in_service() == NEW
    assert place.rows_online() == 2
    assert len(place.store.list()) == 2


def test_the_second_build_is_refused_when_its_time_is_over(place: Place, start: Start) -> None:
    first = start("build")
    assert first.line() == "half"
    code, lines = start("publish", as_of="2024-01-20", wait=0).ended()
    assert code == 1
    [refused] = lines
    assert refused.startswith(f"refused: The feature store is busy: publishing the features of {NEW} since ")
    assert f"by process {first.process.pid} on " in refused
    first.go_on()
    assert first.ended() == (0, ["done"])
    assert place.in_service() == NEW


def test_a_build_that_waits_takes_over_from_one_that_dies(place: Place, start: Start) -> None:
    first = start("build")
    assert first.line() == "half"
    second = start("build")
    assert second.line().startswith("The feature store is busy: ")
    first.kill()
    assert second.line() == "half"
    second.go_on()
    assert second.ended() == (0, ["done"])
    assert place.in_service() == NEW
    assert place.debris() == []


def test_loads_into_one_database_take_turns(place: Place, start: Start) -> None:
    # Not the lock of the state folder: the database's own, as two machines with one database have it.
    place.store.build(place.project.profiles(), FEATURES, parse_as_of(NEW))
    first = start("load")
    assert first.line() == "half"
    code, [refused] = start("load", wait=0).ended()
    assert code == 1
    assert refused.startswith("refused: The feature store is busy: loading features since ")
    assert f"by process {first.process.pid} on " in refused
    waiting = start("load")
    assert waiting.line().startswith("The feature store is busy: loading features since ")
    first.kill()
    assert waiting.line() == "half"
    waiting.go_on()
    assert waiting.ended() == (0, ["done"])
    assert place.rows_online() == 2
