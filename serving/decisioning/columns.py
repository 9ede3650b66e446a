"""Columns that rules read: plain numpy arrays with null masks, the same for one row and for a million."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from kernel.errors import DataError, did_you_mean
from kernel.feature_rows import FrameRows

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Cell = float | str | bool | None
Row = Mapping[str, Cell]


class Kind(StrEnum):
    """The type of a column or of an expression."""

    NUMBER = "number"
    TEXT = "text"
    BOOLEAN = "boolean"
    UNKNOWN = "unknown"  # not declared yet, or a column that holds nothing but NULL


@dataclass(frozen=True, slots=True)
class Vector:
    """Values with a null mask, each of shape (rows,), or () for a constant. Values under the mask are fillers
    (0, "" or False) and mean nothing; numbers are finite float64, texts are Python strings in an object array."""

    kind: Kind
    values: npt.NDArray[Any]
    null: Bools


def spread(values: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """``values`` in ``shape``, to be read only. What numpy has for it takes longer than a rule does on one customer."""
    if values.shape == shape:
        return values
    return np.full(shape, values) if not values.ndim else np.broadcast_to(values, shape)


class Fields(Protocol):
    """What rules may read of some customers, one row each; an unknown name is a KeyError."""

    def __len__(self) -> int: ...

    @property
    def names(self) -> Collection[str]:
        """Of all fields."""
        ...

    def column(self, name: str) -> Any:
        """A field's values, an array or pandas' series of shape (rows,)."""
        ...

    def take(self, places: npt.NDArray[np.intp]) -> Fields:
        """Some of the customers, by position."""
        ...


def fields_of(given: Fields | pd.DataFrame) -> Fields:
    """A frame, one row per customer, as fields."""
    return FrameRows(given) if isinstance(given, pd.DataFrame) else given


class Columns:
    """The fields of some customers, converted column by column when a rule first reads one.

    Attributes:
        rows: how many customers.
        cell_kinds: the types of the columns that ``cells`` has.
        codes: what was found about them before, by the text of the rule: many actions share one.
    """

    def __init__(self, fields: Fields | pd.DataFrame, *, where: str = "the customers to decide for") -> None:
        self.rows = len(fields)
        self._fields = fields_of(fields)
        self._where = where
        self._vectors: dict[str, Vector] = {}
        self.cell_kinds: dict[str, Kind] = {}
        self.codes: dict[str, Any] = {}

    def vector(self, name: str) -> Vector:
        """The column ``name``, of shape (rows,). NaN, None and infinite numbers are NULL.

        Raises:
            DataError: the column is absent, or holds neither numbers, texts nor booleans.
        """
        if name not in self._vectors:
            try:
                values = self._fields.column(name)
            except KeyError:
                near = did_you_mean(name, self._fields.names)
                raise DataError(
                    f"The column '{name}' is missing.",
                    where=self._where,
                    fix=f"A rule or value of the catalogue needs it. {near}",
                ) from None
            self._vectors[name] = _vector(values, name, self._where)
        return self._vectors[name]

    def kinds(self, names: Iterable[str]) -> tuple[Kind, ...]:
        """The types of some columns.

        Raises:
            DataError: as :meth:`vector`.
        """
        known = self._vectors
        return tuple([(known[name] if name in known else self.vector(name)).kind for name in names])

    @cached_property
    def cells(self) -> list[dict[str, Cell]]:
        """The rows in plain values, each with the columns that :meth:`read_cells` was asked for; None for NULL."""
        return [{} for _ in range(self.rows)]

    def read_cells(self, names: Iterable[str]) -> None:
        """Add some columns to ``cells``.

        Raises:
            DataError: as :meth:`vector`.
        """
        for name in names:
            if name not in self.cell_kinds:
                vector = self.vector(name)
                for row, value, null in zip(self.cells, vector.values.tolist(), vector.null.tolist(), strict=True):
                    row[name] = None if null else value
                self.cell_kinds[name] = vector.kind

    def take(self, rows: Ints) -> Columns:
        """The columns that were read so far, with only ``rows`` (positions)."""
        part = Columns(self._fields, where=self._where)
        part.rows = len(rows)
        part._vectors = {
            name: Vector(vector.kind, vector.values[rows], vector.null[rows]) for name, vector in self._vectors.items()
        }
        return part


def _vector(values: npt.NDArray[Any] | pd.Series, name: str, where: str) -> Vector:
    dtype: object = values.dtype
    # The usual types first: on one row, the questions that pandas answers below take longer than a rule.
    if isinstance(dtype, np.dtype) and dtype.kind in "fiu":
        numbers = np.asarray(values, dtype=np.float64)
        finite = np.isfinite(numbers)
        if len(numbers) and finite.all():
            return Vector(Kind.NUMBER, numbers, ~finite)
        return _unknown_if_all(np.isnan(numbers)) or _numbers(numbers)
    if isinstance(values, np.ndarray):
        objects: npt.NDArray[Any] = values.astype(object)
        null = np.fromiter((value is None or value != value for value in objects), np.bool_, count=len(objects))
        return _unknown_if_all(null) or _of_objects(objects, null, name, where)
    return _of_series(values, name, where)


def _of_series(series: pd.Series, name: str, where: str) -> Vector:
    dtype: object = series.dtype
    if isinstance(dtype, pd.StringDtype):
        objects = series.to_numpy(dtype=object, na_value=None)
        null = np.fromiter((value is None for value in objects), dtype=np.bool_, count=len(objects))
        return _unknown_if_all(null) or _texts(objects, null)
    null = np.asarray(series.isna(), dtype=np.bool_)
    if unknown := _unknown_if_all(null):
        return unknown
    if isinstance(dtype, np.dtype) and dtype.kind == "b":
        return Vector(Kind.BOOLEAN, series.to_numpy(), null)
    if pd.api.types.is_bool_dtype(series.dtype):
        return Vector(Kind.BOOLEAN, np.asarray(series.fillna(False), dtype=np.bool_), null)
    if pd.api.types.is_numeric_dtype(series.dtype):
        return _numbers(series.to_numpy(dtype=np.float64, na_value=np.nan))
    return _of_objects(series.astype(object).to_numpy(), null, name, where)


def _of_objects(objects: npt.NDArray[Any], null: Bools, name: str, where: str) -> Vector:
    present = set(map(type, objects[~null]))
    if all(issubclass(found, str) for found in present):
        return _texts(objects, null)
    if all(issubclass(found, bool | np.bool_) for found in present):
        return Vector(Kind.BOOLEAN, np.where(null, False, objects).astype(np.bool_), null)
    if all(issubclass(found, int | float | Decimal | np.number) and found is not bool for found in present):
        return _numbers(np.where(null, np.nan, objects).astype(np.float64))
    raise DataError(
        f"The column '{name}' holds neither numbers, texts nor booleans.",
        where=where,
        fix="Rules know these three types; turn a date into a number of days before as_of.",
    )


def _unknown_if_all(null: Bools) -> Vector | None:
    return Vector(Kind.UNKNOWN, np.zeros(len(null)), null) if null.all() else None


def _texts(objects: npt.NDArray[Any], null: Bools) -> Vector:
    return Vector(Kind.TEXT, np.where(null, "", objects).astype(object) if null.any() else objects, null)


def _numbers(values: Floats) -> Vector:
    finite = np.isfinite(values)
    return Vector(Kind.NUMBER, np.where(finite, values, 0.0), ~finite)
