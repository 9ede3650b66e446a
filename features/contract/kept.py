"""Tables kept between runs (``[engine] keep_tables``): a file that was read and has not changed is not read again.

New Parquet files of events are added to the tables, customers are read anew; whatever else has changed, everything is.
"""

from __future__ import annotations

import hashlib
import tempfile
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

import duckdb
from pydantic import BaseModel, ValidationError

from features.contract.checks import future, orphans
from features.contract.database import connected
from features.contract.findings import Finding
from features.contract.mapping import relation_names
from features.contract.profiles import Profiles
from features.contract.sources import source_files
from features.contract.tables import CUSTOMERS, RATES, TABLES
from kernel.errors import BusyError, DataError
from kernel.settings import Settings, SourceSettings

_EVENTS = tuple(name for name, table in TABLES.items() if table.timed)
Loader = Callable[[Settings], Profiles]
"""Reads everything into memory (``load_profiles`` without ``keep_tables``)."""
Filler = Callable[[duckdb.DuckDBPyConnection, Settings], Profiles]
"""Reads everything into a database."""


class _Kept(BaseModel):
    """What the tables were made from. ``files``: source -> (path, bytes, nanoseconds of its last change)."""

    settings: str
    lineage: str
    version: int
    files: dict[str, list[tuple[str, int, int]]]
    attributes: dict[str, str]
    mapped: dict[str, frozenset[str]]
    findings: list[dict[str, str]]


class _Anew(Exception):  # noqa: N818
    """The kept tables cannot be brought up to date."""


def load_kept(settings: Settings, now: datetime | None, load: Loader, fill: Filler) -> Profiles:
    """The tables as of the sources now, in the database of the state folder.

    Raises:
        BusyError: another process has the tables open.
        DataError, UsageError: as for tables that are not kept; what was kept before stays as it was.
    """
    place = settings.state_folder / "tables.duckdb"
    place.parent.mkdir(parents=True, exist_ok=True)
    files = {name: _files(settings, source) for name, source in settings.sources.items()}
    connection = _open(place, settings)
    try:
        kept = _state(connection, settings)
        if kept is None:
            raise _Anew
        if kept.files != files:
            kept = _grown(connection, settings, kept, files, load)
    except _Anew:
        connection.close()
        return _all(place, settings, files, now, fill)
    except BaseException:
        connection.close()
        raise
    found = [Finding.from_dict(row) for row in kept.findings]
    found += [f for table in TABLES.values() for f in orphans(connection, table)]
    found += [f for table in TABLES.values() for f in (future(connection, table, now) if now else ())]
    return _profiles(connection, settings, kept, found)


def _all(
    place: Path, settings: Settings, files: dict[str, list[tuple[str, int, int]]], now: datetime | None, fill: Filler
) -> Profiles:
    # Beside the old ones, which stay until the new ones are whole.
    unfinished = place.with_name("tables.unfinished.duckdb")
    unfinished.unlink(missing_ok=True)
    connection = _open(unfinished, settings)
    try:
        filled = fill(connection, settings)
        kept = _Kept(
            settings=_digest(settings),
            lineage=uuid.uuid4().hex,
            version=0,
            files=files,
            attributes=filled.attributes,
            mapped=filled.mapped,
            findings=[f.to_dict() for f in filled.findings if f.code != "D102"],
        )
        _remember(connection, kept)
    except BaseException:
        connection.close()
        unfinished.unlink(missing_ok=True)
        raise
    connection.close()
    unfinished.replace(place)
    connection = _open(place, settings)
    late = [f for table in TABLES.values() for f in (future(connection, table, now) if now else ())]
    return _profiles(connection, settings, kept, [*filled.findings, *late])


def _grown(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    kept: _Kept,
    files: dict[str, list[tuple[str, int, int]]],
    load: Loader,
) -> _Kept:
    """Add what is new.

    Raises:
        _Anew: something else has changed as well.
    """
    new = _new_files(settings, kept.files, files)
    with tempfile.TemporaryDirectory(prefix="foresight-") as folder, load(_only(settings, new, Path(folder))) as added:
        stayed = connection.execute("SELECT customer_id FROM customers WHERE NOT consent").fetchall()
        same_consent = added.without_consent() == frozenset(row[0] for row in stayed)
        if added.attributes != kept.attributes or not same_consent or any(f.code == "P204" for f in added.findings):
            raise _Anew  # a cancelled order may be one that was read before
        connection.execute("BEGIN")
        try:
            for name in (*_EVENTS, CUSTOMERS.name):
                rows = added.connection.cursor().execute(f"SELECT * FROM {name}").to_arrow_table()
                connection.register("added", rows)
                if name == CUSTOMERS.name:
                    connection.execute("DELETE FROM customers")
                else:
                    _check_new_keys(connection, settings, name, kept)
                connection.execute(f"INSERT INTO {name} BY NAME SELECT * FROM added")
                connection.unregister("added")
            grown = kept.model_copy(
                update={
                    "version": kept.version + 1,
                    "files": files,
                    "findings": [*kept.findings, *(_of_new(f).to_dict() for f in added.findings if f.code != "D102")],
                }
            )
            _remember(connection, grown)
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    return grown


