"""A batch over small real models, and processes that do it: ``python -m tests.doubles.batch``.

For each line ``HOUR FOLDER OUT`` of standard input a process is forked, which does not have to import anything. Its id
is said when it begins, and its exit code when it has ended.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from features.engine.definition import FeatureSet
from kernel.settings import load_settings
from serving import batch
from serving.decisioning.catalogue import load_catalogue
from serving.decisioning.columns import Kind
from serving.decisioning.policy import PolicySettings
from serving.feedback.state_reader import StateReader
from serving.runtime import Runtime
from serving.scoring.band_log import BandLog
from serving.scoring.scorer import Scorer
from tests.doubles.models import churn_predictor, features, value_predictor
from tests.snapshots import snapshot_of

AS_OF = datetime(2024, 3, 31, tzinfo=UTC)
FIRST_START = datetime(2024, 4, 1, tzinfo=UTC)
_PROJECT = """
[project]
name = "shop"
currency = "USD"
[sources]
customers = "customers.parquet"
[tables.customers]
from = "customers"
columns = { customer_id = "customer_id" }
[actions]
catalogue = "actions.toml"
[engine]
threads = {threads}
[state]
folder = "state"
"""
_CATALOGUE = """
[[action]]
id = "do_nothing"
label = "Nothing"

[[action]]
id = "mail"
label = "A letter"
description = "A letter by post."
group = "mail"
channels = ["mail"]
eligibility = "spend_90d > 100"
outcome = { name = "stays", window_days = 56, kind = "binary" }
cost = { contact = 0.5 }
value = { margin = 30.0 }
prior = { rate = 0.04, strength = 50 }
"""


def runtime_of(
    folder: Path,
    *,
    rows: int = 120,
    row_group: int = 20,
    seed: int = 7,
    now: datetime = FIRST_START,
    as_of: datetime = AS_OF,
    state_url: str | None = None,
    threads: int = 1,
) -> Runtime:
    """The runtime of a shop in ``folder``, the snapshot of which has a part for each ``row_group`` customers; every
    ninth customer may not be profiled."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "foresight.toml").write_text(
        _PROJECT.replace("{threads}", str(threads)) + (f'url = "{state_url}"\n' if state_url else "")
    )
    (folder / "actions.toml").write_text(_CATALOGUE)
    settings = load_settings(folder)
    frame = features(rows, seed).astype({"income": object})
    consent = [row % 9 > 0 for row in range(rows)]
    snapshot = snapshot_of(
        folder / f"snapshot-{as_of:%Y%m%d}-{seed}", frame, consent, as_of, fingerprint=f"f{seed}", row_group=row_group
    )
    kinds = {name: Kind.TEXT if frame[name].dtype == object else Kind.NUMBER for name in frame}
    return Runtime(
        settings=settings,
        scorer=Scorer(churn_predictor(percentile_grid=tuple(np.linspace(0, 1, 1001))), value_predictor(), "c/1", "v/1"),
        features=FeatureSet([]),
        stored=snapshot,
        attributes={},
        catalogue=load_catalogue(folder / "actions.toml", kinds),
        policy=PolicySettings(),
        clock=lambda: now,
        bands=BandLog.of(settings),
        state=StateReader.of(settings),
    )


def main() -> int:
    batch.CHUNK = 10
    runtimes: dict[str, Runtime] = {}
    for line in sys.stdin:
        hour, folder, out = line.split()
        if folder not in runtimes:
            runtimes[folder] = runtime_of(Path(folder), rows=400, threads=2)
        process = os.fork()
        if process == 0:
            _score(runtimes[folder], out, FIRST_START + timedelta(hours=int(hour)))
            os._exit(0)
        print(process, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
    return 0


def _score(runtime: Runtime, out: str, now: datetime) -> None:
    batch.write_scores(replace(runtime, clock=lambda: now), out)


if __name__ == "__main__":
    sys.exit(main())
