"""Rules: DuckDB is the oracle for every answer, and everything outside the whitelist is refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.errors import DataError, UsageError
from serving.decisioning.columns import Columns, Kind
from serving.decisioning.expression import Expression
from serving.decisioning.rules import FEW_ROWS, Rule, RuleResult, compile_rule
from serving.decisioning.words import in_words

KNOWN = ("frequency", "spend_90d", "churn_band", "is_high_value", "days since")


def customers() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "frequency": [3, 0, 5, 2],
            "spend_90d": [90.0, np.nan, 0.0, np.nan],
            "churn_band": ["low", "high", None, None],
            "is_high_value": [True, False, None, True],
            "days since": [1, 2, 3, 4],
        }
    )


def evaluated_both_ways(rule: Rule, frame: pd.DataFrame) -> RuleResult:
    """The answer for few rows, in plain values, after a look whether many rows, in numpy, get the same."""
    few, many = rule.evaluate(frame), rule.evaluate(pd.concat([frame] * (FEW_ROWS + 1)))
    assert 0 < len(frame) <= FEW_ROWS
    assert many.reason.tolist() == few.reason.tolist() * (FEW_ROWS + 1)
    assert (many.passed.dtype, many.reason.dtype) == (few.passed.dtype, few.reason.dtype)
    return few


def evaluated(text: str) -> tuple[list[bool], list[str]]:
    result = evaluated_both_ways(compile_rule(text, KNOWN), customers())
    return result.passed.tolist(), result.missing.tolist()


def refusal(text: str, known: object = KNOWN) -> str:
    with pytest.raises(UsageError) as caught:
        compile_rule(text, known, where="actions.toml, line 4")  # type: ignore[arg-type]
    assert caught.value.where == "actions.toml, line 4"
    return f"{caught.value.what} {caught.value.fix}"


@pytest.mark.parametrize(
    ("text", "passed", "missing"),
    [
        ("frequency >= 2", [True, False, True, True], ["", "", "", ""]),
        ("spend_90d > 10", [True, False, False, False], ["", "spend_90d", "", "spend_90d"]),
        ("NOT spend_90d > 10", [False, False, True, False], ["", "spend_90d", "", "spend_90d"]),
        ("spend_90d IS NULL", [False, True, False, True], ["", "", "", ""]),
        ("coalesce(spend_90d, 0) >= 0", [True, True, True, True], ["", "", "", ""]),
        ("churn_band IN ('low', 'medium')", [True, False, False, False], ["", "", "churn_band", "churn_band"]),
        ("upper(churn_band) = 'LOW'", [True, False, False, False], ["", "", "churn_band", "churn_band"]),
        ("is_high_value", [True, False, False, True], ["", "", "is_high_value", ""]),
        ("frequency BETWEEN 1 AND 3", [True, False, False, True], ["", "", "", ""]),
        ("churn_band = 'low' AND spend_90d > 10", [True, False, False, False], ["", "", "", "churn_band"]),
        ("spend_90d > 10 OR frequency >= 2", [True, False, True, True], ["", "spend_90d", "", ""]),
        ("spend_90d / frequency = 30", [True, False, False, False], ["", "spend_90d", "", "spend_90d"]),
        ('"days since" < 3', [True, True, False, False], ["", "", "", ""]),
        ("TRUE", [True, True, True, True], ["", "", "", ""]),
    ],
)
def test_passes_and_names_the_missing_field(text: str, passed: list[bool], missing: list[str]) -> None:
    assert evaluated(text) == (passed, missing)


def test_the_first_field_that_matters_is_blamed_and_not_the_first_that_is_null() -> None:
    frame = pd.DataFrame({"a": [None, None], "b": [1.0, 1.0], "c": [None, 2.0]}, dtype="float64")
    result = evaluated_both_ways(compile_rule("coalesce(a, b) > c", ("a", "b", "c")), frame)
    assert result.passed.tolist() == [False, False]
    assert result.missing.tolist() == ["c", ""]


def test_a_reason_names_the_first_clause_that_fails() -> None:
    rule = compile_rule("(frequency >= 2 and lower(churn_band) <> 'low') AND frequency < 5", KNOWN)
    assert rule.clauses == ("frequency >= 2", "LOWER(churn_band) <> 'low'", "frequency < 5")
    result = evaluated_both_ways(rule, customers())
    assert [rule.reasons[code] for code in result.reason] == [
        "LOWER(churn_band) <> 'low'",
        "frequency >= 2",
        "frequency < 5",
        "missing:churn_band",
    ]


def test_division_by_zero_does_not_pass_and_says_so() -> None:
    rule = compile_rule("spend_90d / frequency >= 0", KNOWN)
    result = evaluated_both_ways(rule, pd.DataFrame({"spend_90d": [0.0, 5.0], "frequency": [0, 0]}))
    assert result.passed.tolist() == [False, False]
    assert [rule.reasons[code] for code in result.reason] == ["undefined: spend_90d / frequency >= 0"] * 2


def test_one_row_and_many_rows_agree_even_when_the_one_is_all_null() -> None:
    rule = compile_rule("lower(churn_band) = 'low' OR spend_90d > 10", KNOWN)
    many = evaluated_both_ways(rule, customers())
    for row in range(4):
        one = rule.evaluate(customers().iloc[[row]])
        assert (one.passed[0], one.missing[0]) == (many.passed[row], many.missing[row])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("frequncy > 1", "The rule uses the unknown field 'frequncy'. Did you mean 'frequency'?"),
        ("frequency >", "The rule is no SQL condition near '>' (line 1, column 11 of it)."),
        ("", "The rule is no SQL condition."),
        ("churn_band = 'low", "a quote stays open"),
        ("frequency > 1 frequency", "near 'frequency'"),
        ("frequency > 1; frequency < 2", "is not allowed in a rule"),
        ("SELECT 1", "is no SQL condition"),
        ("frequency IN (SELECT 1)", "is not allowed in a rule"),
        ("frequency IN spend_90d", "is not allowed in a rule"),
        ("read_csv('secrets.csv') IS NULL", "The rule calls 'read_csv', which rules may not."),
        ("getenv('HOME') = 'x'", "The rule calls 'getenv', which rules may not."),
        ("lowr(churn_band) = 'x'", "The rule calls 'lowr', which rules may not. Did you mean 'lower'?"),
        ("current_date > 1", "The rule calls 'current_date', which rules may not."),
        ("CAST(frequency AS INTEGER) > 1", "The rule calls 'cast', which rules may not."),
        ("CASE WHEN frequency > 1 THEN TRUE ELSE FALSE END", "may not"),
        ("frequency % 2 = 0", "'frequency % 2' is not allowed in a rule"),
        ("churn_band LIKE 'l%'", "is not allowed in a rule"),
        ("frequency = NULL", "NULL is compared or computed with, which gives no answer. Write IS NULL."),
        ("customers.frequency > 1", "'customers.frequency' is no plain field name."),
        ("frequency + 1", "'frequency + 1' is a number, not a condition."),
        ("'a' + 1 = 2", "'+' takes a number, not a text."),
        ("1 = 'a'", "'=' takes a number, not a text."),
        ("lower(frequency > 1) = 'x'", "lower takes a text, not a boolean."),
        ("is_high_value = frequency > 1", "can be read in two ways. Add brackets."),
        ("frequency > 1e999", "'1e999' is no finite number."),
        ("frequency > 1 " + "OR frequency > 1 " * 300, "longer than 4000 characters"),
        ("(" * 1900 + "TRUE" + ")" * 1900, "nested too deeply"),
        ("NOT " * 60 + "TRUE", "nested too deeply"),
    ],
)
def test_whatever_is_not_whitelisted_is_refused(text: str, words: str) -> None:
    assert words in refusal(text)


def test_declared_types_are_checked_when_the_rule_is_read() -> None:
    typed = {"frequency": Kind.NUMBER, "churn_band": Kind.TEXT, "is_high_value": Kind.BOOLEAN}
    assert "Types do not fit in 'churn_band > 3': '>' takes a text, not a number." in refusal("churn_band > 3", typed)
    assert "'>' orders numbers or texts, not booleans" in refusal("is_high_value > FALSE", typed)
    assert "'frequency' is a number, not a condition" in refusal("frequency", typed)
    assert "OR takes a boolean, not the number 'frequency'" in refusal("is_high_value OR frequency", typed)
    assert compile_rule("churn_band > 'a'", typed).fields == ("churn_band",)


def test_undeclared_types_are_checked_when_the_columns_come() -> None:
    rule = compile_rule("frequency = 'low'", KNOWN)
    for copies in (1, FEW_ROWS):
        with pytest.raises(UsageError, match="Types do not fit in 'frequency = 'low''"):
            rule.evaluate(pd.concat([customers()] * copies))


def test_a_missing_column_and_a_date_column_are_errors_of_the_data() -> None:
    rule = compile_rule("frequency > 1", KNOWN)
    with pytest.raises(DataError, match="The column 'frequency' is missing") as caught:
        rule.evaluate(pd.DataFrame({"frequencies": [1]}))
    assert "Did you mean 'frequencies'?" in caught.value.fix
    with pytest.raises(DataError, match="holds neither numbers, texts nor booleans"):
        rule.evaluate(pd.DataFrame({"frequency": pd.to_datetime(["2017-01-01"])}))


def test_column_types_of_pandas_are_understood() -> None:
    frame = pd.DataFrame(
        {
            "nullable": pd.array([1, None], dtype="Int64"),
            "flag": pd.array([None, True], dtype="boolean"),
            "band": pd.Categorical(["low", None]),
            "infinite": [np.inf, 1.0],
            "nothing": [None, None],
        }
    )
    columns = Columns(frame)
    found = {name: (columns.vector(name).kind, columns.vector(name).null.tolist()) for name in frame.columns}
    assert found == {
        "nullable": (Kind.NUMBER, [False, True]),
        "flag": (Kind.BOOLEAN, [True, False]),
        "band": (Kind.TEXT, [False, True]),
        "infinite": (Kind.NUMBER, [True, False]),
        "nothing": (Kind.UNKNOWN, [True, True]),
    }


def test_an_empty_frame_gives_an_empty_answer() -> None:
    result = compile_rule("frequency > 1 AND churn_band = 'low'", KNOWN).evaluate(customers().iloc[:0])
    assert (result.passed.tolist(), result.missing.tolist()) == ([], [])


def test_a_rule_is_the_same_for_every_customer() -> None:
    rule: Rule = compile_rule("TRUE AND FALSE", ())
    assert rule.evaluate(customers()).passed.tolist() == [False] * 4


# The oracle. Numbers are multiples of 1/4 so that DuckDB's decimals and float64 agree to the last bit.
NUMBERS = st.integers(-8, 8).map(lambda quarters: quarters / 4)
TEXTS = st.sampled_from(["", "a", "A", "b", "Zz", "low", "été", "o'k"])
ROWS = st.lists(
    st.tuples(
        st.none() | NUMBERS, st.none() | NUMBERS, st.none() | TEXTS, st.none() | TEXTS, st.none() | st.booleans()
    ),
    min_size=1,
    max_size=12,
)
COLUMNS = {"x": Kind.NUMBER, "y": Kind.NUMBER, "s": Kind.TEXT, "t": Kind.TEXT, "flag": Kind.BOOLEAN}
NUMBER_LITERALS = NUMBERS.map(lambda value: str(value) if value >= 0 else f"({value})")
TEXT_LITERALS = TEXTS.map(lambda text: "'" + text.replace("'", "''") + "'")


def _functions(of: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    names = st.sampled_from(["coalesce", "least", "greatest"])
    return st.builds(lambda name, parts: f"{name}({', '.join(parts)})", names, st.lists(of, min_size=1, max_size=3))


def _infix(operators: list[str], of: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(lambda left, by, right: f"({left} {by} {right})", of, st.sampled_from(operators), of)


NUMERIC = st.recursive(
    st.sampled_from(["x", "y"]) | NUMBER_LITERALS,
    lambda of: (
        _infix(["+", "-", "*", "/"], of) | _functions(of) | of.map(lambda one: f"abs({one})") | of.map("(-{})".format)
    ),
    max_leaves=4,
)
TEXTUAL = st.recursive(
    st.sampled_from(["s", "t"]) | TEXT_LITERALS,
    lambda of: _functions(of) | st.builds("{}({})".format, st.sampled_from(["lower", "upper"]), of),
    max_leaves=3,
)
CHANGED = ["=", "<>", "!=", "<", "<=", ">", ">="]


def _predicates(of: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return (
        _infix(CHANGED, of)
        | st.builds(
            "({} {} ({}))".format,
            of,
            st.sampled_from(["IN", "NOT IN"]),
            st.lists(of, min_size=1, max_size=3).map(", ".join),
        )
        | st.builds("({} {} {} AND {})".format, of, st.sampled_from(["BETWEEN", "NOT BETWEEN"]), of, of)
        | st.builds("({} {})".format, of, st.sampled_from(["IS NULL", "IS NOT NULL"]))
    )


def _common(field: st.SearchStrategy[str], value: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A field and plain values, which have functions of their own for one row."""
    listed = st.lists(value, min_size=1, max_size=3).map(", ".join)
    equal = st.builds(
        lambda name, values: " OR ".join(f"{name} = {one}" for one in values),
        field,
        st.lists(value, min_size=2, max_size=3),
    )
    return (
        st.builds("({} {} {})".format, field, st.sampled_from(CHANGED), value)
        | st.builds("({} {} ({}))".format, field, st.sampled_from(["IN", "NOT IN"]), listed)
        | equal.map("({})".format)
    )


