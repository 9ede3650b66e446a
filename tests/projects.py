"""A project of a few files in a folder: what a user would have, as small as it gets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features.contract.profiles import Profiles, load_profiles
from kernel.errors import ForesightError
from kernel.settings import Settings, load_settings

HEAD = """
[project]
name = "tiny"
currency = "EUR"
timezone = "{timezone}"
"""

TABLES = """
[sources]
customers = "customers.csv"
sales = "sales.csv"

[tables.customers]
from = "customers"
columns = { customer_id = "id" }

[tables.transactions]
from = "sales"
columns = { customer_id = "id", transaction_id = "receipt", event_time = "at", amount = "paid" }
"""

CUSTOMERS = "id\nanna\nbert\n"
SALES = "id,receipt,at,paid\nanna,r1,2024-01-05 10:00:00,12.5\nbert,r2,2024-01-06 11:00:00,7\n"


@dataclass(frozen=True)
class TinyProject:
    """A folder with ``foresight.toml`` and the files it names."""

    folder: Path

    def write(self, name: str, content: str) -> Path:
        file = self.folder / name
        file.write_text(content, encoding="utf-8")
        return file

    def parquet(self, name: str, frame: pd.DataFrame) -> Path:
        frame.to_parquet(self.folder / name)
        return self.folder / name

    def settings(self, tables: str = TABLES, timezone: str = "UTC", head: str = HEAD) -> Settings:
        self.write("foresight.toml", head.replace("{timezone}", timezone) + tables)
        return load_settings(self.folder)

    def profiles(self, tables: str = TABLES, timezone: str = "UTC", now: datetime | None = None) -> Profiles:
        return load_profiles(self.settings(tables, timezone), now=now)


def rows(profiles: Profiles, sql: str) -> list[tuple[Any, ...]]:
    return profiles.connection.cursor().execute(sql).fetchall()


def refusal(project: TinyProject, kind: type[ForesightError], tables: str = TABLES) -> ForesightError:
    with pytest.raises(kind) as caught:
        project.profiles(tables)
    assert type(caught.value) is kind
    return caught.value


def place(error: ForesightError) -> str:
    return error.where.rpartition("foresight.toml: ")[2]


def codes(profiles: Profiles) -> list[tuple[str, str, str, str]]:
    return [(found.code, found.table, found.column, found.actual) for found in profiles.findings]
