"""Unified profiles: the semantic tables, typed and checked, inside an embedded DuckDB."""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

import duckdb
import pandas as pd

from features.contract import mapping
from features.contract.checks import check_filled, check_key, future, left_out, naive, orphans
from features.contract.consent import drop_without_consent, without_consent
from features.contract.currencies import check_rates
from features.contract.database import RequestDatabase, Scratch, open_database
from features.contract.findings import Finding
from features.contract.frames import register, typed_frame
from features.contract.orders import day_findings, order_findings
from features.contract.policies import Policies, apply_policies
from features.contract.sources import SCHEMA, close_sources, open_sources, quoted, without_values
from features.contract.tables import CUSTOMERS, RATES, TABLES, TRANSACTIONS, Kind, SemanticTable
from kernel.errors import DataError, NotEnoughDataError, UsageError, did_you_mean
from kernel.settings import EngineSettings, Settings


@dataclass(frozen=True)
class Profiles:
    """The semantic tables of one project.

    Attributes:
        attributes: customer attribute -> "string" or "float64".
        timezone: IANA zone of calendar days.
        findings: what is wrong or thin in the tables.
        mapped: semantic table -> the columns of the contract that the project fills: those that some mapping of the
            table fills; of frames, the columns that a frame has. A table that nobody gave is absent.
        database: what goes with the connection when the profiles are closed.
        version: of the customers' rows; rises when kept tables are brought up to date.
        lineage: the name of tables that only ever grew; None where that is not known.
        engine: what computes their features, with every path resolved; a profile in a request is never Spark's.

    The connection holds the tables customers, transactions, activities and subscriptions (empty where unmapped).
    Every cursor sees the same tables, so one thread may use one cursor each.
    """

    connection: duckdb.DuckDBPyConnection
    attributes: dict[str, str]
    timezone: str
    findings: tuple[Finding, ...] = ()
    mapped: dict[str, frozenset[str]] = field(default_factory=dict)
    database: Scratch | RequestDatabase | None = None
    engine: EngineSettings = field(default_factory=EngineSettings)
    version: int = 0
    lineage: str | None = None

    def __enter__(self) -> Profiles:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of memory and of the scratch file; without it they go with the process."""
        self.connection.close()
        if self.database is not None:
            self.database.close()

    def count(self, table: str) -> int:
        """Number of rows of a semantic table."""
        return int(self._value(f"SELECT count(*) FROM {quoted(table)}"))

    def end(self, table: str) -> int:
        """The row number (``rowid``) behind the last row; rows that are added later have it or a higher one."""
        return int(self._value(f"SELECT coalesce(max(rowid) + 1, 0) FROM {quoted(table)}"))

    def span(self, known_at: datetime | None = None) -> tuple[datetime, datetime]:
        """First and last ``event_time`` (UTC, naive) of the transactions, or of those known at a moment.

        Raises:
            NotEnoughDataError: no transaction was known then.
        """
        known, parameters = ("", {}) if known_at is None else (_known(TRANSACTIONS), {"known_at": naive(known_at)})
        sql = f"SELECT min(event_time), max(event_time) FROM transactions {known}"
        row = self.connection.cursor().execute(sql, parameters).fetchone()
        if row is None or row[0] is None:
            raise NotEnoughDataError(
                "No transaction was known then." if known_at else "There is no transaction.",
                where="transactions",
                fix="Name a later date, or bring older transactions.",
            )
        return row[0], row[1]

    def without_consent(self) -> frozenset[str]:
        """Customers who may not be profiled; nothing is kept of them but this."""
        rows = self.connection.cursor().execute("SELECT customer_id FROM customers WHERE NOT consent").fetchall()
        return frozenset(row[0] for row in rows)

    def fingerprint(self, known_at: datetime) -> str:
        """A hash of everything known at a moment: equal tables, in any row order, give equal text."""
        with _REMEMBERING:
            parts = [self._hashes(name, table, naive(known_at)) for name, table in TABLES.items()]
        return f"{abs(hash_text('|'.join(map(str, parts)))):032x}"

    def _hashes(self, name: str, table: SemanticTable, known_at: datetime) -> int:
        """Sum of the hashes of the rows known at a moment; a later moment adds to what is remembered of an earlier."""
        cursor = self.connection.cursor()
        if not table.timed:
            return self._value(f"SELECT {_HASHES} FROM {name} t {_known(table)}", known_at)
        rows = self.end(name)
        cursor.execute(_REMEMBERED)
        before = cursor.execute(
            "SELECT known_at, rows, hashes FROM fingerprints WHERE name = $name AND known_at <= $known_at "
            "AND rows <= $rows ORDER BY known_at DESC, rows DESC LIMIT 1",
            {"name": name, "known_at": known_at, "rows": rows},
        ).fetchone()
        then, seen, hashes = before or (datetime.min, 0, 0)
        found = cursor.execute(
            f"SELECT {_HASHES} FROM {name} t {_known(table)} "
            "AND (rowid >= $seen OR event_time >= $then OR ingested_at > $then)",
            {"known_at": known_at, "seen": seen, "then": then},
        ).fetchone()
        assert found is not None
        total = hashes + found[0]
        if (then, seen) != (known_at, rows):
            cursor.execute("INSERT INTO fingerprints VALUES (?, ?, ?, ?)", [name, known_at, rows, total])
        return total

    def _value(self, sql: str, known_at: datetime | None = None) -> int:
        parameters = {} if known_at is None or "$known_at" not in sql else {"known_at": naive(known_at)}
        row = self.connection.cursor().execute(sql, parameters).fetchone()
        assert row is not None
        return row[0]


_HASHES = "coalesce(sum(hash(t)::HUGEINT), 0)"
_REMEMBERING = Lock()  # two threads must not make the table of what is remembered at once
_REMEMBERED = "CREATE TABLE IF NOT EXISTS fingerprints (name VARCHAR, known_at TIMESTAMP, rows BIGINT, hashes HUGEINT)"


def hash_text(text: str) -> int:
    """A stable 128-bit number of a text."""
    import hashlib

    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")


def _known(table: SemanticTable) -> str:
    if table.timed:
        return "WHERE event_time < $known_at AND ingested_at <= $known_at"
    return "WHERE created_at IS NULL OR created_at < $known_at"


def load_profiles(settings: Settings, *, now: datetime | None = None) -> Profiles:
    """Read every mapped table into the contract's types.

    Args:
        settings: the project.
        now: the present, by the caller's clock; rows dated after it are then counted as a finding. UTC where naive.

    Raises:
        UsageError: the configuration names something that does not exist, or the memory limit is too low.
        DataError: values of a wrong type, duplicate keys, an empty required table, money that cannot be converted.
    """
    if settings.engine.keep_tables:
        from features.contract.kept import load_kept  # which builds on this module

        return load_kept(settings, now, load_profiles, lambda database, of: _loaded(database, None, of, None))
    connection, scratch = open_database(settings)
    try:
        return _loaded(connection, scratch, settings, now)
    except BaseException as error:
        connection.close()
        scratch.close()
        # Whatever was read when memory ended is not to blame.
        if any(isinstance(one, duckdb.OutOfMemoryException) for one in (error, error.__cause__)):
            raise UsageError(
                "The tables need more memory than there is.",
                where=f"{settings.file}: engine.memory_limit",
                fix="Raise memory_limit, or write threads = 1 under [engine].",
            ) from error
        raise


def _loaded(
    connection: duckdb.DuckDBPyConnection, scratch: Scratch | None, settings: Settings, now: datetime | None
) -> Profiles:
    _check_names(settings)
    open_sources(connection, settings)
    settling = _Settling(connection, Policies.of(settings), str(settings.file))
    attributes: dict[str, str] = {}
    findings: list[Finding] = []
    mapped: dict[str, frozenset[str]] = {}
    for table in (RATES, *TABLES.values()):
        resolved = _resolved(connection, table, settings)
        attributes |= {
            name: "float64" if name in one.numeric_attributes else "string"
            for one in resolved
            for name in one.entry.attributes
        }
        _fill(connection, table, [one.select() for one in resolved], attributes)
        connection.execute("SET search_path = 'main'")
        if resolved:
            columns = [frozenset(one.entry.columns) for one in resolved]
            mapped[table.name] = frozenset.union(*columns)
            check_filled(connection, table, settling.where)
            findings += settling.settle(table, frozenset.intersection(*columns), attributes)
    close_sources(connection, settings)
    connection.execute("DROP TABLE rates")
    mapped.pop(RATES.name, None)
    findings += order_findings(connection) + day_findings(connection, settings.project.timezone)
    findings += [finding for table in TABLES.values() for finding in orphans(connection, table)]
    if now is not None:
        findings += [finding for table in TABLES.values() for finding in future(connection, table, now)]
    # A result that was read in part keeps its transaction open, and with it the memory of every table dropped later.
    connection.execute("SELECT 1").fetchall()
    engine = settings.engine.model_copy(update={"spark_tables": settings.spark_tables})
    return Profiles(connection, attributes, settings.project.timezone, tuple(findings), mapped, scratch, engine)


def _check_names(settings: Settings) -> None:
    known = (*TABLES, RATES.name)
    for name in settings.tables:
        if name not in known:
            raise UsageError(
                f"'{name}' is no semantic table.", where=f"{settings.file}: tables", fix=did_you_mean(name, known)
            )


def _resolved(connection: duckdb.DuckDBPyConnection, table: SemanticTable, settings: Settings) -> list[mapping.Mapping]:
    entries = settings.tables.get(table.name, ())
    if not entries and table.required:
        raise UsageError(
            f"The table '{table.name}' ({table.description}) is not mapped.",
            where=f"{settings.file}: tables",
            fix=f"Add a [tables.{table.name}] section; the examples show how.",
        )
    # The user's names must win while a mapping is read: a source may be called "transactions" as well.
    connection.execute(f"SET search_path = '{SCHEMA}'")
    resolved = mapping.agreed(
        [mapping.resolve(connection, settings, table, entry, i) for i, entry in enumerate(entries)]
    )
    for one in resolved:
        mapping.check_values(connection, one)
    return resolved


def profiles_from_frames(
    frames: MappingOf[str, pd.DataFrame],
    attributes: MappingOf[str, str],
    timezone: str,
    policies: Policies | None = None,
) -> Profiles:
    """Unified profiles from frames that already have the contract's columns and UTC moments: the history in a request.

    Columns that a frame lacks take the contract's default. Tables that are not given are empty. Rows without a
    required value are left out and reported, and the project's policies apply, exactly as to a file; there are no
    exchange rates here, so that amounts must be in the project's currency. ``mapped`` of the result: the columns of
    each frame that was given, even of an empty one.

    Raises:
        DataError: a required column is missing, a value does not fit its type, keys repeat, or a line is in another
            currency.
    """
    mapped = {
        name: frozenset(map(str, frame.columns)).intersection(TABLES[name].mappable)
        for name, frame in frames.items()
        if name in TABLES
    }
    database = RequestDatabase()
    settling = _Settling(
        database.connection, Policies(timezone=timezone) if policies is None else policies, where="profile"
    )
    findings: list[Finding] = []
    try:
        for table in TABLES.values():
            frame = frames.get(table.name)
            if frame is None or not len(frame):
                _fill(database.connection, table, [], attributes)
                continue
            register(database.connection, frame)
            _fill(database.connection, table, [typed_frame(database.connection, table, attributes)], attributes)
            database.connection.unregister("frame")
            findings += settling.settle(table, mapped[table.name], attributes)
    except BaseException:
        database.close()
        raise
    return Profiles(database.connection, dict(attributes), timezone, tuple(findings), mapped, database)


@dataclass
class _Settling:
    """What happens to each filled table, in the order of TABLES, wherever its rows come from."""

    connection: duckdb.DuckDBPyConnection
    policies: Policies
    where: str
    has_rates: bool = False
    refused: bool = False  # some customer may not be profiled

    def settle(self, table: SemanticTable, mapped: frozenset[str], attributes: MappingOf[str, str]) -> list[Finding]:
        if self.refused:
            drop_without_consent(self.connection, table)
        findings = left_out(self.connection, table)
        if table is RATES:
            check_rates(self.connection, self.where)
            self.has_rates = True
        if table is TRANSACTIONS:
            findings += apply_policies(self.connection, self.policies, self.where, has_rates=self.has_rates)
        check_key(self.connection, table, mapped, self.where)
        if table is CUSTOMERS:
            refusals = without_consent(self.connection, attributes)
            self.refused = bool(refusals)
            findings += refusals
        return findings


def _fill(
    connection: duckdb.DuckDBPyConnection, table: SemanticTable, selects: list[str], attributes: MappingOf[str, str]
) -> None:
    columns = [f"{column.name} {column.kind}" for column in table.columns]
    if table is CUSTOMERS:
        columns += [
            f"{quoted(name)} {'DOUBLE' if kind == 'float64' else 'VARCHAR'}" for name, kind in attributes.items()
        ]
    connection.execute(f"CREATE TABLE main.{table.name} ({', '.join(columns)})")
    for select in selects:
        try:
            connection.execute(f"INSERT INTO main.{table.name} BY NAME ({select})")
        except duckdb.Error as error:
            raise DataError(
                without_values(error), where=f"tables.{table.name}", fix="Check the values and the SQL expressions."
            ) from error


__all__ = ["Kind", "Profiles", "load_profiles", "profiles_from_frames"]
