"""The service as a child process: started, waited for, stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from kernel.errors import ForesightError
from kernel.service_settings import ServiceSettings

_START_SECONDS = 90
SERVICE = "serving.service:Foresight"


def service_command(host: str, port: int, *, stop_seconds: int = 30, service: str = SERVICE) -> list[str]:
    """The command line that serves; FORESIGHT_CONFIG must name the project.

    Args:
        stop_seconds: how long requests in flight may take after it was told to stop.
        service: MODULE:NAME of what is served.
    """
    command = [sys.executable, "-m", "bentoml", "serve", service, "--host", host, "--port", str(port)]
    return [*command, "--timeout-graceful-shutdown", str(stop_seconds)]


def service_environment(
    config: Path, *, home: Path | None = None, settings: ServiceSettings | None = None
) -> dict[str, str]:
    """The environment of the service process.

    Args:
        home: where BentoML keeps its files, the metrics among them: each service on a machine needs a folder of its
            own, since it empties the metrics when it starts. None leaves it to BentoML.
        settings: workers and timeout; None for the defaults.
    """
    own = {"FORESIGHT_CONFIG": str(config), "BENTOML_DO_NOT_TRACK": "True"}
    if home is not None:
        own["BENTOML_HOME"] = str(home)
    if settings is not None:
        own["FORESIGHT_WORKERS"] = str(settings.workers)
        own["FORESIGHT_TIMEOUT_SECONDS"] = str(settings.timeout_seconds)
    return {**os.environ, **own}


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_service(
    config: Path, log: Path, *, settings: ServiceSettings | None = None, service: str = SERVICE
) -> Generator[str]:
    """The address of a service on loopback, ready to answer; it stops with the block.

    Raises:
        ForesightError: it did not become ready; ``log`` says why.
    """
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    environment = service_environment(config, home=log.parent / f"bentoml-{port}", settings=settings)
    with log.open("wb") as output:
        process = subprocess.Popen(
            service_command("127.0.0.1", port, service=service), env=environment, stdout=output, stderr=output
        )
        try:
            _wait_until_ready(address, process, log)
            yield address
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise ForesightError("The service did not start.", where=str(log), fix="Read the end of that log.")
