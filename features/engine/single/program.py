"""A feature table, compiled once into a list of steps that run on the rows of one customer.

The steps are those of the Ibis expression, each distinct part once. A relation with at most one row (the customer,
and whatever is aggregated per customer) has scalars for columns; the others have NumPy columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ibis.expr.operations as ops
import numpy as np

from features.engine.definition import Rows
from features.engine.single.kinds import as_float, kind
from features.engine.single.operations import compile_value
from features.engine.single.relations import compile_column
from features.engine.single.steps import CUSTOMER, NotCompiledError, Op, Register, Relation, Steps
from features.engine.single.values import Column, Scalar

__all__ = ["NotCompiledError", "Program"]
Table = Mapping[str, Column]


class Program:
    """Runs a feature table on one customer's rows; any number of threads may run it at once.

    Raises:
        NotCompiledError: the table uses an operation that is not known here.
    """

    def __init__(self, table: Rows) -> None:
        compiler = _Compiler()
        relation = table.op()
        self.names = [name for name in relation.schema.names if name != CUSTOMER]
        outputs = [compiler.output(ops.Field(relation, name)) for name in self.names]
        self._inputs = [(table, name) for _, table, name in compiler.inputs]
        self._run = _assembled(compiler, outputs)

    def run(self, tables: Mapping[str, Table], customer: Mapping[str, Scalar]) -> list[Scalar]:
        """The features' values, in order; None where unknown.

        Args:
            tables: name of a scoped table -> its columns, one row per event.
            customer: the columns of ``scoped_customers``, one value each.
        """
        given = {**tables, "scoped_customers": customer}
        # A division by zero is no fault: what comes of it is "not known".
        with np.errstate(all="ignore"):
            return self._run(*(given[table][name] for table, name in self._inputs))


class _Compiler(Steps):
    def value(self, op: Op) -> Register:
        if isinstance(op, ops.Field):
            return self.column(op.rel, op.name)
        return self.once(op, lambda: compile_value(self, op))

    def output(self, op: Op) -> Register:
        """The register of a result: a number with digits after the point as float64."""
        return self.value(op) if kind(self, op) == 0 else as_float(self, op)

    def column(self, relation: Relation, name: str) -> Register:
        return self.once((relation, name), lambda: compile_column(self, relation, name))


def _assembled(compiler: Steps, outputs: list[Register]) -> Callable[..., list[Scalar]]:
    """The steps as one Python function: a loop over them would cost as much again as the steps do.

    Its text is made of register numbers only; functions and constants are handed in beside it. What a call computes
    is in its own local variables, so that calls do not see each other.
    """
    parameters = ", ".join(f"v{register}" for register, _, _ in compiler.inputs)
    lines = [f"def run({parameters}):"]
    lines += [
        f"    v{out} = f{i}({', '.join(f'v{a}' for a in args)})" for i, (_, out, args) in enumerate(compiler.steps)
    ]
    lines.append(f"    return [{', '.join(f'v{register}' for register in outputs)}]")
    names: dict[str, Any] = {f"v{register}": value for register, value in enumerate(compiler.constants)}
    names |= {f"f{i}": function for i, (function, _, _) in enumerate(compiler.steps)}
    exec("\n".join(lines), names)
    return names["run"]
