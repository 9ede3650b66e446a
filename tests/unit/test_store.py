"""Snapshots on disk: built once, reused while nothing changes, one in service, debris removed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from features.contract.profiles import Profiles
from features.definitions import feature_set
from features.engine import build, store
from features.engine.build import build_features, definitions_digest, write_features
from features.engine.definition import Feature, FeatureSet, Unit, View
from features.engine.lock import BusyError, locked
from features.engine.online import OnlineStore
from features.engine.provenance import source_states
from features.engine.store import SnapshotStore
from kernel.errors import NotFoundError
from tests.projects import TABLES, TinyProject
from tests.snapshots import snapshot_of

AS_OF = datetime(2024, 2, 1, tzinfo=UTC)
EARLIER = datetime(2024, 1, 6, tzinfo=UTC)
CONSENT = TABLES.replace('customer_id = "id" }\n\n[tables.tr', 'customer_id = "id", consent = "agreed" }\n\n[tables.tr')
CITY = TABLES.replace(
    'customer_id = "id" }\n\n[tables.tr', 'customer_id = "id" }\nattributes = { city = "city" }\n\n[tables.tr'
)


@pytest.fixture
def profiles(project: TinyProject) -> Profiles:
    return project.profiles()


@pytest.fixture
def snapshots(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "state", wait_seconds=0)


FEATURES = feature_set({})


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_stored_features_are_the_built_ones(profiles: Profiles, snapshots: SnapshotStore) -> None:
    stored = snapshots.publish(profiles, FEATURES, AS_OF)
    built = build_features(profiles, FEATURES, AS_OF)
    pd.testing.assert_frame_equal(stored.features, built, check_exact=True)
    chunks = list(stored.chunks(1))
    assert [list(chunk.features.index) for chunk in chunks] == [["anna"], ["bert"]]
    for chunk in chunks:
        pd.testing.assert_frame_equal(chunk.features, built.loc[chunk.features.index], check_exact=True)
        assert chunk.manifest == stored.manifest
    found = stored.look_up(["bert", "nobody", "bert"])
    pd.testing.assert_frame_equal(found.features, built.loc[["bert"]], check_exact=True)


def test_words_and_missing_values(project: TinyProject, snapshots: SnapshotStore) -> None:
    project.write("customers.csv", "id,city\nanna,Łódź\nbert,\n")
    profiles = project.profiles(CITY)
    features = feature_set(profiles.attributes)
    stored = snapshots.build(profiles, features, AS_OF)
    assert stored.features["city"].tolist() == ["Łódź", None]
    pd.testing.assert_frame_equal(stored.features, build_features(profiles, features, AS_OF), check_exact=True)


def test_consent_is_beside_the_features(project: TinyProject, snapshots: SnapshotStore) -> None:
    project.write("customers.csv", "id,agreed\nanna,true\nbert,false\ncleo,\n")
    stored = snapshots.publish(project.profiles(CONSENT), FEATURES, AS_OF)
    assert stored.consent.to_dict() == {"anna": True, "bert": False, "cleo": False}
    assert "consent" not in stored.features
    assert stored.look_up(["anna", "bert"]).consent.tolist() == [True, False]


def test_the_file_has_the_documented_columns_sorted_by_id(project: TinyProject, tmp_path: Path) -> None:
    project.write("customers.csv", "id\nzoe\nanna\nbert\nÉva\n")
    rows = write_features(project.profiles(), FEATURES, AS_OF, tmp_path / "it's.parquet")
    described = duckdb.execute("SELECT * FROM read_parquet($file)", {"file": str(tmp_path / "it's.parquet")})
    assert [column[0] for column in described.description or ()] == ["customer_id", "consent", *FEATURES.names]
    assert rows == 4
    assert [row[0] for row in described.fetchall()] == ["anna", "bert", "zoe", "Éva"]


def test_what_the_manifest_says(project: TinyProject, snapshots: SnapshotStore) -> None:
    settings, profiles = project.settings(), project.profiles()
    begin = datetime.now(UTC)
    made = snapshots.publish(profiles, FEATURES, AS_OF, sources=source_states(settings))
    manifest = made.manifest
    assert begin <= manifest.built_at <= datetime.now(UTC)
    assert 0 < manifest.seconds < 60
    assert (manifest.as_of, manifest.timezone, manifest.engine, manifest.layout) == (AS_OF, "UTC", "duckdb", 1)
    assert (manifest.customers, manifest.rows["customers"], manifest.rows["transactions"]) == (2, 2, 2)
    assert manifest.fingerprint == profiles.fingerprint(AS_OF)
    assert manifest.feature_versions == {feature.name: feature.version for feature in FEATURES}
    [sales] = manifest.sources["sales"].files
    file = project.folder / "sales.csv"
    assert (sales.name, sales.bytes) == ("sales.csv", file.stat().st_size)
    assert sales.digest == hashlib.sha256(file.read_bytes()).hexdigest()
    assert sales.modified_at.timestamp() == pytest.approx(file.stat().st_mtime, abs=1e-3)
    # Nothing of this machine leaves it with the manifest.
    assert str(project.folder) not in (made.folder / "manifest.json").read_text(encoding="utf-8")


def test_a_large_source_is_known_by_its_ends(project: TinyProject) -> None:
    file = project.folder / "sales.csv"
    content = bytearray(os.urandom(5_000_000))
    digests = []
    for place in (None, 0, 4_999_999, 2_500_000):
        changed = content.copy()
        if place is not None:
            changed[place] ^= 1
        file.write_bytes(changed)
        digests.append(source_states(project.settings())["sales"].files[0].digest)
    untouched, first, last, middle = digests
    assert len({untouched, first, last}) == 3
    assert middle == untouched


def test_no_source_tells_its_address(project: TinyProject) -> None:
    table = '[sources]\nold = { duckdb = "some/folder/old.duckdb", table = "t" }\n'
    table += 'far = { postgres = "postgresql://me:secret@host/db", table = "s.t" }\n[tables]\n'
    states = source_states(project.settings(table))
    assert states["far"].model_dump() == {"kind": "postgres", "files": (), "table": "s.t"}
    assert states["old"].model_dump() == {"kind": "duckdb", "files": (), "table": "t"}


def test_the_same_again_is_reused(profiles: Profiles, snapshots: SnapshotStore) -> None:
    first = snapshots.publish(profiles, FEATURES, AS_OF)
    before = contents(snapshots.state)
    assert snapshots.publish(profiles, FEATURES, AS_OF).manifest == first.manifest
    assert snapshots.build(profiles, FEATURES, AS_OF).manifest == first.manifest
    assert contents(snapshots.state) == before


def edited(name: str, features: FeatureSet, **changes: object) -> FeatureSet:
    return FeatureSet([replace(one, **changes) if one.name == name else one for one in features])


def one_more() -> Feature:
    return Feature(
        name="lines",
        group="test",
        view=View.LINES,
        expression=lambda rows: rows.count(),
        phrase="lines",
        unit=Unit.COUNT,
    )


@pytest.mark.parametrize(
    "changed",
    [
        edited("net_spend", FEATURES, version=2),
        edited("net_spend", FEATURES, expression=lambda rows: rows.amount.sum() * 2),
        FeatureSet([*FEATURES, one_more()]),
    ],
    ids=["a version", "an expression whose version nobody raised", "a new feature"],
)
def test_other_definitions_are_built_anew(profiles: Profiles, snapshots: SnapshotStore, changed: FeatureSet) -> None:
    first = snapshots.publish(profiles, FEATURES, AS_OF)
    other = snapshots.publish(profiles, changed, AS_OF)
    assert other.id != first.id
    assert {snapshot.id for snapshot in snapshots.list()} == {first.id, other.id}
    assert snapshots.current().id == other.id


def test_other_rows_or_another_day_are_built_anew(project: TinyProject, snapshots: SnapshotStore) -> None:
    ids = {snapshots.publish(project.profiles(), FEATURES, AS_OF).id}
    ids.add(snapshots.publish(project.profiles(timezone="Europe/Paris"), FEATURES, AS_OF).id)
    project.write("sales.csv", "id,receipt,at,paid\nanna,r1,2024-01-05 10:00:00,13\n")
    ids.add(snapshots.publish(project.profiles(), FEATURES, AS_OF).id)
    ids.add(snapshots.publish(project.profiles(), FEATURES, AS_OF + timedelta(days=1)).id)
    assert len(ids) == 4


def test_what_definitions_compile_to_is_the_same_in_every_process() -> None:
    code = (
        "from features.definitions import feature_set; from features.engine.build import definitions_digest; "
        "a = {'city': 'string', 'age': 'float64'}; print(definitions_digest(feature_set(a), a))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    attributes = {"city": "string", "age": "float64"}
    assert found == {definitions_digest(feature_set(attributes), attributes) + "\n"}


def test_finding_what_is_stored(profiles: Profiles, snapshots: SnapshotStore) -> None:
    made = snapshots.build(profiles, FEATURES, AS_OF)
    versions = {feature.name: feature.version for feature in FEATURES}
    fingerprint = profiles.fingerprint(AS_OF)
    found = snapshots.find(AS_OF, fingerprint, versions)
    assert found is not None and found.id == made.id
    digest = definitions_digest(FEATURES, profiles.attributes)
    assert snapshots.find(AS_OF, fingerprint, versions, definitions=digest, timezone="UTC") == found
    assert snapshots.find(EARLIER, fingerprint, versions) is None
    assert snapshots.find(AS_OF, "other", versions) is None
    assert snapshots.find(AS_OF, fingerprint, versions | {"net_spend": 9}) is None
    assert snapshots.find(AS_OF, fingerprint, {"net_spend": 1}) is None
    assert snapshots.find(AS_OF, fingerprint, versions, definitions="other") is None
    assert snapshots.find(AS_OF, fingerprint, versions, timezone="Europe/Paris") is None


def test_building_puts_nothing_in_service(profiles: Profiles, snapshots: SnapshotStore) -> None:
    snapshots.build(profiles, FEATURES, AS_OF)
    with pytest.raises(NotFoundError, match="Run foresight score first"):
        snapshots.current()
    published = snapshots.publish(profiles, FEATURES, EARLIER)
    snapshots.build(profiles, FEATURES, AS_OF + timedelta(days=1))
    assert snapshots.current().id == published.id


def test_reading_by_moment(profiles: Profiles, snapshots: SnapshotStore) -> None:
    snapshots.build(profiles, FEATURES, AS_OF)
    newest = snapshots.build(profiles, edited("net_spend", FEATURES, version=2), AS_OF)
    assert snapshots.read(AS_OF).id == newest.id
    assert snapshots.read(AS_OF.replace(tzinfo=None)).id == newest.id
    with pytest.raises(NotFoundError, match=r"no snapshot as of 2024-01-06T00:00:00Z\."):
        snapshots.read(EARLIER)


def test_many_snapshots_are_read_by_one_glob(profiles: Profiles, snapshots: SnapshotStore) -> None:
    for moment in (AS_OF, EARLIER):
        snapshots.build(profiles, FEATURES, moment)
    rows = duckdb.execute(
        "SELECT as_of, customer_id, net_spend::DOUBLE FROM read_parquet($glob, hive_partitioning = true) "
        "WHERE net_spend > 0 ORDER BY ALL",
        {"glob": str(snapshots.folder / "as_of=*" / "*" / "features.parquet")},
    ).fetchall()
    assert rows == [
        ("2024-01-06T000000Z", "anna", 12.5),
        ("2024-02-01T000000Z", "anna", 12.5),
        ("2024-02-01T000000Z", "bert", 7.0),
    ]


def test_a_failed_build_leaves_the_old_snapshot_and_nothing_else(profiles: Profiles, snapshots: SnapshotStore) -> None:
    old = snapshots.publish(profiles, FEATURES, EARLIER)
    before = contents(snapshots.state)

    def fail(profiles: Profiles, features: FeatureSet, as_of: datetime, file: Path) -> int:
        write_features(profiles, features, as_of, file)
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        snapshots.publish(profiles, FEATURES, AS_OF, write=fail)
    assert contents(snapshots.state) == before
    assert snapshots.current().id == old.id


def test_a_failed_load_leaves_the_old_snapshot_in_service(profiles: Profiles, snapshots: SnapshotStore) -> None:
    old = snapshots.publish(profiles, FEATURES, EARLIER)

    class Failing:
        def current_id(self) -> str | None:
            return old.id

        def load(self, snapshot: object, *, histories: object = ()) -> None:
            raise RuntimeError("database gone")

    with pytest.raises(RuntimeError, match="database gone"):
        snapshots.publish(profiles, FEATURES, AS_OF, online=Failing())
    assert snapshots.current().id == old.id
    assert len(snapshots.list()) == 2  # complete, and reused by the next attempt


def test_publishing_puts_the_rows_online(profiles: Profiles, snapshots: SnapshotStore, tmp_path: Path) -> None:
    with OnlineStore(f"sqlite:///{tmp_path / 'state' / 'online.db'}", "tiny") as online:
        made = snapshots.publish(profiles, FEATURES, AS_OF, online=online)
        assert online.current_manifest() == made.manifest
        found = online.look_up(["bert", "anna"])
        pd.testing.assert_frame_equal(found.features, made.features.loc[["bert", "anna"]], check_exact=True)
        # Stored and current, but not online: a database that was lost is filled again.
        online.close()
        (tmp_path / "state" / "online.db").unlink()
        assert online.current_id() is None
        snapshots.publish(profiles, FEATURES, AS_OF, online=online)
        assert online.current_id() == made.id


@pytest.mark.parametrize("harm", ["no manifest", "half a manifest", "no features"])
def test_an_incomplete_folder_counts_as_nothing_and_is_built_anew(
    profiles: Profiles, snapshots: SnapshotStore, harm: str
) -> None:
    made = snapshots.publish(profiles, FEATURES, AS_OF)
    manifest = made.folder / "manifest.json"
    if harm == "no manifest":
        manifest.unlink()
    elif harm == "half a manifest":
        manifest.write_text(manifest.read_text(encoding="utf-8")[:100], encoding="utf-8")
    else:
        made.file.unlink()
    assert snapshots.list() == ()
    with pytest.raises(NotFoundError, match="The snapshot is gone"):
        snapshots.current()
    again = snapshots.publish(profiles, FEATURES, AS_OF)
    assert again.id == made.id
    assert snapshots.current().manifest.customers == 2


def test_old_snapshots_go_when_another_is_published(profiles: Profiles, tmp_path: Path) -> None:
    snapshots = SnapshotStore(tmp_path / "state", keep=2)
    moments = [AS_OF + timedelta(days=days) for days in range(5)]
    first = snapshots.publish(profiles, FEATURES, moments[0])
    for moment in moments[1:4]:
        snapshots.build(profiles, FEATURES, moment)
    assert len(snapshots.list()) == 4  # training may build many cut-offs; nothing goes meanwhile
    snapshots.publish(profiles, FEATURES, moments[0])
    assert [snapshot.as_of for snapshot in snapshots.list()] == moments[:4]  # nothing was published: it was in service
    snapshots.publish(profiles, FEATURES, moments[4])
    assert [snapshot.as_of for snapshot in snapshots.list()] == moments[2:]
    assert not first.folder.parent.exists()


def test_debris_of_a_killed_build_is_removed_by_the_next(profiles: Profiles, snapshots: SnapshotStore) -> None:
    snapshots.folder.mkdir(parents=True)
    (snapshots.folder / ".unfinished-1").mkdir()
    (snapshots.folder / ".unfinished-1" / "features.parquet").write_bytes(b"half")
    (snapshots.folder / ".unfinished-2").write_text("a pointer", encoding="utf-8")
    snapshots.publish(profiles, FEATURES, AS_OF)
    assert sorted(path.name for path in snapshots.folder.iterdir()) == ["as_of=2024-02-01T000000Z", "current"]


def test_a_second_build_is_refused_with_who_and_since_when(profiles: Profiles, snapshots: SnapshotStore) -> None:
    with locked(snapshots.state / "build.lock", "building the features of 2024-02-01", wait_seconds=0):
        with pytest.raises(BusyError) as caught:
            snapshots.build(profiles, FEATURES, AS_OF)
        assert caught.value.where == str(snapshots.state)
        assert caught.value.what.startswith("The feature store is busy: building the features of 2024-02-01 since ")
        assert f"by process {os.getpid()} on " in caught.value.what
        assert caught.value.fix.endswith("[state] lock_wait_seconds.")
    snapshots.build(profiles, FEATURES, AS_OF)
    # What is stored is read without a lock.
    with locked(snapshots.state / "build.lock", "anything", wait_seconds=0):
        assert snapshots.build(profiles, FEATURES, AS_OF).as_of == AS_OF


def test_a_manifest_of_the_first_version_is_no_snapshot(snapshots: SnapshotStore) -> None:
    old = snapshots.folder / "2024-02-01T000000Z-0123456789ab"
    old.mkdir(parents=True)
    (old / "manifest.json").write_text(json.dumps({"as_of": "2024-02-01T00:00:00Z"}), encoding="utf-8")
    (snapshots.folder / "current").write_text(old.name, encoding="utf-8")
    assert snapshots.list() == ()
    with pytest.raises(NotFoundError, match="Run foresight score again"):
        snapshots.current()


def test_a_file_that_is_read_in_chunks_is_never_whole_in_memory(tmp_path: Path) -> None:
    values = np.random.default_rng(7).random((40_000, 20))  # 6.4 MB that nothing compresses
    index = pd.Index([f"c{i:05d}" for i in range(len(values))], name="customer_id", dtype="object")
    frame = pd.DataFrame(values, index=index, columns=[f"f{i}" for i in range(20)])
    snapshot = snapshot_of(tmp_path, frame, row_group=2000)
    assert snapshot.file.stat().st_size > 6_000_000
    before, most, rows = pa.total_allocated_bytes(), 0, 0
    for chunk in snapshot.chunks(500):
        rows += len(chunk.features)
        most = max(most, pa.total_allocated_bytes() - before)
    assert rows == 40_000
    assert most < 2_000_000


def test_row_groups_are_small_enough_to_be_read_one_at_a_time() -> None:
    assert build.ROW_GROUP % 2048 == 0
    assert store.write_features is write_features
