"""Tables kept between runs: what is read again, what is added, and that a failure loses nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from features.contract.profiles import Profiles, load_profiles
from features.definitions import feature_set
from features.engine.build import build_features
from features.engine.store import SnapshotStore
from kernel.errors import BusyError, DataError
from kernel.settings import Settings
from tests.histories import bits
from tests.projects import TinyProject, rows

KEPT = """
[sources]
people = "people.parquet"
sales = "sales/*.parquet"

[tables.customers]
from = "people"
columns = { customer_id = "id" }
attributes = { age = "age" }

[tables.transactions]
from = "sales"

[tables.transactions.columns]
customer_id = "id"
transaction_id = "receipt"
line_id = "line"
event_time = "at"
amount = "paid"
category = "kind"

[engine]
keep_tables = KEEP
"""


class Shop:
    """A project whose sales come as one file a day."""

    def __init__(self, folder: Path) -> None:
        self.project = TinyProject(folder)
        (folder / "sales").mkdir()
        self.people({"anna": 30.0, "bert": 40.0})
        self.day(1, [("anna", "r1", 12.5, "tea"), ("bert", "r2", 7.0, "rice")])
        self.day(2, [("anna", "r3", 5.0, "tea")])

    def people(self, ages: dict[str, float]) -> None:
        self.project.parquet("people.parquet", pd.DataFrame({"id": list(ages), "age": list(ages.values())}))

    def day(self, day: int, sales: list[tuple[str, str, float, str]]) -> None:
        frame = pd.DataFrame(sales, columns=["id", "receipt", "paid", "kind"]).assign(
            at=pd.Timestamp(2024, 1, day, 10), line="1"
        )
        self.project.parquet(f"sales/{day:02}.parquet", frame)

    def settings(self, tables: str = KEPT, *, keep: bool = True) -> Settings:
        return self.project.settings(tables.replace("KEEP", str(keep).lower()))

    def load(self, *, keep: bool = True) -> Profiles:
        return load_profiles(self.settings(keep=keep))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def everything(profiles: Profiles) -> list[object]:
    names = ("customers", "transactions", "activities", "subscriptions")
    return [sorted(map(str, rows(profiles, f"SELECT * FROM {name}"))) for name in names]


def same_as_read_anew(shop: Shop) -> Profiles:
    kept = shop.load()
    with shop.load(keep=False) as anew:
        assert everything(kept) == everything(anew)
        assert (kept.attributes, kept.mapped) == (anew.attributes, anew.mapped)
    return kept


def test_tables_that_have_not_changed_are_not_read(shop: Shop) -> None:
    with shop.load() as first:
        lineage = first.lineage
        wanted = everything(first)
    for file in (shop.project.folder / "sales").iterdir():
        size, times = file.stat().st_size, file.stat()
        file.write_bytes(b"x" * size)  # unreadable, yet the same by name, size and time
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    with shop.load() as second:
        assert (second.lineage, second.version) == (lineage, 0)
        assert everything(second) == wanted


def test_a_new_file_is_added(shop: Shop) -> None:
    with shop.load() as first:
        lineage = first.lineage
    shop.day(3, [("bert", "r4", 9.0, "soap")])
    shop.people({"anna": 31.0, "bert": 40.0, "cleo": 50.0})
    with same_as_read_anew(shop) as grown:
        assert (grown.lineage, grown.version) == (lineage, 1)


@pytest.mark.parametrize("change", ["a changed file", "a file less", "another mapping", "a cancelled order"])
def test_any_other_change_reads_everything(shop: Shop, change: str) -> None:
    with shop.load() as first:
        lineage = first.lineage
    if change == "a changed file":
        shop.day(2, [("anna", "r3", 50.0, "tea")])
    elif change == "a file less":
        (shop.project.folder / "sales" / "02.parquet").unlink()
    elif change == "another mapping":
        settings = shop.settings(KEPT.replace('amount = "paid"', 'amount = "paid * 2"'))
        with load_profiles(settings) as doubled:
            assert doubled.lineage != lineage
            assert rows(doubled, "SELECT sum(amount) FROM transactions") == [(49,)]
        return
    else:
        tables = KEPT.replace('category = "kind"', 'status = "kind"')
        with load_profiles(shop.settings(tables)) as first:
            lineage = first.lineage
        shop.day(3, [("anna", "r1", 12.5, "cancelled")])
        with load_profiles(shop.settings(tables)) as again:
            assert again.lineage != lineage
            assert rows(again, "SELECT sum(amount) FROM transactions") == [(12,)]  # the order is taken back
        return
    with same_as_read_anew(shop) as read:
        assert read.lineage != lineage


def test_a_row_that_was_read_before_is_refused_and_nothing_is_lost(shop: Shop) -> None:
    with shop.load() as first:
        wanted = everything(first)
    shop.day(3, [("bert", "r4", 9.0, "soap"), ("anna", "r1", 12.5, "tea")])
    with pytest.raises(DataError, match="1 rows of new files share their key"):
        shop.load()
    (shop.project.folder / "sales" / "03.parquet").unlink()
    with shop.load() as again:
        assert everything(again) == wanted


def test_new_tables_that_fail_leave_the_old_ones(shop: Shop) -> None:
    with shop.load() as first:
        lineage = first.lineage
    people = shop.project.folder / "people.parquet"
    good, seen = people.read_bytes(), people.stat()
    (shop.project.folder / "sales" / "02.parquet").rename(shop.project.folder / "02")
    people.write_bytes(b"no Parquet")
    with pytest.raises(DataError):
        shop.load()
    (shop.project.folder / "02").rename(shop.project.folder / "sales" / "02.parquet")
    people.write_bytes(good)
    os.utime(people, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    with shop.load() as again:
        assert again.lineage == lineage


def test_one_process_at_a_time(shop: Shop) -> None:
    shop.settings()
    code = (
        "import sys; from kernel.settings import load_settings; from features.contract.profiles import load_profiles\n"
        f"p = load_profiles(load_settings({str(shop.project.folder)!r})); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(BusyError, match="open in another process"):
            shop.load()
        other.communicate("")
    with shop.load() as after:
        assert after.count("transactions") == 3


def test_a_snapshot_is_computed_from_the_one_before(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import features.engine.store as module

    store = SnapshotStore(tmp_path / "state")
    used: list[datetime] = []
    real = module.advance

    def seen(*args: object) -> object:
        used.append(args[3].as_of)  # type: ignore[attr-defined]
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "advance", seen)
    first, second = datetime(2024, 1, 3, tzinfo=UTC), datetime(2024, 1, 4, tzinfo=UTC)
    with shop.load() as profiles:
        features = feature_set(profiles.attributes)
        store.build(profiles, features, first, write=store.writer())
    shop.day(3, [("bert", "r4", 9.0, "soap")])
    shop.people({"anna": 31.0, "bert": 40.0, "cleo": 50.0})
    with shop.load() as grown:
        found = store.build(grown, features, second, write=store.writer())
        assert used == [first]
        assert bits(found.features) == bits(build_features(grown, features, second))
    with shop.load(keep=False) as anew:
        assert found.manifest.fingerprint == anew.fingerprint(second)
        assert bits(found.features) == bits(build_features(anew, features, second))


def test_rows_that_were_left_out_shift_nothing(shop: Shop, tmp_path: Path) -> None:
    """Rows without a required value are deleted while the tables are read: row numbers then have gaps."""
    nameless = [("", f"x{i}", 1.0, "tea") for i in range(5)]
    shop.day(1, [*nameless, ("anna", "r1", 12.5, "tea"), ("bert", "r2", 7.0, "rice")])
    store = SnapshotStore(tmp_path / "state")
    first, second = datetime(2024, 1, 3, tzinfo=UTC), datetime(2024, 1, 4, tzinfo=UTC)
    with shop.load() as profiles:
        features = feature_set(profiles.attributes)
        store.build(profiles, features, first, write=store.writer())
    shop.day(3, [*nameless, ("bert", "r4", 9.0, "soap"), ("anna", "r5", 2.0, "tea")])
    with shop.load() as grown, shop.load(keep=False) as anew:
        assert grown.fingerprint(second) == anew.fingerprint(second)
        wanted = bits(build_features(anew, features, second))
        assert bits(build_features(grown, features, second)) == wanted
        assert bits(store.build(grown, features, second, write=store.writer()).features) == wanted
