"""Reading and writing a flat table that a person names."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from kernel.errors import DataError, UsageError
from serving.batch import writer_of


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


def write_frame(frame: pd.DataFrame, file: Path) -> None:
    """Write a .csv or .parquet file by one rename: nobody sees half of it.

    Raises:
        UsageError: another kind of file, or a folder that does not exist.
    """
    writer_of(file)
    unfinished = file.with_name(f".{file.name}.unfinished")
    try:
        if file.suffix.lower() == ".csv":
            frame.to_csv(unfinished, index=False)
        else:
            frame.to_parquet(unfinished, index=False)
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
