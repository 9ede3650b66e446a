"""The notebooks run from top to bottom, on the models of a training made here."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from tests.e2e.conftest import slice_of_complete_journey

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with notebooks/ and examples/, beside models of its own: the user's models are not touched. A part of
    the households, so that it is short."""
    from foresight.project import Project

    place = tmp_path_factory.mktemp("notebooks")
    example = place / "examples" / "complete_journey"
    example.mkdir(parents=True)
    (place / "notebooks").mkdir()
    for file in (ROOT / "examples" / "complete_journey").iterdir():
        (example / file.name).write_bytes(file.read_bytes())
    text = slice_of_complete_journey(place / "mlruns", place / ".foresight")
    (example / "foresight.toml").write_text(text, encoding="utf-8")
    project = Project.open(example)
    project.train(as_of="2017-11-01")
    yield place


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
