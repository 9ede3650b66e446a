"""Reading and writing a flat table that a person names."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa

from kernel.errors import DataError, UsageError
from serving.batch_targets import target_of


def read_flat(file: Path) -> pd.DataFrame:
    """The table of a .csv or .parquet file.

    Raises:
        UsageError: there is no such file, or it is of another kind.
        DataError: it cannot be read as what it says it is.
    """
    readers = {".csv": pd.read_csv, ".parquet": pd.read_parquet}
    if file.suffix not in readers:
        raise UsageError(f"'{file.suffix}' is no kind of table.", where=str(file), fix="Name a .csv or .parquet file.")
    try:
        return readers[file.suffix](file)
    except FileNotFoundError as error:
        raise UsageError("There is no such file.", where=str(file), fix="Check the path.") from error
    except (OSError, ValueError) as error:
        raise DataError(
            f"The file cannot be read ({type(error).__name__}).", where=str(file), fix="Check that it is what it says."
        ) from error


def write_frame(frame: pd.DataFrame, out: str | Path) -> str:
    """Write into a .csv or .parquet file or a table of PostgreSQL, of which nobody sees half; says where.

    Raises:
        UsageError: another kind of target, or a folder that does not exist.
        ForesightError: the database does not take the rows.
    """
    target, rows = target_of(out), pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()
    with target.writing(rows.schema) as writer:
        writer.add(rows)
    return target.name
