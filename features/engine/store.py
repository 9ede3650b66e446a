"""Snapshots: the features of every customer as of a moment, kept as Parquet, one of them in service.

``snapshots/as_of=MOMENT/DIGEST/`` holds ``features.parquet``, ``manifest.json`` and ``profile.json``. A folder appears
complete or not at all, and ``current`` is switched by one rename: a reader sees the old snapshot or the new one, and an
interrupted build leaves the old one in service. One build at a time: the second waits, or is refused.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from features.contract.profiles import Profiles
from features.contract.tables import TABLES
from features.engine.baseline import PROFILE, profile_of
from features.engine.build import definitions_digest, write_features, write_tables
from features.engine.definition import FeatureSet
from features.engine.events import extent
from features.engine.histories import packed_histories
from features.engine.incremental import Earlier, advance
from features.engine.lock import locked, say_in_log
from features.engine.manifest import SnapshotManifest, moment_name
from features.engine.provenance import SourceState
from features.engine.snapshot import Snapshot
from kernel.clock import iso, parse_as_of, utc_now
from kernel.errors import NotFoundError
from kernel.settings import Settings

_DATA, _MANIFEST, _CURRENT = "features.parquet", "manifest.json", "current"
_UNFINISHED = ".unfinished-"
_FAR = timedelta(days=31)
"""From an earlier snapshot than this it is quicker to compute everything."""

FeatureWriter = Callable[[Profiles, FeatureSet, datetime, Path], int]
"""Writes the features of a moment into one Parquet file as :func:`write_features` does, and returns the rows."""


class Loader(Protocol):
    """What keeps the values of the snapshot in service for look-ups by id (``OnlineStore``)."""

    def load(self, snapshot: Snapshot, *, histories: Iterable[tuple[str, bytes]] = ()) -> None:
        """Put the snapshot's rows in service, all at once."""
        ...

    def current_id(self) -> str | None:
        """The snapshot in service; None before the first."""
        ...


