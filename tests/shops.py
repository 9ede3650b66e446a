"""A sound shop of 1,200 customers and 400 days, with nothing to report; a test spoils one thing in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from features.contract.profiles import load_profiles
from features.usability.report import UsabilityReport, usability
from kernel.settings import Settings
from tests.projects import TinyProject
from training.models import value_choice

BEGINS = pd.Timestamp("2023-01-01")
DAYS = 400
ENDS = BEGINS + pd.Timedelta(days=DAYS)
HORIZON = 60
LABEL_START = ENDS - pd.Timedelta(days=HORIZON)
CUSTOMERS = 1_200
NOW = datetime(2024, 6, 1, tzinfo=UTC)

WINDOWS = """
[churn]
active_days = 90
horizon_days = 60

[value]
horizon_days = 60

[training]
history_days = 90
"""


@dataclass
class Shop:
    """The user's tables before they are written; ``leave_out`` are columns that are not mapped."""

    customers: pd.DataFrame
    sales: pd.DataFrame
    events: pd.DataFrame
    contracts: pd.DataFrame
    windows: str = WINDOWS
    timezone: str = "UTC"
    leave_out: frozenset[str] = frozenset()
    label_start: pd.Timestamp = LABEL_START

    @property
    def ids(self) -> pd.Series:
        return self.customers["customer_id"]

    @property
    def active(self) -> pd.Series:
        """Customers with a purchase in the 90 days before the label window, and whether they churned."""
        before = self.sales[self.sales["event_time"] < self.label_start]
        active = before.groupby("customer_id")["event_time"].max()
        active = active[active >= self.label_start - pd.Timedelta(days=90)]
        bought = set(self.sales.loc[self.sales["event_time"] >= self.label_start, "customer_id"])
        return pd.Series([one not in bought for one in active.index], index=active.index)

    def sell(self, customer: str, moments: pd.DatetimeIndex, amount: float = 20.0, **columns: str) -> None:
        """Add one order a moment."""
        first = len(self.sales)
        added = pd.DataFrame(
            {
                "customer_id": customer,
                "transaction_id": [f"r{first + i}" for i in range(len(moments))],
                "event_time": moments,
                "ingested_at": moments + pd.Timedelta(minutes=5),
                "amount": amount,
                "channel": "web",
                **columns,
            }
        )
        self.sales = pd.concat([self.sales, added], ignore_index=True)

    def drop_days(self, first: str, last: str) -> None:
        """An outage: nothing from ``first`` to ``last``, both included."""
        day = self.sales["event_time"].dt.normalize()
        self.sales = self.sales[(day < first) | (day > last)]

    def settings(self, project: TinyProject) -> Settings:
        """Write the tables and ``foresight.toml``."""
        files = [name for name in ("customers", "sales", "events", "contracts") if len(getattr(self, name))]
        for name in files:
            project.parquet(f"{name}.parquet", getattr(self, name))
        sources = "\n[sources]\n" + "".join(f'{name} = "{name}.parquet"\n' for name in files)
        return project.settings(sources + self._tables() + self.windows, self.timezone)

    def report(self, project: TinyProject, as_of: datetime | None = None) -> UsabilityReport:
        settings = self.settings(project)
        with load_profiles(settings, now=NOW) as profiles:
            return usability(profiles, settings, now=NOW, as_of=as_of)

    def _tables(self) -> str:
        own = {"customer_id", "created_at", "consent", "account_id"}
        attributes = [name for name in self.customers if name not in own]
        parts = [_mapping("customers", "customers", [name for name in self.customers if name in own], attributes)]
        for table, source in (("transactions", "sales"), ("activities", "events"), ("subscriptions", "contracts")):
            frame: pd.DataFrame = getattr(self, source)
            if len(frame):
                parts.append(_mapping(table, source, [name for name in frame if name not in self.leave_out], []))
        return "".join(parts)


def _mapping(table: str, source: str, columns: list[str], attributes: list[str]) -> str:
    def written(names: list[str]) -> str:
        return "{ " + ", ".join(f'"{name}" = \'"{name}"\'' for name in names) + " }"

    return f'\n[tables.{table}]\nfrom = "{source}"\ncolumns = {written(columns)}\nattributes = {written(attributes)}\n'


def sound_shop(seed: int = 7) -> Shop:
    """Half of the customers buy to the end; the others stop at some day after the first two months."""
    random = np.random.default_rng(seed)
    ids = np.array([f"c{i}" for i in range(CUSTOMERS)])
    stops = np.where(random.random(CUSTOMERS) < 0.5, DAYS, random.integers(60, DAYS, CUSTOMERS))
    purchases = random.integers(8, 16, CUSTOMERS)
    who = np.repeat(np.arange(CUSTOMERS), purchases)
    days = random.random(len(who)) * stops[who]
    moments = BEGINS + pd.to_timedelta((days * 86_400).astype("int64"), unit="s")
    sales = pd.DataFrame(
        {
            "customer_id": ids[who],
            "transaction_id": [f"r{i}" for i in range(len(who))],
            "event_time": moments,
            "ingested_at": moments + pd.Timedelta(minutes=5),
            "amount": random.gamma(4.0, 10.0, len(who)).round(2) + 1,
            "channel": random.choice(["web", "store"], len(who)),
        }
    )
    visited = np.repeat(np.arange(CUSTOMERS), 3)
    seen = BEGINS + pd.to_timedelta((random.random(len(visited)) * stops[visited] * 86_400).astype("int64"), unit="s")
    events = pd.DataFrame({"customer_id": ids[visited], "event_time": seen, "kind": "visit"})
    customers = pd.DataFrame(
        {
            "customer_id": ids,
            "created_at": BEGINS - pd.Timedelta(days=30),
            "age": random.integers(18, 80, CUSTOMERS).astype("float64"),
            "region": random.choice(["north", "south", "east", "west"], CUSTOMERS),
        }
    )
    customers["created_at"] += pd.to_timedelta(random.integers(0, 30, CUSTOMERS), unit="D")
    return Shop(customers, sales, events, pd.DataFrame())


Change = Callable[[Shop], None]


@contextmanager
def one_family() -> Iterator[None]:
    """Trainings try one family of purchase models only. Where the choice is not asked about, two more are half of the
    time that a small shop's training takes."""
    only = {value_choice.DEFAULT: value_choice.FITS[value_choice.DEFAULT]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(value_choice, "FITS", only)
        yield
