"""What does a request cost? The real service on loopback, one worker, beside a bare BentoML service and ``mlflow models
serve`` that only predict one model."""

from __future__ import annotations

import http.client
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import orjson

from benchmarks.data import AS_OF, Bench, naive
from benchmarks.decisions import made_up_catalogue
from benchmarks.measure import Figure, percentile
from benchmarks.servers import bare_service, mlflow_service
from foresight.service_process import running_service
from kernel.artefacts import Floats, model_matrix
from kernel.clock import iso

SECONDS = 6.0  # of load for each figure
ROUNDS = 3  # each service is asked in turn, so that a slow moment meets both
REQUESTS = 200_000  # after which the service's memory is looked at


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


def figures(bench: Bench, *, seconds: float = SECONDS, requests: int = REQUESTS) -> Iterator[Figure]:
    """Latency and rate of each call beside those of the baselines, what two workers bring, and memory."""
    runtime, config = bench.runtime, _with_twenty_actions(bench)
    churn = runtime.scorer.churn
    rows = model_matrix(runtime.snapshot.features, churn.manifest.columns)[:200]
    vectors = [orjson.dumps({"values": [None if v != v else v for v in row]}) for row in rows.tolist()]
    names = [column.name for column in churn.manifest.columns]
    frames = [orjson.dumps({"dataframe_split": {"columns": names, "data": [row]}}) for row in _known(rows)]
    model = bench.folder / "churn.txt"
    churn.booster.save_model(str(model))
    ids = [str(name) for name in runtime.snapshot.features.index]
    by_id = [orjson.dumps({"customer_id": name}) for name in ids]
    profiles = [orjson.dumps({"profile": profile}) for profile in _profiles(bench, ids[:10])]
    one = runtime.settings.service
    with (
        running_service(config, bench.folder / "service.log", settings=one) as ours,
        running_service(_without_actions(config), bench.folder / "scores.log", settings=one) as scores,
        bare_service(model, bench.folder / "bare.log") as bare,
        mlflow_service(model, bench.folder) as mlflow,
    ):
        for address in (ours, scores):
            _check_equal(address, bare, by_id[:200], vectors, bench)
        bare_call, mlflow_call = Call(bare, "/predict", vectors), Call(mlflow, "/invocations", frames)
        for what, address in (
            ("score one stored customer: look-up, two models, reasons (a project without actions)", scores),
            ("the same with 20 actions decided, none kept", ours),
        ):
            mine = Call(address, "/v1/score", by_id)
            for clients in (1, 8):
                yield from compared(what, clients, mine, bare_call, "bare BentoML, one predict", seconds)
        full = Call(ours, "/v1/recommendations", by_id)
        for clients in (1, 8):
            what = "full insight: look-up, two models, reasons, 20 actions, decision kept on disk"
            yield from compared(what, clients, full, mlflow_call, "mlflow models serve, one predict", seconds)
        whole = Call(ours, "/v1/score", profiles)
        yield from compared(
            "score a whole profile in the body", 1, whole, bare_call, "bare BentoML, one predict", seconds
        )
        yield _steady(full, requests, bench)
    yield _two_workers(config, bench, full.bodies, seconds)


def _known(rows: Floats) -> list[list[float]]:
    return np.nan_to_num(rows).tolist()  # as JSON has no NaN; the trees do the same work


def compared(what: str, clients: int, mine: Call, theirs: Call, against: str, seconds: float) -> Iterator[Figure]:
    """Both in turn, so that a slow moment meets both."""
    loads: list[tuple[Load, Load]] = []
    for _ in range(ROUNDS):
        loads.append((load(mine, clients, seconds / ROUNDS), load(theirs, clients, seconds / ROUNDS)))
    ours, others = (_together(side) for side in zip(*loads, strict=True))
    who = "1 client" if clients == 1 else f"{clients} clients"
    note = f"ours: p99 is {ours.p99 / ours.p50:.1f} times p50"
    yield Figure("serving", f"{what}: p50, {who}", against, ours.p50, others.p50, "ms", note=note)
    yield Figure("serving", f"{what}: p99, {who}", against, ours.p99, others.p99, "ms")
    yield Figure(
        "serving",
        f"{what}: rate, {who}",
        against,
        ours.per_second,
        others.per_second,
        "req/s",
        more_is_better=True,
    )


