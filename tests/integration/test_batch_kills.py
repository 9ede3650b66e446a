"""A batch that is killed goes on: nothing is missing, nothing is there twice, and every byte is the same."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq

from serving.scoring.ledger import ScoreLedger
from tests.batches import Batches, batches
from tests.doubles.batch import AS_OF, FIRST_START


def check_kills(started: Batches, folder: Path, kills: int, seed: int) -> int:
    """Kill a batch so often, and compare what is left with an undisturbed one; how many kills struck."""
    code, seconds = started.run(folder / "timed", folder / "timed.parquet")
    assert code == 0
    # Within half the time, so that a batch that goes on has something left to do.
    struck = started.killed(folder / "killed", folder / "killed.parquet", kills, seconds / 2, seed)
    [scored_at] = set(pq.read_table(folder / "killed.parquet").column("scored_at").to_pylist())
    begun = (scored_at - FIRST_START) // timedelta(hours=1)
    assert begun < kills, "a first start counts, and not the last one"
    assert started.run(folder / "undisturbed", folder / "undisturbed.parquet", begun)[0] == 0
    undisturbed, killed = (pq.read_table(folder / f"{name}.parquet") for name in ("undisturbed", "killed"))
    assert len(killed) == 400
    assert killed.sort_by("customer_id").equals(undisturbed.sort_by("customer_id"))
    assert (folder / "killed.parquet").read_bytes() == (folder / "undisturbed.parquet").read_bytes()
    states = [folder / name / "state" / "shop" for name in ("undisturbed", "killed")]
    first, second = (ScoreLedger(state / "scores").read(AS_OF) for state in states)
    assert first.equals(second)
    assert not list((states[1] / "scoring" / "work").iterdir())
    assert len(list(folder.iterdir())) == 6, "nothing unfinished is left"
    return struck


def test_a_batch_survives_kills(tmp_path: Path) -> None:
    with batches() as started:
        assert check_kills(started, tmp_path, kills=3, seed=1) >= 1