@dataclass(frozen=True)
class SnapshotStore:
    """The snapshots of one project.

    Attributes:
        state: the project's state folder.
        keep: so many of the newest snapshots are kept beside the one in service when another is published.
        wait_seconds: how long a build waits for another one to end.
        say: is told when it waits.
    """

    state: Path
    keep: int = 30
    wait_seconds: float = 600
    say: Callable[[str], None] = say_in_log

    @classmethod
    def of(cls, settings: Settings) -> SnapshotStore:
        """The store that ``[state]`` describes."""
        state = settings.state
        return cls(settings.state_folder, state.keep_snapshots, state.lock_wait_seconds)

    @property
    def folder(self) -> Path:
        """Holds one folder per moment."""
        return self.state / "snapshots"

    def build(
        self,
        profiles: Profiles,
        features: FeatureSet,
        as_of: datetime,
        *,
        sources: Mapping[str, SourceState] | None = None,
        write: FeatureWriter = write_features,
        engine: str = "duckdb",
    ) -> Snapshot:
        """The snapshot of ``as_of``: the stored one where data and definitions are the same, else a new one.

        Nothing is put in service.

        Raises:
            BusyError: another build did not end in time.
        """
        wanted = _Wanted.of(profiles, features, as_of)
        found = self._find(wanted)
        if found is not None:
            return found
        with self._locked(f"building the features of {as_of:%Y-%m-%d}"):
            return self._find(wanted) or self._build(wanted, profiles, features, sources or {}, write, engine)

    def publish(
        self,
        profiles: Profiles,
        features: FeatureSet,
        as_of: datetime,
        *,
        online: Loader | None = None,
        histories: bool = False,
        sources: Mapping[str, SourceState] | None = None,
        write: FeatureWriter = write_features,
        engine: str = "duckdb",
    ) -> Snapshot:
        """Build the snapshot of ``as_of``, or reuse the stored one, and put it in service.

        Args:
            online: where its values are put in service, with the customers' ``histories`` where that is wanted.

        Raises:
            BusyError: another build did not end in time.
        """
        wanted = _Wanted.of(profiles, features, as_of)
        found = self._find(wanted)
        if found is not None and self._in_service(found, online):
            return found
        with self._locked(f"publishing the features of {as_of:%Y-%m-%d}"):
            made = self._find(wanted) or self._build(wanted, profiles, features, sources or {}, write, engine)
            if online is not None:
                online.load(made, histories=packed_histories(profiles, as_of) if histories else ())
            self._switch(made.id)
            self._prune(made.id)
        return made

    def current(self) -> Snapshot:
        """The snapshot in service.

        Raises:
            NotFoundError: none was published yet.
        """
        name = self.current_id()
        if name is None:
            raise NotFoundError(
                "No customer has been scored yet, so that there are no features to look up.",
                where=str(self.folder),
                fix="Run foresight score first.",
            )
        found = next((snapshot for snapshot in self.list() if snapshot.id == name), None)
        if found is None:
            raise NotFoundError("The snapshot is gone.", where=str(self.folder), fix="Run foresight score again.")
        return found

    def current_id(self) -> str | None:
        """The name of the snapshot in service; None before the first."""
        try:
            return (self.folder / _CURRENT).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None

    def list(self) -> tuple[Snapshot, ...]:
        """Every complete snapshot, by moment and then by the time it was built."""
        found = [self._read(manifest.parent) for manifest in self.folder.glob(f"as_of=*/*/{_MANIFEST}")]
        whole = [snapshot for snapshot in found if snapshot is not None]
        return tuple(sorted(whole, key=lambda snapshot: (snapshot.as_of, snapshot.manifest.built_at)))

    def read(self, as_of: datetime) -> Snapshot:
        """The newest snapshot of a moment.

        Raises:
            NotFoundError: there is none.
        """
        found = list(self._of_moment(as_of))
        if not found:
            raise NotFoundError(
                f"There is no snapshot as of {iso(parse_as_of(as_of))}.",
                where=str(self.folder),
                fix="Build it: foresight features build. foresight features list shows what there is.",
            )
        return max(found, key=lambda snapshot: snapshot.manifest.built_at)

    def find(
        self,
        as_of: datetime,
        fingerprint: str,
        feature_versions: Mapping[str, int],
        *,
        definitions: str | None = None,
        timezone: str | None = None,
    ) -> Snapshot | None:
        """The stored snapshot of the same moment, data and features; None where it has to be built.

        Args:
            as_of: the moment of knowledge.
            fingerprint: of everything known then (``Profiles.fingerprint``).
            feature_versions: name -> version, exactly the features wanted.
            definitions: of ``definitions_digest``; finds an edit that raised no version.
            timezone: of the project, since days depend on it.
        """
        for snapshot in self._of_moment(as_of):
            manifest = snapshot.manifest
            if (
                manifest.fingerprint == fingerprint
                and manifest.feature_versions == feature_versions
                and definitions in (None, manifest.definitions)
                and timezone in (None, manifest.timezone)
            ):
                return snapshot
        return None

    def same(self, profiles: Profiles, features: FeatureSet, as_of: datetime) -> Snapshot | None:
        """The stored snapshot that a build of ``as_of`` would equal; None where there is none."""
        if not any(self._of_moment(as_of)):
            return None  # a fingerprint reads everything that is known
        return self._find(_Wanted.of(profiles, features, as_of))

    def writer(self) -> FeatureWriter:
        """Writes features as ``write_features`` does, from the newest stored snapshot before where that is possible."""

        def write(profiles: Profiles, features: FeatureSet, as_of: datetime, file: Path) -> int:
            earlier = self._before(_Wanted.of(profiles, features, as_of), profiles)
            if earlier is None:
                return write_features(profiles, features, as_of, file)
            return write_tables(profiles, advance(profiles, features, as_of, earlier), file)

        return write

    def _before(self, wanted: _Wanted, profiles: Profiles) -> Earlier | None:
        """The newest snapshot that the wanted one can be computed from: of the same tables, which only grew since."""
        if profiles.lineage is None or profiles.engine.engine != "duckdb":
            return None
        same = [
            snapshot
            for snapshot in self.list()
            if snapshot.manifest.lineage == profiles.lineage
            and snapshot.manifest.definitions == wanted.definitions
            and snapshot.manifest.feature_versions == wanted.feature_versions
            and snapshot.manifest.timezone == wanted.timezone
            and timedelta(0) <= wanted.as_of - snapshot.as_of <= _FAR
        ]
        if not same:
            return None
        newest = max(same, key=lambda snapshot: (snapshot.as_of, snapshot.manifest.built_at))
        return Earlier(newest.as_of, newest.file, newest.manifest.prepared)

    def _find(self, wanted: _Wanted) -> Snapshot | None:
        return self.find(
            wanted.as_of,
            wanted.fingerprint,
            wanted.feature_versions,
            definitions=wanted.definitions,
            timezone=wanted.timezone,
        )

    def _locked(self, doing: str) -> AbstractContextManager[None]:
        return locked(self.state / "build.lock", doing, wait_seconds=self.wait_seconds, say=self.say)

    def _in_service(self, snapshot: Snapshot, online: Loader | None) -> bool:
        if online is not None and online.current_id() != snapshot.id:
            return False
        return self.current_id() == snapshot.id

    def _of_moment(self, as_of: datetime) -> Iterator[Snapshot]:
        for manifest in sorted(self._place(as_of).glob(f"*/{_MANIFEST}")):
            snapshot = self._read(manifest.parent)
            if snapshot is not None:
                yield snapshot

    def _place(self, as_of: datetime) -> Path:
        return self.folder / f"as_of={moment_name(parse_as_of(as_of))}"

    def _read(self, place: Path) -> Snapshot | None:
        try:
            manifest = SnapshotManifest.model_validate_json((place / _MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValidationError):
            return None
        return Snapshot(manifest, place / _DATA) if (place / _DATA).exists() else None

    def _build(
        self,
        wanted: _Wanted,
        profiles: Profiles,
        features: FeatureSet,
        sources: Mapping[str, SourceState],
        write: FeatureWriter,
        engine: str,
    ) -> Snapshot:
        self.folder.mkdir(parents=True, exist_ok=True)
        for debris in self.folder.glob(f"{_UNFINISHED}*"):  # under the lock, nobody else is building
            shutil.rmtree(debris) if debris.is_dir() else debris.unlink()
        building = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self.folder))
        try:
            begin = time.perf_counter()
            customers = write(profiles, features, wanted.as_of, building / _DATA)
            profile = profile_of(profiles.connection, features, building / _DATA)
            manifest = SnapshotManifest(
                as_of=wanted.as_of,
                built_at=utc_now(),
                engine=engine,
                seconds=round(time.perf_counter() - begin, 3),
                fingerprint=wanted.fingerprint,
                definitions=wanted.definitions,
                feature_versions=wanted.feature_versions,
                attributes=dict(profiles.attributes),
                timezone=wanted.timezone,
                customers=customers,
                rows={name: profiles.count(name) for name in TABLES},
                sources=dict(sources),
                lineage=profiles.lineage,
                prepared=extent(profiles) if profiles.lineage is not None else {},
            )
            (building / PROFILE).write_text(profile.model_dump_json(indent=1), encoding="utf-8")
            (building / _MANIFEST).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
            place = self._place(wanted.as_of) / manifest.digest
            _move(building, place)
        finally:
            shutil.rmtree(building, ignore_errors=True)
        return Snapshot(manifest, place / _DATA)

    def _switch(self, name: str) -> None:
        with tempfile.NamedTemporaryFile(
            "w", prefix=_UNFINISHED, dir=self.folder, delete=False, encoding="utf-8"
        ) as pointer:
            pointer.write(name)
            pointer.flush()
            os.fsync(pointer.fileno())
        Path(pointer.name).replace(self.folder / _CURRENT)

    def _prune(self, current: str) -> None:
        others = [snapshot for snapshot in self.list() if snapshot.id != current]
        newest_first = sorted(others, key=lambda snapshot: snapshot.manifest.built_at, reverse=True)
        for snapshot in newest_first[self.keep :]:
            shutil.rmtree(snapshot.folder, ignore_errors=True)
            if not any(snapshot.folder.parent.iterdir()):
                snapshot.folder.parent.rmdir()


@dataclass(frozen=True)
class _Wanted:
    """What a snapshot's values depend on."""

    as_of: datetime
    fingerprint: str
    definitions: str
    feature_versions: dict[str, int]
    timezone: str

    @classmethod
    def of(cls, profiles: Profiles, features: FeatureSet, as_of: datetime) -> _Wanted:
        moment = parse_as_of(as_of)
        return cls(
            moment,
            profiles.fingerprint(moment),
            definitions_digest(features, profiles.attributes),
            {feature.name: feature.version for feature in features},
            profiles.timezone,
        )


def _move(folder: Path, place: Path) -> None:
    """Let a finished folder appear, its content on disk before its name."""
    for file in folder.iterdir():
        with file.open("rb") as content:
            os.fsync(content.fileno())
    shutil.rmtree(place, ignore_errors=True)  # an unreadable one of the same name
    place.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(place)
