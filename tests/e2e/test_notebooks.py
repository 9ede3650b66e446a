"""The notebooks run from top to bottom, on a copy of the models that the other tests use."""

from __future__ import annotations

import warnings
from pathlib import Path

import nbformat
import pytest

from tests.e2e.conftest import copy_of

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def place(trained_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with notebooks/ and examples/, beside models of its own: the user's models are not touched. A part of
    the households, so that it is short."""
    place = tmp_path_factory.mktemp("notebooks")
    (place / "notebooks").mkdir()
    (place / "examples").mkdir()
    copy_of(trained_once, place / "examples" / "complete_journey")
    return place


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb")))
def test_the_notebook_runs(place: Path, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Jupyter's own libraries
        from nbclient import NotebookClient

        notebook = nbformat.read(ROOT / "notebooks" / name, as_version=4)
        client = NotebookClient(
            notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(place / "notebooks")}}
        )
        executed = client.execute()
    errors = [output for cell in executed.cells for output in cell.get("outputs", []) if output.output_type == "error"]
    assert errors == []
    assert all(cell.get("execution_count") for cell in executed.cells if cell.cell_type == "code")
