"""What ``foresight doctor`` looks at in a project: sources, models, features in service, databases, catalogue."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from features.contract.sources import source_files
from features.definitions import project_features
from features.engine.manifest import SnapshotManifest
from features.engine.online import OnlineStore
from features.engine.store import SnapshotStore
from foresight.doctor import Check, Examination, State
from kernel.artefacts import FeatureColumn
from kernel.churn_predictor import ChurnPredictor
from kernel.clock import utc_now
from kernel.errors import NotFoundError
from kernel.model_registry import ModelRegistry
from kernel.settings import Settings, SourceSettings
from kernel.sql import checked_url, open_sql, sqlite_file, writing
from kernel.uplift_predictor import UpliftPredictor
from kernel.value_predictor import ValuePredictor
from serving.runtime import open_catalogue

_OLD = timedelta(days=8)
_LITTLE_BYTES, _TOO_LITTLE_BYTES = 2_000_000_000, 200_000_000
_OLDEST_POSTGRES = 120000
_LOADERS: dict[str, Callable[[Path], ChurnPredictor | ValuePredictor | UpliftPredictor]] = {
    "churn": ChurnPredictor.load,
    "value": ValuePredictor.load,
    "uplift": UpliftPredictor.load,
}


def sources(settings: Settings) -> Iterator[Check]:
    """Every source can be opened; ``foresight check`` reads them whole."""
    for name, source in settings.sources.items():
        yield _source(settings, f"source {name}", source)


def _source(settings: Settings, name: str, source: SourceSettings) -> Check:
    if source.postgres is not None:
        import psycopg

        try:
            with psycopg.connect(source.postgres, connect_timeout=5) as connection:
                connection.execute("SELECT 1")
        except psycopg.Error as error:
            return _fail(name, f"The database cannot be reached ({type(error).__name__}).", "Check its address.")
        return _ok(name, "the database answers")
    files = source_files(settings, source) if source.duckdb is None else [settings.path(source.duckdb)]
    if not files:
        return _fail(name, "No file matches its path.", "Correct the path; it is relative to the TOML file.")
    for file in files:
        try:
            if file.suffix == ".parquet":
                pq.read_schema(file)
            else:
                with file.open("rb") as opened:
                    opened.read(1)
        except (OSError, ValueError) as error:
            return _fail(
                name, f"{file.name} cannot be read ({type(error).__name__}).", "Check the file and its rights."
            )
    return _ok(name, f"{len(files)} {'file' if len(files) == 1 else 'files'}")


def models(settings: Settings) -> Iterator[Check]:
    """The champions are there, load, and find the features they were trained on in service."""
    registry = ModelRegistry.of(settings)
    manifest = _in_service(settings)
    for kind, load in _LOADERS.items():
        name = settings.model_name(kind)
        version = registry.champion(name) if kind == "uplift" else registry.require(name)
        if version is None:
            yield _ok(f"model {kind}", "none was trained; decisions go by the catalogue's assumptions")
            continue
        model = load(registry.download(version))
        yield _ok(f"model {kind}", f"{version} of {model.manifest.as_of:%Y-%m-%d} loads")
        if manifest is not None:
            yield _inputs(f"features of {version}", model.manifest.columns, manifest)


def _inputs(name: str, columns: Iterable[FeatureColumn], manifest: SnapshotManifest) -> Check:
    stored = manifest.feature_versions
    wanted = {column.name: column.version for column in columns}
    missing = sorted(wanted.keys() - stored.keys())
    if missing:
        return _fail(name, f"{len(missing)} are not in service: {', '.join(missing[:5])}.", "Run foresight score.")
    changed = sorted(one for one, version in wanted.items() if stored[one] != version)
    if changed:
        return _fail(name, f"{len(changed)} have another meaning by now: {', '.join(changed[:5])}.", "Train again.")
    return _ok(name, f"all {len(wanted)} are in service")


def features(settings: Settings) -> Iterator[Check]:
    """The features in service: there, of the newest snapshot that was published, and not old."""
    manifest = _in_service(settings)
    if manifest is None:
        yield _fail("features", "No features are in service.", "Run foresight score.")
        return
    age = utc_now() - manifest.as_of
    said = f"{manifest.customers:,} customers as of {manifest.as_of:%Y-%m-%d}"
    old = f"{said}: {age.days} days old"
    yield _warn("features", old, "Run foresight score every night.") if age > _OLD else _ok("features", said)
    published = SnapshotStore.of(settings).current_id()
    if published is None:
        yield _warn("online store", "Its snapshot is not in the state folder.", "Run foresight score.")
    elif published != manifest.id:
        yield _fail("online store", f"It holds {manifest.id}, and {published} was published.", "Run foresight score.")
    else:
        yield _ok("online store", f"holds the published snapshot {published}")


def _in_service(settings: Settings) -> SnapshotManifest | None:
    try:
        with OnlineStore.of(settings) as store:
            return store.current_manifest()
    except NotFoundError:
        return None


def databases(settings: Settings) -> Iterator[Check]:
    """Both databases answer and can be written to; the disk below has room."""
    for key, address in {"state.url": settings.state_url, "state.online_url": settings.online_url}.items():
        url = checked_url(address, f"foresight.toml: {key}")
        file = sqlite_file(url)
        if file is not None and not file.exists():
            yield _warn(f"database {key}", "It is not there yet.", "foresight serve and foresight score make it.")
            continue
        engine = open_sql(url, pragmas={"busy_timeout": "2000"}, connect_args={"connect_timeout": 5})
        try:
            yield _database(f"database {key}", engine)
        except SQLAlchemyError as error:
            yield _fail(
                f"database {key}",
                f"It cannot be reached or written to ({type(error).__name__}).",
                "Check that it runs, its address, and that this user may write.",
            )
        finally:
            engine.dispose()
    yield _room(settings.state_folder)


def _database(name: str, engine: Engine) -> Check:
    probe = text("CREATE TABLE foresight_doctor (a INTEGER)")
    with writing(engine) as connection:
        connection.execute(probe)
        connection.rollback()
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            mode = str(connection.execute(text("PRAGMA journal_mode")).scalar_one())
            if mode != "wal":
                return _warn(name, f"SQLite keeps its journal as '{mode}'.", "Start the service once: it sets WAL.")
            return _ok(name, "SQLite, WAL, can be written to")
        number = int(connection.execute(text("SHOW server_version_num")).scalar_one())
        ahead = connection.execute(text("SELECT clock_timestamp()")).scalar_one() - utc_now()
    if number < _OLDEST_POSTGRES:
        return _fail(name, f"PostgreSQL {number // 10000} is too old.", "Use 12 or newer.")
    if abs(ahead) > timedelta(seconds=5):
        return _warn(name, f"Its clock differs by {abs(ahead).total_seconds():.0f} s.", "Set both by NTP.")
    return _ok(name, f"PostgreSQL {number // 10000}, can be written to")


def _room(folder: Path) -> Check:
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free
    said = f"{free / 1e9:.1f} GB free below the state folder"
    if free < _TOO_LITTLE_BYTES:
        return _fail("disk", said, "Free some: without room no decision can be kept.")
    return _warn("disk", said, "Free some, or move [state] folder.") if free < _LITTLE_BYTES else _ok("disk", said)


def catalogue(settings: Settings) -> Iterator[Check]:
    """The action catalogue fits the features in service."""
    manifest = _in_service(settings)
    if settings.actions.catalogue is None:
        yield _warn("catalogue", "There is none, so that nothing is recommended.", "Name one: [actions] catalogue.")
        return
    defined = project_features(settings, {} if manifest is None else manifest.attributes)
    found = open_catalogue(settings, defined if manifest is None else defined.only(manifest.feature_versions))
    assert found is not None
    yield _ok("catalogue", f"{len(found.actions)} actions")


def _ok(name: str, found: str) -> Check:
    return Check(name, State.OK, found)


def _warn(name: str, found: str, fix: str) -> Check:
    return Check(name, State.WARN, found, fix)


def _fail(name: str, found: str, fix: str) -> Check:
    return Check(name, State.FAIL, found, fix)


OF_THE_PROJECT: dict[str, Examination] = {
    "sources": sources,
    "features": features,
    "models": models,
    "catalogue": catalogue,
    "databases": databases,
}
