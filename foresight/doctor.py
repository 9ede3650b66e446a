"""``foresight doctor``: is all there that the service needs? Each check says ok, warn or fail, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import orjson

from kernel.errors import ForesightError
from kernel.settings import Settings, load_settings


class State(StrEnum):
    """What came of a check."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One line: what was looked at, what was found, and what to do about it ("" where nothing)."""

    name: str
    state: State
    found: str
    fix: str = ""


Examination = Callable[[Settings], Iterable[Check]]


def examine(config: str | Path) -> list[Check]:
    """All checks of a project, in the order in which to mend things. Nothing is written but what is rolled back."""
    from foresight.doctor_machine import ON_THE_MACHINE
    from foresight.doctor_project import OF_THE_PROJECT

    try:
        settings = load_settings(config)
    except ForesightError as error:
        return [Check("configuration", State.FAIL, f"{error.what} ({error.where})", error.fix)]
    read = Check("configuration", State.OK, f"{settings.file.name} of the project {settings.project.name}")
    return [
        read,
        *(one for name, look in (OF_THE_PROJECT | ON_THE_MACHINE).items() for one in _told(name, look, settings)),
    ]


def _told(name: str, look: Examination, settings: Settings) -> Iterator[Check]:
    try:
        yield from look(settings)
    except ForesightError as error:
        yield Check(name, State.FAIL, error.what, error.fix)
    except Exception as error:
        # A doctor who faints tells nothing of the other checks; the message may quote a row.
        yield Check(name, State.FAIL, f"The check failed with a {type(error).__name__}.", "Report this.")


def as_json(checks: Iterable[Check]) -> str:
    """For a pipeline: a list of objects with the fields of :class:`Check`."""
    return orjson.dumps([asdict(one) for one in checks], option=orjson.OPT_INDENT_2).decode() + "\n"