def _new_files(
    settings: Settings, before: dict[str, list[tuple[str, int, int]]], now: dict[str, list[tuple[str, int, int]]]
) -> dict[str, list[str]]:
    """Source of events -> its new files.

    Raises:
        _Anew: there are none, or a change that is none of a new Parquet file of events or of customers.
    """
    users = _users(settings)
    new: dict[str, list[str]] = {}
    for name, files in now.items():
        if files == before.get(name):
            continue
        if users[name] == {CUSTOMERS.name}:
            continue  # read anew
        more = [file for file in files if file not in before.get(name, [])]
        simple = users[name] <= set(_EVENTS) and _is_simple(settings, name)
        if len(more) + len(before.get(name, [])) != len(files) or not simple:
            raise _Anew
        new[name] = [path for path, _, _ in more]
    if settings.policies.zero_orders != "keep" or settings.policies.lines != "as_mapped":
        raise _Anew  # these look at several rows of an order
    if not any(name in new for entry in settings.tables["transactions"] for name in relation_names(entry.from_)):
        raise _Anew
    if any(not path.endswith(".parquet") for paths in new.values() for path in paths):
        raise _Anew  # the types of a text file are found from all of its rows
    return new


def _users(settings: Settings) -> dict[str, set[str]]:
    """Source -> the tables that are made from it."""
    users: dict[str, set[str]] = {name: set() for name in settings.sources}
    for table, entries in settings.tables.items():
        for entry in entries:
            for name in relation_names(entry.from_):
                if name in users:
                    users[name].add(table)
    return users


def _is_simple(settings: Settings, source: str) -> bool:
    """Whether every mapping takes the source's rows one by one."""
    entries = [entry for table in settings.tables.values() for entry in table]
    return all(entry.from_.strip() == source for entry in entries if source in relation_names(entry.from_))


def _only(settings: Settings, new: dict[str, list[str]], folder: Path) -> Settings:
    """The project with nothing but the new files of events, and all of its customers and rates."""
    sources = dict(settings.sources)
    for name, paths in new.items():
        (folder / name).mkdir()
        for number, path in enumerate(paths):
            (folder / name / f"{number}.parquet").symlink_to(path)
        sources[name] = SourceSettings(file=str(folder / name / "*.parquet"))
    tables = {
        table: tuple(e for e in entries if table in (CUSTOMERS.name, RATES.name) or e.from_.strip() in new)
        for table, entries in settings.tables.items()
    }
    engine = settings.engine.model_copy(update={"keep_tables": False})
    return settings.model_copy(
        update={"sources": sources, "tables": {t: e for t, e in tables.items() if e}, "engine": engine}
    )


def _check_new_keys(connection: duckdb.DuckDBPyConnection, settings: Settings, name: str, kept: _Kept) -> None:
    key = TABLES[name].key
    if not set(key) <= kept.mapped.get(name, frozenset()):
        return
    found = connection.execute(f"SELECT count(*) FROM added SEMI JOIN main.{name} USING ({', '.join(key)})").fetchone()
    if found is not None and found[0]:
        raise DataError(
            f"{found[0]:,} rows of new files share their key ({', '.join(key)}) with a row that was read before.",
            where=f"{settings.file}: tables.{name}",
            fix="Keep each row in one file only.",
        )


def _of_new(finding: Finding) -> Finding:
    return Finding.from_dict(finding.to_dict() | {"details": f"In new files: {finding.details}"})


def _files(settings: Settings, source: SourceSettings) -> list[tuple[str, int, int]]:
    # A database may change without a sign: it is never the same.
    if source.file is None:
        return [(uuid.uuid4().hex, 0, 0)]
    return [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in source_files(settings, source)]


def _digest(settings: Settings) -> str:
    parts: Iterable[str] = (
        settings.project.model_dump_json(),
        settings.policies.model_dump_json(),
        *(f"{name}={source.model_dump_json()}" for name, source in settings.sources.items()),
        *(f"{name}={entry.model_dump_json()}" for name, part in settings.tables.items() for entry in part),
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _state(connection: duckdb.DuckDBPyConnection, settings: Settings) -> _Kept | None:
    try:
        row = connection.execute("SELECT state FROM main.kept").fetchone()
        kept = None if row is None else _Kept.model_validate_json(row[0])
    except (duckdb.CatalogException, ValidationError):
        return None
    return kept if kept is not None and kept.settings == _digest(settings) else None


def _remember(connection: duckdb.DuckDBPyConnection, kept: _Kept) -> None:
    connection.execute("CREATE TABLE IF NOT EXISTS main.kept (state VARCHAR); DELETE FROM main.kept")
    connection.execute("INSERT INTO main.kept VALUES (?)", [kept.model_dump_json()])


def _open(place: Path, settings: Settings) -> duckdb.DuckDBPyConnection:
    try:
        return connected(place, settings)
    except duckdb.IOException as error:
        raise BusyError(
            "The kept tables are open in another process.",
            where=str(place),
            fix="Wait until it has ended; with keep_tables one process at a time reads a project's tables.",
        ) from error


def _profiles(
    connection: duckdb.DuckDBPyConnection, settings: Settings, kept: _Kept, findings: list[Finding]
) -> Profiles:
    engine = settings.engine.model_copy(update={"spark_tables": settings.spark_tables})
    return Profiles(
        connection,
        kept.attributes,
        settings.project.timezone,
        tuple(findings),
        kept.mapped,
        None,
        engine,
        kept.version,
        kept.lineage,
    )
