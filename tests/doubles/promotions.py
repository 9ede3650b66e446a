"""Promotions while clients ask: every answer must be whole, and by a champion of its time."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from kernel.churn_predictor import ChurnPredictor
from tests.doubles.live import CUSTOMERS, Shop

LAG_SECONDS = 8.0  # from a promotion to the last answer by the model before it, on a machine with much to do
IDS = tuple(CUSTOMERS.index)


@dataclass
class Load:
    """Clients of a service, and what they found wrong.

    Attributes:
        promoted: (moment, version) of churn, in order.
        expected: version -> customer -> probability.
        answers: by the version that gave them.
    """

    address: str
    expected: dict[str, dict[str, float]]
    promoted: list[tuple[float, str]]
    answers: Counter[str] = field(default_factory=Counter[str])
    errors: list[str] = field(default_factory=list[str])
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self, clients: int) -> Iterator[None]:
        threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _ask(self, number: int) -> None:
        with httpx.Client(base_url=self.address, timeout=30) as client:
            turn = number
            while not self._stop.is_set():
                turn += 1
                try:
                    self._one(client, turn)
                except Exception as error:
                    self.errors.append(f"{type(error).__name__}: {error}")

    def _one(self, client: httpx.Client, turn: int) -> None:
        one, several = IDS[turn % len(IDS)], [IDS[(turn + step) % len(IDS)] for step in range(5)]
        asks: list[Callable[[], list[dict[str, Any]]]] = [
            lambda: client.post("/v1/score", json={"customer_id": one}).raise_for_status().json()["scores"],
            lambda: client.post("/v1/score", json={"customer_ids": several}).raise_for_status().json()["scores"],
            lambda: (
                client.post("/v1/recommendations", json={"customer_ids": several})
                .raise_for_status()
                .json()["recommendations"]
            ),
            lambda: [client.get(f"/v1/customers/{one}").raise_for_status().json()],
        ]
        begun = time.monotonic()
        found = asks[turn % len(asks)]()
        ended = time.monotonic()
        versions = {answer["churn_model"] for answer in found}
        if len(versions) != 1:
            self.errors.append(f"one answer by several models: {versions}")
        [version] = versions
        self.answers[version] += 1
        if not self._was_champion(version, begun, ended):
            self.errors.append(f"{version} answered, and was no champion then")
        for answer in found:
            probability = answer.get("churn_probability")
            if probability is not None and probability != self.expected[version][answer["customer_id"]]:
                self.errors.append(f"{version} did not say {probability}")

    def _was_champion(self, version: str, begun: float, ended: float) -> bool:
        until = [moment for moment, _ in self.promoted[1:]] + [float("inf")]
        return any(
            name == version and since <= ended and begun <= over + LAG_SECONDS
            for (since, name), over in zip(list(self.promoted), until, strict=False)
        )


def expected_of(shop: Shop, versions: range) -> dict[str, dict[str, float]]:
    """Version -> customer -> the probability it gives."""
    found: dict[str, dict[str, float]] = {}
    for version in versions:
        predictor = ChurnPredictor.load(shop.files_of("shop-churn", version))
        chances = predictor.probability(predictor.inputs(CUSTOMERS))
        found[f"shop-churn/{version}"] = dict(zip(IDS, chances.tolist(), strict=True))
    return found


def promote_under_load(shop: Shop, promotions: int, *, clients: int = 4, pause: float = 0.1) -> Load:
    """Promote so many times while clients ask; each next time ``pause`` seconds after the one before is in use."""
    with shop.served() as (client, live):
        load = Load(str(client.base_url), expected_of(shop, range(1, 4)), [(time.monotonic(), "shop-churn/1")])
        with load.running(clients):
            for number in range(1, promotions + 1):
                name = f"shop-churn/{number % 3 + 1}"
                load.promoted.append((time.monotonic(), name))
                shop.registry.promote("shop-churn", number % 3 + 1)
                until = time.monotonic() + 20
                while live.state.champions[0] != name and time.monotonic() < until:
                    time.sleep(0.02)
                if live.state.champions[0] != name:
                    load.errors.append(f"{name} was not put in use: {live.state}")
                time.sleep(pause)
    return load
