"""docs/reference/store.md says what the store's code says."""

from __future__ import annotations

from pathlib import Path

from features.engine import baseline
from features.engine.baseline import SnapshotProfile
from features.engine.manifest import SnapshotManifest
from features.engine.online_tables import LAYOUT, METADATA

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "store.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    part = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")][2:]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


def test_every_field_of_the_manifest_and_the_profile() -> None:
    assert [row[0] for row in rows("manifest.json")] == list(SnapshotManifest.model_fields)
    assert [row[0] for row in rows("profile.json")] == list(SnapshotProfile.model_fields)


def test_every_column_of_the_tables() -> None:
    found: dict[str, list[str]] = {}
    table = ""
    for first, column, _ in rows("Online tables"):
        table = first or table
        found.setdefault(table, []).append(column)
    assert {name: sorted(columns) for name, columns in found.items()} == {
        table.name: sorted(table.columns.keys()) for table in METADATA.sorted_tables
    }


def test_the_numbers_that_are_named() -> None:
    assert f"of the rows: {LAYOUT} |" in PAGE
    assert f"about {baseline.MOST_FOR_QUANTILES:,} |" in PAGE
    assert (
        f"the {baseline.MOST_WORDS} most frequent, none with fewer than {baseline.FEWEST_CUSTOMERS} customers" in PAGE
    )
    assert "quantiles` at " + ", ".join(f"{q:g}" for q in baseline.QUANTILES) + " |" in PAGE
