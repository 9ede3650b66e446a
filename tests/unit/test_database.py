"""The database of the tables under a limit of memory: where it lies, what it leaves, and that the numbers stay."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from features.contract.database import Scratch
from features.contract.profiles import Profiles, profiles_from_frames
from features.definitions import feature_set
from features.engine.build import build_features
from features.engine.events import forget, prepare
from kernel.clock import parse_as_of
from kernel.errors import DataError, UsageError
from tests.histories import bits
from tests.projects import TABLES, TinyProject, rows

AS_OF = parse_as_of("2024-01-01")
ROWS = 3_400_000
# MB; the table takes 560. The statement of 245 features groups in some forty ways, each with tables of its own.
FOR_READING, FOR_FEATURES = 100, 400


def limited(temp_folder: Path | str, limit: str = "100MB") -> str:
    return f'\n[engine]\nmemory_limit = "{limit}"\nthreads = 1\ntemp_folder = "{temp_folder}"\n'


def test_the_tables_lie_in_a_scratch_file_that_goes_with_them(project: TinyProject) -> None:
    with project.profiles(TABLES + limited("scratch")) as profiles:
        (folder,) = (project.folder / "scratch").iterdir()
        assert {file.name for file in folder.iterdir()} >= {"profiles.duckdb", "lock"}
        settings = (
            "SELECT current_setting('memory_limit'), current_setting('threads'), current_setting('temp_directory')"
        )
        assert rows(profiles, settings) == [("95.3 MiB", 1, str(folder / "spill"))]
        assert profiles.count("transactions") == 2
    assert list((project.folder / "scratch").iterdir()) == []


def test_without_a_limit_nothing_is_written_in_the_project(project: TinyProject) -> None:
    with project.profiles() as profiles:
        assert rows(profiles, "SELECT path FROM duckdb_databases() WHERE database_name = 'memory'") == [(None,)]
        ((spill,),) = rows(profiles, "SELECT current_setting('temp_directory')")
        folder = Path(spill).parent
        assert folder.is_dir()
        assert Path(tempfile.gettempdir()) in folder.parents
        assert not (project.folder / ".foresight").exists()
    assert not folder.exists()


def test_the_default_folder_is_within_the_state(project: TinyProject) -> None:
    with project.profiles(TABLES + '\n[engine]\nmemory_limit = "100MB"\n'):
        assert len(list((project.folder / ".foresight" / "tiny" / "tmp").iterdir())) == 1


def test_a_refused_project_leaves_nothing(project: TinyProject) -> None:
    with pytest.raises(UsageError, match="no column"):
        project.profiles(TABLES.replace("amount =", "amont =") + limited("scratch"))
    assert list((project.folder / "scratch").iterdir()) == []


def test_a_folder_that_cannot_be_written(project: TinyProject) -> None:
    with pytest.raises(UsageError) as caught:
        project.profiles(TABLES + limited("sales.csv"))
    assert caught.value.what == "The temporary folder cannot be written (FileExistsError)."
    assert caught.value.fix == "Name a folder that this user may write to."


def test_a_limit_that_is_too_low_for_anything(project: TinyProject) -> None:
    with pytest.raises(UsageError) as caught:
        project.profiles(TABLES + limited("scratch", "300KB"))
    assert caught.value.what == "The tables need more memory than there is."
    assert caught.value.where.endswith("foresight.toml: engine.memory_limit")
    assert list((project.folder / "scratch").iterdir()) == []


def test_the_folder_of_a_killed_process_goes_and_one_in_use_stays(tmp_path: Path) -> None:
    code = (
        "import os, pathlib; from features.contract.database import Scratch\n"
        f"kept = Scratch(pathlib.Path({str(tmp_path)!r})); os._exit(9)"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 9
    (abandoned,) = tmp_path.iterdir()
    one = Scratch(tmp_path)
    other = Scratch(tmp_path)
    assert not abandoned.exists()
    assert sorted(tmp_path.iterdir()) == sorted([one.folder, other.folder])
    one.close()
    assert list(tmp_path.iterdir()) == [other.folder]
    del other
    assert list(tmp_path.iterdir()) == []


def test_the_database_of_a_request_is_used_again_and_holds_nothing_of_the_last_one() -> None:
    def asked(name: str) -> Profiles:
        return profiles_from_frames({"customers": pd.DataFrame({"customer_id": [name]})}, {"city": "string"}, "UTC")

    with asked("anna") as first:
        cursor = first.connection.cursor()
        cursor.execute("CREATE TEMP VIEW seen AS SELECT * FROM customers")
        assert rows(first, "SELECT customer_id FROM customers") == [("anna",)]
    with pytest.raises(duckdb.ConnectionException):
        first.count("customers")
    first.close()  # again: it must not be lent twice
    first.close()
    with asked("bert") as second, asked("cleo") as third:
        assert rows(second, "SELECT customer_id FROM customers") == [("bert",)]
        assert rows(third, "SELECT customer_id FROM customers") == [("cleo",)]
        assert rows(second, "SELECT view_name FROM duckdb_views() WHERE view_name = 'seen'") == []


def test_what_was_prepared_for_one_request_is_not_there_for_the_next() -> None:
    """Two histories with as many rows each."""

    def spend(name: str, amount: float, category: str) -> pd.Series:
        line = {"customer_id": name, "transaction_id": "t", "event_time": pd.Timestamp("2023-12-30"), "amount": amount}
        frames = {
            "customers": pd.DataFrame({"customer_id": [name]}),
            "transactions": pd.DataFrame([line | {"category": category}]),
        }
        with profiles_from_frames(frames, {}, "UTC") as made:
            database = made.connection
            before = database.execute("SELECT count(*) FROM duckdb_types() WHERE NOT internal").fetchone()
            assert before == (0,)
            return build_features(made, feature_set({}), AS_OF)["spend_30d"]

    assert spend("anna", 3.0, "tea").to_dict() == {"anna": 3.0}
    assert spend("bert", 5.0, "rice").to_dict() == {"bert": 5.0}


def test_a_refused_request_does_not_spoil_the_next_one() -> None:
    double = pd.DataFrame({"customer_id": ["anna", "anna"]})
    for _ in range(3):
        with pytest.raises(DataError, match="share their key"):
            profiles_from_frames({"customers": double}, {}, "UTC")
    with profiles_from_frames({"customers": double.head(1)}, {}, "UTC") as made:
        assert made.count("customers") == 1


def test_requests_at_once_do_not_see_each_other() -> None:
    def ask(number: int) -> list[tuple[str]]:
        frame = pd.DataFrame({"customer_id": [f"customer-{number}"]})
        with profiles_from_frames({"customers": frame}, {}, "UTC") as made:
            return rows(made, "SELECT customer_id FROM customers")

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(40))) == [[(f"customer-{i}",)] for i in range(40)]


def test_a_table_larger_than_memory_gives_the_same_numbers(project: TinyProject) -> None:
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT 'customer-' || i AS id FROM range(20000) t(i)) TO '{project.folder}/customers.parquet'"
        )
        connection.execute(
            "COPY (SELECT 'customer-' || hash(i) % 20000 AS id, 'receipt-number-' || i // 3 AS receipt, "
            "TIMESTAMP '2022-06-01' + to_seconds((i // 3) * 70 + (hash(i // 3) % 60)::BIGINT) AS \"at\", "
            "((hash(i + 7) % 20000)::BIGINT - 500)::DECIMAL(18, 4) / 100 AS paid, "
            "'product-' || hash(i + 1) % 3000 AS product, 'category-' || hash(i + 2) % 40 AS kind "
            f"FROM range({ROWS}) t(i)) TO '{project.folder}/sales.parquet'"
        )
    tables = TABLES.replace(".csv", ".parquet").replace(
        'amount = "paid"', 'amount = "paid", product_id = "product", category = "kind"'
    )
    with project.profiles(tables) as profiles:
        assert _bytes_in_memory(profiles) > 1.3 * FOR_FEATURES * 1e6 > 3 * FOR_READING * 1e6
        fingerprint, wanted = profiles.fingerprint(AS_OF), bits(build_features(profiles, feature_set({}), AS_OF))
        assert len(wanted["customer_id"]) == 20_000
    with project.profiles(tables + limited("scratch", f"{FOR_READING}MB")) as profiles:
        assert (profiles.count("transactions"), profiles.fingerprint(AS_OF)) == (ROWS, fingerprint)
    with project.profiles(tables + limited("scratch", f"{FOR_FEATURES}MB")) as profiles:
        assert bits(build_features(profiles, feature_set({}), AS_OF)) == wanted


def _bytes_in_memory(profiles: Profiles) -> int:
    return rows(profiles, "SELECT memory_usage_bytes FROM duckdb_memory() WHERE tag = 'IN_MEMORY_TABLE'")[0][0]


def test_a_lent_database_is_empty_again_whatever_was_made_in_it() -> None:
    """Features prepare tables of their own: equal counts of rows must not bring back those of another request."""
    found: list[float] = []
    for amount in (1.0, 2.0):
        line = {"customer_id": "anna", "transaction_id": "r", "event_time": AS_OF - timedelta(days=1), "amount": amount}
        frames = {"customers": pd.DataFrame({"customer_id": ["anna"]}), "transactions": pd.DataFrame([line])}
        with profiles_from_frames(frames, {}, "UTC") as profiles:
            found.append(build_features(profiles, feature_set({}), AS_OF).at["anna", "net_spend"])
    assert found == [1.0, 2.0]


def test_what_is_forgotten_leaves_memory(project: TinyProject) -> None:
    lines = "".join(f"anna,r{i},2023-0{1 + i % 9}-11 10:00:00,{i}\n" for i in range(20_000))
    (project.folder / "sales.csv").write_text("id,receipt,at,paid\n" + lines, encoding="utf-8")
    with project.profiles() as profiles:
        used: list[int] = []
        for _ in range(4):
            prepare(profiles)
            forget(profiles)
            [(found,)] = rows(profiles, "SELECT CAST(sum(memory_usage_bytes) AS BIGINT) FROM duckdb_memory()")
            used.append(found)
    assert used[3] < 1.1 * used[0]
