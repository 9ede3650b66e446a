"""What does a request cost? The real service on loopback, against a bare BentoML service that predicts one model."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson

from benchmarks.bare_service import MODEL_VARIABLE
from benchmarks.data import AS_OF, Bench, naive
from benchmarks.measure import Figure, percentile
from foresight.service_process import free_port, running_service, service_environment
from kernel.artefacts import model_matrix
from kernel.clock import iso

SECONDS = 3.0  # of load for each figure
ROUNDS = 2  # each service is asked in turn, so that a slow moment meets both


@dataclass(frozen=True)
class Load:
    """What clients measured: milliseconds of each request, and requests per second of all clients together."""

    milliseconds: tuple[float, ...]
    per_second: float

    @property
    def p50(self) -> float:
        """Median, milliseconds."""
        return percentile(self.milliseconds, 0.5)

    @property
    def p99(self) -> float:
        """99th percentile, milliseconds."""
        return percentile(self.milliseconds, 0.99)


def figures(bench: Bench, *, seconds: float = SECONDS, clients: Sequence[int] = (1, 8)) -> Iterator[Figure]:
    """Latency and rate of each call at each number of clients."""
    runtime = bench.runtime
    config = bench.project.settings.file
    churn = runtime.scorer.churn
    rows = model_matrix(runtime.snapshot.features, churn.manifest.columns)[:200]
    vectors = [orjson.dumps({"values": [None if v != v else v for v in row]}) for row in rows.tolist()]
    model = bench.folder / "churn.txt"
    churn.booster.save_model(str(model))
    ids = [str(name) for name in runtime.snapshot.features.index[:200]]
    by_id = [orjson.dumps({"customer_id": name}) for name in ids]
    calls = {
        "score one stored customer, with reasons": ("/v1/score", by_id),
        "recommend for one, kept on disk first": ("/v1/recommendations", by_id),
        "score a whole profile in the body": (
            "/v1/score",
            [orjson.dumps({"profile": p}) for p in _profiles(bench, ids[:10])],
        ),
    }
    with (
        running_service(config, bench.folder / "service.log") as ours,
        _bare_service(model, bench.folder / "bare.log") as bare,
    ):
        _check_equal(ours, bare, by_id, vectors, bench)
        for name, (path, bodies) in calls.items():
            for number in clients:
                mine, theirs = [], []
                for _ in range(ROUNDS):
                    mine.append(load(ours, path, bodies, number, seconds / ROUNDS))
                    theirs.append(load(bare, "/predict", vectors, number, seconds / ROUNDS))
                yield from _compared(name, number, _together(mine), _together(theirs))


def _compared(name: str, clients: int, mine: Load, theirs: Load) -> Iterator[Figure]:
    who = "1 client" if clients == 1 else f"{clients} clients"
    against = "bare BentoML, one predict"
    yield Figure("http", f"{name}: p50, {who}", against, mine.p50, theirs.p50, "ms")
    yield Figure("http", f"{name}: p99, {who}", against, mine.p99, theirs.p99, "ms")
    rates = (mine.per_second, theirs.per_second)
    yield Figure("http", f"{name}: rate, {who}", against, *rates, "req/s", more_is_better=True)


def load(address: str, path: str, bodies: Sequence[bytes], clients: int, seconds: float) -> Load:
    """Clients that each keep one connection and ask again as soon as they are answered.

    Raises:
        RuntimeError: an answer other than 200.
    """
    _ask_until(address, path, bodies, time.perf_counter() + min(0.5, seconds), [], [])
    times: list[list[float]] = [[] for _ in range(clients)]
    wrong: list[int] = []
    begin = time.perf_counter()
    threads = [
        threading.Thread(target=_ask_until, args=(address, path, bodies[i:] + bodies[:i], begin + seconds, own, wrong))
        for i, own in enumerate(times)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - begin
    if wrong:
        raise RuntimeError(f"{path} answered {wrong[0]}")
    every = tuple(milliseconds for own in times for milliseconds in own)
    return Load(every, len(every) / elapsed)


def _ask_until(
    address: str, path: str, bodies: Sequence[bytes], deadline: float, times: list[float], wrong: list[int]
) -> None:
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=30)
    number = 0
    while time.perf_counter() < deadline and not wrong:
        begin = time.perf_counter()
        connection.request("POST", path, bodies[number % len(bodies)], {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        times.append(1000 * (time.perf_counter() - begin))
        number += 1
        if answer.status != 200:
            wrong.append(answer.status)
    connection.close()


def _together(loads: Sequence[Load]) -> Load:
    every = tuple(milliseconds for one in loads for milliseconds in one.milliseconds)
    return Load(every, float(np.mean([one.per_second for one in loads])))


def _check_equal(ours: str, bare: str, by_id: list[bytes], vectors: list[bytes], bench: Bench) -> None:
    manifest = bench.runtime.scorer.churn.manifest
    compared = 0
    for body, vector in zip(by_id, vectors, strict=True):
        probability = _post(ours + "/v1/score", body)["scores"][0]["churn_probability"]
        if probability is not None and compared < 5:
            raw = _post(bare + "/predict", vector)["score"]
            expected = 1 / (1 + np.exp(-(manifest.slope * raw + manifest.intercept)))
            np.testing.assert_allclose(probability, expected, rtol=1e-9)
            compared += 1
    assert compared == 5


def _post(address: str, body: bytes) -> dict:
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return orjson.loads(answer.read())


def _profiles(bench: Bench, customer_ids: list[str]) -> Iterator[dict]:
    """Bodies with everything known of each customer at AS_OF."""
    cursor = bench.project.profiles.connection.cursor()
    attributes = bench.project.profiles.attributes
    for name in customer_ids:
        [customer] = cursor.execute("SELECT * FROM customers WHERE customer_id = ?", [name]).df().to_dict("records")
        given = {key: customer[key] for key in attributes if isinstance(customer[key], str | float)}
        yield {
            "customer": {"customer_id": name, "attributes": {k: v for k, v in given.items() if v == v}},
            "transactions": _rows(
                cursor,
                "SELECT transaction_id, line_id, event_time, amount::DOUBLE amount, discount::DOUBLE discount, "
                "quantity, product_id, category, channel FROM transactions",
                name,
            ),
            "activities": _rows(cursor, "SELECT event_time, kind, detail FROM activities", name),
            "as_of": iso(AS_OF),
        }


def _rows(cursor, select: str, customer_id: str) -> list[dict]:
    found = cursor.execute(
        f"{select} WHERE customer_id = ? AND event_time < ? ORDER BY event_time", [customer_id, naive(AS_OF)]
    )
    names = [column[0] for column in found.description]
    return [{k: v for k, v in zip(names, row, strict=True) if v is not None} for row in found.fetchall()]


@contextmanager
def _bare_service(model: Path, log: Path) -> Iterator[str]:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "bentoml", "serve", "benchmarks.bare_service:Bare"]
    environment = service_environment(Path()) | {MODEL_VARIABLE: str(model)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            env=environment,
            stdout=output,
            stderr=output,
            cwd=Path(__file__).parents[1],
        )
        try:
            _wait(address, process, log)
            yield address
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"The bare service did not start; {os.fspath(log)} says why.")
