"""A table of a real PostgreSQL as a source."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import psycopg
import pytest

from kernel.errors import UsageError
from tests.postgres import PASSWORD
from tests.projects import TABLES, TinyProject, place, refusal, rows


def from_postgres(project: TinyProject, url: str, table: str = "crm.sales") -> str:
    return TABLES.replace('"sales.csv"', f'{{ postgres = "{url}", table = "{table}" }}')


@pytest.fixture
def sales_table(postgres_url: str) -> str:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("DROP SCHEMA IF EXISTS crm CASCADE")
        connection.execute("CREATE SCHEMA crm")
        # Settings in which a careless reader takes 5 January for 1 May.
        connection.execute("ALTER DATABASE postgres SET DateStyle TO 'SQL, DMY'")
        connection.execute("ALTER DATABASE postgres SET TimeZone TO 'Asia/Kolkata'")
        connection.execute(
            "CREATE TABLE crm.sales (id text, receipt numeric(20,0), at timestamptz, local timestamp, "
            "paid numeric(12,2), note text, store integer, kind varchar(9))"
        )
        connection.execute(
            "INSERT INTO crm.sales VALUES "
            "('anna', 12345678901234567890, '2024-01-05 10:00+01', '2024-01-05 10:00', 12.50, 'a, \"b\"\nc', 7, ''),"
            "('bert', 12345678901234567891, '2024-01-06 00:00+00', '2024-07-06 00:00', -3.10, NULL, NULL, 'x')"
        )
    return postgres_url


def test_a_postgresql_table(project: TinyProject, sales_table: str) -> None:
    mapped = 'paid", product_id = "note", channel = "store", category = "kind" }'
    tables = from_postgres(project, sales_table).replace('paid" }', mapped)
    profiles = project.profiles(tables, "Europe/Paris")
    selected = "customer_id, transaction_id, event_time, amount, product_id, channel, category"
    assert rows(profiles, f"SELECT {selected} FROM transactions ORDER BY 1") == [
        ("anna", "12345678901234567890", datetime(2024, 1, 5, 9), Decimal("12.50"), 'a, "b"\nc', "7", None),
        ("bert", "12345678901234567891", datetime(2024, 1, 6), Decimal("-3.10"), None, None, "x"),
    ]


def test_a_postgresql_timestamp_without_zone_is_local_time(project: TinyProject, sales_table: str) -> None:
    tables = from_postgres(project, sales_table).replace('event_time = "at"', 'event_time = "local"')
    profiles = project.profiles(tables, "Europe/Paris")
    assert rows(profiles, "SELECT event_time FROM transactions ORDER BY customer_id") == [
        (datetime(2024, 1, 5, 9),),
        (datetime(2024, 7, 5, 22),),
    ]


def test_a_postgresql_table_that_is_not_there(project: TinyProject, sales_table: str) -> None:
    error = refusal(project, UsageError, from_postgres(project, sales_table, "crm.sale"))
    assert error.what == "PostgreSQL did not answer with table 'crm.sale' (UndefinedTable)."
    assert place(error) == "sources.sales"


def test_a_wrong_password_is_not_repeated(project: TinyProject, sales_table: str) -> None:
    error = refusal(project, UsageError, from_postgres(project, sales_table.replace(PASSWORD, "battery-staple")))
    assert error.what == "PostgreSQL did not answer with table 'crm.sales' (OperationalError)."
    assert "battery-staple" not in f"{error} {error.__cause__}"


def test_a_server_that_is_not_there_is_a_usage_error(project: TinyProject) -> None:
    error = refusal(project, UsageError, from_postgres(project, "postgresql://owner:secret@127.0.0.1:1/shop"))
    assert error.what == "PostgreSQL did not answer with table 'crm.sales' (OperationalError)."
    assert "secret" not in str(error)
