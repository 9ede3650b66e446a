"""What a snapshot was made from, and by what name it is known."""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import cached_property

from pydantic import BaseModel

from features.engine.provenance import SourceState
from kernel.clock import iso


class SnapshotManifest(BaseModel):
    """``manifest.json`` of a snapshot; docs/reference/store.md says each field. Nothing in it names this machine."""

    layout: int = 1
    as_of: datetime
    built_at: datetime
    engine: str
    seconds: float
    fingerprint: str
    definitions: str
    feature_versions: dict[str, int]
    attributes: dict[str, str]
    timezone: str
    customers: int
    rows: dict[str, int]
    sources: dict[str, SourceState]
    lineage: str | None = None
    prepared: dict[str, int] = {}

    @property
    def digest(self) -> str:
        """A hash of everything that the values depend on: equal for two builds of the same."""
        parts = (self.fingerprint, self.definitions, self.feature_versions, self.attributes, self.timezone)
        return hashlib.sha256(repr((self.layout, iso(self.as_of), *parts)).encode()).hexdigest()[:12]

    @cached_property
    def id(self) -> str:
        """The snapshot's name: its moment and its digest; made once, since every decision names it."""
        return f"{moment_name(self.as_of)}-{self.digest}"


def moment_name(as_of: datetime) -> str:
    """``as_of`` as part of a path: ``2017-11-01T000000Z``."""
    return iso(as_of).replace(":", "")
