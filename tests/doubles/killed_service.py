"""A service to be killed: ``python -m tests.doubles.killed_service STATE_URL WORKERS``.

The BentoML application and the store are the real ones, the models a double whose every decision is new. The workers
are forks that share one listening socket; it says ``port NUMBER`` and ``worker PID``, and replaces a worker that dies,
as BentoML does, but without the eight seconds that the libraries take to load.
"""

from __future__ import annotations

import dataclasses
import gc
import os
import socket
import sys
import uuid
from collections.abc import Sequence

import uvicorn

from kernel.service_settings import ServiceSettings
from serving.feedback.store import DecisionStore
from serving.http.deployment import Deployment, Limits
from serving.insights import Insight
from serving.service import make_service
from tests.doubles.insights import InsightDouble


class EverNew(InsightDouble):
    def by_ids(self, customer_ids: Sequence[str]) -> list[Insight]:
        return [self._new(one) for one in super().by_ids(customer_ids)]

    @staticmethod
    def _new(insight: Insight) -> Insight:
        assert insight.decision is not None
        return dataclasses.replace(
            insight, decision=dataclasses.replace(insight.decision, decision_id=str(uuid.uuid4()))
        )


def say(text: str) -> None:
    os.write(sys.stdout.fileno(), f"{text}\n".encode())


def work(url: str, listening: socket.socket) -> None:
    limits = Limits.of(ServiceSettings(), {})
    service = make_service(lambda: Deployment(EverNew(), DecisionStore(url), limits))
    server = uvicorn.Server(uvicorn.Config(service.to_asgi(), log_config=None, lifespan="on"))
    server.run(sockets=[listening])


def main() -> None:
    url, workers = sys.argv[1], int(sys.argv[2])
    listening = socket.create_server(("127.0.0.1", 0), backlog=64)
    say(f"port {listening.getsockname()[1]}")
    gc.freeze()
    running = 0
    while True:
        while running < workers:
            process = os.fork()
            if process == 0:
                work(url, listening)
                os._exit(0)
            running += 1
            say(f"worker {process}")
        os.wait()
        running -= 1


if __name__ == "__main__":
    main()
