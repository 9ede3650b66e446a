"""``foresight.toml``: what is refused, and with which words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kernel.errors import UsageError
from kernel.settings import Settings, load_settings
from tests.projects import HEAD, TABLES, TinyProject


def refusal(project: TinyProject, tables: str = TABLES, head: str = HEAD) -> UsageError:
    with pytest.raises(UsageError) as caught:
        project.settings(tables, head=head)
    assert caught.value.exit_code == 2
    assert caught.value.where.startswith(str(project.folder / "foresight.toml"))
    return caught.value


def place(error: UsageError) -> str:
    return error.where.rpartition("foresight.toml: ")[2]


def test_a_file_gives_typed_settings_with_the_documented_defaults(project: TinyProject) -> None:
    settings = project.settings()
    assert settings.file == project.folder / "foresight.toml"
    assert (settings.project.name, settings.project.currency, settings.project.timezone) == ("tiny", "EUR", "UTC")
    assert settings.tables["customers"][0].columns == {"customer_id": "id"}
    assert settings.sources["sales"].file == "sales.csv"
    assert (settings.churn.active_days, settings.churn.horizon_days, settings.churn.bands) == (90, 90, (70.0, 90.0))
    assert (settings.service.host, settings.service.port, settings.service.api_keys_sha256) == ("127.0.0.1", 3000, ())
    assert settings.model_name("churn") == "tiny-churn"
    assert settings.state_folder == project.folder / ".foresight" / "tiny"
    assert settings.state_url == f"sqlite:///{project.folder}/.foresight/tiny/decisions.db"
    assert settings.registry_folder == project.folder / "mlruns"
    assert settings.policies.model_dump() == {
        "returns": "net",
        "zero_orders": "keep",
        "cancelled": ("cancelled", "canceled"),
        "lines": "as_mapped",
        "rates_max_age_days": 7,
    }
    assert settings.engine.model_dump() == {
        "engine": "duckdb",
        "spark_master": "local[2]",
        "memory_limit": None,
        "threads": None,
        "temp_folder": None,
        "spark_tables": None,
        "keep_tables": False,
    }
    assert settings.temp_folder == project.folder / ".foresight" / "tiny" / "tmp"


def test_the_same_from_the_file_and_from_its_folder(project: TinyProject) -> None:
    written = project.settings()
    assert load_settings(project.folder / "foresight.toml") == load_settings(str(project.folder)) == written


def test_one_table_and_a_list_of_tables_are_both_lists(project: TinyProject) -> None:
    listed = TABLES.replace("[tables.transactions]", "[[tables.transactions]]")
    assert project.settings(listed).tables == project.settings().tables


@pytest.mark.parametrize(
    ("added", "key", "where", "fix"),
    [
        ("[churn]\nhorizon_day = 30", "horizon_day", "churn.horizon_day", "Did you mean 'horizon_days'?"),
        ("[sevice]\nport = 1", "sevice", "sevice", "Did you mean 'service'?"),
        ("[registry]\nfoldr = 'x'", "foldr", "registry.foldr", "Did you mean 'folder'?"),
        ("[policies]\nreturn = 'net'", "return", "policies.return", "Did you mean 'returns'?"),
        ("[policies]\ncanceled = ['void']", "canceled", "policies.canceled", "Did you mean 'cancelled'?"),
        ("[engine]\nmemory = '2GB'", "memory", "engine.memory", "Did you mean 'memory_limit'?"),
        ("[polices]\nreturns = 'net'", "polices", "polices", "Did you mean 'policies'?"),
        (
            "[[tables.activities]]\nform = 'sales'\ncolumns = {}",
            "form",
            "tables.activities.0.form",
            "Did you mean 'from'?",
        ),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(
    project: TinyProject, added: str, key: str, where: str, fix: str
) -> None:
    error = refusal(project, TABLES + added)
    assert (error.what, place(error), error.fix) == (f"Unknown key '{key}'.", where, fix)


@pytest.mark.parametrize("limit", ["2GB", "0.5GB", "512 MiB", "10.25TB"])
def test_a_memory_limit_in_the_notation_of_duckdb(project: TinyProject, limit: str) -> None:
    assert project.settings(TABLES + f'[engine]\nmemory_limit = "{limit}"\n').engine.memory_limit == limit


def test_an_unknown_key_of_a_source_and_of_the_project(project: TinyProject) -> None:
    error = refusal(project, TABLES.replace('"sales.csv"', '{ fil = "sales.csv", file = "sales.csv" }'))
    assert (error.what, error.fix) == ("Unknown key 'fil'.", "Did you mean 'file'?")
    error = refusal(project, head=HEAD + 'zone = "UTC"\n')
    assert (error.what, error.fix) == ("Unknown key 'zone'.", "Did you mean 'timezone'?")


def test_the_name_of_the_file_is_no_key(project: TinyProject) -> None:
    error = refusal(project, head='file = "/etc/passwd"\n' + HEAD)
    assert (error.what, place(error)) == ("Unknown key 'file'.", "file")


@pytest.mark.parametrize(
    ("head", "what", "where"),
    [
        ('[project]\nname = "tiny"\n', "The key 'currency' is missing.", "project.currency"),
        (HEAD.replace('"EUR"', '"euro"'), "'currency' is not right", "project.currency"),
        (HEAD.replace('"tiny"', '"My shop"'), "'name' is not right", "project.name"),
        (HEAD.replace("{timezone}", "Europe/Pari"), "'timezone' is not right", "project.timezone"),
    ],
)
def test_a_missing_or_wrong_value_of_the_project(project: TinyProject, head: str, what: str, where: str) -> None:
    error = refusal(project, head=head)
    assert (error.what[: len(what)], place(error)) == (what, where)


@pytest.mark.parametrize(
    ("added", "where"),
    [
        ("[churn]\nhorizon_days = 0", "churn.horizon_days"),
        ('[churn]\nhorizon_days = "many"', "churn.horizon_days"),
        ("[churn]\nbands = [90, 70]", "churn.bands"),
        ("[value]\nhigh_value_share = 1.0", "value.high_value_share"),
        ("[service]\nport = 70000", "service.port"),
        ("[training]\nmax_cutoffs = 1", "training.max_cutoffs"),
        ('[policies]\nreturns = "gross"', "policies.returns"),
        ('[policies]\nzero_orders = "ignore"', "policies.zero_orders"),
        ('[policies]\ncancelled = "void"', "policies.cancelled"),
        ('[policies]\nlines = "lines"', "policies.lines"),
        ("[policies]\nrates_max_age_days = 0", "policies.rates_max_age_days"),
        ('[engine]\nengine = "sparc"', "engine.engine"),
        ('[engine]\nmemory_limit = "2 apples"', "engine.memory_limit"),
        ('[engine]\nmemory_limit = "0GB"', "engine.memory_limit"),
        ('[engine]\nmemory_limit = "0.0GB"', "engine.memory_limit"),
        ("[engine]\nthreads = 0", "engine.threads"),
    ],
)
def test_a_value_out_of_range(project: TinyProject, added: str, where: str) -> None:
    error = refusal(project, TABLES + added)
    assert place(error) == where
    assert error.what.startswith(f"'{where.rpartition('.')[2]}' is not right: ")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ('{ duckdb = "a.db" }', "'duckdb' needs 'table' beside it"),
        ('{ postgres = "postgresql://u:secret@h/d" }', "'postgres' needs 'table' beside it"),
        ('{ file = "a.csv", duckdb = "a.db", table = "t" }', "name exactly one of file, duckdb, postgres"),
        ("{}", "name exactly one of file, duckdb, postgres"),
        ('{ file = "a.csv", table = "t" }', "'table' goes with duckdb or postgres, not with file"),
    ],
)
def test_a_source_is_exactly_one_thing(project: TinyProject, source: str, reason: str) -> None:
    error = refusal(project, TABLES.replace('"sales.csv"', source))
    assert error.what == f"'sales' is not right: Value error, {reason}."
    assert "secret" not in str(error)


def test_a_missing_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_settings(tmp_path)
    assert caught.value.what == "There is no such configuration file."
    assert caught.value.where == str(tmp_path / "foresight.toml")


def test_no_toml_names_the_line(project: TinyProject) -> None:
    error = refusal(project, TABLES + "\n[churn\n")
    assert re.search(r"not valid TOML: .*line \d+", error.what)


def test_letters_that_are_no_utf8_are_refused(tmp_path: Path) -> None:
    (tmp_path / "foresight.toml").write_bytes(b'[project]\nname = "caf\xe9"\n')
    with pytest.raises(UsageError, match="not valid TOML"):
        load_settings(tmp_path)


def test_a_file_that_cannot_be_opened_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "foresight.toml").mkdir()
    with pytest.raises(UsageError) as caught:
        load_settings(tmp_path)
    assert caught.value.what == "The configuration file cannot be read (IsADirectoryError)."


def test_paths_are_relative_to_the_file_absolute_or_inside_a_package(project: TinyProject) -> None:
    settings: Settings = project.settings()
    assert settings.path("data/a.csv") == project.folder / "data" / "a.csv"
    assert settings.path("/data/a.csv") == Path("/data/a.csv")
    import pydantic

    assert settings.path("package:pydantic/main.py") == Path(pydantic.__file__).parent / "main.py"


@pytest.mark.parametrize("package", ["no_such_package", "no_such_package.inner", ""])
def test_a_package_that_is_not_installed(project: TinyProject, package: str) -> None:
    with pytest.raises(UsageError, match=f"The package '{package}' is not installed"):
        project.settings().path(f"package:{package}/a.csv")


def test_settings_do_not_change(project: TinyProject) -> None:
    with pytest.raises(Exception, match="frozen"):
        project.settings().project.name = "other"  # type: ignore[misc]
