"""Two workers write to one database at once, the same requests under the same keys too: each is done once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from tests.killed import Service, check_kept, under_load, until_more
from tests.postgres import found

RECOMMEND, FEEDBACK = "/v1/recommendations", "/v1/feedback"
Send = Callable[..., list[httpx.Response]]


@contextmanager
def both(service: Service) -> Iterator[Send]:
    """Sends one request twice to each worker, all at once, until each of the four is answered."""
    with ExitStack() as stack:
        addresses = [f"http://127.0.0.1:{port}" for port in service.ports for _ in range(2)]
        clients = [stack.enter_context(httpx.Client(base_url=address, timeout=20)) for address in addresses]
        pool = stack.enter_context(ThreadPoolExecutor(len(clients)))

        def send(path: str, body: dict[str, str], key: str | None = None) -> list[httpx.Response]:
            return list(pool.map(lambda client: _sent(client, path, body, key), clients))

        yield send


def _sent(client: httpx.Client, path: str, body: dict[str, str], key: str | None) -> httpx.Response:
    while True:
        answer = client.post(path, json=body, headers={} if key is None else {"Idempotency-Key": key})
        if answer.status_code != 409:  # that one is in flight in the same worker
            return answer.raise_for_status()
        time.sleep(0.01)


@pytest.mark.parametrize(
    "rounds", [pytest.param(8, id="in short"), pytest.param(500, id="for long", marks=pytest.mark.soak)]
)
def test_two_workers_write_at_once(state_url: str, rounds: int) -> None:
    service = Service(state_url, workers=2)
    try:
        with under_load(service, clients=2) as promised, both(service) as send:
            for number in range(rounds):
                decided = send(RECOMMEND, {"customer_id": f"c{number}"}, f"r{number}")
                assert len({answer.content for answer in decided}) == 1
                [advice] = decided[0].json()["recommendations"]
                event = {"decision_id": advice["decision_id"], "action": "coupon", "event": "accepted"}
                told = send(FEEDBACK, event | {"event_id": f"e{number}"}, f"f{number}")
                assert len({answer.content for answer in told}) == 1
                told = send(FEEDBACK, event | {"event_id": f"u{number}"})
                statuses = sorted(answer.json()["status"] for answer in told)
                assert statuses == ["already_stored"] * 3 + ["stored"]
            until_more(promised)
    finally:
        service.kill_all()
    check_kept(state_url, promised)
    assert (promised.broken, promised.refused) == (0, [])
    numbers = range(rounds)
    shared = found(state_url, "SELECT decision_id FROM decisions WHERE customer_id <> '1609'")
    assert sorted(shared) == sorted((f"decision-of-c{number}",) for number in numbers)
    events = found(state_url, "SELECT event_id FROM feedback WHERE decision_id LIKE 'decision-of-%'")
    assert sorted(events) == sorted((f"{kind}{number}",) for kind in "eu" for number in numbers)
    kept = found(state_url, "SELECT key FROM kept_answers")
    assert sorted(kept) == sorted((f"{kind}{number}",) for kind in "rf" for number in numbers)
    print(
        f"{rounds} rounds beside {len(promised.decisions):,} decisions and {len(promised.feedback):,} events of others"
    )
