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

    def values(self) -> pd.Series:
        frames = {table: self.frame(table) for table in TABLES if table in self.tables}
        frames.setdefault("customers", pd.DataFrame({"customer_id": [CUSTOMER]}))
        profiles = profiles_from_frames(frames, {}, self.settings.get("timezone", "UTC"))
        return build_features(profiles, FEATURES, parse_as_of(self.settings["as_of"])).loc[CUSTOMER]


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


@pytest.mark.parametrize("case", CASES)
def test_specification(case: Case) -> None:
    found = case.values()
    expected = {name: float("nan" if value == "-" else value) for name, value in case.tables["expect"]}
    got = {name: float(found[name]) for name in expected}
    assert got == pytest.approx(expected, rel=1e-12, abs=1e-12, nan_ok=True)
    assert expected


def test_a_line_that_is_no_part_of_a_case_is_refused() -> None:
    with pytest.raises(ValueError, match="line 2 of a specification cannot be read: transaction"):
        list(read_cases("case: x\ntransaction\n"))