def _two_workers(config: Path, bench: Bench, bodies: Sequence[bytes], seconds: float) -> Figure:
    """The same calls to one worker and to two, in turn."""
    settings = bench.project.settings.service
    with (
        running_service(config, bench.folder / "one.log", settings=settings) as one,
        running_service(config, bench.folder / "two.log", settings=settings.model_copy(update={"workers": 2})) as two,
    ):
        rates: list[tuple[float, float]] = []
        for _ in range(2 * ROUNDS):
            rates.append(
                (
                    load(Call(two, "/v1/recommendations", bodies), 8, seconds / ROUNDS).per_second,
                    load(Call(one, "/v1/recommendations", bodies), 8, seconds / ROUNDS).per_second,
                )
            )
    both, alone = (float(np.median(side)) for side in zip(*rates, strict=True))
    what = "two workers in place of one, full insight, 8 clients"
    note = "the clients take part of the same cores"
    return Figure("serving", what, "one worker", both, alone, "req/s", more_is_better=True, note=note)


def _steady(call: Call, requests: int, bench: Bench) -> Figure:
    """Memory of the service after many requests, beside that after a tenth of them."""
    asked, memory = 0, list[float]()
    for part in (0.1, 1.0):
        while asked < part * requests:
            asked += len(load(call, 4, 5.0).milliseconds)
        memory.append(_memory(call.address))
    what = f"memory of the service after {asked:,} requests"
    return Figure("serving", what, "after a tenth of them", memory[1], memory[0], "MB")


def _memory(address: str) -> float:
    with urllib.request.urlopen(f"{address}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    [line] = [line for line in lines if line.startswith("foresight_memory_bytes ")]
    return float(line.split()[1]) / 1e6


def _with_twenty_actions(bench: Bench) -> Path:
    """The project with the made-up catalogue of twenty actions."""
    file = bench.project.settings.file
    made_up_catalogue(file.parent)
    return file


def _without_actions(config: Path) -> Path:
    """The same project without a catalogue: its customers are scored, and nothing is decided."""
    lines = config.read_text(encoding="utf-8").splitlines(keepends=True)
    file = config.with_name("scores_only.toml")
    file.write_text("".join(line for line in lines if not line.startswith("catalogue = ")), encoding="utf-8")
    return file


@dataclass(frozen=True)
class Call:
    """What clients send, again and again."""

    address: str
    path: str
    bodies: Sequence[bytes]


def load(call: Call, clients: int, seconds: float) -> Load:
    """Clients that each keep one connection and ask again as soon as they are answered.

    Raises:
        RuntimeError: an answer other than 200.
    """
    _ask_until(call, time.perf_counter() + min(0.5, seconds), [], [])
    times: list[list[float]] = [[] for _ in range(clients)]
    wrong: list[int] = []
    begin = time.perf_counter()
    threads = [
        threading.Thread(
            target=_ask_until,
            args=(replace(call, bodies=call.bodies[i:] + call.bodies[:i]), begin + seconds, own, wrong),
        )
        for i, own in enumerate(times)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - begin
    if wrong:
        raise RuntimeError(f"{call.path} answered {wrong[0]}")
    every = tuple(milliseconds for own in times for milliseconds in own)
    return Load(every, len(every) / elapsed)


def _ask_until(call: Call, deadline: float, times: list[float], wrong: list[int]) -> None:
    connection = http.client.HTTPConnection(call.address.removeprefix("http://"), timeout=30)
    number = 0
    while time.perf_counter() < deadline and not wrong:
        begin = time.perf_counter()
        body = call.bodies[number % len(call.bodies)]
        connection.request("POST", call.path, body, {"Content-Type": "application/json"})
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