COMMON = (
    _common(st.sampled_from(["x", "y"]), NUMBERS.filter(lambda value: value >= 0).map(str))
    | _common(st.sampled_from(["s", "t"]), TEXT_LITERALS)
    | st.builds("(flag {} {})".format, st.sampled_from(["=", "<>"]), st.sampled_from(["TRUE", "FALSE"]))
)
CONDITIONS = st.recursive(
    st.sampled_from(["flag", "TRUE", "FALSE"]) | COMMON | _predicates(NUMERIC) | _predicates(TEXTUAL),
    lambda of: (
        _infix(["AND", "OR", "=", "<>"], of)
        | st.builds(
            lambda by, parts: f"({f' {by} '.join(parts)})",
            st.sampled_from(["AND", "OR"]),
            st.lists(of, min_size=3, max_size=4),
        )
        | of.map("(NOT {})".format)
        | of.map("({} IS NULL)".format)
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def oracle() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET ieee_floating_point_ops = false")
    connection.execute("CREATE TABLE customers (row INTEGER, x DOUBLE, y DOUBLE, s VARCHAR, t VARCHAR, flag BOOLEAN)")
    return connection


@settings(max_examples=300, deadline=None, derandomize=True)
@given(condition=CONDITIONS, rows=ROWS)
def test_every_answer_is_the_one_of_duckdb(
    oracle: duckdb.DuckDBPyConnection, condition: str, rows: list[tuple[object, ...]]
) -> None:
    oracle.execute("DELETE FROM customers")
    oracle.executemany("INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?)", [(i, *row) for i, row in enumerate(rows)])
    truth = [value for (value,) in oracle.execute(f"SELECT ({condition}) FROM customers ORDER BY row").fetchall()]

    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    rule = compile_rule(condition, COLUMNS)
    assert evaluated_both_ways(rule, frame).passed.tolist() == [value is True for value in truth]
    negated = evaluated_both_ways(compile_rule(f"NOT ({condition})", COLUMNS), frame)
    assert negated.passed.tolist() == [value is False for value in truth]
    single = [rule.evaluate(frame.iloc[[row]]).reason[0] for row in range(len(frame))]
    assert single == rule.evaluate(frame).reason.tolist()


def nodes(expressions: Iterable[Expression]) -> Iterator[Expression]:
    for expression in expressions:
        yield expression
        yield from nodes(expression.children)


WILD_NUMBERS = st.none() | st.floats() | st.sampled_from([0.0, -0.0, 5e-324, 1e308, -1e308, float("inf")])
WILD_TEXTS = st.none() | TEXTS | st.sampled_from(["ß", "İ", "ﬁ", "\U0001f600", "\x00"])
WILD_ROWS = st.lists(
    st.tuples(WILD_NUMBERS, WILD_NUMBERS, WILD_TEXTS, WILD_TEXTS, st.none() | st.booleans()), min_size=1, max_size=4
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(condition=CONDITIONS, rows=WILD_ROWS)
def test_plain_values_are_those_of_numpy_at_every_node(condition: str, rows: list[tuple[object, ...]]) -> None:
    """Overflow, infinity, the sign of zero, columns that are all NULL, letters that change their length."""
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    rule, columns = compile_rule(condition, COLUMNS), Columns(frame)
    evaluated_both_ways(rule, frame)
    columns.read_cells(COLUMNS)
    for node in nodes(rule.expressions):
        vector = node.evaluate(columns)
        nulls, values = (np.broadcast_to(part, len(frame)).tolist() for part in (vector.null, vector.values))
        wanted = [None if null else value for null, value in zip(nulls, values, strict=True)]
        found = [node.cell(row) for row in columns.cells]
        assert list(map(repr, found)) == list(map(repr, wanted))


@pytest.mark.parametrize(
    "condition",
    [
        "NOT x > 1 AND y > 0 OR flag",
        "x + 1 * 2 - y / 2 > -x",
        "x > 1 OR y > 0 AND NOT flag",
        "x BETWEEN 0 AND 1 AND y BETWEEN -1 AND 2",
        "NOT x IN (1, 2) AND s IS NOT NULL",
        "x - 1 - 1 = y OR x / 2 / 2 = y",
        "NOT NOT flag OR NOT s = t",
        "(x > 1) = flag",
        "x + y IS NULL OR s < t",
    ],
)
def test_operators_bind_as_in_duckdb(oracle: duckdb.DuckDBPyConnection, condition: str) -> None:
    numbers, texts = [None, -1.0, 0.0, 0.5, 2.0], [None, "a", "B"]
    rows = [
        (x, y, s, t, f) for x in numbers for y in numbers for s in texts for t in texts for f in (None, True, False)
    ]
    frame = pd.DataFrame(rows, columns=["x", "y", "s", "t", "flag"])
    oracle.execute("DELETE FROM customers")
    oracle.execute("INSERT INTO customers SELECT row_number() OVER (), x, y, s, t, flag FROM frame")
    truth = oracle.execute(f"SELECT coalesce({condition}, FALSE) FROM customers ORDER BY row").fetchall()
    assert compile_rule(condition, frame.columns).evaluate(frame).passed.tolist() == [passed for (passed,) in truth]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("spend_90d >= 12.5", "spend 90d is at least 12.5"),
        ("churn_band IN ('medium', 'high')", "churn band is medium or high"),
        ("churn_band <> 'low'", "churn band is not low"),
        ("frequency BETWEEN 1 AND 3", "frequency is between 1 and 3"),
        (
            "frequency > 1 OR spend_90d < 2 AND is_high_value",
            "frequency is above 1 or (spend 90d is below 2 and is high value)",
        ),
        ("NOT (frequency = 1)", "not (frequency is 1)"),
        ("spend_90d IS NULL", "spend 90d is unknown"),
        ("spend_90d IS NOT NULL", "spend 90d is known"),
        ("spend_90d / frequency <= abs(-5)", "(spend 90d divided by frequency) is at most abs((0 minus 5))"),
        ("is_high_value = TRUE", "is high value is true"),
    ],
)
def test_a_clause_can_be_said_in_words(text: str, words: str) -> None:
    assert [in_words(expression) for expression in compile_rule(text, KNOWN).expressions] == [words]
