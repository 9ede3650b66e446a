"""Frames that already have the contract's columns, such as the history in a request: one typed SELECT each."""

from __future__ import annotations

from collections.abc import Mapping as MappingOf

import duckdb
import pandas as pd
import pyarrow as pa

from features.contract.casts import Cast, typed
from features.contract.sources import quoted
from features.contract.tables import CUSTOMERS, Column, Kind, SemanticTable
from kernel.errors import DataError, did_you_mean


def register(connection: duckdb.DuckDBPyConnection, frame: pd.DataFrame) -> None:
    """Let SQL see a frame as the relation ``frame``."""
    zoned = [name for name, kind in frame.dtypes.items() if isinstance(kind, pd.DatetimeTZDtype)]
    if zoned:
        frame = frame.assign(**{str(name): frame[name].dt.tz_convert(None) for name in zoned})  # UTC
    try:
        # An Arrow table says the types of its columns; those of a frame would be guessed from its values.
        connection.register("frame", pa.Table.from_pandas(frame, preserve_index=False))
    except pa.ArrowException:
        connection.register("frame", frame)  # a column of several types


def typed_frame(connection: duckdb.DuckDBPyConnection, table: SemanticTable, attributes: MappingOf[str, str]) -> str:
    """The typed SELECT of the registered relation ``frame``.

    Raises:
        DataError: a required column is missing.
    """
    types = {row[0]: row[1] for row in connection.execute("DESCRIBE SELECT * FROM frame").fetchall()}
    parts = [f"{_frame_value(table, column, types)} AS {column.name}" for column in table.columns]
    if table is CUSTOMERS:
        parts += [f"{_frame_attribute(name, kind, types)} AS {quoted(name)}" for name, kind in attributes.items()]
    return f"SELECT {', '.join(parts)} FROM frame"


def _frame_value(table: SemanticTable, column: Column, types: MappingOf[str, str]) -> str:
    default = column.default_sql(lambda name: _frame_value(table, table.column(name), types))
    if column.name in types:
        value = typed(column.kind, column.name, types[column.name], "UTC", Cast.STRICT)
        return f"coalesce({value}, {'FALSE' if column.name == 'consent' else default})"
    if column.required:
        raise DataError(
            f"The column '{column.name}' ({column.description}) is missing.",
            where=f"profile: {table.name}",
            fix=did_you_mean(column.name, types),
        )
    return f"CAST({'TRUE' if column.name == 'consent' else default} AS {column.kind})"


def _frame_attribute(name: str, kind: str, types: MappingOf[str, str]) -> str:
    wanted = Kind.NUMBER if kind == "float64" else Kind.TEXT
    if name not in types:
        return f"CAST(NULL AS {wanted})"
    return typed(wanted, quoted(name), types[name], "UTC", Cast.STRICT)
