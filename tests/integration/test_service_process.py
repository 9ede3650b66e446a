"""The service as its own processes: two workers, one log, one set of metrics, and a stop that loses nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from foresight.service_process import free_port, service_command, service_environment
from kernel.service_settings import ServiceSettings

SECONDS = 60.0
SLOW = "3"  # as the double has it: to import it here would import BentoML


@dataclass
class Running:
    process: subprocess.Popen[bytes]
    client: httpx.Client
    log: Path

    def until(self, path: str, status: int) -> None:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if self.client.get(path).status_code == status:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"{path} is not {status}: {self.log.read_text(encoding='utf-8')[-3000:]}")

    def value(self, name: str) -> float:
        lines = self.client.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Running]:
    port = free_port()
    home = tmp_path / "bentoml"
    environment = service_environment(tmp_path, home=home, settings=ServiceSettings(workers=2))
    environment["DOUBLE_STATE"] = f"sqlite:///{tmp_path / 'decisions.db'}"
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[2]), environment.get("PYTHONPATH", "")])
    command = service_command("127.0.0.1", port, service="tests.doubles.slow_service:Slow")
    log = tmp_path / "service.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    # Without keep-alive: each request may go to either worker.
    limits = httpx.Limits(max_keepalive_connections=0)
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, limits=limits)
    try:
        with client:
            yield Running(process, client, log)
    finally:
        process.kill()
        process.wait()


def test_two_workers_and_a_graceful_stop(service: Running) -> None:
    service.until("/readyz", 200)
    end = time.monotonic() + SECONDS
    while service.value("foresight_workers") < 2 and time.monotonic() < end:
        time.sleep(0.05)
    workers = [child.pid for child in psutil.Process(service.process.pid).children()]
    # No count falls into a hole of its file: on a full disk that would end the worker.
    counts = [file.stat() for file in (service.log.parent / "bentoml").rglob("*.db")]
    assert len(counts) == 2 * 4
    assert all(512 * one.st_blocks >= one.st_size for one in counts)

    # One set of metrics, whichever worker is asked.
    for _ in range(20):
        asked = service.client.get("/panel/1609?note=secret", headers={"X-Request-Id": "crm-7"})
        assert asked.status_code == 200
    assert {service.value('foresight_decisions_total{action="coupon"') for _ in range(10)} == {20.0}
    assert service.value("foresight_memory_bytes") > 40e6
    assert service.value("foresight_workers") == 2.0

    # A stop: not ready first, then the end, and what was begun is answered.
    answers: list[httpx.Response] = []
    slow = threading.Thread(
        target=lambda: answers.append(service.client.post("/v1/score", json={"customer_ids": [SLOW, "1609"]}))
    )
    slow.start()
    time.sleep(0.5)
    service.process.send_signal(signal.SIGTERM)
    service.until("/readyz", 503)
    assert service.client.get("/livez").status_code == 200
    assert service.client.post("/v1/score", json={"customer_id": "1609"}).status_code == 200
    slow.join(timeout=20)
    assert [answer.status_code for answer in answers] == [200]
    assert service.process.wait(timeout=20) == 0
    assert not any(psutil.pid_exists(pid) for pid in workers)

    # One JSON object a line, from every process, and no customer in it.
    text = service.log.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert "1609" not in text and "secret" not in text
    assert {"time", "level", "logger", "message"} <= set.intersection(*(set(line) for line in lines))
    [panel, *_] = [line for line in lines if line.get("route") == "/panel/{customer_id}"]
    assert (panel["request_id"], panel["status"], panel["method"]) == ("crm-7", 200, "GET")
    assert panel["milliseconds"] > 0
    assert any("BentoServer" in line["message"] for line in lines)  # of the process above the workers
    assert any(line["logger"] == "uvicorn.error" for line in lines)
