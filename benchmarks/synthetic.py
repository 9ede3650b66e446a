"""Made-up tables of any size, for speed only: nothing about customers can be learned from them.

Two years of order lines; every fifth line belongs to the order before it, every fiftieth order is a return. The number
of orders a customer has is skewed as in real shops. The same numbers come out on every machine.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from features.engine.scope import literal

SECONDS = 730 * 86_400  # 2022 and 2023
_TOML = """
[project]
name = "synthetic"
currency = "EUR"
[engine]
{engine}
[sources]
customers = "customers.parquet"
transactions = "{transactions}"
[tables.customers]
from = "customers"
columns = {{ customer_id = "customer_id", created_at = "created_at" }}
[tables.transactions]
from = "transactions"
columns = {{ {columns} }}
"""
_COLUMNS = ["customer_id", "transaction_id", "event_time", "ingested_at", "amount", "product_id", "category", "channel"]


@dataclass(frozen=True)
class Size:
    """How large: customers, rows of transactions, and how often each timing is repeated."""

    customers: int = 1_000_000
    rows: int = 20_000_000
    repetitions: int = 1

    def part(self, share: float) -> Size:
        """The same with fewer rows, and customers in proportion."""
        return Size(int(self.customers * share), int(self.rows * share), self.repetitions)

    def __str__(self) -> str:
        return f"{self.customers:,} customers, {self.rows:,} rows"


def write_project(folder: Path, size: Size) -> Path:
    """Write the tables, once, and a ``foresight.toml`` that maps them; returns the folder."""
    if folder.exists():
        return folder
    folder.mkdir(parents=True)
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT 'c' || lpad(i::VARCHAR, 7, '0') AS customer_id, "
            "TIMESTAMP '2022-01-01' + to_days((hash(i) % 700)::INTEGER) AS created_at "
            f"FROM range({size.customers}) t(i)) TO '{folder / 'customers.parquet'}' (FORMAT parquet)"
        )
        connection.execute(
            "COPY (SELECT 'c' || lpad("
            f"floor({size.customers} * pow((hash(o * 7 + 1) % 1000003) / 1000003.0, 1.7))::INTEGER::VARCHAR, 7, '0') "
            "AS customer_id, 't' || o AS transaction_id, "
            f"TIMESTAMP '2022-01-01' + to_seconds((o * {SECONDS / size.rows})::BIGINT + (hash(o) % 3600)::BIGINT) "
            "AS event_time, event_time + to_seconds((hash(o + 5) % 900)::BIGINT) AS ingested_at, "
            "round(1 + 99 * pow((hash(i + 99) % 10007) / 10007.0, 3), 2) * if(hash(o * 11) % 50 = 0, -1, 1) AS amount, "
            "'p' || hash(i * 3) % 5000 AS product_id, 'k' || hash(i * 3) % 5000 % 40 AS category, "
            "CASE hash(o * 5) % 3 WHEN 0 THEN 'web' WHEN 1 THEN 'shop' ELSE 'phone' END AS channel "
            f"FROM (SELECT i, i - if(i % 5 = 4, 1, 0) AS o FROM range({size.rows}) t(i))) "
            f"TO '{folder / 'transactions.parquet'}' (FORMAT parquet, ROW_GROUP_SIZE 250000)"
        )
    write_settings(folder)
    return folder


def write_days(folder: Path, whole: Path, until: datetime) -> None:
    """Write the same project as it was ``until`` a moment, with kept tables; the rows since lie in ``new.parquet``."""
    (folder / "transactions").mkdir(parents=True)
    shutil.copy(whole / "customers.parquet", folder)
    source = f"FROM '{whole / 'transactions.parquet'}' WHERE ingested_at"
    with duckdb.connect() as connection:
        for file, since in (("transactions/0", "<="), ("new", ">")):
            connection.execute(
                f"COPY (SELECT * {source} {since} {literal(until)}) TO '{folder / file}.parquet' (FORMAT parquet)"
            )
    write_settings(folder, "keep_tables = true", transactions="transactions/*.parquet")


def write_settings(folder: Path, engine: str = "", *, transactions: str = "transactions.parquet") -> None:
    """Write ``foresight.toml``.

    Args:
        folder: of the project.
        engine: lines of its section ``[engine]``.
        transactions: the file, or the files.
    """
    columns = ", ".join(f'{name} = "{name}"' for name in _COLUMNS)
    text = _TOML.format(engine=engine, transactions=transactions, columns=columns)
    (folder / "foresight.toml").write_text(text, encoding="utf-8")
