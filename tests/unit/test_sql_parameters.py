"""Values reach SQL as parameters only: no statement of the service is put together from pieces."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OTHERS = ("features/engine/online.py", "kernel/sql.py", "kernel/direct_sql.py", "kernel/lazy_database.py")
FILES = [*sorted((ROOT / "serving").rglob("*.py")), *(ROOT / name for name in OTHERS)]
RUNS = {"text", "execute", "executemany", "executescript", "exec_driver_sql", "sql", "raw_sql", "query"}
STATEMENT = re.compile(
    r"\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|WITH|PRAGMA|COPY|ATTACH|MERGE|TRUNCATE|VACUUM)\b"
)
REVIEWED = {
    # The three ways to name a customer, each a constant of the module.
    "features/engine/online.py: _LOOK_UP.format(chosen='= :ids')",
    "features/engine/online.py: _LOOK_UP.format(chosen='IN (SELECT value FROM json_each(:ids))')",
    "features/engine/online.py: _LOOK_UP.format(chosen='= ANY(:ids)')",
    # Names and values of the pragmas that the modules list.
    "kernel/sql.py: f'PRAGMA {name}={value}'",
    # Templates of psycopg.sql, which quotes names and values.
    "serving/batch_postgres.py: make.format(self._table, columns)",
    "serving/batch_postgres.py: add.format(self._table, sql.Identifier(one.name), sql.SQL(_type(one.type)))",
    "serving/batch_postgres.py: insert.format(self._table, names, names, sql.Identifier(_NEW))",
    "serving/batch_postgres.py: comment.format(self._table, sql.Literal(_OURS + str(uuid.uuid4())))",
}


def pieces(node: ast.expr) -> bool:
    """Whether an expression puts a text together."""
    match node:
        case ast.JoinedStr():
            return True
        case ast.BinOp(op=ast.Add() | ast.Mod()):
            return True
        case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Attribute(value=ast.Name(id="sql"), attr="SQL")))):
            return False  # psycopg's own composition, which quotes names and values
        case ast.Call(func=ast.Attribute(attr="format" | "join" | "replace" | "substitute")):
            return True
    return False


def is_statement(node: ast.AST) -> bool:
    """Whether a text that is put together begins like a statement."""
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            return STATEMENT.match(part.value) is not None
    return False


def put_together(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in RUNS:
                yield from (ast.unparse(one) for one in node.args[:1] if pieces(one))
        if isinstance(node, ast.expr) and pieces(node) and is_statement(node):
            yield ast.unparse(node)


def test_no_statement_is_put_together() -> None:
    found = {f"{file.relative_to(ROOT)}: {piece}" for file in FILES for piece in put_together(file.read_text("utf-8"))}
    assert found == REVIEWED


@pytest.mark.parametrize(
    "source",
    [
        "connection.execute(f'SELECT {name}')",
        "connection.execute(f'{statement}')",
        "connection.execute(text('SELECT ' + name))",
        "connection.exec_driver_sql('SELECT %s' % name)",
        "connection.execute('SELECT {}'.format(name))",
        "connection.execute(' '.join(parts))",
        "sql = f'DELETE FROM a WHERE b = {name}'",
        "sql = 'INSERT INTO a VALUES (' + name + ')'",
        "sql = f'''\n  WITH a AS (SELECT {name})'''",
    ],
)
def test_the_check_finds_each_way(source: str) -> None:
    assert list(put_together(source)) != []


@pytest.mark.parametrize(
    "source",
    [
        "connection.execute(text('SELECT :name'), {'name': name})",
        "connection.execute(select(table).where(table.c.name == name))",
        "say(f'{count} rows, SELECT your own')",
    ],
)
def test_the_check_lets_parameters_pass(source: str) -> None:
    assert list(put_together(source)) == []
