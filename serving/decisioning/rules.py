"""Rules of the catalogue: SQL boolean expressions, parsed and whitelisted with sqlglot, evaluated on columns."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter

import numpy as np
import numpy.typing as npt
import pandas as pd
import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from kernel.errors import UsageError, did_you_mean
from serving.decisioning.columns import Bools, Columns, Ints, Kind, Row, spread
from serving.decisioning.expression import (
    FUNCTIONS,
    AllOf,
    AnyOf,
    Arithmetic,
    Call,
    Comparison,
    Expression,
    Field,
    IsNull,
    KindError,
    Literal,
    Not,
    first_missing_cell,
    first_missing_field,
)

MAX_CHARACTERS = 4000
MAX_DEPTH = 50
FEW_ROWS = 32  # up to here plain values are faster than numpy's arrays; the answers are the same

_COMPARISONS: dict[type[exp.Expression], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_ARITHMETIC: dict[type[exp.Expression], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/"}
_CALLS: dict[type[exp.Expression], str] = {
    exp.Abs: "abs",
    exp.Coalesce: "coalesce",
    exp.Greatest: "greatest",
    exp.Least: "least",
    exp.Lower: "lower",
    exp.Upper: "upper",
}
_UNBRACKETED = (exp.Is, exp.In, exp.Between, exp.Not, *_COMPARISONS)


@dataclass(frozen=True)
class Rule:
    """A compiled rule: ``clauses`` joined by AND.

    Attributes:
        text: as it was written.
        clauses: each part of the outermost AND, as SQL.
        fields: the columns it reads, in order of appearance.
        expressions: the clauses, compiled; same length as ``clauses``.
    """

    text: str
    clauses: tuple[str, ...]
    fields: tuple[str, ...]
    expressions: tuple[Expression, ...]

    @cached_property
    def reasons(self) -> tuple[str, ...]:
        """What a code in ``RuleResult.reason`` means: nothing, a clause that is false, a field that is missing, or a
        clause without a result although no field is missing (a division by zero)."""
        return (
            "",
            *self.clauses,
            *(f"missing:{field}" for field in self.fields),
            *(f"undefined: {clause}" for clause in self.clauses),
        )

    def evaluate(self, frame: Columns | pd.DataFrame) -> RuleResult:
        """The rule for each row; NULL does not pass. To be read only: equal rules share the codes.

        Raises:
            DataError: a column is absent or of no known type.
            UsageError: a column's type does not fit the rule.
        """
        return RuleResult(self, self.codes(frame if isinstance(frame, Columns) else Columns(frame)))

    def codes(self, columns: Columns) -> list[int] | Ints:
        """Of each row, 0 where it passes, else a position in ``reasons``; a list for few rows. To be read only: equal
        rules share the answer.

        Raises:
            DataError: as :meth:`evaluate`.
            UsageError: as :meth:`evaluate`.
        """
        codes = columns.codes.get(self.text)
        if codes is None:
            few = columns.rows <= FEW_ROWS
            codes = columns.codes[self.text] = self._of_few(columns) if few else self._codes(columns)
        return codes

    def codes_at(self, stage: str) -> tuple[str, ...]:
        """``reasons`` as codes of a stage of the filters, which they begin with unless a field is missing."""
        if stage not in self._at:
            self._at[stage] = tuple(
                one if not one or one.startswith("missing:") else f"{stage}: {one}" for one in self.reasons
            )
        return self._at[stage]

    @cached_property
    def _at(self) -> dict[str, tuple[str, ...]]:
        return {}

    def _codes(self, columns: Columns) -> Ints:
        self._check_kinds(dict(zip(self.fields, columns.kinds(self.fields), strict=True)))
        reason = np.zeros(columns.rows, dtype=np.int64)
        undecided = np.zeros(columns.rows, dtype=np.int64)
        for number, expression in enumerate(self.expressions):
            result = expression.evaluate(columns)
            null = spread(result.null, reason.shape)
            false = ~null & ~spread(result.values.astype(np.bool_), reason.shape)
            reason = np.where((reason == 0) & false, number + 1, reason)
            if null.any():
                undecided = np.where((undecided == 0) & null, self._why_null(number, null, columns), undecided)
        return np.where(reason == 0, undecided, reason)

    @cached_property
    def _of_few(self) -> Callable[[Columns], list[int]]:
        """The codes of few rows. A function, since the rule's own attributes take longer to reach than its variables;
        and it keeps the kinds that were checked before, since the check takes longer than the rule."""
        names, of_row = self.fields, self._of_row
        kinds_in: Callable[[Mapping[str, Kind]], Hashable] = itemgetter(*names) if names else lambda _: ()
        sound: set[Hashable] = set()

        def of_few(columns: Columns) -> list[int]:
            try:
                kinds = kinds_in(columns.cell_kinds)
            except KeyError:
                columns.read_cells(names)
                kinds = kinds_in(columns.cell_kinds)
            if kinds not in sound:
                self._check_kinds(columns.cell_kinds)
                sound.add(kinds)
            return list(map(of_row, columns.cells))

        return of_few

    @property
    def _of_row(self) -> Callable[[Row], int]:
        cells = [expression.cell for expression in self.expressions]
        first, why_undecided = cells[0], self._why_undecided

        def of_one_clause(row: Row) -> int:
            cell = first(row)
            if cell is False:
                return 1
            return why_undecided(0, row) if cell is None else 0

        def of_clauses(row: Row) -> int:
            undecided = 0
            for number, cell_of in enumerate(cells):
                cell = cell_of(row)
                if cell is False:
                    return number + 1
                if cell is None and not undecided:
                    undecided = why_undecided(number, row)
            return undecided

        return of_one_clause if len(cells) == 1 else of_clauses

    def _why_undecided(self, number: int, row: Row) -> int:
        missing = first_missing_cell(self.expressions[number], row, self.fields)
        return 1 + len(self.clauses) + (missing if missing >= 0 else len(self.fields) + number)

    def _why_null(self, number: int, null: Bools, columns: Columns) -> Ints:
        codes = np.zeros(columns.rows, dtype=np.int64)
        rows = np.flatnonzero(null)
        if len(rows):
            missing = first_missing_field(self.expressions[number], columns.take(rows), self.fields)
            clauses = len(self.clauses)
            codes[rows] = np.where(missing >= 0, 1 + clauses + missing, 1 + clauses + len(self.fields) + number)
        return codes

    def _check_kinds(self, fields: Mapping[str, Kind]) -> None:
        for clause, expression in zip(self.clauses, self.expressions, strict=True):
            _check_kind(expression, fields, clause, "the columns that the rule reads")


@dataclass(eq=False)  # to freeze it takes longer than a rule on one customer
class RuleResult:
    """What a rule says about each row.

    Attributes:
        rule: the rule.
        codes: as :meth:`Rule.codes` gives them.
    """

    rule: Rule
    codes: list[int] | Ints

    @cached_property
    def reason(self) -> Ints:
        """``codes`` as an array, shape (rows,)."""
        return np.asarray(self.codes, dtype=np.int64)

    @cached_property
    def passed(self) -> Bools:
        """Shape (rows,)."""
        return self.reason == 0

    @property
    def missing(self) -> npt.NDArray[np.object_]:
        """In each row the first field whose absence left the rule without a result, or ""; shape (rows,)."""
        before = 1 + len(self.rule.clauses)
        names = ["" for _ in self.rule.reasons]
        names[before : before + len(self.rule.fields)] = self.rule.fields
        return np.array(names, dtype=object)[self.reason]


def compile_rule(text: str, known_fields: Mapping[str, Kind] | Iterable[str], *, where: str = "rule") -> Rule:
    """A rule from a SQL boolean expression in DuckDB's dialect.

    Args:
        text: AND OR NOT, comparisons, IN, BETWEEN, IS [NOT] NULL, + - * /, numbers, texts, TRUE, FALSE, field names,
            and the functions in ``expression.FUNCTIONS``; nothing else.
        known_fields: the names that the rule may use; with their types where these are known, so that a comparison of a
            text with a number is found now and not when the first customer comes.
        where: file, line, action and field, for the error.

    Raises:
        UsageError: the text is no such expression.
    """
    kinds = dict(known_fields) if isinstance(known_fields, Mapping) else dict.fromkeys(known_fields, Kind.UNKNOWN)
    translator = _Translator(kinds, where)
    nodes = _conjuncts(_parse(text, where))
    expressions = tuple(translator.translate(node, 0) for node in nodes)
    clauses = tuple(node.sql(dialect="duckdb", comments=False) for node in nodes)
    for clause, expression in zip(clauses, expressions, strict=True):
        _check_kind(expression, kinds, clause, where)
    return Rule(text, clauses, tuple(translator.fields), expressions)


def _parse(text: str, where: str) -> exp.Expression:
    fix = "Write a condition over fields, such as frequency >= 2 AND churn_band <> 'low'."
    if len(text) > MAX_CHARACTERS:
        raise UsageError(f"The rule is longer than {MAX_CHARACTERS} characters.", where=where, fix="Split it.")
    try:
        return sqlglot.parse_one(text, dialect="duckdb", into=exp.Condition)
    except ParseError as error:
        found = error.errors[0] if error.errors else {}
        near = f" near '{found['highlight']}' (line {found['line']}, column {found['col']} of it)" if found else ""
        raise UsageError(f"The rule is no SQL condition{near}.", where=where, fix=fix) from error
    except RecursionError as error:
        raise UsageError("The rule is nested too deeply.", where=where, fix="Use fewer brackets.") from error
    except SqlglotError as error:
        raise UsageError("The rule is no SQL condition: a quote stays open.", where=where, fix=fix) from error


def _conjuncts(node: exp.Expression) -> list[exp.Expression]:
    """The parts of the outermost AND. Iterative: sqlglot nests a chain of ANDs to the left."""
    parts: list[exp.Expression] = []
    pending = [node]
    while pending:
        bare = pending.pop()
        inner = bare.unnest()
        if isinstance(inner, exp.And):
            pending += [inner.expression, inner.this]
        else:
            parts.append(inner)
    return parts


def _check_kind(expression: Expression, fields: Mapping[str, Kind], clause: str, where: str) -> None:
    try:
        found = expression.kind(fields)
    except KindError as error:
        raise UsageError(
            f"Types do not fit in '{clause}': {error}.",
            where=where,
            fix="Compare numbers with numbers, texts with texts.",
        ) from error
    if found not in (Kind.BOOLEAN, Kind.UNKNOWN):
        raise UsageError(
            f"'{clause}' is a {found}, not a condition.", where=where, fix="Compare it with something, such as > 0."
        )


class _Translator:
    """sqlglot's tree into ours, node by node; whatever is not listed here is refused."""

    def __init__(self, known: Mapping[str, Kind], where: str) -> None:
        self.fields: list[str] = []
        self._known = known
        self._where = where

    def translate(self, node: exp.Expression, depth: int) -> Expression:
        if depth > MAX_DEPTH:
            raise self._refuse("The rule is nested too deeply", f"Use at most {MAX_DEPTH} levels.")
        node = node.unnest()
        below = depth + 1
        if isinstance(node, exp.And | exp.Or):
            joined = AllOf if isinstance(node, exp.And) else AnyOf
            return joined(tuple(self.translate(part, below) for part in _chain(node)))
        if isinstance(node, exp.Not):
            return Not(self.translate(node.this, below))
        if isinstance(node, exp.Column):
            return self._field(node)
        if isinstance(node, exp.Literal):
            return self._literal(node)
        if isinstance(node, exp.Boolean):
            return Literal(bool(node.this))
        if isinstance(node, exp.Neg):
            return Arithmetic("-", Literal(0.0), self.translate(node.this, below))
        return self._operation(node, below)

    def _operation(self, node: exp.Expression, depth: int) -> Expression:
        if type(node) in _COMPARISONS:
            for side in (node.this, node.expression):
                if isinstance(side, _UNBRACKETED):
                    raise self._refuse(f"'{node.sql(dialect='duckdb')}' can be read in two ways", "Add brackets.")
            return Comparison(_COMPARISONS[type(node)], *self._both(node, depth))
        if type(node) in _ARITHMETIC:
            return Arithmetic(_ARITHMETIC[type(node)], *self._both(node, depth))
        if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
            return IsNull(self.translate(node.this, depth))
        if isinstance(node, exp.Between) and not node.args.get("symmetric"):
            item = self.translate(node.this, depth)
            low, high = (self.translate(node.args[name], depth) for name in ("low", "high"))
            return AllOf((Comparison(">=", item, low), Comparison("<=", item, high)))
        if isinstance(node, exp.In) and node.expressions and not node.args.get("query"):
            item = self.translate(node.this, depth)
            return AnyOf(tuple(Comparison("=", item, self.translate(one, depth)) for one in node.expressions))
        if type(node) in _CALLS:
            arguments = [part for part in (node.this, *node.expressions) if part is not None]
            return Call(_CALLS[type(node)], tuple(self.translate(part, depth) for part in arguments))
        raise self._unknown(node)

    def _both(self, node: exp.Expression, depth: int) -> tuple[Expression, Expression]:
        return self.translate(node.this, depth), self.translate(node.expression, depth)

    def _field(self, node: exp.Column) -> Field:
        name = node.name
        if node.args.get("table") is not None or not isinstance(node.this, exp.Identifier):
            raise self._refuse(f"'{node.sql(dialect='duckdb')}' is no plain field name", "Leave out the table's name.")
        if name not in self._known:
            raise self._refuse(f"The rule uses the unknown field '{name}'", did_you_mean(name, self._known))
        if name not in self.fields:
            self.fields.append(name)
        return Field(name)

    def _literal(self, node: exp.Literal) -> Literal:
        if node.is_string:
            return Literal(str(node.this))
        try:
            number = float(node.this)
        except ValueError:
            number = np.inf
        if not np.isfinite(number):
            raise self._refuse(f"'{node.this}' is no finite number", "Write it as 12.5 or 1e3.")
        return Literal(number)

    def _unknown(self, node: exp.Expression) -> UsageError:
        if isinstance(node, exp.Null):
            return self._refuse("NULL is compared or computed with, which gives no answer", "Write IS NULL.")
        shown = node.sql(dialect="duckdb", comments=False)
        if isinstance(node, exp.Func):
            name = (str(node.this) if isinstance(node, exp.Anonymous) else node.sql_name()).lower()
            return self._refuse(f"The rule calls '{name}', which rules may not", did_you_mean(name, FUNCTIONS))
        return self._refuse(
            f"'{shown}' is not allowed in a rule",
            "Use AND, OR, NOT, comparisons, IN (...), BETWEEN, IS [NOT] NULL, + - * / and "
            f"the functions {', '.join(FUNCTIONS)}.",
        )

    def _refuse(self, what: str, fix: str) -> UsageError:
        return UsageError(f"{what}.", where=self._where, fix=fix)


def _chain(node: exp.Expression) -> list[exp.Expression]:
    """The operands of a run of one connector: ``a OR b OR c`` gives three."""
    parts: list[exp.Expression] = []
    pending: list[exp.Expression] = [node]
    while pending:
        part = pending.pop()
        if type(part) is type(node):
            pending += [part.expression, part.this]
        else:
            parts.append(part)
    return parts
