"""One customer's values in NumPy against DuckDB, operation by operation, to the bit: as columns and as scalars."""

from __future__ import annotations

import math
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import ibis
import numpy as np
import pytest

from features.engine.scope import ACTIVITY_SCHEMA, TRANSACTION_SCHEMA
from features.engine.single.program import NotCompiledError, Program
from features.engine.single.rows import event_table
from features.engine.single.values import Column, decimal_to_float, decimals, exact, scaled, words

AS_OF = datetime(2024, 3, 31, 5, 30, tzinfo=UTC)
PERSON = {"a": "float64", "b": "float64", "u": "string", "v": "string"}
PEOPLE = ibis.table({"customer_id": "string", "account_id": "string", **PERSON}, name="scoped_customers")
LINES = ibis.table(TRANSACTION_SCHEMA, name="scoped_transactions")
DEEDS = ibis.table(ACTIVITY_SCHEMA, name="scoped_activities")
SQL = {"string": "VARCHAR", "float64": "DOUBLE", "int64": "BIGINT", "decimal(18, 4)": "DECIMAL(18,4)"}
NUMBERS = (None, 0.0, -0.0, 1.0, -1.0, 2.5, -2.5, 0.1, 1e-7, 123456.789, -99999999999.9999, 1e13)
WORDS = (None, "", "Zebra", "apple", "éclair", "zebra")
Values = Mapping[str, Callable[[Any], Any]]


def line(number: int, amount: float, **rest: object) -> dict[str, Any]:
    empty = {"discount": 0.0, "quantity": 1.0, "product_id": None, "category": None, "channel": None}
    moment = AS_OF - timedelta(days=number, hours=7 * number % 24)
    return {"transaction_id": f"r{number}", "event_time": moment, "amount": amount, **empty, **rest}


def deed(number: int, value: float | None, other: float | None, **rest: object) -> dict[str, Any]:
    moment = AS_OF - timedelta(days=number)
    return {"event_time": moment, "kind": f"k{number}", "value": value, "detail": None, "sentiment": other, **rest}


def bits(value: object) -> object:
    if isinstance(value, Decimal):  # where Ibis takes for float64 what is a decimal in DuckDB
        value = float(value)
    return struct.pack("<d", value) if isinstance(value, float) and not math.isnan(value) else str(value)


def computed(table: Any, rows: Mapping[str, Sequence[dict[str, Any]]], person: Mapping[str, Any]) -> tuple[Any, Any]:
    """The one row of a table by DuckDB, and by a program."""
    schemas = {"transactions": TRANSACTION_SCHEMA, "activities": ACTIVITY_SCHEMA}
    scoped = {}
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        for name, schema in schemas.items():
            given = rows.get(name, ())
            columns = {key: [row[key] for row in given] for key in given[0]} if given else {}
            scoped[f"scoped_{name}"] = event_table(name, columns, "UTC", AS_OF)
            made = ", ".join(f"{column} {SQL[kind]}" for column, kind in schema.items())
            connection.execute(f"CREATE TABLE scoped_{name} ({made})")
            for i, row in enumerate(given):
                times = {
                    key: scoped[f"scoped_{name}"][key].values[i].item()
                    for key in schema
                    if key in ("days_ago", "day_ago", "weekday", "hour")
                }
                whole = {**row, "customer_id": "anna", **times}
                connection.execute(
                    f"INSERT INTO scoped_{name} VALUES ({', '.join('?' * len(schema))})", [whole[c] for c in schema]
                )
        connection.execute(
            "CREATE TABLE scoped_customers (customer_id VARCHAR, account_id VARCHAR, a DOUBLE, "
            "b DOUBLE, u VARCHAR, v VARCHAR)"
        )
        known = {name: person.get(name) for name in ("account_id", *PERSON)}
        connection.execute("INSERT INTO scoped_customers VALUES ('anna', ?, ?, ?, ?, ?)", list(known.values()))
        program = Program(table)
        found = connection.execute(str(ibis.to_sql(table.select(*program.names), dialect="duckdb"))).fetchone()
    return found, tuple(program.run(scoped, known))


def plain(value: Any) -> Any:
    """As a number that both sides have, or a word."""
    if value.type().is_boolean():
        value = value.cast("int64")
    return value if value.type().is_string() else value.cast("float64")


