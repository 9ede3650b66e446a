"""A service to be killed: ``python -m tests.doubles.killed_service STATE_URL WORKERS``.

The BentoML application and the store are the real ones, the models a double that knows everybody. The workers are
forks that share one listening socket, and listen on one of their own; it says ``port NUMBER`` and ``worker PID PORT``,
and replaces a worker that dies, as BentoML does, but without the eight seconds that the libraries take to load.
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
from tests.doubles.insights import SCORED, InsightDouble, decision


class Everybody(InsightDouble):
    """Each decision of customer 1609 is new, of any other it is always the same."""

    def by_ids(self, customer_ids: Sequence[str]) -> list[Insight]:
        return [self._of(one) for one in customer_ids]

    @staticmethod
    def _of(customer_id: str) -> Insight:
        made = decision(customer_id, str(uuid.uuid4()) if customer_id == SCORED.customer_id else None)
        return Insight(dataclasses.replace(SCORED, customer_id=customer_id), made)


def say(text: str) -> None:
    os.write(sys.stdout.fileno(), f"{text}\n".encode())


def listen() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0), backlog=64)


def port_of(listening: socket.socket) -> int:
    return int(listening.getsockname()[1])


def work(url: str, listening: list[socket.socket]) -> None:
    limits = Limits.of(ServiceSettings(), {})
    service = make_service(lambda: Deployment(Everybody(), DecisionStore(url), limits))
    server = uvicorn.Server(uvicorn.Config(service.to_asgi(), log_config=None, lifespan="on"))
    server.run(sockets=listening)


def main() -> None:
    url, workers = sys.argv[1], int(sys.argv[2])
    shared = listen()
    say(f"port {port_of(shared)}")
    gc.freeze()
    running = 0
    while True:
        while running < workers:
            with listen() as own:
                process = os.fork()
                if process == 0:
                    work(url, [shared, own])
                    os._exit(0)
                running += 1
                say(f"worker {process} {port_of(own)}")
        os.wait()
        running -= 1


if __name__ == "__main__":
    main()
