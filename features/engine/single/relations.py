"""Columns of relations: of tables, choices of rows, groupings and joins."""

from __future__ import annotations

import ibis.expr.operations as ops
import numpy as np

from features.engine.single.groups import Groups, group_by
from features.engine.single.reductions import compile_reduction
from features.engine.single.steps import ONE, NotCompiledError, Op, Register, Relation, Steps, is_key, is_single
from features.engine.single.values import Array, Column


def compile_column(steps: Steps, relation: Relation, name: str) -> Register:
    """The register of a relation's column.

    Raises:
        NotCompiledError: an operation that these steps do not know.
    """
    match relation:
        case ops.UnboundTable():
            return steps.handed_in(relation.name, name)
        case ops.JoinReference() | ops.DropColumns() | ops.Sort():
            return steps.column(relation.parent, name)
        case ops.Project():
            return _beside(steps, relation, relation.values[name], relation.parent)
        case ops.JoinChain():
            _check_join(relation)
            # What there is once per customer, beside each of the rows.
            return _beside(steps, relation, relation.values[name], relation.first)
        case ops.Filter():
            return steps.step(Column.take, steps.column(relation.parent, name), _filtered(steps, relation))
        case ops.Aggregate():
            return _aggregated(steps, relation, name)
        case _:
            raise NotCompiledError(type(relation).__name__)


def _beside(steps: Steps, relation: Relation, value: Op, rows: Relation) -> Register:
    return steps.value(value) if is_single(relation) else steps.rows_of(value, rows)


def _check_join(relation: Relation) -> None:
    for link in relation.rest:
        if link.how != "left":
            raise NotCompiledError("a join that is no left join")
        # Then at most one row fits, and it fits every row: those of one customer.
        keys = all(isinstance(p, ops.Equals) and is_key(p.left) and is_key(p.right) for p in link.predicates)
        if not (is_single(link.table) and keys and link.predicates):
            raise NotCompiledError("a join with other than what there is once per customer")


def _filtered(steps: Steps, relation: Relation) -> Register:
    if is_single(relation):
        raise NotCompiledError("a filter of what there is once per customer")

    def make() -> Register:
        return steps.step(_passing, *(steps.rows_of(p, relation.parent) for p in relation.predicates))

    return steps.once((relation, "rows"), make)


def _passing(*conditions: Column) -> Array:
    passes = [condition.passes() for condition in conditions]
    return np.flatnonzero(passes[0] if len(passes) == 1 else np.logical_and.reduce(passes))


def _aggregated(steps: Steps, relation: Relation, name: str) -> Register:
    if not relation.groups or is_single(relation.parent):
        raise NotCompiledError("an aggregate of all customers, or of what there is once per customer")
    if not all(is_key(key) for group, key in relation.groups.items() if group in ONE):
        raise NotCompiledError("something else under the name of the customer's id")
    keys = [key for group, key in relation.groups.items() if group not in ONE]
    if name in ONE:
        raise NotCompiledError("the customer's id within a definition")

    def groups() -> Register:
        return steps.once(
            (relation, "groups"),
            lambda: steps.step(_grouped, *(steps.rows_of(key, relation.parent) for key in keys)),
        )

    if name in relation.metrics:
        return compile_reduction(steps, relation.metrics[name], relation.parent, groups if keys else None)
    return steps.step(_of_group, steps.rows_of(relation.groups[name], relation.parent), groups())


def _grouped(*keys: Column) -> Groups:
    return group_by(list(keys))


def _of_group(key: Column, groups: Groups) -> Column:
    return key.take(groups.first)