def same_columns(table: Any, name: str, rows: Sequence[dict[str, Any]], values: Values) -> dict[str, tuple[Any, ...]]:
    """Check values of rows, each row alone; what DuckDB has."""
    key = "transaction_id" if name == "transactions" else "kind"
    found: dict[str, tuple[Any, ...]] = {}
    for what, value in values.items():
        made = value(table)
        number = made.cast("int64") if made.type().is_boolean() else made
        metrics = {f"x{i}": number.max(where=table[key] == row[key]) for i, row in enumerate(rows)}
        wanted, got = computed(per_customer(table, metrics), {name: rows}, {})
        assert (what, [*map(bits, got)]) == (what, [*map(bits, wanted)])
        found[what] = wanted
    return found


def per_customer(table: Any, metrics: Mapping[str, Any]) -> Any:
    """Aggregates of a customer's rows, as the engine writes them."""
    block = table.group_by("customer_id").agg(**metrics).rename({"of": "customer_id"})
    wide = PEOPLE.left_join(block, [("customer_id", "of")])
    return wide.select("customer_id", **{name: plain(wide[name]) for name in metrics})


def same_scalars(person: Mapping[str, Any], values: Values) -> list[Any]:
    table = PEOPLE.select("customer_id", **{key: plain(value(PEOPLE)) for key, value in values.items()})
    wanted, found = computed(table, {}, person)
    assert dict(zip(values, map(bits, found), strict=True)) == dict(zip(values, map(bits, wanted), strict=True))
    return list(wanted)


def logic(a: Callable[[Any], Any], b: Callable[[Any], Any]) -> dict[str, Callable[[Any], Any]]:
    """Every operation on two numbers that may be unknown."""
    return {
        "and": lambda t: (a(t) > 0) & (b(t) > 0),
        "or": lambda t: (a(t) > 0) | (b(t) > 0),
        "not": lambda t: ~((a(t) > 0) & (b(t) > 0)),
        "and null": lambda t: (a(t) > 0) & ibis.null("boolean"),
        "or null": lambda t: (a(t) > 0) | ibis.null("boolean"),
        "case": lambda t: ibis.cases((a(t) > 0, 1), (b(t) > 0, 2), else_=3),
        "case without else": lambda t: ibis.cases((a(t) > 0, a(t)), (b(t) > 0, b(t))),
        "if or null": lambda t: (a(t) > 0).ifelse(None, b(t)),
        "if of truths": lambda t: ~((a(t) > 0).ifelse(b(t) > 0, None)),
        "coalesce": lambda t: ibis.coalesce(a(t), b(t), 7),
        "coalesce two": lambda t: ibis.coalesce(a(t), b(t)),
        "nullif": lambda t: a(t).nullif(b(t)),
        "nullif 0": lambda t: a(t).nullif(0),
        "is null": lambda t: a(t).isnull() & b(t).notnull(),
        "quotient": lambda t: a(t) / b(t),
        "a quotient compared": lambda t: (a(t) / b(t)) > 1,
        "a quotient equal": lambda t: (a(t) / b(t)) == (b(t) / a(t)),
        "a quotient at most": lambda t: (a(t) / b(t)) <= 1,
        "a quotient below": lambda t: (a(t) / b(t)) < 1,
        "a quotient between": lambda t: (a(t) / b(t)).between(-1, 1),
        "unequal": lambda t: a(t) != b(t),
        "sum": lambda t: a(t) + b(t) * 0.1 - 3,
        "in": lambda t: a(t).isin([1, 2.5, -1]),
        "not in": lambda t: ~a(t).isin([1, 2.5, -1]),
        "floor": lambda t: (a(t) / 3).floor() + a(t).ceil(),
        "a floor that is not looked at": lambda t: (b(t).abs() >= 1).ifelse((a(t) / b(t)).floor(), -1),
        "exp": lambda t: (a(t) / 1e14).exp() + (b(t).abs() + 1).ln() * (b(t).abs()).sqrt(),
        "negative": lambda t: -a(t),
    }


def test_operations_on_columns_of_numbers() -> None:
    # 0 / 0, x / 0 and unknown numbers are among them; a floor of what is not finite is DuckDB's error.
    some = NUMBERS[:7]
    rows = [deed(7 * i + j + 1, a, b) for i, a in enumerate(some) for j, b in enumerate(some)]
    found = same_columns(DEEDS, "activities", rows, logic(lambda t: t.value, lambda t: t.sentiment))
    assert found["and"][:4] == (None, 0, 0, None)  # of NULL and NULL, 0, -0, 1
    assert found["or"][:4] == (None, None, None, 1)


