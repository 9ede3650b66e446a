"""Clients of a service that dies again and again, and what they were promised."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.postgres import found

ROOT = Path(__file__).parents[1]


@dataclass
class Promised:
    """What was acknowledged: ids of decisions, and of feedback with its decision; and what was not."""

    decisions: list[str] = field(default_factory=list)
    feedback: list[tuple[str, str]] = field(default_factory=list)
    sent_again: int = 0
    broken: int = 0
    refused: list[int] = field(default_factory=list)


class Service:
    """The service in a process group of its own.

    Attributes:
        address: where any of its workers answers.
        workers: their process ids.
        ports: of each worker that it was started with, its own.
    """

    def __init__(self, url: str, workers: int) -> None:
        self._url, self._count = url, workers
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.doubles.killed_service", self._url, str(self._count)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
        )
        [port] = self._line()
        self.address = f"http://127.0.0.1:{port}"
        started = [self._line() for _ in range(self._count)]
        self.workers, self.ports = ([line[at] for line in started] for at in (0, 1))

    def kill_worker(self, chance: random.Random) -> None:
        victim = self.workers.pop(chance.randrange(self._count))
        os.kill(victim, signal.SIGKILL)
        self.workers.append(self._line()[0])

    def kill_all(self) -> None:
        """No worker outlives it: its group is killed at once."""
        if self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.communicate()

    def _line(self) -> list[int]:
        assert self._process.stdout is not None
        return [int(number) for number in self._process.stdout.readline().split()[1:]]


def client(service: Service, promised: Promised, stop: threading.Event) -> None:
    """Ask for decisions, and report on each, the same event until it is acknowledged."""
    while not stop.is_set():
        answer = _post(service, promised, "/v1/recommendations", {"customer_id": "1609"})
        if answer is None:
            continue
        [decided] = answer["recommendations"]
        promised.decisions.append(decided["decision_id"])
        event = {"event_id": str(uuid.uuid4()), "decision_id": decided["decision_id"], "action": "coupon"}
        while not stop.is_set():
            if _post(service, promised, "/v1/feedback", event | {"event": "accepted"}) is not None:
                promised.feedback.append((event["event_id"], event["decision_id"]))
                break
            promised.sent_again += 1


def _post(service: Service, promised: Promised, path: str, body: dict[str, str]) -> dict[str, object] | None:
    try:
        # A connection for each request: which worker answers is drawn anew.
        answer = httpx.post(service.address + path, json=body, timeout=15)
    except httpx.TransportError:
        promised.broken += 1
        time.sleep(0.01)
        return None
    if answer.status_code == 200:
        return answer.json()
    promised.refused.append(answer.status_code)
    time.sleep(0.05)
    return None


@contextmanager
def under_load(service: Service, clients: int = 4) -> Iterator[Promised]:
    promised, stop = Promised(), threading.Event()
    threads = [threading.Thread(target=client, args=(service, promised, stop)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield promised
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def until_more(promised: Promised, more: int = 3, seconds: float = 60) -> None:
    """Wait until so many more events were acknowledged."""
    wanted, end = len(promised.feedback) + more, time.monotonic() + seconds
    while len(promised.feedback) < wanted:
        assert time.monotonic() < end, "the service does not answer"
        time.sleep(0.005)


def check_kept(url: str, promised: Promised) -> None:
    """All that was acknowledged is there, nothing is there twice or by half."""
    decisions = [row[0] for row in found(url, "SELECT decision_id FROM decisions")]
    feedback = found(url, "SELECT event_id, decision_id FROM feedback")
    assert len(set(decisions)) == len(decisions)
    assert len({event for event, _ in feedback}) == len(feedback)
    assert set(promised.decisions) <= set(decisions)
    assert set(promised.feedback) <= set(feedback)
    assert found(url, "SELECT count(*) FROM feedback_quarantine") == [(0,)]
    assert found(url, "SELECT sum(decisions) FROM action_use") == [(len(decisions),)]
