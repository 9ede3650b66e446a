"""The contract of unified profiles: what is read, what is refused, what is counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from features.contract.findings import State
from features.contract.profiles import load_profiles, profiles_from_frames
from kernel.errors import DataError, UsageError
from tests.projects import SALES, TABLES, TinyProject, codes, place, refusal, rows

# What is read


def test_two_files_become_typed_tables_with_the_documented_defaults(project: TinyProject) -> None:
    profiles = project.profiles()
    assert rows(profiles, "SELECT * FROM customers ORDER BY 1") == [
        ("anna", None, True, None),
        ("bert", None, True, None),
    ]
    first = datetime(2024, 1, 5, 10)
    assert rows(profiles, "SELECT * FROM transactions ORDER BY 1 LIMIT 1") == [
        ("anna", "r1", None, first, first, Decimal("12.5000"), Decimal(0), 1.0, None, None, None, None, None)
    ]
    assert (profiles.count("transactions"), profiles.count("activities"), profiles.count("subscriptions")) == (2, 0, 0)
    assert profiles.span() == (first, datetime(2024, 1, 6, 11))
    assert (profiles.findings, profiles.attributes, profiles.timezone) == ((), {}, "UTC")
    assert profiles.mapped == {
        "customers": {"customer_id"},
        "transactions": {"customer_id", "transaction_id", "event_time", "amount"},
    }


def test_the_sources_are_let_go_once_they_are_read(project: TinyProject) -> None:
    schemas = rows(project.profiles(), "SELECT count(*) FROM duckdb_schemas() WHERE schema_name = 'sources'")
    assert schemas == [(0,)]


def test_several_files_are_matched_by_column_name(project: TinyProject) -> None:
    project.write("sales_1.csv", "id,receipt,at,paid\nanna,r1,2024-01-05 10:00:00,12.5\n")
    project.write("sales_2.csv", "paid,at,receipt,id\n7,2024-01-06 11:00:00,r2,bert\n")
    profiles = project.profiles(TABLES.replace("sales.csv", "sales_*.csv"))
    assert rows(profiles, "SELECT customer_id, amount FROM transactions ORDER BY 1") == [
        ("anna", Decimal("12.5")),
        ("bert", Decimal(7)),
    ]


def test_a_column_type_is_found_from_every_row_of_a_text_file(project: TinyProject) -> None:
    many = "".join(f"anna,{i},2024-01-05 10:00:00,1\n" for i in range(30_000))
    project.write("sales.csv", "id,receipt,at,paid\n" + many + "bert,C7,2024-01-05 10:00:00,1\n")
    profiles = project.profiles()
    assert rows(profiles, "SELECT transaction_id FROM transactions WHERE customer_id = 'bert'") == [("C7",)]


def test_a_table_of_a_duckdb_file(project: TinyProject) -> None:
    with duckdb.connect(str(project.folder / "shop.db")) as connection:
        connection.execute("CREATE SCHEMA crm")
        connection.execute(
            "CREATE TABLE crm.sales AS "
            "SELECT 'anna' id, 'r1' receipt, TIMESTAMP '2024-01-05 10:00:00' \"at\", 3.25 paid"
        )
    tables = TABLES.replace('"sales.csv"', '{ duckdb = "shop.db", table = "crm.sales" }')
    profiles = project.profiles(tables)
    assert rows(profiles, "SELECT customer_id, amount FROM transactions") == [("anna", Decimal("3.25"))]
    with duckdb.connect(str(project.folder / "shop.db")) as connection:  # the file is free again
        connection.execute("DROP TABLE crm.sales")


@pytest.mark.parametrize("stored", [[17850.0, 13047.0, None], [17850.0, 13047.0, np.nan]])
def test_a_whole_number_stored_as_a_float_is_the_key_without_decimals(project: TinyProject, stored: list[Any]) -> None:
    project.parquet("customers.parquet", pd.DataFrame({"id": ["17850", "13047"]}))
    sales = pd.DataFrame({"id": stored, "receipt": [1.0, 2.5, 3.0], "at": pd.Timestamp("2024-01-05"), "paid": 1.0})
    project.parquet("sales.parquet", sales)
    with duckdb.connect() as connection:  # a file in which "not a number" is a value, as other programs write it
        connection.register("sales", sales)
        connection.execute(
            f"COPY (SELECT coalesce(id, 'nan'::DOUBLE) id, receipt, \"at\", paid FROM sales) "
            f"TO '{project.folder / 'nan.parquet'}' (FORMAT parquet)"
        )
    for file in ("sales.parquet", "nan.parquet"):
        profiles = project.profiles(TABLES.replace("customers.csv", "customers.parquet").replace("sales.csv", file))
        assert rows(profiles, "SELECT customer_id, transaction_id FROM transactions ORDER BY 2") == [
            ("17850", "1"),
            ("13047", "2.5"),
        ]
        assert codes(profiles) == [("D101", "transactions", "customer_id", "1 of 3 rows (33.3%)")]


def test_a_decimal_key_has_no_decimals_either(project: TinyProject) -> None:
    project.write("customers.csv", "id\n17850\n")
    tables = TABLES.replace(
        'customer_id = "id", transaction_id', 'customer_id = "17850.00::DECIMAL(9,2)", transaction_id'
    )
    assert rows(project.profiles(tables), "SELECT DISTINCT customer_id FROM transactions") == [("17850",)]


def test_blanks_are_missing_and_words_are_trimmed(project: TinyProject) -> None:
    frame = pd.DataFrame({"id": ["anna", " bert ", "  ", ""], "city": ["Ulm", "  ", "Bonn", "Bonn"]})
    project.parquet("customers.parquet", frame)
    tables = TABLES.replace("customers.csv", "customers.parquet").replace(
        'columns = { customer_id = "id" }', 'columns = { customer_id = "id" }\nattributes = { city = "city" }'
    )
    profiles = project.profiles(tables)
    assert rows(profiles, "SELECT customer_id, city FROM customers ORDER BY 1") == [("anna", "Ulm"), ("bert", None)]
    assert codes(profiles) == [("D101", "customers", "customer_id", "2 of 4 rows (50.0%)")]


def test_a_column_may_be_called_as_no_sql_allows(project: TinyProject) -> None:
    project.write("sales.csv", 'Customer ID,order,at,"2nd ""price"""\nanna,r1,2024-01-05,12.5\n')
    tables = TABLES.replace(
        'customer_id = "id", transaction_id = "receipt"', 'customer_id = "Customer ID", transaction_id = "order"'
    ).replace('amount = "paid"', "amount = '2nd \"price\"'")
    assert rows(project.profiles(tables), "SELECT customer_id, transaction_id, amount FROM transactions") == [
        ("anna", "r1", Decimal("12.5"))
    ]


