"""Features of a data scientist's own, from files beside ``foresight.toml``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from features.definitions import extra_features, feature_set, project_features
from features.engine.build import build_features
from features.reference import reference_page
from kernel.errors import UsageError
from tests.projects import TABLES, TinyProject

AS_OF = datetime(2024, 1, 8, tzinfo=UTC)
MODULES = '[features]\nmodules = ["own/features.py"]\n'
OWN = """
from features.engine.definition import Feature, Unit, View

FEATURES = (
    Feature(
        name="{name}",
        group="own",
        view=View.LINES,
        window_days=7,
        expression=lambda lines: {expression},
        phrase="lines of ten or more in the last 7 days",
        unit=Unit.COUNT,
        when_unknown=0,
        owner="marketing",
    ),
)
"""


def own(name: str = "large_lines_7d", expression: str = "lines.count(where=lines.amount >= 10)") -> str:
    return OWN.replace("{name}", name).replace("{expression}", expression)


@pytest.fixture
def file(project: TinyProject) -> Path:
    (project.folder / "own").mkdir()
    return project.write("own/features.py", own())


def refused(file: Path, content: str) -> UsageError:
    file.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        extra_features([file])
    return caught.value


def test_a_feature_of_ones_own_is_a_column_and_a_row_of_the_page(project: TinyProject, file: Path) -> None:
    settings = project.settings(TABLES + MODULES)
    with project.profiles(TABLES + MODULES) as profiles:
        features = project_features(settings, profiles.attributes)
        frame = build_features(profiles, features, AS_OF)
    assert frame["large_lines_7d"].to_dict() == {"anna": 1.0, "bert": 0.0}
    assert len(features) == len(feature_set({})) + 1
    row = "| `large_lines_7d` | own | lines | 7 days | count | 0 | 1 | lines of ten or more in the last 7 days |"
    assert row in reference_page(features).splitlines()


def test_the_same_file_gives_the_same_features_and_a_changed_one_others(file: Path) -> None:
    first = extra_features([file])
    assert extra_features([file]) == first
    file.write_text(own(expression="lines.count()"), encoding="utf-8")
    assert extra_features([file]) != first


def test_a_feature_that_leaks_is_refused(file: Path) -> None:
    error = refused(file, own(expression="lines.event_time.max()"))
    assert error.what == "'large_lines_7d' asks for 'event_time', which the rows of 'lines' do not have."
    assert error.where == f"{file}: large_lines_7d"
    assert error.fix == "A definition sees no moments, so that it cannot look ahead: use days_ago or day_ago."
    assert refused(file, own(expression="lines['ingested_at'].max()")).fix == error.fix


def test_a_misspelt_column_is_named(file: Path) -> None:
    error = refused(file, own(expression="lines.amout.sum()"))
    assert (error.what, error.fix) == (
        "'large_lines_7d' asks for 'amout', which the rows of 'lines' do not have.",
        "Did you mean 'amount'?",
    )


def test_an_expression_that_fails_otherwise(file: Path) -> None:
    error = refused(file, own(expression="lines.amount.sum(1, 2, 3)"))
    assert error.what == "The expression of 'large_lines_7d' fails: TypeError."
    assert "one aggregate of the columns customer_id, transaction_id, amount" in error.fix


def test_a_missing_file(project: TinyProject) -> None:
    with pytest.raises(UsageError) as caught:
        project_features(project.settings(TABLES + MODULES), {})
    assert caught.value.what == "There is no such file of features."
    assert caught.value.where == f"features.modules: {project.folder.resolve() / 'own' / 'features.py'}"
    assert caught.value.fix == "Correct the path; it is relative to the TOML file."


def test_a_folder_is_no_file(project: TinyProject) -> None:
    with pytest.raises(UsageError, match="cannot be read \\(IsADirectoryError\\)"):
        extra_features([project.folder])


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", "The file defines no FEATURES."),
        ("FEATURES = 7\n", "FEATURES is no tuple of Feature objects."),
        ("FEATURES = ('large_lines_7d',)\n", "FEATURES is no tuple of Feature objects."),
    ],
)
def test_a_file_without_features(file: Path, content: str, what: str) -> None:
    error = refused(file, content)
    assert (error.what, error.where) == (what, str(file))
    assert error.fix.startswith("Write FEATURES = (Feature(...), ...);")


@pytest.mark.parametrize(
    ("content", "what", "line"),
    [
        ("x = 1\nx / 0\n", "The file of features fails: ZeroDivisionError: division by zero.", 2),
        ("import no_such_module\n", "The file of features fails: ModuleNotFoundError: No module named", 1),
        ("x = 1\n\nx = (\n", "The file of features fails: SyntaxError: '(' was never closed", 3),
    ],
)
def test_an_exception_inside(file: Path, content: str, what: str, line: int) -> None:
    error = refused(file, content)
    assert error.what.startswith(what)
    assert error.where == f"{file}, line {line}"
    assert error.fix == "Correct the file; it runs when the project is opened."


def test_a_name_that_is_taken(file: Path) -> None:
    error = refused(file, own(name="frequency"))
    assert (error.what, error.where) == ("Two features are called 'frequency'.", str(file))
    file.write_text(own(), encoding="utf-8")
    with pytest.raises(UsageError, match="Two features are called 'large_lines_7d'"):
        extra_features([file, file])
    with pytest.raises(UsageError, match="Two features are called 'large_lines_7d'"):
        feature_set({"large_lines_7d": "float64"}, extra_features([file]))