@pytest.mark.parametrize("a", NUMBERS)
def test_operations_on_scalars(a: float | None) -> None:
    for b in NUMBERS:
        same_scalars({"a": a, "b": b}, logic(lambda t: t.a, lambda t: t.b))


def test_truth_tables() -> None:
    truth = {None: None, 1.0: True, 0.0: False}
    for a, first in truth.items():
        for b, second in truth.items():
            both = False if first is False or second is False else None if None in (first, second) else True
            one = True if first is True or second is True else None if None in (first, second) else False
            found = same_scalars(
                {"a": a, "b": b}, {"and": lambda t: (t.a > 0) & (t.b > 0), "or": lambda t: (t.a > 0) | (t.b > 0)}
            )
            assert found == [None if both is None else float(both), None if one is None else float(one)]


def test_words_of_several_columns() -> None:
    values: Values = {
        "equal": lambda t: t.category == t.channel,
        "unequal": lambda t: t.category != t.channel,
        "equal to a word": lambda t: t.category == "zebra",
        "a word first": lambda t: ibis.literal("zebra") != t.category,
        "a word nobody has": lambda t: t.category == "nobody",
        "equal to NULL": lambda t: t.category == ibis.null("string"),
        "coalesce": lambda t: ibis.coalesce(t.category, t.channel),
        "coalesce with a word": lambda t: ibis.coalesce(t.category, "none"),
        "case": lambda t: (t.amount > 3).ifelse(t.category, t.channel),
        "case with a word": lambda t: ibis.cases((t.amount > 3, "much"), (t.amount > 1, t.channel), else_="little"),
        "case with NULL": lambda t: (t.amount > 3).ifelse(None, t.channel),
        "nullif": lambda t: t.category.nullif("zebra"),
        "nullif a column": lambda t: t.category.nullif(t.channel),
        "in": lambda t: t.category.isin(["zebra", "nobody", "apple"]),
        "not in": lambda t: ~t.channel.isin(["zebra", "nobody"]),
    }
    texts = (None, "Zebra", "apple", "éclair", "zebra")
    rows = [
        line(5 * i + j + 1, float(i), category=a, channel=b) for i, a in enumerate(texts) for j, b in enumerate(texts)
    ]
    same_columns(LINES, "transactions", rows, values)
    for a in WORDS:
        for b in WORDS:
            same_scalars(
                {"u": a, "v": b},
                {
                    "equal": lambda t: t.u == t.v,
                    "coalesce": lambda t: ibis.coalesce(t.u, t.v, "none"),
                    "nullif": lambda t: t.u.nullif(t.v),
                    "in": lambda t: t.u.isin(["zebra", "Zebra"]),
                },
            )


MONEY = (
    0.0,
    0.00005,
    -0.00005,
    0.00015,
    2.5,
    -2.5,
    99999999999.9999,
    1e13,
    -1e13,
    1234567890123.4567,
    900719925474.0993,
)


def test_decimals() -> None:
    values: Values = {
        "as float64": lambda t: t.amount,
        "negative": lambda t: -t.amount.abs(),
        "sum": lambda t: t.amount + t.discount + t.amount,
        "difference": lambda t: t.amount - t.discount - 3,
        "product": lambda t: t.amount * t.hour,
        "product of two": lambda t: (t.amount / 1e9).cast("decimal(18, 4)") * (t.hour / 7).cast("decimal(18, 4)"),
        "times a literal": lambda t: t.discount * 0.1,
        "whole times a literal": lambda t: t.hour * 0.1,
        "a literal more": lambda t: t.discount + 0.00125,
        "more than a literal": lambda t: t.amount > 0.0001,
        "in": lambda t: t.amount.isin([0, 2.5, -2.5]),
        "between": lambda t: t.amount.between(-2.5, 0.00005),
        "literal for zero": lambda t: t.amount.nullif(0).fill_null(0.5),
        "more digits for zero": lambda t: t.discount.nullif(0.0).fill_null(0.123456),
        "case of a literal": lambda t: (t.amount > 0).ifelse(t.amount, 0.25),
        "case of whole numbers": lambda t: (t.amount > 0).ifelse(t.amount, t.hour),
        "quotient": lambda t: t.amount / t.discount,
        "of float64": lambda t: t.amount * t.quantity,
        "floor": lambda t: t.amount.floor(),
        "ceiling": lambda t: t.amount.ceil(),
        "a product's floor": lambda t: (t.hour * 0.7).floor(),
        "cast wider": lambda t: t.amount.cast("decimal(30, 8)"),
        "cast and back": lambda t: (t.quantity / 3).cast("decimal(18, 4)"),
        "whole as decimal": lambda t: t.hour.cast("decimal(18, 4)") - t.amount,
        "long literal": lambda t: t.quantity * 0.30000000000000004,
        "literals": lambda t: ibis.literal(0.1) + ibis.literal(0.2) + t.hour,
    }
    rows = [line(i + 1, amount, discount=MONEY[i % 7], quantity=amount / 7) for i, amount in enumerate(MONEY)]
    same_columns(LINES, "transactions", rows, values)