# Time


def moments(project: TinyProject, frame: pd.DataFrame, timezone: str) -> list[Any]:
    project.parquet("sales.parquet", frame.assign(id="anna", receipt=range(len(frame)), paid=1.0))
    profiles = project.profiles(TABLES.replace("sales.csv", "sales.parquet"), timezone)
    found = rows(profiles, "SELECT event_time FROM transactions ORDER BY CAST(transaction_id AS INTEGER)")
    return [row[0] for row in found]


def test_a_naive_moment_is_local_time_of_the_project(project: TinyProject) -> None:
    frame = pd.DataFrame({"at": pd.to_datetime(["2024-01-05 00:30", "2024-07-05 00:30"])})
    assert moments(project, frame, "Europe/Paris") == [datetime(2024, 1, 4, 23, 30), datetime(2024, 7, 4, 22, 30)]
    assert moments(project, frame, "UTC") == [datetime(2024, 1, 5, 0, 30), datetime(2024, 7, 5, 0, 30)]


def test_a_date_is_local_midnight(project: TinyProject) -> None:
    frame = pd.DataFrame({"at": [datetime(2024, 7, 5).date()]})
    assert moments(project, frame, "Europe/Paris") == [datetime(2024, 7, 4, 22)]


def test_a_moment_with_its_own_offset_keeps_it(project: TinyProject) -> None:
    frame = pd.DataFrame({"at": pd.to_datetime(["2024-07-05 00:30"]).tz_localize("America/New_York")})
    assert moments(project, frame, "Europe/Paris") == [datetime(2024, 7, 5, 4, 30)]


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2024-07-05T12:00:00Z", datetime(2024, 7, 5, 12)),
        ("2024-07-05 12:00:00+05:30", datetime(2024, 7, 5, 6, 30)),
        ("2024-07-05T12:00:00.250-0400", datetime(2024, 7, 5, 16, 0, 0, 250_000)),
        ("2024-07-05 12:00:00+02", datetime(2024, 7, 5, 10)),
        ("2024-07-05 12:00:00", datetime(2024, 7, 5, 10)),
        ("2024-07-05", datetime(2024, 7, 4, 22)),
    ],
)
def test_a_moment_as_text(project: TinyProject, text: str, utc: datetime) -> None:
    assert moments(project, pd.DataFrame({"at": [text]}), "Europe/Paris") == [utc]


