"""The registry's SQLite file itself: made whole or not at all, and moved together with its folder.

MLflow writes absolute paths into it, so that a copied or renamed folder would read the files of the old place, or none.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from kernel.errors import RegistryError

CREATION_SECONDS = 120.0
BUSY_SECONDS = 20.0  # as long as MLflow itself waits for another writer
PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)


@dataclass(frozen=True)
class AliasedVersion:
    """What an alias of a registered model points at; ``place`` is the folder, or the URL, of the version's files."""

    name: str
    alias: str
    version: int
    run_id: str
    place: str


@dataclass(frozen=True)
class RegistryDatabase:
    """``mlflow.db`` and ``artifacts/`` in one folder."""

    folder: Path

    @property
    def file(self) -> Path:
        """The SQLite file."""
        return self.folder / "mlflow.db"

    @property
    def artifacts(self) -> Path:
        """Where the files of all runs and models are."""
        return self.folder / "artifacts"

    @property
    def uri(self) -> str:
        """As MLflow names it."""
        return f"sqlite:///{self.file}"

    def create(self, initialise: Callable[[str], None]) -> None:
        """Make the database unless it is there; ``initialise`` fills the one at the URI it is given.

        Two processes at once: the second waits for the first. A process killed half-way leaves no database.

        Raises:
            RegistryError: the folder cannot be made, or another process takes too long.
        """
        unfit = sorted(set(str(self.folder)) & set("%?#"))
        if unfit:
            raise RegistryError(
                f"The registry's folder has a '{unfit[0]}' in its path, which a database address cannot hold.",
                where=str(self.folder),
                fix="Set another folder in the section [registry].",
            )
        try:
            self.artifacts.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RegistryError(
                f"The registry's folder cannot be made ({type(error).__name__}).",
                where=str(self.folder),
                fix="Set another folder in the section [registry].",
            ) from error
        with self._exclusive():
            if self.file.exists():
                return
            unfinished = self.folder / "mlflow.db.unfinished"
            unfinished.unlink(missing_ok=True)
            initialise(f"sqlite:///{unfinished}")
            with closing(sqlite3.connect(unfinished)) as connection, connection:
                # MLflow puts its own default experiment into the current directory.
                connection.execute("UPDATE experiments SET artifact_location = ?", (str(self.artifacts / "default"),))
            unfinished.replace(self.file)

    def former_folders(self) -> tuple[Path, ...]:
        """Folders in which the database still believes its models to be, other than its own."""
        with self._connected() as connection:
            rows = connection.execute(
                "SELECT DISTINCT artifact_location FROM experiments JOIN experiment_tags USING (experiment_id)"
                " WHERE key = 'project'"
            ).fetchall()
        folders = {Path(location).parent.parent for (location,) in rows}
        return tuple(sorted(folders - {self.folder}))

    def aliased(self) -> tuple[AliasedVersion, ...]:
        """What all aliases of all models point at, as of one moment.

        Raises:
            RegistryError: the database does not answer.
        """
        with self._connected() as connection:
            rows = connection.execute(
                "SELECT name, alias, version, run_id, storage_location FROM registered_model_aliases"
                " JOIN model_versions USING (workspace, name, version)"
            )
            return tuple(AliasedVersion(*row) for row in rows)

    def relocate(self) -> int:
        """Write this folder's place over the former ones, in one transaction; the number of changed values.

        Raises:
            RegistryError: a model's files are not in this folder either; nothing is changed then.
        """
        changed = 0
        with self._connected() as connection, connection:
            for former in self.former_folders():
                changed += sum(self._rewrite(connection, former, *place) for place in PLACES)
            self._check_files(connection)
        return changed

    def _rewrite(self, connection: sqlite3.Connection, former: Path, table: str, column: str) -> int:
        begin = f"{former}/"
        statement = f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?"
        values = (f"{self.folder}/", len(begin) + 1, len(begin), begin)
        return connection.execute(statement, values).rowcount

    def _check_files(self, connection: sqlite3.Connection) -> None:
        for name, version, place in connection.execute("SELECT name, version, storage_location FROM model_versions"):
            if not Path(place).is_dir():
                raise RegistryError(
                    f"The files of '{name}' version {version} did not come along.",
                    where=str(self.artifacts),
                    fix="Copy the whole folder, mlflow.db together with artifacts.",
                )

    def busy(self) -> RegistryError:
        """What to tell when the database is locked or cannot be written."""
        return RegistryError(
            "The registry's database is busy or cannot be written.",
            where=str(self.file),
            fix="Wait for the other training, see that the disk has room and the folder may be written, and retry.",
        )

    @contextmanager
    def _connected(self) -> Generator[sqlite3.Connection]:
        # mode=rw: a file that is not there is an error, not a new database.
        try:
            with closing(
                sqlite3.connect(f"{self.file.as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS)
            ) as connection:
                yield connection
        except sqlite3.OperationalError as error:
            raise self.busy() from error
        except sqlite3.DatabaseError as error:
            raise RegistryError(
                f"The registry's database cannot be read: {error}.",
                where=str(self.file),
                fix="Restore it from a backup, or move the folder away and run foresight train.",
            ) from error

    @contextmanager
    def _exclusive(self) -> Generator[None]:
        # SQLite's own lock: it works on every platform, and a killed process cannot leave it behind.
        place = self.folder / "creation.lock"
        with closing(sqlite3.connect(place, timeout=CREATION_SECONDS, isolation_level=None)) as lock:
            try:
                lock.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                raise self.busy() from error
            yield
