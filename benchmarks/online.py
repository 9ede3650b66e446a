"""How fast is a look-up by id? One customer of a million, against SQLite alone with a blob of the same size."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np

from benchmarks.data import AS_OF, Bench
from benchmarks.measure import Asked, Figure, alternating, percentile
from features.engine.manifest import SnapshotManifest
from features.engine.online import OnlineStore
from features.engine.snapshot import Snapshot

NUMBERS, WORDS = 173, 7
WIDTH = 8 * NUMBERS
_MANY = 100  # customers of one request


def figures(bench: Bench, *, customers: int = 1_000_000, look_ups: int = 5000) -> Iterator[Figure]:
    """Milliseconds of a look-up, and customers a second of a load."""
    folder = bench.folder / "online"
    folder.mkdir()
    snapshot = synthetic(folder, customers)
    with OnlineStore(f"sqlite:///{folder / 'online.db'}", "bench") as store, BareBlobs(folder / "bare.db") as bare:
        check = f"{NUMBERS} numbers and {WORDS} words a customer; values compared with the snapshot's"
        ours, theirs = _seconds(lambda: store.load(snapshot)), _seconds(lambda: bare.load(customers))
        yield Figure(
            "online",
            f"load {customers:,} customers",
            "bare sqlite3 executemany of blobs of that size, one transaction",
            customers / ours,
            customers / theirs,
            "customers/s",
            more_is_better=True,
            note=f"ours reads the Parquet snapshot, packs, and commits every 20,480 rows ({ours:.0f} s)",
        )
        check_equal(store, snapshot)
        yield from _look_ups(store, bare, customers, look_ups, check)
        # What a nightly job does while the service answers: another snapshot beside the one in service.
        newer = Snapshot(snapshot.manifest.model_copy(update={"fingerprint": "next"}), snapshot.file)
        again = _seconds(lambda: store.load(newer))
        yield Figure(
            "online",
            f"replace {customers:,} customers: load, switch, delete the old rows",
            "bare sqlite3 executemany of blobs of that size, one transaction",
            customers / again,
            customers / theirs,
            "customers/s",
            more_is_better=True,
            note=f"{again:.0f} s; readers are answered meanwhile",
        )


def _look_ups(store: OnlineStore, bare: BareBlobs, customers: int, times: int, note: str) -> Iterator[Figure]:
    chooser = random.Random(7)
    ids = [name_of(chooser.randrange(customers)) for _ in range(times)]
    (ours, theirs), (processor, _) = _alternating(ids, lambda name: store.look_up([name]), bare.look_up)
    against = "bare sqlite3, SELECT blob by primary key"
    what = f"look up one customer of {customers:,}"
    for label, share in (("p50", 0.5), ("p99", 0.99)):
        pair = (percentile(ours, share), percentile(theirs, share))
        busy = f"{note}; {percentile(processor, share):.2g} ms of processor time, the rest is waiting for a core"
        yield Figure("online", f"{what}: {label}", against, *pair, "ms", note=busy)
    groups = [ids[i : i + _MANY] for i in range(0, times - _MANY + 1, _MANY)]
    (many, bare_many), _ = _alternating(groups, store.look_up, lambda names: [bare.look_up(name) for name in names])
    yield Figure(
        "online",
        f"look up {_MANY} customers of {customers:,} at once: p50",
        f"{against}, {_MANY} times",
        percentile(many, 0.5),
        percentile(bare_many, 0.5),
        "ms",
    )


def _alternating(
    asked: Sequence[Asked], ours: Callable[[Asked], object], theirs: Callable[[Asked], object]
) -> tuple[tuple[list[float], list[float]], tuple[list[float], list[float]]]:
    for each in asked[: len(asked) // 10]:
        ours(each), theirs(each)  # the first ones open connections
    return alternating(asked, ours, theirs)


def _seconds(run: Callable[[], None]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def name_of(number: int) -> str:
    """The id of a customer."""
    return f"customer-{number:09d}"


def synthetic(folder: Path, customers: int) -> Snapshot:
    """A snapshot with values of no meaning: what is measured is where they lie, not what they say."""
    numbers = [f"number_{i}" for i in range(NUMBERS)]
    words = [f"word_{i}" for i in range(WORDS)]
    columns = [
        f"CASE WHEN hash(i, {n}) % 10 > 0 THEN (hash(i, {n}) % 100000) / 7.0 END AS {name}"
        for n, name in enumerate(numbers)
    ]
    columns += [f"'word ' || (hash(i, {n}) % 40) AS {name}" for n, name in enumerate(words)]
    file = folder / "features.parquet"
    connection = duckdb.connect()
    connection.execute(
        f"COPY (SELECT printf('customer-%09d', i) AS customer_id, TRUE AS consent, {', '.join(columns)} "
        f"FROM range({customers}) AS rows(i) ORDER BY customer_id) "
        f"TO '{file}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480)"
    )
    connection.close()
    manifest = SnapshotManifest(
        as_of=AS_OF,
        built_at=datetime.now(UTC),
        engine="duckdb",
        seconds=0,
        fingerprint="synthetic",
        definitions="synthetic",
        feature_versions=dict.fromkeys([*numbers, *words], 1),
        attributes=dict.fromkeys(words, "string"),
        timezone="UTC",
        customers=customers,
        rows={"customers": customers},
        sources={},
    )
    return Snapshot(manifest, file)


def check_equal(store: OnlineStore, snapshot: Snapshot) -> None:
    """Raise AssertionError unless the store's values are the snapshot's, to the bit."""
    chunk = next(snapshot.chunks(500))
    found = store.look_up(list(chunk.features.index)).features
    numbers = [name for name in found if found[name].dtype != object]
    words = [name for name in found if found[name].dtype == object]
    assert (len(numbers), len(words)) == (NUMBERS, WORDS)
    for names, kind in ((numbers, "float64"), (words, "object")):
        ours, stored = (frame[names].to_numpy(dtype=kind) for frame in (found, chunk.features))
        np.testing.assert_array_equal(ours, stored)


class BareBlobs:
    """The driver alone: one table, a blob as large as a customer's numbers, found by its key, not even unpacked."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None)

    def __enter__(self) -> BareBlobs:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def load(self, customers: int) -> None:
        """Write as many blobs in one transaction."""
        connection = self._connection
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE blobs (customer_id TEXT PRIMARY KEY, content BLOB)")
        content = np.random.default_rng(7).bytes(WIDTH)
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO blobs VALUES (?, ?)", ((name_of(i), content) for i in range(customers)))
        connection.execute("COMMIT")

    def look_up(self, name: str) -> bytes:
        """One blob."""
        found = self._connection.execute("SELECT content FROM blobs WHERE customer_id = ?", (name,))
        [content] = found.fetchone()
        return content