def test_a_missing_ingestion_time_is_the_time_of_the_event(project: TinyProject) -> None:
    project.write("sales.csv", "id,receipt,at,paid,seen\nanna,r1,2024-01-05,1,\nanna,r2,2024-01-05,1,2024-01-09\n")
    profiles = project.profiles(TABLES.replace('paid" }', 'paid", ingested_at = "seen" }'))
    assert rows(profiles, "SELECT ingested_at FROM transactions ORDER BY transaction_id") == [
        (datetime(2024, 1, 5),),
        (datetime(2024, 1, 9),),
    ]


def test_dates_in_the_future_are_counted_and_stay(project: TinyProject) -> None:
    now = datetime(2024, 1, 5, 12, tzinfo=UTC)
    profiles = project.profiles(now=now)
    assert codes(profiles) == [("D103", "transactions", "event_time", "1 rows")]
    assert profiles.findings[0].state is State.WARNING
    assert "2024-01-05T12:00:00Z" in profiles.findings[0].details
    assert profiles.count("transactions") == 2
    assert codes(project.profiles(now=datetime(2024, 1, 6, 11))) == []
    assert codes(project.profiles(now=now.astimezone())) == codes(profiles)


def test_a_customer_from_the_future_is_counted(project: TinyProject) -> None:
    project.write("customers.csv", "id,since\nanna,2024-01-01\nbert,2031-01-01\n")
    tables = TABLES.replace(
        'columns = { customer_id = "id" }', 'columns = { customer_id = "id", created_at = "since" }'
    )
    assert codes(project.profiles(tables, now=datetime(2024, 2, 1))) == [("D103", "customers", "created_at", "1 rows")]


# Consent


def test_a_missing_value_in_a_mapped_consent_means_no(project: TinyProject) -> None:
    project.write("customers.csv", "id,agreed\nanna,true\nbert,\ncleo,false\n")
    tables = TABLES.replace('columns = { customer_id = "id" }', 'columns = { customer_id = "id", consent = "agreed" }')
    profiles = project.profiles(tables)
    assert rows(profiles, "SELECT customer_id, consent FROM customers ORDER BY 1") == [
        ("anna", True),
        ("bert", False),
        ("cleo", False),
    ]
    assert profiles.without_consent() == {"bert", "cleo"}


def test_the_same_of_a_profile_in_a_request() -> None:
    customers = pd.DataFrame({"customer_id": ["anna", "bert"], "consent": [True, None]})
    assert profiles_from_frames({"customers": customers}, {}, "UTC").without_consent() == {"bert"}
    unmapped = profiles_from_frames({"customers": customers[["customer_id"]]}, {}, "UTC")
    assert unmapped.without_consent() == frozenset()


