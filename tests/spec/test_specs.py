"""The small text tables beside this file, each a case an analyst can read and extend.

A case has a title, ``as_of`` and perhaps ``timezone``, tables of rows, and the values expected. Rows without a column
``customer_id`` are those of "the customer", whose values are expected.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest

from features.contract.profiles import profiles_from_frames
from features.definitions import feature_set
from features.engine.build import build_features
from kernel.clock import parse_as_of
from tests.spark_engine import ENGINES, OnSpark, beside_each_other

FEATURES = feature_set({})
TABLES = ("customers", "transactions", "activities", "subscriptions")
MOMENTS = ("event_time", "ingested_at")
CUSTOMER = "the customer"


@dataclass
class Case:
    title: str
    settings: dict[str, str] = field(default_factory=dict)
    tables: dict[str, list[list[str]]] = field(default_factory=dict)

    def frame(self, table: str) -> pd.DataFrame:
        header, *rows = self.tables[table]
        frame = pd.DataFrame([[None if cell == "-" else cell for cell in row] for row in rows], columns=header)
        for name in MOMENTS:
            if name in frame:
                frame[name] = pd.to_datetime(frame[name], format="ISO8601", utc=True)
        return frame if "customer_id" in frame else frame.assign(customer_id=CUSTOMER)

    def frames(self) -> dict[str, pd.DataFrame]:
        frames = {table: self.frame(table) for table in TABLES if table in self.tables}
        frames.setdefault("customers", pd.DataFrame({"customer_id": [CUSTOMER]}))
        return frames

    @property
    def moment(self) -> tuple[str, str]:
        return self.settings["as_of"], self.settings.get("timezone", "UTC")

    def values(self) -> pd.Series:
        as_of, timezone = self.moment
        profiles = profiles_from_frames(self.frames(), {}, timezone)
        return build_features(profiles, FEATURES, parse_as_of(as_of)).loc[CUSTOMER]


def read_cases(text: str) -> Iterator[Case]:
    case, rows = Case(""), []
    for number, line in enumerate(map(str.strip, text.splitlines()), start=1):
        key, colon, value = line.partition(":")
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif key == "case":
            if case.title:
                yield case
            case = Case(value.strip())
        elif colon and key in ("as_of", "timezone"):
            case.settings[key] = value.strip()
        elif line in (*TABLES, "expect"):
            rows = case.tables[line] = []
        elif line and not line.startswith("#"):
            raise ValueError(f"line {number} of a specification cannot be read: {line}")
    yield case


CASES = [
    pytest.param(case, id=f"{file.stem}: {case.title}")
    for file in sorted(Path(__file__).parent.glob("*.txt"))
    for case in read_cases(file.read_text(encoding="utf-8"))
]


@pytest.fixture(scope="module")
def spark_values(on_spark: OnSpark) -> pd.DataFrame:
    """A row per case. Cases of the same moment are customers of one table: a query of Spark takes seconds."""
    found: list[pd.DataFrame] = []
    cases = [parameter.values[0] for parameter in CASES]
    for as_of, timezone in sorted({case.moment for case in cases}):
        frames = beside_each_other({case.title: case.frames() for case in cases if case.moment == (as_of, timezone)})
        found.append(build_features(on_spark(profiles_from_frames(frames, {}, timezone)), FEATURES, parse_as_of(as_of)))
    return pd.concat(found)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", CASES)
def test_specification(case: Case, engine: str, request: pytest.FixtureRequest) -> None:
    if engine == "spark":
        found = request.getfixturevalue("spark_values").loc[f"{case.title} / {CUSTOMER}"]
    else:
        found = case.values()
    expected = {name: float("nan" if value == "-" else value) for name, value in case.tables["expect"]}
    got = {name: float(found[name]) for name in expected}
    assert got == pytest.approx(expected, rel=1e-12, abs=1e-12, nan_ok=True)
    assert expected


def test_titles_are_unique() -> None:
    titles = [parameter.values[0].title for parameter in CASES]
    assert len(set(titles)) == len(titles)


def test_a_line_that_is_no_part_of_a_case_is_refused() -> None:
    with pytest.raises(ValueError, match="line 2 of a specification cannot be read: transaction"):
        list(read_cases("case: x\ntransaction\n"))
