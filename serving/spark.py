"""The batch on Spark: the same scoring inside ``mapInArrow``, so that the numbers are the same.

What a worker needs lies in a folder that every worker can read: native model files, the catalogue, the bands before and
the contacts of the customers, and the moment of the start. Nothing in it names a database or holds a password. Workers
need the packages of this project installed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from features.engine.definition import FeatureSet
from features.engine.manifest import SnapshotManifest
from features.engine.snapshot import Snapshot, stored_rows
from kernel.churn_predictor import ChurnPredictor
from kernel.settings import Settings, StateSettings
from kernel.types import Band
from kernel.uplift_predictor import UpliftPredictor
from kernel.value_predictor import ValuePredictor
from serving.batch import scored_rows
from serving.batch_rows import SCHEMA
from serving.batch_work import Start
from serving.decisioning.catalogue import Catalogue, load_catalogue
from serving.decisioning.columns import Kind
from serving.decisioning.policy import PolicySettings
from serving.decisioning.state import ContactEvent, DecisionState
from serving.feedback.state_reader import StateReader
from serving.runtime import LearnedEffects, Runtime
from serving.scoring.band_log import BandLog
from serving.scoring.scorer import Scorer

_ROWS = 20_000  # customers that are asked for at once
_BANDS, _CONTACTS, _CATALOGUE = "bands.parquet", "contacts.parquet", "actions.toml"
_BAND_ROWS = pa.schema({"customer_id": pa.string(), "band": pa.string()})  # type: ignore[arg-type]
_CONTACT_ROWS = pa.schema(
    {
        "customer_id": pa.string(),
        "decision_id": pa.string(),
        "action": pa.string(),
        "channel": pa.string(),
        "event": pa.string(),
        "time": pa.timestamp("us", tz="UTC"),
    }  # type: ignore[arg-type]
)


class Carried(BaseModel):
    """What of a runtime is neither a model nor a table; ``kinds``: feature -> kind, None without a catalogue."""

    model_config = ConfigDict(frozen=True)

    settings: dict[str, Any]
    manifest: SnapshotManifest
    start: Start
    decided_at: datetime
    policy: PolicySettings
    churn_version: str
    value_version: str
    learned_version: str | None
    kinds: dict[str, Kind] | None


def scores_on_spark(session: Any, runtime: Runtime, folder: Path, *, reasons_for: float = 100.0) -> Any:
    """The scores of a snapshot as a Spark DataFrame with the columns of the scores file, in no order.

    Nothing is kept of it: neither bands nor ledger.

    Args:
        session: a ``SparkSession``.
        runtime: over a snapshot whose file every worker can read under the same path.
        folder: an empty one, that every worker can read under the same path, until the DataFrame has been computed.
        reasons_for: the percent of customers at the highest risk who get reasons.

    Raises:
        BandsUnavailableError: the bands of earlier scores cannot be read.
        StoreUnavailableError: the database of earlier decisions does not answer.
    """
    _carry(runtime, folder)
    schema = import_module("pyspark.sql.pandas.types").from_arrow_schema(SCHEMA)
    rows = session.read.parquet(str(runtime.snapshot.file))
    return rows.mapInArrow(partial(_scored, folder=str(folder), reasons_for=reasons_for), schema)


def _carry(runtime: Runtime, folder: Path) -> None:
    """Write what the workers need."""
    start, snapshot, scorer = Start.now(runtime), runtime.snapshot, runtime.scorer
    fixed = start.fix(runtime)
    for name, model in (("churn", scorer.churn), ("value", scorer.value)):
        (folder / name).mkdir()
        model.save(folder / name)
    if runtime.learned is not None:
        (folder / "uplift").mkdir()
        runtime.learned.model.save(folder / "uplift")
    if runtime.catalogue is not None and runtime.settings.actions.catalogue is not None:
        (folder / _CATALOGUE).write_bytes(runtime.settings.path(runtime.settings.actions.catalogue).read_bytes())
    with (
        pq.ParquetWriter(folder / _BANDS, _BAND_ROWS) as bands,
        pq.ParquetWriter(folder / _CONTACTS, _CONTACT_ROWS) as contacts,
    ):
        names = snapshot.customer_ids()
        for first in range(0, len(names), _ROWS):
            some = names[first : first + _ROWS]
            held = runtime.bands.before(snapshot.as_of, some)
            found = [{"customer_id": name, "band": held[name].value} for name in some if name in held]
            bands.write_table(pa.Table.from_pylist(found, _BAND_ROWS))
            state = fixed.state_of(some)
            known: Mapping[str, Sequence[ContactEvent]] = {} if state is None else state.contacts
            rows = [{"customer_id": name} | asdict(one) for name in some for one in known.get(name, ())]
            contacts.write_table(pa.Table.from_pylist(rows, _CONTACT_ROWS))
    columns = pq.read_schema(snapshot.file)
    kinds = {one.name: Kind.TEXT if pa.types.is_string(one.type) else Kind.NUMBER for one in columns}
    carried = Carried(
        settings=_without_places(runtime.settings),
        manifest=snapshot.manifest,
        start=start,
        decided_at=fixed.decided_at or start.scored_at,
        policy=runtime.policy,
        churn_version=scorer.churn_version,
        value_version=scorer.value_version,
        learned_version=None if runtime.learned is None else runtime.learned.version,
        kinds=None if runtime.catalogue is None else kinds,
    )
    (folder / "carried.json").write_text(carried.model_dump_json(), encoding="utf-8")


def _without_places(settings: Settings) -> dict[str, Any]:
    kept = settings.model_copy(update={"sources": {}, "tables": {}, "published": (), "state": StateSettings()})
    return kept.model_dump(mode="json", by_alias=True, include={"file", "project", "sources", "tables", "actions"})


def _scored(batches: Iterator[pa.RecordBatch], *, folder: str, reasons_for: float) -> Iterator[pa.RecordBatch]:
    """On a worker."""
    runtime = _opened(folder)
    for batch in batches:
        rows = stored_rows(runtime.stored.current_manifest(), pa.Table.from_batches([batch]))
        yield from scored_rows(runtime, rows, reasons_for).select(SCHEMA.names).to_batches()


@lru_cache(maxsize=1)
def _opened(place: str) -> Runtime:
    """The runtime that was carried, once in a process."""
    folder = Path(place)
    carried = Carried.model_validate_json((folder / "carried.json").read_bytes())
    settings = Settings.model_validate(carried.settings)
    learned = carried.learned_version
    return Runtime(
        settings=settings,
        scorer=Scorer(
            ChurnPredictor.load(folder / "churn"),
            ValuePredictor.load(folder / "value"),
            carried.churn_version,
            carried.value_version,
            settings.project.language,
        ),
        features=FeatureSet([]),
        stored=Snapshot(carried.manifest, folder),
        attributes={},
        catalogue=None if carried.kinds is None else load_catalogue(folder / _CATALOGUE, carried.kinds),
        policy=carried.policy,
        clock=lambda: carried.start.scored_at,
        bands=_CarriedBands(folder / _BANDS, settings),
        learned=None if learned is None else LearnedEffects(UpliftPredictor.load(folder / "uplift"), learned),
        state=_CarriedState(folder / _CONTACTS, settings, carried.start),
        decided_at=carried.decided_at,
    )


class _CarriedBands(BandLog):
    def __init__(self, file: Path, settings: Settings) -> None:
        super().__init__(settings.state_url, settings.project.name)
        self._file = file

    def before(self, as_of: datetime, customer_ids: Sequence[str]) -> dict[str, Band]:
        return {row["customer_id"]: Band(row["band"]) for row in _of(self._file, customer_ids)}


class _CarriedState(StateReader):
    def __init__(self, file: Path, settings: Settings, start: Start) -> None:
        super().__init__(settings.state_url)
        self._file, self._start = file, start

    def read(self, catalogue: Catalogue, customer_ids: Sequence[str], now: datetime) -> DecisionState:
        contacts: dict[str, list[ContactEvent]] = {}
        for row in _of(self._file, customer_ids):
            contacts.setdefault(row.pop("customer_id"), []).append(ContactEvent(**row))
        start = self._start
        return DecisionState(now, contacts, start.decided_today, start.spent, start.prices)


def _of(file: Path, customer_ids: Sequence[str]) -> list[dict[str, Any]]:
    return pq.read_table(file, filters=[("customer_id", "in", list(customer_ids))]).to_pylist()