# What is refused


@pytest.mark.parametrize(
    ("old", "new", "what", "where", "fix"),
    [
        (
            "transaction_id =",
            "transacton_id =",
            "'transacton_id' is no column of transactions.",
            "tables.transactions.columns",
            "Did you mean 'transaction_id'?",
        ),
        (
            '"paid"',
            '"payd"',
            "The source has no column 'payd'.",
            "tables.transactions.columns.amount",
            "Did you mean 'paid'?",
        ),
        (
            'from = "sales"',
            'from = "sale"',
            "'sale' is none of the sources.",
            "tables.transactions.from",
            "Did you mean 'sales'?",
        ),
        (
            "[tables.transactions]",
            "[tables.transaction]",
            "'transaction' is no semantic table.",
            "tables",
            "Did you mean 'transactions'?",
        ),
        (
            ', amount = "paid"',
            "",
            "The required column 'amount' (net spend in the project's currency; a return is negative) is not mapped.",
            "tables.transactions.columns",
            'Add a line such as amount = "your_column".',
        ),
        (
            '"paid"',
            '"paid * ("',
            "'paid * (' is no SQL expression.",
            "tables.transactions.columns.amount",
            "Write a column name or an expression.",
        ),
        (
            '"customers.csv"',
            '"customers.xml"',
            "No file matches '{folder}/customers.xml'.",
            "sources.customers",
            "Correct the path; it is relative to the TOML file.",
        ),
        (
            '"customers.csv"',
            '"foresight.toml"',
            "'.toml' is no file type that can be read.",
            "sources.customers",
            "Use one of .parquet, .csv, .txt, .tsv, .gz.",
        ),
        (
            '"customers.csv"',
            '{ duckdb = "shop.db", table = "t" }',
            "There is no DuckDB file '{folder}/shop.db'.",
            "sources.customers",
            "Correct the path.",
        ),
    ],
)
def test_a_wrong_name(project: TinyProject, old: str, new: str, what: str, where: str, fix: str) -> None:
    error = refusal(project, UsageError, TABLES.replace(old, new))
    assert (error.what, place(error), error.fix) == (what.replace("{folder}", str(project.folder)), where, fix)


@pytest.mark.parametrize("table", ["customers", "transactions"])
def test_a_required_table_that_is_not_mapped(project: TinyProject, table: str) -> None:
    start = TABLES.index(f"[tables.{table}]")
    end = TABLES.index("[tables.transactions]") if table == "customers" else len(TABLES)
    error = refusal(project, UsageError, TABLES[:start] + TABLES[end:])
    assert error.what.startswith(f"The table '{table}' (")
    assert error.fix == f"Add a [tables.{table}] section; the examples show how."


@pytest.mark.parametrize("expression", ["no_such_function(paid)", "paid + at", "sum(paid)"])
def test_sql_that_duckdb_refuses_is_a_usage_error(project: TinyProject, expression: str) -> None:
    error = refusal(project, UsageError, TABLES.replace('amount = "paid"', f'amount = "{expression}"'))
    assert place(error) == "tables.transactions.columns"


@pytest.mark.parametrize("name", ["consent", "created_days_ago", "Customer_ID", "two words"])
def test_an_attribute_that_cannot_be_one(project: TinyProject, name: str) -> None:
    added = f'columns = {{ customer_id = "id" }}\nattributes = {{ "{name}" = "id" }}'
    error = refusal(project, UsageError, TABLES.replace('columns = { customer_id = "id" }', added))
    assert (error.what, place(error)) == (f"'{name}' cannot be an attribute.", "tables.customers.attributes")


def test_an_attribute_whose_sql_is_wrong_is_a_usage_error(project: TinyProject) -> None:
    added = 'columns = { customer_id = "id" }\nattributes = { age = "no_such_function(id)" }'
    error = refusal(project, UsageError, TABLES.replace('columns = { customer_id = "id" }', added))
    assert place(error) == "tables.customers.attributes"