def test_ties_go_away_from_zero() -> None:
    numbers = np.array([0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49999999999999994, 2.0**53 - 1])
    assert decimals(numbers, 0).tolist() == [1, 2, 3, -1, -2, -3, 0, 2**53 - 1]
    ties = [(i + 0.5) / 16 for i in range(-40, 40)]
    for scale in (1, 2, 3, 4):
        wanted = duckdb.execute(
            f"SELECT list(CAST(CAST(x AS DECIMAL(18,{scale})) * {10**scale} AS BIGINT)) FROM (SELECT unnest(?) AS x)",
            [ties],
        ).fetchone()
        assert wanted is not None
        assert decimals(np.array(ties), scale).tolist() == wanted[0]


@pytest.mark.parametrize("number", [2**53 - 1, 2**53 + 1, 2**60 + 12345, 10**18 - 1, 2**62 + 3, 10**30 + 1])
@pytest.mark.parametrize("scale", [0, 1, 4, 8])
def test_a_decimal_beyond_the_whole_numbers_of_float64(number: int, scale: int) -> None:
    for signed in (number, -number):
        text = str(abs(signed)).rjust(scale + 1, "0")
        written = f"{'-' * (signed < 0)}{text[: len(text) - scale]}.{text[len(text) - scale :]}"
        found = duckdb.execute(f"SELECT CAST(CAST('{written}' AS DECIMAL(38,{scale})) AS DOUBLE)").fetchone()
        assert found == (decimal_to_float(signed, scale),)


def test_numbers_that_might_not_fit_64_bits_become_pythons() -> None:
    assert exact(np.array([2**60, 2**60])).dtype == np.int64
    assert exact(np.array([2**61, 2**61])).dtype == object
    assert scaled(np.array([10**17]), 10**4).tolist() == [10**21]
    assert exact(np.array([], dtype=np.int64)).dtype == np.int64


def grouped(table: Any, key: str, **metrics: Any) -> Any:
    groups = table.group_by("customer_id", key).agg(**metrics)
    # Each group's numbers weighted by what is the same on both sides, its first day: a permutation would show.
    totals = {name: (groups[name] * groups.first_day).sum() for name in metrics if groups[name].type().is_integer()}
    # Groups come in no order: of other numbers the largest, whose bits do not depend on it.
    totals |= {name: groups[name].max() for name in metrics if name not in totals}
    return per_customer(groups, totals | {"groups": groups.count()})


def test_groups_with_a_condition_and_with_unknown_keys() -> None:
    keys = ["b", None, "a", None, "b", "c", "c", "a", "b", None]
    rows = [
        line(i + 1, 10.5 - 3 * i, category=key, channel=("web", None, "shop")[i % 3], quantity=0.1 * i)
        for i, key in enumerate(keys * 5)
    ]
    table = grouped(
        LINES,
        "category",
        first_day=LINES.day_ago.max(),
        money=LINES.amount.sum(),
        bought=LINES.amount.sum(where=LINES.amount > 0),
        never=LINES.amount.sum(where=LINES.amount > 1e6),
        pieces=LINES.quantity.sum(),
        least=LINES.quantity.min(),
        most=LINES.amount.max(where=LINES.channel == "web"),
        rows=LINES.count(),
        web=LINES.count(where=LINES.channel == "web"),
        channels=LINES.channel.nunique(),
        shops=LINES.channel.nunique(where=LINES.amount < 0),
        known=LINES.channel.count(),
        flags=(LINES.amount > 0).sum(),
    )
    wanted, found = computed(table, {"transactions": rows}, {})
    assert [bits(value) for value in found] == [bits(value) for value in wanted]
    assert dict(zip(table.columns[1:], wanted, strict=True))["groups"] == 4
    wanted, found = computed(table, {}, {})
    assert found == wanted == (None,) * len(wanted)


