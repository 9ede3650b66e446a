"""What a person types and imports: the ``foresight`` command, and ``foresight.open(...)`` in a notebook."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from foresight.project import Project

__all__ = ["open"]


def open(path: str | Path) -> Project:  # the word a reader expects: foresight.open
    """Open a project by its ``foresight.toml`` or the folder that holds it.

    Raises:
        UsageError: the file is missing or wrong.
        DataError: its tables do not keep the contract.
    """
    # The command line's --help must not wait for DuckDB and LightGBM.
    from foresight.project import Project

    return Project.open(path)
