"""From the Ibis expression of all features to Spark SQL that means what DuckDB's means.

Ibis compiles for Spark out of the box, but the two engines differ where a definition does not look: what a count of
nothing is, what a division by zero is, how a number is rounded when it is cast. Every such difference is corrected
here and nowhere else, so that a definition is written once. DuckDB is the reference.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import sqlglot.expressions as sge
from ibis.backends.sql.compilers.base import FALSE, NULL
from ibis.backends.sql.compilers.pyspark import PySparkCompiler

from features.engine.compile import feature_table
from features.engine.definition import FeatureSet

# Ibis hands a visitor the operation and its compiled arguments; neither library types them.
Sql = Any
Operation = Any


class SparkSql(PySparkCompiler):
    """Ibis' compiler for Spark, corrected to agree with DuckDB."""

    __slots__ = ()

    def visit_NonNullLiteral(self, op: Operation, *, value: Any, dtype: dt.DataType) -> Sql:
        """A plain 0.5 is a decimal to Spark; and Ibis' own version asks for options that only its backend registers."""
        if not dtype.is_floating():
            return super().visit_NonNullLiteral(op, value=value, dtype=dtype)
        return self.cast(str(value), dtype)

    def visit_Field(self, op: Operation, *, rel: Sql, name: str) -> Sql:
        """A column, without asking Ibis' options whether NaN is NULL: it is not."""
        return super(PySparkCompiler, self).visit_Field(op, rel=rel, name=name)

    def visit_IsNull(self, op: Operation, *, arg: Sql) -> Sql:
        """Only NULL is NULL; Ibis takes NaN for it on Spark."""
        return arg.is_(NULL)

    def visit_NotNull(self, op: Operation, *, arg: Sql) -> Sql:
        """Only NULL is NULL; Ibis takes NaN for it on Spark."""
        return arg.is_(sge.Not(this=NULL))

    def visit_IsInf(self, op: Operation, *, arg: Sql) -> Sql:
        """Ibis compiles a constant: it compares the two pieces of SQL instead of writing the comparison."""
        return self.f.abs(arg).eq(self.POS_INF) if op.arg.dtype.is_floating() else FALSE

    def visit_CountStar(self, op: Operation, *, arg: Sql, where: Sql) -> Sql:
        """A count of nothing is 0; Ibis sums, and a sum of nothing is NULL."""
        return super().visit_CountStar(op, arg=arg, where=None) if where is None else self.f.anon.count_if(where)

    def visit_CountDistinct(self, op: Operation, *, arg: Sql, where: Sql) -> Sql:
        """As the size of a set: of many DISTINCTs in one aggregation Spark would copy every row once for each."""
        return self.cast(self.f.anon.size(self.f.anon.collect_set(self._chosen(arg, where))), op.dtype)

    def visit_Mean(self, op: Operation, *, arg: Sql, where: Sql) -> Sql:
        """The mean of exact numbers is a float from their exact sum; Spark's would be a rounded decimal."""
        chosen = self._chosen(self.cast(arg, dt.int64) if op.arg.dtype.is_boolean() else arg, where)
        if op.arg.dtype.is_floating():
            return self.f.avg(chosen)
        return self.cast(self.f.sum(chosen), dt.float64) / self.f.nullif(self.f.count(chosen), 0)

    def _chosen(self, arg: Sql, where: Sql) -> Sql:
        return arg if where is None else self.if_(where, arg, NULL)

    def visit_Divide(self, op: Operation, *, left: Sql, right: Sql) -> Sql:
        """Of floats, as IEEE 754 has it: x/0 is infinite and 0/0 is NaN, where Spark raises an error or says NULL."""
        above, below = self._float(op.left, left), self._float(op.right, right)
        if _never_zero(op.right):
            return sge.Div(this=above, expression=below)
        return self.if_(below.eq(0), above * self.POS_INF, sge.Div(this=above, expression=below))

    def _float(self, operand: Operation, sql: Sql) -> Sql:
        return sge.paren(sql) if operand.dtype.is_floating() else self.cast(sql, dt.float64)

    def visit_Cast(self, op: Operation, *, arg: Sql, to: dt.DataType) -> Sql:
        """A cast to a whole number rounds (floats half to even, decimals half away from zero); Spark's cuts off."""
        if to.is_integer() and op.arg.dtype.is_floating():
            return self.cast(self.f.anon.rint(arg), to)
        if to.is_integer() and op.arg.dtype.is_decimal():
            return self.cast(self.f.anon.round(arg, 0), to)
        return super().visit_Cast(op, arg=arg, to=to)


def _never_zero(operand: Operation) -> bool:
    if isinstance(operand, ops.Cast):
        return _never_zero(operand.arg)
    if isinstance(operand, ops.NullIf):
        return isinstance(operand.null_if_expr, ops.Literal) and operand.null_if_expr.value == 0
    return isinstance(operand, ops.Literal) and bool(operand.value)


@lru_cache(maxsize=32)
def spark_sql(features: FeatureSet, attributes: tuple[tuple[str, str], ...]) -> str:
    """All features of a project as one statement over the temporary views ``scoped_*``, once per process."""
    compiler = SparkSql()
    expression = feature_table(features, dict(attributes)).unbind()
    return compiler.to_sqlglot(expression).sql(dialect=compiler.dialect)