def test_aggregates_of_all_rows() -> None:
    rows = [
        deed(i + 1, value, None if i % 3 else i / 7, detail=("x", None, "y")[i % 3])
        for i, value in enumerate([0.1, 0.2, 0.3, None, 1e16, -1e16, 0.7, 0.1, 0.0, -0.0] * 3)
    ]
    table = per_customer(
        DEEDS,
        {
            "sum": DEEDS.value.sum(),
            "sum of some": DEEDS.value.sum(where=DEEDS.detail == "x"),
            "sum of none": DEEDS.value.sum(where=DEEDS.detail == "z"),
            "different": DEEDS.value.nunique(),
            "different words": DEEDS.detail.nunique(where=DEEDS.value.notnull()),
            "count": DEEDS.value.count(),
            "rows": DEEDS.count(),
            "rows of some": DEEDS.count(where=DEEDS.value > 0),
            "first word": DEEDS.detail.min(),
            "last word": DEEDS.detail.max(where=DEEDS.value > 0),
            "word of the newest": DEEDS.detail.argmin(DEEDS.days_ago),
            "word of the largest": DEEDS.detail.argmax(DEEDS.days_ago, where=DEEDS.value > 0),
            "quotient": (DEEDS.value / DEEDS.sentiment).min(),
            "largest quotient": (DEEDS.value / DEEDS.sentiment).max(),
            "at the least quotient": DEEDS.days_ago.argmin(DEEDS.value / DEEDS.sentiment),
            "always": DEEDS.count(where=ibis.literal(True)),
        },
    )
    wanted, found = computed(table, {"activities": rows}, {})
    assert dict(zip(table.columns[1:], map(bits, found), strict=True)) == dict(
        zip(table.columns[1:], map(bits, wanted), strict=True)
    )
    assert wanted[8:12] == ("x", "y", "x", "x")


def test_of_several_rows_that_tie_the_first_counts() -> None:
    rows = [deed(i + 1, value, 1.0, detail=f"d{i}") for i, value in enumerate([3.0, 7.0, 7.0, 1.0, 1.0])]
    table = per_customer(DEEDS, {"most": DEEDS.detail.argmax(DEEDS.value), "least": DEEDS.detail.argmin(DEEDS.value)})
    wanted, found = computed(table, {"activities": rows}, {})
    assert found == wanted == ("d1", "d3")


@pytest.mark.parametrize("function", ["lead", "lag", "row_number"])
@pytest.mark.parametrize("key", [None, "category"])
def test_windows_by_partition(function: str, key: str | None) -> None:
    rows = [
        line(number, float(number), category=("a", None, "b", "a")[number % 4], channel=("web", None)[number % 2])
        for number in (5, 2, 9, 1, 7, 3, 8, 4, 6)
    ]
    window = ibis.window(group_by=["customer_id", *([key] if key else [])], order_by=LINES.days_ago)
    if function == "row_number":
        made = {"number": ibis.row_number().over(window) + 1}
    else:
        made = {name: getattr(LINES[name], function)().over(window) for name in ("amount", "channel", "day_ago")}
    table = LINES.mutate(**{f"its_{name}": value for name, value in made.items()})
    metrics = {
        f"{name} {row['transaction_id']}": table[f"its_{name}"].max(where=table.transaction_id == row["transaction_id"])
        for name in made
        for row in rows
    }
    wanted, found = computed(per_customer(table, metrics), {"transactions": rows}, {})
    assert list(map(bits, found)) == list(map(bits, wanted))
    assert len(set(wanted)) > 3