@pytest.mark.parametrize(
    ("column", "secret", "kind"),
    [("paid", "a-private-word", "money"), ("at", "the day we met", "moment"), ("paid", "1e300", "money")],
)
def test_values_of_a_wrong_type_are_counted_and_never_shown(
    project: TinyProject, column: str, secret: str, kind: str
) -> None:
    values = {"paid": "7", "at": "2024-01-06", column: secret}
    project.write("sales.csv", SALES + f"bert,r3,{values['at']},{values['paid']}\n")
    error = refusal(project, DataError)
    name = {"paid": "amount", "at": "event_time"}[column]
    assert error.what == f"1 of 3 values of '{name}' are no {kind}."
    assert place(error) == f"tables.transactions.columns.{name} = '{column}'"
    assert secret not in str(error)


def test_an_error_within_the_users_own_sql_shows_no_value(project: TinyProject) -> None:
    error = refusal(project, DataError, TABLES.replace('amount = "paid"', 'amount = "CAST(id AS INTEGER)"'))
    assert error.what == "The rows cannot be read (Conversion Error)."
    error = refusal(project, DataError, TABLES.replace('transaction_id = "receipt"', 'transaction_id = "error(id)"'))
    assert "anna" not in str(error)


def test_a_file_that_is_not_what_its_name_says(project: TinyProject) -> None:
    project.write("sales.parquet", SALES)
    error = refusal(project, DataError, TABLES.replace("sales.csv", "sales.parquet"))
    assert error.what.startswith("The file cannot be read: ")
    assert place(error) == f"sources.sales = {project.folder}/sales.parquet"
    assert "12.5" not in str(error)


def test_a_customer_twice(project: TinyProject) -> None:
    project.write("customers.csv", "id\nanna\nbert\nanna\n")
    error = refusal(project, DataError)
    assert error.what == "2 of 3 rows share their key (customer_id) with another row."
    assert place(error) == "tables.customers"
    assert "anna" not in str(error)


WITH_LINES = TABLES.replace('paid" }', 'paid", line_id = "line" }')


def test_an_order_line_twice(project: TinyProject) -> None:
    project.write(
        "sales.csv",
        "id,receipt,line,at,paid\nanna,r1,1,2024-01-05,1\nanna,r1,2,2024-01-05,1\nanna,r1,1,2024-01-05,1\nbert,r2,1,2024-01-05,1\n",
    )
    error = refusal(project, DataError, WITH_LINES)
    assert error.what == "2 of 4 rows share their key (transaction_id, line_id) with another row."


def test_equal_rows_without_a_mapped_line_are_two_lines(project: TinyProject) -> None:
    project.write("sales.csv", SALES + SALES.splitlines()[1] + "\n")
    assert project.profiles().count("transactions") == 3


def test_lines_without_a_number_are_like_no_other_line(project: TinyProject) -> None:
    project.write(
        "sales.csv", "id,receipt,line,at,paid\nanna,r1,,2024-01-05,1\nanna,r1,,2024-01-05,1\nanna,r1,1,2024-01-05,2\n"
    )
    assert project.profiles(WITH_LINES).count("transactions") == 3


@pytest.mark.parametrize(("file", "table"), [("customers.csv", "customers"), ("sales.csv", "transactions")])
def test_an_empty_table(project: TinyProject, file: str, table: str) -> None:
    project.write(file, (project.folder / file).read_text().splitlines()[0] + "\n")
    error = refusal(project, DataError)
    assert (error.what, place(error)) == (f"The table '{table}' is empty.", f"tables.{table}")


# What is counted


def test_rows_without_customer_are_left_out_and_counted(project: TinyProject) -> None:
    project.write("sales.csv", SALES + ",r3,2024-01-07 10:00:00,5\n,r4,2024-01-07 10:00:00,\n")
    profiles = project.profiles()
    assert codes(profiles) == [
        ("D101", "transactions", "customer_id", "2 of 4 rows (50.0%)"),
        ("D101", "transactions", "amount", "1 of 4 rows (25.0%)"),
    ]
    assert profiles.count("transactions") == 2
    assert profiles.findings[0].to_dict()["state"] == "warning"


