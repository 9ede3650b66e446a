"""Snapshots: the features of every customer as of a moment, kept as Parquet, one of them current.

A snapshot's folder appears complete or not at all, and ``current`` is switched by one rename: a reader sees the old
snapshot or the new one, and an interrupted build leaves the old one in service.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ValidationError

from features.contract.profiles import Profiles
from features.engine.build import build_features
from features.engine.definition import FeatureSet
from kernel.clock import iso
from kernel.errors import NotFoundError

_DATA, _MANIFEST, _CURRENT = "features.parquet", "manifest.json", "current"


class SnapshotManifest(BaseModel):
    """What a snapshot was made from."""

    as_of: datetime
    fingerprint: str
    customers: int
    feature_versions: dict[str, int]
    attributes: dict[str, str]


@dataclass(frozen=True)
class Snapshot:
    """Features of every customer as of a moment: index customer_id, a column per feature; ``consent`` is beside it."""

    manifest: SnapshotManifest
    features: pd.DataFrame
    consent: pd.Series

    @property
    def as_of(self) -> datetime:
        """The moment of knowledge, UTC."""
        return self.manifest.as_of


class SnapshotStore:
    """The snapshots of one project in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "snapshots"

    def publish(self, profiles: Profiles, features: FeatureSet, as_of: datetime) -> Snapshot:
        """Build the snapshot of ``as_of``, or reuse the one of the same data and definitions; make it current."""
        manifest = SnapshotManifest(
            as_of=as_of,
            fingerprint=profiles.fingerprint(as_of),
            customers=profiles.count("customers"),
            feature_versions={feature.name: feature.version for feature in features},
            attributes=profiles.attributes,
        )
        digest = hashlib.sha256(manifest.model_dump_json().encode()).hexdigest()[:12]
        place = self.folder / f"{iso(as_of).replace(':', '')}-{digest}"
        if self._manifest(place) is None:
            self._write(place, manifest, _with_consent(profiles, features, as_of))
        self._switch(place.name)
        return self._read(place)

    def current(self) -> Snapshot:
        """The snapshot in service.

        Raises:
            NotFoundError: none was published yet.
        """
        try:
            place = self.folder / (self.folder / _CURRENT).read_text(encoding="utf-8").strip()
        except FileNotFoundError as error:
            raise NotFoundError(
                "No customer has been scored yet, so that there are no features to look up.",
                where=str(self.folder),
                fix="Run foresight score first.",
            ) from error
        return self._read(place)

    def _read(self, place: Path) -> Snapshot:
        manifest = self._manifest(place)
        if manifest is None:
            raise NotFoundError("The snapshot is incomplete.", where=str(place), fix="Run foresight score again.")
        frame = pd.read_parquet(place / _DATA)
        return Snapshot(manifest, frame.drop(columns="consent"), frame.loc[:, "consent"])

    def _manifest(self, place: Path) -> SnapshotManifest | None:
        try:
            return SnapshotManifest.model_validate_json((place / _MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValidationError):
            return None

    def _write(self, place: Path, manifest: SnapshotManifest, frame: pd.DataFrame) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=".building-", dir=self.folder))
        try:
            frame.to_parquet(building / _DATA)
            (building / _MANIFEST).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
            # The name says the content: whoever renames first wins, and the other's build is the same.
            with contextlib.suppress(OSError):
                building.rename(place)
        finally:
            shutil.rmtree(building, ignore_errors=True)

    def _switch(self, name: str) -> None:
        with tempfile.NamedTemporaryFile("w", dir=self.folder, delete=False, encoding="utf-8") as pointer:
            pointer.write(name)
        Path(pointer.name).replace(self.folder / _CURRENT)


def _with_consent(profiles: Profiles, features: FeatureSet, as_of: datetime) -> pd.DataFrame:
    frame = build_features(profiles, features, as_of)
    return frame.assign(consent=~frame.index.isin(list(profiles.without_consent())))
