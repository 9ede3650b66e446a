"""The reference pages say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from features.contract.tables import RATES, TABLES
from features.definitions import feature_set
from features.engine.definition import Feature, FeatureSet, Unit, View
from features.reference import reference_page
from kernel.settings import PublishedSetting, Settings, SourceSettings, TableSettings
from serving.batch_rows import SCHEMA
from serving.decisioning.action import (
    Action,
    Capacity,
    Channel,
    ContactLimit,
    Cost,
    Exploration,
    Fatigue,
    Lever,
    MandatoryAction,
    Outcome,
    Prior,
    Suppression,
    Value,
)
from serving.http import paths
from serving.http.problem_kinds import KINDS

PAGES = Path(__file__).resolve().parents[2] / "docs" / "reference"


def page(name: str) -> str:
    return (PAGES / name).read_text(encoding="utf-8")


def keys_of(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def sections() -> dict[str, type[BaseModel]]:
    models = {name: field.annotation for name, field in Settings.model_fields.items()}
    return {name: kind for name, kind in models.items() if isinstance(kind, type) and issubclass(kind, BaseModel)}


def documented(text: str, prefix: str) -> set[str]:
    """The keys ``prefix.KEY`` that begin a row of a table."""
    begins = f"| `{prefix}."
    return {line.removeprefix(begins).split("`")[0] for line in text.splitlines() if line.startswith(begins)}


def test_the_features_page_is_up_to_date() -> None:
    assert page("features.md") == reference_page(feature_set({})), "run python -m features.reference"


def test_a_row_says_window_unit_default_and_version_and_keeps_the_table_whole() -> None:
    one = Feature(
        name="visits_7d",
        group="visits",
        view=View.ACTIVITIES,
        window_days=7,
        expression=lambda rows: rows.count(),
        phrase="visits | in the last 7 days",
        unit=Unit.COUNT,
        when_unknown=0,
        version=3,
    )
    row = "| `visits_7d` | visits | activities | 7 days | count | 0 | 3 | visits \\| in the last 7 days |"
    assert row in reference_page(FeatureSet([one])).splitlines()


def test_the_scores_page_has_one_row_for_every_column_and_no_other() -> None:
    columns = page("scores.md").split("## Columns")[1].split("###")[0]
    rows = [line.split("`")[1] for line in columns.splitlines() if line.startswith("| `")]
    assert rows == SCHEMA.names


@pytest.mark.parametrize("column", ["churn_reasons", "churn_groups", "recommended_actions"])
def test_the_scores_page_describes_every_field_of_a_list(column: str) -> None:
    part = page("scores.md").split(f"### `{column}`")[1].split("##")[0]
    rows = [line.split("`")[1] for line in part.splitlines() if line.startswith("| `")]
    kind = SCHEMA.field(column).type.value_type
    assert rows == [kind.field(i).name for i in range(kind.num_fields)]


@pytest.mark.parametrize("section", sorted(sections()))
def test_the_configuration_page_has_every_key_of_a_section(section: str) -> None:
    assert documented(page("configuration.md"), section) == set(keys_of(sections()[section]))


@pytest.mark.parametrize(
    ("place", "model"),
    [("sources.NAME", SourceSettings), ("tables.NAME", TableSettings), ("published", PublishedSetting)],
)
def test_the_configuration_page_has_every_key_of_a_table(place: str, model: type[BaseModel]) -> None:
    assert documented(page("configuration.md"), place) == set(keys_of(model))


def test_the_configuration_page_has_every_section() -> None:
    headings = {line.strip("# []").split(".")[0] for line in page("configuration.md").splitlines() if "## [" in line}
    assert headings == {name for name in Settings.model_fields if name != "file"}


def test_the_configuration_page_has_the_defaults() -> None:
    text = page("configuration.md")
    for section, model in sections().items():
        for name, field in model.model_fields.items():
            if isinstance(field.default, int | float) and not isinstance(field.default, bool):
                row = next(line for line in text.splitlines() if line.startswith(f"| `{section}.{name}`"))
                assert f"| `{field.default}` |" in row


def test_the_configuration_page_has_every_semantic_column() -> None:
    text = page("configuration.md").split("Semantic columns")[1].split("\n## ")[0]
    found: dict[str, list[str]] = {}
    table = ""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if "`" not in line or len(cells) < 5:
            continue
        table = cells[0].strip("`") or table
        found.setdefault(table, []).extend(name.strip("` ") for name in cells[1].split(","))
    assert found == {table.name: list(table.mappable) for table in (*TABLES.values(), RATES)}


def test_the_actions_page_has_every_field_of_an_action() -> None:
    rows = {line.split("`")[1] for line in page("actions.md").splitlines() if line.startswith("| `")}
    parts = {
        "outcome": Outcome,
        "cost": Cost,
        "value": Value,
        "lever": Lever,
        "capacity": Capacity,
        "suppress": Suppression,
        "exploration": Exploration,
        "prior": Prior,
        "channel": Channel,
        "contact_limit": ContactLimit,
        "fatigue": Fatigue,
    }
    wanted = {key for model in (Action, MandatoryAction) for key in keys_of(model) if key not in parts}
    wanted |= {f"{part}.{key}" for part, model in parts.items() for key in keys_of(model)}
    assert wanted - rows == set()


def test_the_api_page_has_every_path() -> None:
    text = page("api.md")
    with_id = {path.replace("{customer_id}", "{id}") for path in (paths.CUSTOMER, paths.CHANGES, paths.PANEL)}
    wanted = {*paths.POSTS, *paths.HEALTH, *paths.DOCUMENTS, *with_id, paths.INDEX, paths.METRICS}
    assert [path for path in sorted(wanted) if f"`{path}`" not in text and f" {path}`" not in text] == []


def test_the_api_page_has_every_known_problem() -> None:
    rows = [line for line in page("api.md").split("## Errors")[1].splitlines() if line.startswith("| ")]
    documented_kinds = {(kind, int(row.split("|")[1])) for row in rows[1:] for kind in re.findall(r"`([a-z-]+)`", row)}
    assert {(kind, status) for kind, (status, _) in KINDS.items()} - documented_kinds == set()