def test_rows_of_unknown_customers_are_counted_in_every_table(project: TinyProject) -> None:
    project.write("sales.csv", SALES + "cleo,r3,2024-01-07 10:00:00,5\n")
    project.write("mails.csv", "id,at\ncleo,2024-01-01\ndora,2024-01-02\nanna,2024-01-02\n")
    tables = TABLES.replace("[sources]", '[sources]\nmails = "mails.csv"') + (
        '[tables.activities]\nfrom = "mails"\ncolumns = { customer_id = "id", event_time = "at", kind = "\'mail\'" }\n'
    )
    assert codes(project.profiles(tables)) == [
        ("D102", "transactions", "customer_id", "1 rows"),
        ("D102", "activities", "customer_id", "2 rows"),
    ]


def test_an_attribute_is_a_number_only_where_every_mapping_says_so(project: TinyProject) -> None:
    project.write("more.csv", "id,size\ncleo,large\n")
    project.write("customers.csv", "id,size\nanna,3\n")
    part = '[[tables.customers]]\nfrom = "{}"\ncolumns = {{ customer_id = "id" }}\nattributes = {{ size = "size" }}\n'
    start, end = TABLES.index("[tables.customers]"), TABLES.index("[tables.transactions]")
    tables = TABLES[:start] + part.format("customers") + part.format("more") + TABLES[end:]
    profiles = project.profiles(tables.replace("[sources]", '[sources]\nmore = "more.csv"'))
    assert profiles.attributes == {"size": "string"}
    assert rows(profiles, "SELECT customer_id, size FROM customers ORDER BY 1") == [("anna", "3"), ("cleo", "large")]


# The fingerprint of what was known


def test_the_fingerprint_changes_with_what_was_known_and_with_nothing_else(project: TinyProject) -> None:
    known_at = datetime(2024, 1, 6, tzinfo=UTC)
    before = project.profiles().fingerprint(known_at)
    header, *lines = SALES.splitlines()
    project.write("sales.csv", "\n".join([header, "anna,r9,2024-01-06 00:00:00,1", *reversed(lines)]) + "\n")
    assert project.profiles().fingerprint(known_at) == before
    assert project.profiles().fingerprint(known_at + timedelta(seconds=1)) != before
    project.write("sales.csv", SALES.replace("12.5", "12.6"))
    assert project.profiles().fingerprint(known_at) != before


def test_the_fingerprint_is_of_a_moment_in_any_time_zone(project: TinyProject) -> None:
    from zoneinfo import ZoneInfo

    profiles = project.profiles()
    known_at = datetime(2024, 1, 6, 11, 30, tzinfo=UTC)  # 01:30 in Honolulu, before the second purchase by the digits
    assert profiles.fingerprint(known_at.astimezone(ZoneInfo("Pacific/Honolulu"))) == profiles.fingerprint(known_at)


def test_a_customer_of_tomorrow_does_not_change_the_fingerprint_of_today(project: TinyProject) -> None:
    tables = TABLES.replace(
        'columns = { customer_id = "id" }', 'columns = { customer_id = "id", created_at = "since" }'
    )
    project.write("customers.csv", "id,since\nanna,2023-01-01\nbert,2023-01-01\n")
    before = project.profiles(tables).fingerprint(datetime(2024, 1, 6, tzinfo=UTC))
    project.write("customers.csv", "id,since\nanna,2023-01-01\nbert,2023-01-01\ncleo,2024-01-06\n")
    assert project.profiles(tables).fingerprint(datetime(2024, 1, 6, tzinfo=UTC)) == before


def test_load_profiles_is_given_the_settings_and_reads_no_clock(project: TinyProject) -> None:
    project.write("sales.csv", SALES.replace("2024-01-06", "2224-01-06"))
    assert load_profiles(project.settings()).findings == ()