def test_what_is_once_per_customer_stands_beside_each_row() -> None:
    newest = LINES.group_by("customer_id").agg(word=LINES.category.max(), newest=LINES.days_ago.min())
    joined = DEEDS.left_join(newest.rename({"of": "customer_id"}), [("customer_id", "of")])
    rows = joined.mutate(before=joined.days_ago > joined.newest, same=joined.detail == joined.word)
    table = per_customer(
        rows,
        {
            "before": rows.count(where=rows.before),
            "same": rows.count(where=rows.same),
            "unlike": rows.count(where=~rows.same),
            "word": rows.word.max(),
        },
    )
    deeds = [deed(i + 1, None, None, detail=("x", "y", None)[i % 3]) for i in range(9)]
    lines = [line(3, 1.0, category="x"), line(6, 1.0, category="w")]
    for given in ({"activities": deeds, "transactions": lines}, {"activities": deeds}, {"transactions": lines}):
        wanted, found = computed(table, given, {})
        assert found == wanted


NOT_COMPILED: dict[str, Callable[[], Any]] = {
    "an unknown function": lambda: per_customer(LINES, {"x": LINES.category.upper().max()}),
    "an unknown aggregate": lambda: per_customer(LINES, {"x": LINES.quantity.std()}),
    "an unknown aggregate by group": lambda: grouped(
        LINES, "category", first_day=LINES.day_ago.max(), x=LINES.quantity.mean()
    ),
    "a comparison of words": lambda: per_customer(LINES, {"x": LINES.count(where=LINES.category > "a")}),
    "IN of NULL": lambda: per_customer(LINES, {"x": LINES.count(where=LINES.category.isin(["a", None]))}),
    "a narrower decimal": lambda: per_customer(LINES, {"x": LINES.amount.cast("decimal(18, 2)").sum()}),
    "a cast of words": lambda: per_customer(LINES, {"x": LINES.category.cast("float64").sum()}),
    "a window of all customers": lambda: per_customer(
        LINES.mutate(x=ibis.row_number().over(ibis.window(order_by=LINES.days_ago))), {"y": ibis._.x.max()}
    ),
    "a falling order": lambda: per_customer(
        LINES.mutate(x=ibis.row_number().over(ibis.window(group_by="customer_id", order_by=LINES.days_ago.desc()))),
        {"y": ibis._.x.max()},
    ),
    "a running sum": lambda: per_customer(
        LINES.mutate(x=LINES.amount.sum().over(ibis.window(group_by="customer_id", order_by=LINES.days_ago))),
        {"y": ibis._.x.max()},
    ),
    "a join by another key": lambda: per_customer(
        LINES.left_join(
            LINES.group_by("customer_id", "category")
            .agg(n=LINES.count())
            .rename({"of": "category", "who": "customer_id"}),
            [("category", "of")],
        ),
        {"y": ibis._.n.max()},
    ),
    "an inner join": lambda: per_customer(
        LINES.inner_join(
            DEEDS.group_by("customer_id").agg(n=DEEDS.count()).rename({"of": "customer_id"}), [("customer_id", "of")]
        ),
        {"y": ibis._.n.max()},
    ),
}


@pytest.mark.parametrize("what", NOT_COMPILED)
def test_what_one_customers_rows_cannot_answer_is_refused(what: str) -> None:
    table = NOT_COMPILED[what]()
    assert ibis.to_sql(table, dialect="duckdb")  # DuckDB can
    with pytest.raises(NotCompiledError):
        Program(table)


def test_a_program_runs_in_several_threads_at_once() -> None:
    table = per_customer(LINES, {"money": LINES.amount.sum(), "kinds": LINES.category.nunique()})
    program = Program(table)
    wrong: list[object] = []

    def run(count: int) -> None:
        rows = [line(i + 1, float(count), category=f"c{i}") for i in range(count)]
        columns = {key: [row[key] for row in rows] for key in rows[0]}
        scoped = {"scoped_transactions": event_table("transactions", columns, "UTC", AS_OF)}
        for _ in range(60):
            found = program.run(scoped, {"customer_id": "anna"})
            if found != [float(count * count), float(count)]:
                wrong.append(found)

    threads = [threading.Thread(target=run, args=(count,)) for count in (1, 2, 3, 5, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_columns_of_words() -> None:
    column = words(["b", None, "a", "b"])
    assert column.values.tolist() == [1, -1, 0, 1]
    assert column.words == {"a": 0, "b": 1}
    assert column.nulls().tolist() == [False, True, False, False]
    taken: Column = column.take(np.array([3, 1]))
    assert taken.nulls().tolist() == [False, True]
